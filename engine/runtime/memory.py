"""How much memory this process may take, and how much of that is left.

On a CPU the limit is one on resident memory, which is looked at before work is begun; on a CUDA device the allocator
itself keeps to it. One process is one run, so there is one limit. Knows bytes; knows nothing of networks.
"""

import ctypes
import re
from contextlib import suppress
from pathlib import Path

import torch

from engine.errors import MugvosError, UsageError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_limit: int | None = None


class MemoryLimitError(MugvosError):
    """The limit that was set is too small for the work, however it is cut up."""


def parse_size(text: str) -> int:
    """ "4GiB", "500MB", "1.5 G" or a number of bytes. Raises UsageError for anything else."""
    found = re.fullmatch(r"([\d.]+)\s*([KMGT]?I?)B?", text.strip().upper())
    with suppress(ValueError, OverflowError):
        if found and found[2] in _UNITS and (size := int(float(found[1]) * _UNITS[found[2]])) > 0:
            return size
    raise UsageError(f"{text!r} is no amount of memory", "write a number and a unit, such as 4GiB or 500MB")


def limit_memory(size: int | None, device: torch.device) -> None:
    """From now on take at most `size` bytes, of resident memory or of this CUDA device's; None: as much as there is."""
    global _limit
    _limit = size if device.type != "cuda" else None
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(1.0 if size is None else min(size / whole, 1.0), device)


def room() -> int | None:
    """Bytes of resident memory left under the limit, below 0 beyond it; None without one."""
    if _limit is None:
        return None
    left = _limit - resident()
    if left < _limit // 4:  # what was freed may still count as ours
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
        left = _limit - resident()
    return left


def check_room(needed: int, what: str, hint: str) -> None:
    """Raises MemoryLimitError where a limit is set and `needed` bytes more do not fit under it."""
    left = room()
    if left is not None and needed > left:
        assert _limit is not None
        raise MemoryLimitError(
            f"{what} needs about {_shown(needed)}, of the limit of {_shown(_limit)} {_shown(max(left, 0))} are left",
            hint,
        )


def resident() -> int:
    """Bytes of memory this process has in use. Where the system does not say, the most it ever had."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * _page_size()
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _page_size() -> int:
    import resource

    return resource.getpagesize()


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
