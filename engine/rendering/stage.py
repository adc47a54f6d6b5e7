"""What there is to draw: the chosen clips of a holder of masks, each with its frames.

Knows holders of masks, readers of frames and which belong together. Knows nothing of drawing.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.errors import MugvosError, UsageError
from engine.rendering.footage import video_of
from engine.rendering.scene import Scene
from engine.store.source import MaskSource
from engine.types import Track
from engine.video import find_videos, open_video


class Stage:
    """Clips of `masks`, in its order.

    path: where the masks come from, `-` for standard input. clips: names, None for all. tracks: ids to show, None for
    all; clips without any of them are left out if another has one. video: where the frames are (a video, or a folder
    of videos named like the clips), None for the video that each clip says it was made from. blank: draw on grey.
    level: of the granularity tree, only its tracks are shown.
    Raises UsageError for names that are no clip and for masks without clips, VideoError for a `video` that is none.
    """

    def __init__(
        self,
        masks: MaskSource,
        path: str,
        clips: Collection[str] | None = None,
        tracks: Collection[int] | None = None,
        video: str | None = None,
        blank: bool = False,
        level: int | None = None,
    ) -> None:
        self.path = path
        self.masks, self._tracks, self._blank, self._level = masks, tracks, blank, level
        named = self._named(clips)
        self._check_tracks(named)
        self.clips = self._with_tracks(named)
        self._videos = None if video is None else find_videos([video])

    def footage(self, name: str) -> str | None:
        """The video of a clip, None where it is drawn on grey. Raises VideoError where there is none."""
        if self._blank:
            return None
        beside = Path(self.path).parent
        return video_of(self.masks.clip(name), self._videos, beside, alone=len(self.clips) == 1)

    @contextmanager
    def scene(self, name: str) -> Iterator[Scene]:
        """A clip over its video, open. Raises VideoError, MaskError, UsageError (see Scene)."""
        footage = self.footage(name)
        if footage is None:
            yield Scene(self.masks.clip(name), None, self._shown(name))
            return
        with open_video(footage) as reader:
            yield Scene(self.masks.clip(name), reader, self._shown(name))

    def each(self, work: Callable[[str], None], on_failure: Callable[[str, MugvosError], None]) -> list[str]:
        """Work on clip after clip; tell of those that fail and return them. A single clip's error is raised."""
        failed = []
        for name in self.clips:
            try:
                work(name)
            except MugvosError as fault:
                if len(self.clips) == 1:
                    raise
                on_failure(name, fault)
                failed.append(name)
        return failed

    def _named(self, wanted: Collection[str] | None) -> Sequence[str]:
        known = self.masks.clips
        if not known:
            raise UsageError(f"{self.path}: holds no clip", "there is nothing to draw")
        unknown = [name for name in wanted or () if name not in known]
        if unknown:
            more = ", ..." if len(known) > 10 else ""
            raise UsageError(f"{self.path}: no clip {unknown[0]}", f"it has {', '.join(known[:10])}{more}")
        return [name for name in known if wanted is None or name in wanted]

    def _check_tracks(self, clips: Sequence[str]) -> None:
        """Raises UsageError for an id that no track of these clips has."""
        if self._tracks is None:
            return
        known = {track.id: None for name in clips for track in self.masks.clip(name).tracks}
        unknown = ", ".join(str(track) for track in sorted(set(self._tracks) - known.keys()))
        if unknown:
            what = f"clip {clips[0]}" if len(clips) == 1 else f"{self.path}: {len(clips)} clips"
            listed = ", ".join(map(str, list(known)[:20])) or "none"
            raise UsageError(f"{what}: no track {unknown}", f"{'it has' if len(clips) == 1 else 'they have'} {listed}")

    def _with_tracks(self, clips: Sequence[str]) -> Sequence[str]:
        if (self._tracks is None and self._level is None) or len(clips) == 1:
            return clips
        return [name for name in clips if any(map(self._is_shown, self.masks.clip(name).tracks))] or clips

    def _shown(self, name: str) -> Collection[int] | None:
        """Ids of a clip's tracks that are drawn; None for all."""
        tracks = self.masks.clip(name).tracks
        if self._level is None:
            return self._tracks
        shown = [track.id for track in tracks if self._is_shown(track)]
        if not shown:
            deepest = max((track.level for track in tracks), default=0)
            raise UsageError(f"clip {name}: no track of level {self._level}", f"its levels are 0 to {deepest}")
        return shown

    def _is_shown(self, track: Track) -> bool:
        chosen = self._tracks is None or track.id in self._tracks
        return chosen and (self._level is None or track.level == self._level)
