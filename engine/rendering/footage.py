"""Which video a clip of masks belongs to: the one that was given, or the one the masks were made from.

Knows paths. Opens nothing.
"""

from collections.abc import Sequence
from pathlib import Path

from engine.errors import VideoError
from engine.store.source import ClipMasks
from engine.video.image_lists import is_glob


def video_of(clip: ClipMasks, videos: Sequence[str] | None, beside: Path, alone: bool) -> str:
    """The source of frames for `clip`, for `open_video`.

    videos: what was given, a source each; None to take what the clip says it was made from, as it is or relative to
    the folder `beside`. alone: no other clip is drawn, so that a single video needs not have the clip's name.
    Raises VideoError where there is none.
    """
    if videos is None:
        return _own_source(clip, beside)
    if alone and len(videos) == 1:
        return videos[0]
    named = [video for video in videos if clip.name in (Path(video).name, Path(video).stem)]
    if len(named) == 1:
        return named[0]
    if len(videos) == 1:
        what = f"the video {videos[0]} has another name"
    else:
        what = f"{len(named) or 'none'} of {len(videos)} videos have its name"
    raise VideoError(f"clip {clip.name}: {what}", "give one video and choose the clip with --clip")


def _own_source(clip: ClipMasks, beside: Path) -> str:
    source = str(getattr(clip, "source", "") or "")
    if not source or source == "-":
        raise VideoError(f"clip {clip.name}: its masks do not say which video they belong to", _HINT)
    for candidate in (source, str(beside / source)):
        if Path(candidate).exists() or is_glob(candidate):
            return candidate
    raise VideoError(f"clip {clip.name}: its video {source} is not there", _HINT)


_HINT = "name the video with --video, or draw on grey with --blank"
