"""Whether two runs were given the same video, told without reading it."""

import hashlib
import secrets
from pathlib import Path

from engine.video.reader import VideoReader
from engine.video.stills import is_still


def fingerprint(source: str) -> dict[str, str | int]:
    """Path, size and time of change of a video; for a folder the count, sizes and latest change of its images.

    Standard input and lists are known by their name alone.
    """
    path = Path(source)
    known: dict[str, str | int] = {"source": str(path.resolve()) if path.exists() else source}
    if path.is_file():
        stats = [path.stat()]
    elif path.is_dir():
        stats = [file.stat() for file in path.iterdir() if is_still(file) and file.is_file()]
    else:
        return known
    return {
        **known,
        "files": len(stats),
        "bytes": sum(stat.st_size for stat in stats),
        "changed": max((stat.st_mtime_ns for stat in stats), default=0),
    }


def identity(reader: VideoReader) -> dict[str, str | int]:
    """`fingerprint` of an open video. What comes through a pipe is told by its first picture; what is live never comes
    twice."""
    known = fingerprint(reader.info.source)
    if reader.live:
        return {**known, "live": secrets.token_hex(8)}
    if "files" in known:
        return known
    first = next(reader.frames(0, 1))
    return {**known, "first": hashlib.blake2b(first.image.tobytes(), digest_size=8).hexdigest()}
