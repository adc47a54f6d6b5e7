"""PerSAM and PerSAM-F (Zhang et al., Personalize Segment Anything Model with One Shot, ICLR 2024), in two forms."""
