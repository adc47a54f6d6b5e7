"""MMPM, the memory-based mask propagation model of "Multi-Granularity Video Object Segmentation" (AAAI 2025)."""
