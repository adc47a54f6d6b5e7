"""BMVOS: masks matched pixel by pixel, each reference pixel speaking for its best few (docs/bmvos.md)."""
