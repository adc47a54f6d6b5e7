"""Pure functions on binary masks: run lengths, boxes, overlap, labels. No files, no torch."""
