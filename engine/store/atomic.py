"""Files and folders that appear whole or not at all: temporary name beside the output, fsync, one rename.

Temporary names carry host and process, so that what a killed process left behind is found and removed by the next run
while what a living one writes is left alone.
"""

import itertools
import os
import platform
import re
import shutil
from pathlib import Path

from engine.errors import OutputError
from engine.store import suffixes
from engine.store.spool import writing

_numbers = itertools.count()


def temporary_beside(output: Path) -> Path:
    """A name in the output's folder for this process to write to; makes the folder, removes stale leftovers."""
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(output)
    return output.with_name(f".{output.name}.{_host()}-{os.getpid()}-{next(_numbers)}.tmp")


def remove_stale(output: Path) -> None:
    """Remove temporary files and folders of this output whose process on this machine is gone.

    A former output that such a process had moved away, and put nothing in its place, comes back.
    """
    pattern = re.compile(re.escape(f".{output.name}.{_host()}-") + r"(\d+)-\d+\.(tmp|old)")
    if not output.parent.is_dir():
        return
    for entry in output.parent.iterdir():
        found = pattern.fullmatch(entry.name)
        if not found or _alive(int(found[1])):
            continue
        if found[2] == "old" and not output.exists():  # killed between moving the former folder away and the new one in
            entry.replace(output)
        else:
            remove(entry)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; nothing happens if it does not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def refuse_existing(output: Path, overwrite: bool) -> None:
    """Raise OutputError if the output exists and may not be replaced."""
    with writing(output):
        remove_stale(output)
    if output.is_dir() and output.suffix in suffixes.STORE:
        raise OutputError(f"{output}: is a folder", "name a file")
    if output.exists() and not overwrite:
        raise OutputError(f"{output}: exists already", "pass --overwrite to replace it, or choose another output")


def publish(temporary: Path, output: Path) -> None:
    """Move a finished temporary file or folder to its final name; a folder that was there is replaced."""
    with writing(output):
        if temporary.is_dir():
            _publish_folder(temporary, output)
        else:
            sync(temporary)
            temporary.replace(output)
        sync(output.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut. Systems that cannot sync folders skip it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(handle)


def _publish_folder(temporary: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.{_host()}-{os.getpid()}-{next(_numbers)}.old")
    if output.exists():
        output.replace(old)
    temporary.replace(output)
    remove(old)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "host"


def _alive(process: int) -> bool:
    if os.name == "nt":  # signal 0 is no question there but an order
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
