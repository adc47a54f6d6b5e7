"""Decisions back into the store: a new file beside it, complete, that then takes its name.

Knows documents and stores. The journal stays, as the record of who decided what and when; what it says is absolute, so
that reading it again over a folded store changes nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.annotation.cells import TrackState, packed_states
from engine.annotation.document import PROVENANCE, ClipDocument
from engine.store import StoreReader, StoreWriter
from engine.store.clip_reader import ClipReader
from engine.types import MaskRecord, Review, Track


def write_folded(reader: StoreReader, documents: Mapping[str, ClipDocument], output: Path) -> None:
    """Write the store with the clips of `documents` as they stand, all others copied. `output` is replaced whole."""
    with StoreWriter(output, overwrite=True) as writer:
        for name in reader.clips:
            document = documents.get(name)
            if document is None:
                writer.copy_clip(name, reader.group(name))
            else:
                _add(writer, reader.clip(name), document)


def _add(writer: StoreWriter, clip: ClipReader, document: ClipDocument) -> None:
    frames = sorted({*clip.frames, *document.numbers})
    times = dict(zip(clip.frames, clip.times, strict=True))
    voids = ((frame, void) for frame in clip.frames if (void := clip.void(frame)) is not None)
    writer.add_clip(
        clip.name,
        clip.width,
        clip.height,
        max(clip.frame_count, len(document.numbers)),
        tracks_of(document),
        _records(clip, document, frames),
        clip.source,
        clip.fps,
        {**clip.provenance, PROVENANCE: provenance_of(document)},
        clip.complete,
        frames,
        [times.get(frame, float("nan")) for frame in frames],
        voids,
    )


def tracks_of(document: ClipDocument) -> list[Track]:
    """The tracks with their review states: rejected; once finished accepted, or mended if a mask was made by hand."""
    return [_track(document, track, state) for track, state in sorted(document.tracks.items())]


def _track(document: ClipDocument, track: int, state: TrackState) -> Track:
    parent = state.parent if state.parent in document.tracks else None
    return Track(track, state.name, state.first_frame, parent, state.level, _review(document, track))


def provenance_of(document: ClipDocument) -> dict[str, Any]:
    """What the tables of the store cannot hold: tags, notes, verdicts, the state of every frame."""
    return {
        "folded": datetime.now(UTC).isoformat(timespec="seconds"),
        "tracks": document.summary(),
        "states": {str(track): packed_states(document.states(track)) for track in document.tracks},
    }


def _review(document: ClipDocument, track: int) -> Review:
    state = document.tracks[track]
    if state.status == "rejected":
        return "rejected"
    if state.status not in ("done", "approved"):
        return ""
    return "mended" if document.counted(track)["refined"] else "accepted"


def _records(clip: ClipReader, document: ClipDocument, frames: list[int]) -> Iterator[MaskRecord]:
    for frame in frames:
        if frame not in document.position:  # masks beyond the video are nobody's to judge, and stay
            yield from clip.records(frame=frame)
            continue
        for track, cell in document.cells(frame).items():
            record = cell.record(frame, track)
            if record is not None:
                yield record
