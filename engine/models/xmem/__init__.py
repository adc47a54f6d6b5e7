"""XMem, video object segmentation with an Atkinson-Shiffrin memory model (ECCV 2022)."""
