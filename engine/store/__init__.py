"""The HDF5 mask store and the foreign formats that turn into it and out of it. No torch."""

from engine.store.reader import StoreReader
from engine.store.segments import SegmentedRun
from engine.store.writer import StoreWriter

__all__ = ["SegmentedRun", "StoreReader", "StoreWriter"]
