"""MAVOS: DeAOT's gated propagation with a memory of constant size (docs/mavos.md)."""
