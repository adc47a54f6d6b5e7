"""Archives of masks: a zip is unpacked beside the system's temporary files, and read as what it holds.

Benchmarks' servers take results as zip files, with or without a folder around them. Only files that can hold masks are
unpacked. Knows zip files and folders; knows no format.
"""

import lzma
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from engine import limits
from engine.errors import DAMAGE, FormatError, OutputError
from engine.store import suffixes
from engine.store.source import MaskSource

_SUFFIXES = suffixes.TRACKS | {".png", ".txt"}
_SPOILED = (*DAMAGE, zipfile.BadZipFile, zipfile.LargeZipFile, lzma.LZMAError)
_DEEPEST = 3  # folders above the files of a tree: <video>/<track>/<frame>.png below one around it


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive."""
    return path.is_file() and zipfile.is_zipfile(path)


class UnpackedSource:
    """What a zip holds (a MaskSource), in a temporary folder that goes when it is closed.

    `inner` is that folder or file; other processes may open it while this one is open.
    """

    def __init__(self, source: MaskSource, inner: Path, folder: Path) -> None:
        self._source, self.inner, self._folder = source, inner, folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def close(self) -> None:
        """Close the source and remove what was unpacked."""
        self._source.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def unpack(path: Path) -> tuple[Path, Path]:
    """Unpack the masks of an archive; the file or folder to read, and the temporary folder, which the caller removes.

    Raises FormatError for an archive that is damaged, encrypted or holds no masks, OutputError without room for it.
    """
    folder = Path(tempfile.mkdtemp(prefix="mugvos-", suffix=".zip"))
    try:
        _extract(path, folder)
        return _inner(folder, path.stem), folder
    except _SPOILED as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise FormatError(f"{path}: the archive cannot be unpacked ({error})", "pack it again") from error
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OutputError.of(folder, error) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _extract(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if _is_wanted(member)]
        if not members:
            raise FormatError(f"{path}: the archive holds no masks", "pack a store, a tree of PNGs or a JSON file")
        size = sum(member.file_size for member in members)
        if size > max(limits.ZIP_BYTES, limits.ZIP_RATIO * path.stat().st_size) or len(members) > limits.ZIP_FILES:
            raise FormatError(
                f"{path}: the archive claims {len(members)} files of {size // 2**20} MiB, far more than masks take",
                "unpack it yourself if you trust it",
            )
        if size > shutil.disk_usage(folder).free:
            raise FormatError(f"{path}: unpacked it is {size // 2**20} MiB", f"make room in {folder.parent}")
        for member in members:
            archive.extract(member, folder)


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    """Files that can hold masks, without what macOS puts beside them."""
    parts = PurePosixPath(member.filename).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not member.is_dir() and not hidden and PurePosixPath(member.filename).suffix.lower() in _SUFFIXES


def _inner(folder: Path, stem: str) -> Path:
    """The lone file of an archive, or its tree without a folder that is only around it.

    A lone folder is around the tree if it is named like the archive or deeper than a tree can be.
    """
    entries = list(folder.iterdir())
    if len(entries) != 1 or entries[0].name.startswith("Annotations"):
        return folder
    if entries[0].is_file() or entries[0].name == stem or _depth(entries[0]) >= _DEEPEST:
        return entries[0] if entries[0].is_file() else _inner(entries[0], stem)
    return folder


def _depth(folder: Path) -> int:
    """Folders from this one down to the deepest file, itself counted; files beside folders end the search."""
    below = [entry for entry in folder.iterdir() if entry.is_dir()]
    return 1 + max((_depth(entry) for entry in below[:1]), default=0)
