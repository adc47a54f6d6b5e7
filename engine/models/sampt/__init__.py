"""SAM-PT (Rajič et al., Segment Anything Meets Point Tracking, 2023): points tracked through a video prompt SAM."""
