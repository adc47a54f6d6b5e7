"""One writer per run folder. The lock belongs to the process: the system lets go of it however the process ends."""

from pathlib import Path

from engine.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows; there the second writer fails when it replaces an open file
    fcntl = None  # type: ignore[assignment]


class BusyError(StoreError):
    """Another process is writing there."""


class FolderLock:
    """Holds `<folder>/lock` until `release`. Raises BusyError if another process holds it."""

    NAME = "lock"

    def __init__(self, folder: Path, output: Path) -> None:
        self._stream = (folder / self.NAME).open("wb")
        if fcntl is None:
            return
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stream.close()
            raise BusyError(
                f"{output}: another process is writing to it", "wait for it, or choose another output"
            ) from None
        except OSError:
            return  # file systems without locks: nothing to hold

    def release(self) -> None:
        """Let go; nothing happens the second time."""
        self._stream.close()
