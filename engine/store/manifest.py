"""The small file that says how far a resumable run has come. Replaced by one rename, so it is always whole.

Knows files and JSON. What the segments hold is segments.py's business.
"""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import StoreError
from engine.store import atomic
from engine.types import Track

MANIFEST = "manifest.json"
RUN_FORMAT = "mugvos-run"
RUN_VERSION = 1


@dataclass
class Manifest:
    """What is certain: `segments` whole segments, their last frame before `next_frame`, the state taken there."""

    parameters: dict[str, Any]
    segments: int = 0
    next_frame: int = 0
    state_file: str | None = None
    tracks: list[Track] = field(default_factory=list)
    merged: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the parameters."""
        return hashlib.sha256(canonical(self.parameters).encode()).hexdigest()


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a run."""
    document = {"format": RUN_FORMAT, "version": RUN_VERSION, "digest": manifest.digest, **asdict(manifest)}
    write_whole(folder / MANIFEST, json.dumps(document, indent=1, default=str).encode())


def load(folder: Path) -> Manifest | None:
    """The manifest of a run, None where there is none. StoreError if it cannot be understood."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != RUN_FORMAT or document["version"] != RUN_VERSION:
            raise ValueError("another version")
        if not isinstance(document["parameters"], dict):
            raise ValueError("its parameters are none")
        state_file = document["state_file"]
        if state_file is not None and not re.fullmatch(r"state-[0-9]{6,}\.npz", state_file):
            raise ValueError(f"a state in {state_file!r}")
        return Manifest(
            parameters=document["parameters"],
            segments=int(document["segments"]),
            next_frame=int(document["next_frame"]),
            state_file=state_file,
            tracks=[Track(**track) for track in document["tracks"]],
            merged=bool(document["merged"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, OSError) as error:
        raise StoreError(
            f"{path}: the notes of an unfinished run cannot be read ({error})",
            "pass --overwrite to start again from the first frame",
        ) from error


def differing(recorded: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """The parameters that differ, each as `name (was, now)`."""
    names = sorted(set(recorded) | set(given))
    return [
        f"{name} (was {_short(recorded, name)}, now {_short(given, name)})"
        for name in names
        if canonical(recorded.get(name)) != canonical(given.get(name)) or (name in recorded) != (name in given)
    ]


def canonical(value: Any) -> str:
    """One text for equal values: keys sorted, what JSON does not know as its string."""
    return json.dumps(value, sort_keys=True, default=str)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, and survives a power cut."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    atomic.sync(path.parent)


def _short(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return "not given"
    text = canonical(values[name])
    return text if len(text) <= 60 else text[:57] + "..."
