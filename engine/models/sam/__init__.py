"""Segment Anything: the published sizes and `sam-tiny`, all built from segment-anything's own classes."""
