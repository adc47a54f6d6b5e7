"""How files that hold tracks are called. Knows nothing of what is in them; see open.py for that."""

STORE = frozenset({".h5", ".hdf5"})
LINES = frozenset({".ndjson", ".jsonl"})
TRACKS = STORE | LINES | {".json"}
