"""The PNGs that label images nearly always are, read in half the time: 8 bits, grey or palette, no row filter.

Everything else, and everything that is odd in any way, is left to Pillow, whose word on damaged files counts. Inflating
is most of the work; isal does it five times as fast as zlib and is taken if it is installed. Knows bytes.
"""

import struct
import zlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np

from engine.store.schema import plausible
from engine.types import UInt8Array

inflater: ModuleType = import_module("isal.isal_zlib") if find_spec("isal") else zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS: dict[tuple[int, int], Literal["grey", "palette"]] = {(8, 0): "grey", (8, 3): "palette"}


def read_flat(path: Path) -> tuple[UInt8Array, Literal["grey", "palette"]] | None:
    """The values of a PNG, uint8 (H, W), and its kind; None where it is of another sort or cannot be read."""
    try:
        data = path.read_bytes()
        header = _header(data)
        if header is None:
            return None
        height, width, kind = header
        rows = _inflated(data, height * (width + 1))
    except (OSError, struct.error, inflater.error):
        return None
    if rows is None:
        return None
    image = np.frombuffer(rows, np.uint8).reshape(height, width + 1)
    return None if image[:, 0].any() else (np.ascontiguousarray(image[:, 1:]), kind)


def _header(data: bytes) -> tuple[int, int, Literal["grey", "palette"]] | None:
    """Height, width and kind where they are what this module reads."""
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR":
        return None
    width, height, depth, colour, compression, filters, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    kind = _KINDS.get((depth, colour))
    return (
        (height, width, kind) if kind and plausible(height, width) and not compression + filters + interlaced else None
    )


def _inflated(data: bytes, size: int) -> bytes | None:
    """The rows of all IDAT chunks, exactly `size` bytes; None for any other number or a file without an end."""
    parts, at = [], 8
    while at + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
        if name == b"IEND":
            break
    else:
        return None
    stream = inflater.decompressobj()
    rows: bytes = stream.decompress(b"".join(parts), size + 1)
    return rows if len(rows) == size and stream.eof else None
