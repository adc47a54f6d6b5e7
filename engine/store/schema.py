"""Names, types and limits of the mask store, schema version 1. The page docs/store.md says the same in words.

Knows what a store looks like. Knows neither how it is read nor how it is written.
"""

from fractions import Fraction
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np

from engine import limits

FORMAT_NAME = "mugvos"
SCHEMA_VERSION = 1

CLIPS = "clips"
FRAMES = "frames"
TRACKS = "tracks"
MASKS = "masks"
COUNTS = "counts"
POINTS = "points"
WARPED_IOU = "warped_iou"
VOID = "void"

FRAME_TYPE = np.dtype([("number", "<i8"), ("time", "<f8"), ("first_row", "<i8")])
MASK_TYPE = np.dtype(
    [
        ("frame", "<i8"),
        ("track", "<i8"),
        ("area", "<i8"),
        ("box", "<i4", (4,)),
        ("score", "<f8"),
        ("stability", "<f8"),
        ("offset", "<i8"),
        ("length", "<i8"),
        ("first_point", "<i8"),
        ("points", "<i4"),
    ]
)
WARPED_IOU_TYPE = np.dtype("<f8")
POINT_TYPE = np.dtype([("x", "<f8"), ("y", "<f8"), ("positive", "|u1")])
VOID_TYPE = np.dtype([("frame", "<i8"), ("offset", "<i8"), ("length", "<i8")])
COUNTS_TYPE = np.dtype("|u1")

# A random read inflates one chunk of each, so chunks are small; see benchmarks/bench_store.py.
ROWS_PER_CHUNK = 1024
BYTES_PER_CHUNK = 32 * 1024

REVIEWS = ("", "accepted", "rejected", "mended")
NO_PARENT = -1

MAX_FRAMES, MAX_TRACKS = limits.CLIP_FRAMES, limits.CLIP_TRACKS


def track_type(name_bytes: int) -> np.dtype:
    """The row of the track table. Names have a fixed length in bytes, that of the longest: see `text`."""
    fields = [("first_frame", "<i8"), ("parent", "<i8"), ("level", "<i4"), ("review", "|u1")]
    return np.dtype([("id", "<i8"), ("name", text_type(name_bytes)), *fields])


def text_type(length: int) -> np.dtype:
    """UTF-8 text of at most `length` bytes.

    Fixed lengths only: HDF5 keeps variable ones in a heap, and loops for ever over some damaged heaps (seen).
    """
    kind: np.dtype = h5py.string_dtype("utf-8", max(length, 1))
    return kind


def text(value: str) -> np.ndarray:
    """Text as HDF5 attributes hold it."""
    data = clean_text(value).encode()
    return np.array(data, text_type(len(data)))


def text_of(value: Any) -> str:
    """Text of an attribute or a table. Raises TypeError for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise TypeError(f"text expected, found {type(value).__name__}")
    return value


def plausible(height: int, width: int) -> bool:
    """Whether a mask of this size is believed: both sides in 1..65535, at most 2^28 pixels in all."""
    sides = 1 <= height <= limits.MASK_SIDE and 1 <= width <= limits.MASK_SIDE
    return sides and height * width <= limits.MASK_PIXELS


def key_of_name(name: str) -> str:
    """The HDF5 link of a clip: its name with `/`, `%` and a leading dot percent-encoded."""
    escaped = name.replace("%", "%25").replace("/", "%2F")
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


def name_of_key(key: str) -> str:
    """The clip name of an HDF5 link, inverse of `key_of_name`."""
    return unquote(key)


def clean_text(text: str) -> str:
    """Text as HDF5 can hold it: what is no valid Unicode (odd file names) and NUL becomes the replacement sign."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def fps_attribute(fps: Fraction | float | None) -> Any:
    """Frame rate as int64 (numerator, denominator); (0, 1) where unknown."""
    if not fps:
        return np.array([0, 1], np.int64)
    exact = Fraction(fps).limit_denominator(1_000_000)
    return np.array([exact.numerator, exact.denominator], np.int64)


def fps_of_attribute(value: Any) -> Fraction | None:
    """Frame rate of the attribute, None where unknown."""
    numerator, denominator = (int(v) for v in value)
    return Fraction(numerator, denominator) if numerator > 0 and denominator > 0 else None
