"""The HDF5 mask store and the foreign formats that turn into it and out of it. No torch."""

from engine.store.export import FORMATS, export
from engine.store.formats.png import read_mask_image
from engine.store.merge import merge_stores
from engine.store.open import READABLE, open_source
from engine.store.reader import StoreReader
from engine.store.segments import SegmentedRun
from engine.store.writer import StoreWriter

__all__ = [
    "FORMATS",
    "READABLE",
    "SegmentedRun",
    "StoreReader",
    "StoreWriter",
    "export",
    "merge_stores",
    "open_source",
    "read_mask_image",
]
