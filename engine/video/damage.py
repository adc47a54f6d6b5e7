"""Whether a video file holds all the bytes that its container says it holds.

FFmpeg ends quietly where a file was cut off; the sizes in the container's own framing tell. Knows the outer framing of
ISO media (mp4, mov), Matroska (mkv, webm), RIFF (avi) and GIF. Decodes nothing.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_ISO_FIRST = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp"})


def missing_bytes(path: Path) -> int | None:
    """How many bytes the file lacks by its own account: 0 for a whole file, None where the container does not say."""
    with path.open("rb") as file:
        head = file.read(12)
        size = os.fstat(file.fileno()).st_size
        if head[4:8] in _ISO_FIRST:
            return max(0, max(end for _, end in _iso_boxes(file, size)) - size)
        if head[:4] == _EBML:
            end = _matroska_end(file)
            return None if end is None else max(0, end - size)
        if head[:4] == b"RIFF":
            return max(0, _riff_end(file, size) - size)
        if head[:3] == b"GIF":
            return 0 if _gif_is_whole(file) else 1
    return None


def lacks_index(path: Path) -> bool:
    """Whether this is an mp4 or mov without a whole `moov` box: a recording never finished, or a cut-off copy.

    (Pictures in the same framing, AVIF and HEIF, have `meta` in its place.)
    """
    with path.open("rb") as file:
        if file.read(12)[4:8] not in _ISO_FIRST:
            return False
        size = os.fstat(file.fileno()).st_size
        return not any(kind in (b"moov", b"meta") and end <= size for kind, end in _iso_boxes(file, size))


def _iso_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The kind of each outermost box and where it claims to end (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < 8:  # 0: the box runs to the end of the file; 2 to 7: no box, trailing bytes
            length = size - at
        at += length
        yield kind, at


def _matroska_end(file: BinaryIO) -> int | None:
    """Where the Segment claims to end; None when it was written without a size (a live recording). RFC 9559."""
    file.seek(len(_EBML))
    header = _vint(file)
    if header is None:
        return None
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return None
    length = _vint(file)
    return None if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """A variable-length size (RFC 8794, 4); None for the reserved 'unknown' value and at the end of the file."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value


def _riff_end(file: BinaryIO, size: int) -> int:
    """Where the last RIFF chunk claims to end; large AVI files hold several."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            return size
        at += 8 + length + length % 2
    return at


def _gif_is_whole(file: BinaryIO) -> bool:
    """Whether the blocks of a GIF89a lead to its trailer (0x3b)."""
    file.seek(10)
    flags = file.read(3)
    if len(flags) < 3:
        return False
    _skip_colours(file, flags[0])
    while (kind := file.read(1)) != b"\x3b":
        if kind == b"\x21":
            file.seek(1, os.SEEK_CUR)
        elif kind == b"\x2c":
            descriptor = file.read(9)
            _skip_colours(file, descriptor[8] if len(descriptor) == 9 else 0)
            file.seek(1, os.SEEK_CUR)
        else:
            return False
        while length := file.read(1)[:1]:
            if length == b"\0":
                break
            file.seek(length[0], os.SEEK_CUR)
    return True


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), os.SEEK_CUR)
