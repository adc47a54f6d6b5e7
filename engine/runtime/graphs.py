"""A function of one tensor as a CUDA graph: its kernels are recorded once for each shape and then started all at once.

A graph reads from and writes to fixed places of memory, so what goes in is copied there, and what comes out is cloned:
results stay what they are when the next picture is worked on. Knows shapes and results made of tensors in tuples,
lists and dicts; knows no networks.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Replay = Callable[[Tensor], T]
"""x -> the result for x, in places that the next call writes to again."""
MOST = 4
"""Shapes that are recorded: each keeps the memory of one whole run."""
_WARM_UPS = 3  # libraries choose algorithms and allocate workspaces in the first runs, which must not be recorded


def capture_on_card(work: Callable[[Tensor], T], like: Tensor) -> Replay[T]:
    """Record `work` on tensors like this one. Raises RuntimeError where something in it cannot be recorded."""
    given = like.clone()
    with torch.cuda.device(like.device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                work(given)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Frames are uploaded by another thread meanwhile; only what this thread does may spoil the recording.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = work(given)

    def replay(x: Tensor) -> T:
        given.copy_(x)
        graph.replay()
        return result

    return replay


class Graphed(Generic[T]):
    """work(x), recorded for the shapes, types and devices of x that come first, at most `most` of them.

    Further ones, and those that cannot be recorded, are worked on as they are; `on_note` is told so, once for each
    reason. capture: makes a replay of `work` for tensors like a given one.
    """

    def __init__(
        self,
        work: Callable[[Tensor], T],
        capture: Callable[[Callable[[Tensor], T], Tensor], Replay[T]] = capture_on_card,
        most: int = MOST,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._work = work
        self._capture = capture
        self._most = most
        self._on_note = on_note
        self._told: set[str] = set()
        self._replays: dict[tuple[torch.Size, torch.dtype, torch.device], Replay[T] | None] = {}

    def __call__(self, x: Tensor) -> T:
        kind = x.shape, x.dtype, x.device
        if kind not in self._replays:
            if len(self._replays) >= self._most:
                self._note(f"more than {self._most} sizes of frames: further ones are not replayed as CUDA graphs")
                return self._work(x)
            self._replays[kind] = self._recorded(x)
        replay = self._replays[kind]
        return self._work(x) if replay is None else cloned(replay(x))

    def _recorded(self, x: Tensor) -> Replay[T] | None:
        try:
            return self._capture(self._work, x)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()
            self._note(f"no CUDA graph ({reason[0] if reason else type(error).__name__}); frames are encoded without")
            return None

    def _note(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            self._on_note(note)


def cloned(tree: Any) -> Any:
    """The same tuples, named tuples, lists and dicts, with copies of their tensors; anything else as it is."""
    if isinstance(tree, Tensor):
        return tree.clone()
    if isinstance(tree, dict):
        return {key: cloned(value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(cloned(value) for value in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(cloned(value) for value in tree)
    return tree
