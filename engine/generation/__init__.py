"""The data collection pipeline: from raw video to mask tracks of every granularity, with nobody in the loop."""
