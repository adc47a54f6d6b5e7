"""A new HDF5 file that meets a full disk in Python, never inside the HDF5 library.

The library crashes the process when a write fails at the wrong moment (seen: SIGSEGV while closing). So room on the
disk is claimed before HDF5 writes; the claim fails as an ordinary OSError, and what was claimed suffices to close.
"""

import errno
import os
from pathlib import Path

import h5py

_ROOM_TO_CLOSE = 1 << 20
_MOST_AHEAD = 64 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_CLAIMS = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class NewFile:
    """A file being written, `.hdf5`. Raises OSError where there is no room or no permission."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        self._claimed = 0
        try:
            self._claim(_ROOM_TO_CLOSE)
            self.hdf5 = h5py.File(path, "w", libver=("v110", "v110"))
            self._claimed = 0
            self._claim(_ROOM_TO_CLOSE)
        except BaseException:
            os.close(self._handle)
            raise

    def reserve(self, size: int) -> None:
        """Make sure that `size` more bytes can be written, and the file closed after them."""
        needed = self.hdf5.id.get_filesize() + size + _ROOM_TO_CLOSE
        if needed > self._claimed:
            self._claim_ahead(needed, max(size, min(needed // 8, _MOST_AHEAD)))

    def close(self) -> None:
        """Close the file and give back what was claimed in vain; nothing happens the second time."""
        if not self.hdf5.id.valid:
            return
        self.hdf5.flush()
        size = self.hdf5.id.get_filesize()
        self.hdf5.close()
        os.ftruncate(self._handle, size)
        os.close(self._handle)

    def _claim_ahead(self, needed: int, more: int) -> None:
        """In steps that grow with the file, so that they stay few; where there is no room for that, what is needed."""
        try:
            self._claim(needed + more)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._claim(needed)

    def _claim(self, size: int) -> None:
        """Claim from where the last claim ended: some file systems look at every block that is asked for."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._handle, self._claimed, size - self._claimed)
        except OSError as error:
            if error.errno not in _NO_CLAIMS:
                raise
        self._claimed = size
