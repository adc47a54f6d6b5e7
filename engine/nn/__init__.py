"""Blocks that two or more models share. State-dict names are those of the published checkpoints."""
