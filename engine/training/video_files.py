"""Which video a clip of masks belongs to."""

from pathlib import Path

from engine.errors import StoreError
from engine.store.source import ClipMasks


def video_of(masks: ClipMasks, videos: Path | None) -> Path:
    """The video of a clip: in the folder by the clip's name, with or without a suffix; else the clip's own source.

    Raises StoreError where it is not there or could be one of several.
    """
    own = Path(getattr(masks, "source", "") or masks.name)
    found = [own] if videos is None else _called(masks.name, videos)
    if len(found) != 1 or not found[0].exists():
        where = own if videos is None else videos / masks.name
        several = f"several videos are called {where}" if len(found) > 1 else f"its video {where} is not there"
        raise StoreError(f"clip {masks.name}: {several}", "give the folder of videos: --videos")
    return found[0]


def _called(name: str, videos: Path) -> list[Path]:
    """What is called `name` in a folder, with or without a suffix."""
    if not videos.is_dir() or Path(name).is_absolute() or ".." in Path(name).parts:  # names come from stores
        return []
    exact = videos / name
    beside = [path for path in videos.glob(f"{_escaped(name)}.*") if path.stem == name]
    return [*([exact] if exact.exists() else []), *sorted(beside)]


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
