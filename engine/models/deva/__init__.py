"""DEVA, decoupled video segmentation (ICCV 2023): mask propagation, with or without detections from elsewhere."""
