"""What may be compiled and recorded in a tracker: what it works out of a frame alone, which has one shape a video.

Everything with an axis of tracks stays as it is, so nothing is compiled or recorded again as tracks come and go. Knows
where frames keep that part; see engine.runtime for how it is done.
"""

from collections.abc import Callable
from typing import Any

import torch

from engine.errors import UsageError
from engine.propagation.options import MMPMOptions
from engine.runtime.compiled import Compiled, check_compiler
from engine.runtime.graphs import Graphed


def accelerate(
    frames: Any, options: MMPMOptions, device: torch.device, on_note: Callable[[str], None] = lambda note: None
) -> None:
    """Compile `frames.look`, or record it as CUDA graphs, or both, as the options say.

    on_note: told, in words, where that is not done after all. Raises UsageError where this machine cannot do it.
    """
    if options.compile:
        check_compiler(device)
        frames.look = Compiled(frames.look, on_note=on_note)
    if options.graphs:
        if device.type != "cuda":
            raise UsageError("--graphs records CUDA graphs, which need a CUDA device", "leave it out")
        frames.look = Graphed(frames.look, on_note=on_note)
