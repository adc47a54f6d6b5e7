"""A function of one tensor, compiled by torch once for each shape that it meets.

Compiling pays where a shape comes again and again, as the frames of a video do; what changes its shape while a video
runs (anything with an axis of tracks) is not for here. Knows torch.compile and when it cannot work; knows no networks.
"""

import importlib.util
import inspect
import logging
import os
import shutil
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from engine.errors import UsageError
from engine.runtime.batches import is_out_of_memory

T = TypeVar("T")
MOST = 8
"""Shapes that are compiled; a video has one, and each costs seconds to minutes."""
_HINT = "leave --compile out"


def check_compiler(device: torch.device) -> None:
    """Raises UsageError where torch's own compiler has nothing to translate with for this device."""
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) < (7, 0):
            raise UsageError(f"--compile: {torch.cuda.get_device_name(device)} is too old for torch's compiler", _HINT)
        if not _has_triton():
            raise UsageError("--compile needs Triton on CUDA", f"pip install triton, or {_HINT}")
    elif device.type == "cpu" and not _has_cpp():
        raise UsageError("--compile needs a C++ compiler on a CPU", f"install g++ or clang++, or {_HINT}")


class Compiled(Generic[T]):
    """work(x), compiled for the shapes, types and devices of x that come first, at most `most` of them.

    Any further one is worked on as it is, and `on_note` is told so once. backend: torch.compile's. Raises UsageError
    where compiling fails.
    """

    def __init__(
        self,
        work: Callable[[Tensor], T],
        backend: str | Callable[..., Any] = "inductor",
        most: int = MOST,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._work = work
        self._most = most
        self._on_note: Callable[[str], None] | None = on_note
        # A CUDA build of torch on a machine without a card would say there is none, which nobody asked.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        self._known: set[tuple[torch.Size, torch.dtype, torch.device]] = set()
        self._compiled: Callable[[Tensor], T] = torch.compile(
            lambda x: work(x), dynamic=False, fullgraph=True, backend=backend, **_apart()
        )

    def __call__(self, x: Tensor) -> T:
        kind = x.shape, x.dtype, x.device
        if kind in self._known:
            return self._compiled(x)
        if len(self._known) >= self._most:
            return self._as_it_is(x)
        result = self._first(x)
        self._known.add(kind)
        return result

    def _first(self, x: Tensor) -> T:
        try:
            return self._compiled(x)
        except RuntimeError as error:  # all of torch's compilers raise kinds of it
            if is_out_of_memory(error):
                raise
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UsageError(f"--compile: torch cannot compile here ({reason[:200]})", _HINT) from error

    def _as_it_is(self, x: Tensor) -> T:
        if self._on_note is not None:
            self._on_note(f"more than {self._most} sizes of frames: further ones are not compiled")
            self._on_note = None
        return self._work(x)


def _apart() -> dict[str, Any]:
    """Other functions made here must not count towards the number of times that torch compiles one."""
    return {"isolate_recompiles": True} if "isolate_recompiles" in inspect.signature(torch.compile).parameters else {}


def _has_cpp() -> bool:
    names = (os.environ.get("CXX", ""), "g++", "c++", "clang++", "cl")
    return any(name and shutil.which(name) for name in names)


def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
