"""Optical flow behind one interface: `flow(first, second)` is float32 (2, H, W), pixels, x first."""
