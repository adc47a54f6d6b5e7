"""What can go wrong, and what the user can do about it.

Every error of the engine is one line: what happened, then what to do. The command line prints that line and exits with
the status named in the class; it never shows a traceback for one of these.
"""

import errno
import struct
import zlib
from pathlib import Path
from typing import Self


class MugvosError(Exception):
    """Base of all errors that the engine raises on purpose.

    `what` names the thing and the fault, `hint` the next step; `str(error)` is both on one line.
    """

    exit_status = 2

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = " ".join(what.split())
        self.hint = " ".join(hint.split())
        super().__init__(f"{self.what}: {self.hint}" if self.hint else self.what)


class UsageError(MugvosError):
    """Options that contradict each other or values out of range."""


class VideoError(MugvosError):
    """A video or a folder of frames that cannot be read or written."""


class MaskError(MugvosError):
    """A mask image that is no usable mask: wrong size, empty, smoothed edges, colour."""


class StoreError(MugvosError):
    """A mask store that cannot be read, written, merged or resumed."""


class StoreVersionError(StoreError):
    """A store written by a newer version of the schema."""


class FormatError(MugvosError):
    """A file of a foreign format (COCO, SA-V, DAVIS palette, ...) that does not hold what it should."""


class CheckpointError(MugvosError):
    """A weights file that is damaged, belongs to another model, or holds values that are not finite."""


class EvaluationError(MugvosError):
    """Predictions and ground truth that cannot be compared."""


_UNWRITABLE = {
    errno.ENOSPC: ("no space left on the disk", "free some space and run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run the same command again"),
    errno.EFBIG: ("the file would be larger than the system allows", "raise the limit or write elsewhere"),
    errno.EACCES: ("no permission to write there", "choose another output"),
    errno.EPERM: ("no permission to write there", "choose another output"),
    errno.EROFS: ("the file system is read-only", "choose another output"),
    errno.ENOENT: ("its folder does not exist", "create the folder or choose another output"),
    errno.ENOTDIR: ("a part of its path is a file", "choose another output"),
    errno.EISDIR: ("it is a folder", "name a file"),
}


class OutputError(MugvosError):
    """An output that cannot be written: exists already, no permission, disk full."""

    @classmethod
    def of(cls, path: Path | str, error: OSError) -> Self:
        """The one line for an operating system error met while writing `path`."""
        reason, hint = _UNWRITABLE.get(error.errno or 0, (error.strerror or str(error), "choose another output"))
        return cls(f"{path}: cannot be written, {reason}", hint)


class PartialError(MugvosError):
    """Some of several items failed; the rest is done and kept."""

    exit_status = 1


class Interrupted(KeyboardInterrupt):
    """Somebody asked to stop; everything up to the last frame is certain."""


DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    RuntimeError,
    AttributeError,
    MemoryError,
    AssertionError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What readers (Pillow, NumPy, h5py, zipfile, our own) raise on damaged files, beside errors of their own and OSError,
which may also be the disk's; all of it was seen."""
