"""Crash-safe, resumable writing of one clip.

An open HDF5 file does not survive a kill, so a running stage writes segments of some frames as small files into the
folder `<output>.part`, each complete by one rename, then a manifest that counts them. At the end they are merged into
the output by one rename. Whatever moment a process dies at, the manifest names only whole segments.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.errors import StoreError
from engine.store import atomic, manifest
from engine.store import state as states
from engine.store.lock import FolderLock
from engine.store.segment_files import pack_records, read_segment, read_state, segment_name
from engine.store.spool import STDIO, write_output, writing
from engine.store.writer import StoreWriter
from engine.types import MaskRecord, Track

MERGED = "merged.h5"


class SegmentedRun:
    """Resumable writing of one clip to `output`.

    `parameters` (anything JSON can say) decide whether an unfinished run is the same one: put in all that changes the
    result, the input's size and time of change too. With `overwrite` an existing output is replaced at the end and an
    unfinished run of other parameters is thrown away; the same parameters still go on, so that repeating a command
    with --overwrite resumes it. Raises StoreError for other parameters or if another process is writing there,
    OutputError if the output exists or cannot be written. `-` writes to standard output at the end.
    """

    def __init__(self, output: str | Path, parameters: dict[str, Any], overwrite: bool = False) -> None:
        self.output = Path(output)
        self._overwrite = overwrite
        self._records: list[MaskRecord] = []
        self._spool = tempfile.TemporaryDirectory(prefix="mugvos-") if str(output) == STDIO else None
        base = Path(self._spool.name) / "store.h5" if self._spool else self.output
        self._folder = base.with_name(base.name + ".part")
        _forget_finished(self._folder, base)
        atomic.refuse_existing(base, overwrite)
        with writing(self.output):
            atomic.remove_stale(base)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self._folder, self.output)
        try:
            self._manifest = self._begin(parameters)
            self.state: dict[str, Any] | None = self._read_state(self._manifest)
        except BaseException:
            self._lock.release()
            raise
        self._appended_to = self._manifest.next_frame

    @property
    def next_frame(self) -> int:
        """The frame after the last whole segment; 0 for a fresh run."""
        return self._manifest.next_frame

    @property
    def tracks(self) -> list[Track]:
        """The tracks of the last checkpoint."""
        return list(self._manifest.tracks)

    def append(self, frame: int, records: Sequence[MaskRecord]) -> None:
        """The masks of one frame; kept in memory until the next checkpoint. Frames come ascending."""
        if frame < self._appended_to:
            raise StoreError(f"{self.output}: frame {frame} was written already", "append frames in ascending order")
        if any(record.frame != frame for record in records):
            raise StoreError(f"{self.output}: a record of another frame among those of frame {frame}")
        self._records.extend(records)
        self._appended_to = frame + 1

    def checkpoint(self, state: dict[str, Any], tracks: Sequence[Track]) -> None:
        """Make all appended frames, the state and the tracks certain. `state` is what the next frame starts from."""
        self._close_segment(states.pack(state), list(tracks))
        self.state = state

    def finish(self, name: str, width: int, height: int, frame_count: int, **metadata: Any) -> None:
        """Merge all segments into the output by one rename and remove them.

        The arguments are those of StoreWriter.add_clip; `tracks` may be left out where a checkpoint has given them.
        """
        tracks = list(metadata.pop("tracks", self._manifest.tracks))
        if self._records or tracks != self._manifest.tracks:
            self._close_segment(None, tracks)
        merged = self._folder / MERGED
        with StoreWriter(merged, overwrite=True) as writer:
            writer.add_clip(name, width, height, frame_count, tracks, self._all_records(), **metadata)
        with writing(self.output):
            self._manifest.merged = True
            manifest.save(self._folder, self._manifest)
            self._deliver(merged)
        _remove_uncounted(self._folder, manifest.Manifest({}))
        self._lock.release()
        atomic.remove(self._folder)
        if self._spool:
            self._spool.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the run as it is after the last checkpoint, to be resumed."""
        self._lock.release()
        if self._spool:
            self._spool.cleanup()

    def _begin(self, parameters: dict[str, Any]) -> manifest.Manifest:
        """The manifest to go on from, after its files were looked through; a fresh one where there is none."""
        try:
            found = manifest.load(self._folder)
            if found is not None:
                self._check_parameters(found, parameters)
                self._check_files(found)
        except StoreError:
            if not self._overwrite:
                raise
            found = None
        if found is None:
            found = manifest.Manifest(parameters)
            with writing(self.output):
                manifest.save(self._folder, found)
        _remove_uncounted(self._folder, found)
        return found

    def _check_parameters(self, found: manifest.Manifest, parameters: dict[str, Any]) -> None:
        changed = manifest.differing(found.parameters, parameters)
        if changed:
            raise StoreError(
                f"{self.output}: an unfinished run with other parameters is there: {', '.join(changed)}",
                "repeat its parameters to go on with it, or pass --overwrite to start again",
            )

    def _check_files(self, found: manifest.Manifest) -> None:
        """Damage is found now, not after hours at the end."""
        self._read_state(found)
        for number in range(found.segments):
            read_segment(self._folder / segment_name(number))

    def _read_state(self, found: manifest.Manifest) -> dict[str, Any] | None:
        if found.state_file is None:
            return None
        return read_state(self._folder / found.state_file)

    def _close_segment(self, packed: bytes | None, tracks: list[Track]) -> None:
        number = self._manifest.segments
        old = self._manifest.state_file
        with writing(self.output):
            manifest.write_whole(self._folder / segment_name(number), pack_records(self._records))
            if packed is not None:
                self._manifest.state_file = f"state-{number:06d}.npz"
                manifest.write_whole(self._folder / self._manifest.state_file, packed)
            self._manifest.segments = number + 1
            self._manifest.next_frame = self._appended_to
            self._manifest.tracks = tracks
            manifest.save(self._folder, self._manifest)
            if old and old != self._manifest.state_file:
                (self._folder / old).unlink(missing_ok=True)
        self._records = []

    def _all_records(self) -> Iterator[MaskRecord]:
        for number in range(self._manifest.segments):
            yield from read_segment(self._folder / segment_name(number))

    def _deliver(self, merged: Path) -> None:
        if self._spool:
            write_output(merged)
        else:
            atomic.refuse_existing(self.output, self._overwrite)
            atomic.publish(merged, self.output)


def _forget_finished(folder: Path, output: Path) -> None:
    """Remove what is left of a run whose output was already renamed into place when its process died.

    The manifest is the last file that such a run removes.
    """
    if not folder.is_dir() or not output.exists():
        return
    try:
        found = manifest.load(folder)
    except StoreError:
        return
    if found is None or (found.merged and not (folder / MERGED).exists()):
        atomic.remove(folder)


def _remove_uncounted(folder: Path, found: manifest.Manifest) -> None:
    """Remove what a killed process had begun: temporary files, segments and states the manifest does not count."""
    counted = {segment_name(number) for number in range(found.segments)}
    counted |= {manifest.MANIFEST, FolderLock.NAME, found.state_file or ""}
    for entry in folder.iterdir():
        if entry.name not in counted:
            atomic.remove(entry)
