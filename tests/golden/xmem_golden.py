"""XMem with the weights of the recording, and trackers around it."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import stm_golden
import torch
from golden_files import manifest

from engine.models.xmem.config import XMemConfig
from engine.models.xmem.network import XMem
from engine.propagation.xmem import XMemTracker
from engine.propagation.xmem_frames import XMemFrames

_HEADS = {"no_sensory": "head_no_sensory.npz"}


@cache
def golden_network(name: str = "base") -> XMem:
    """The network of one configuration of the manifest; frames keep their own size."""
    sizes = manifest("xmem")[name]["config"]
    with torch.device("meta"):
        network = XMem(XMemConfig(name, **sizes, short_side=None))
    network = network.to_empty(device="cpu").eval()
    stm_golden.seed(network, Path(__file__).parent / "xmem" / _HEADS.get(name, "head.npz"))
    return network


@cache
def _frames(name: str) -> XMemFrames:
    return XMemFrames(golden_network(name), torch.device("cpu"), torch.float32, 8, exclusive=True)


def golden_frames(name: str = "base", exclusive: bool = True, **changed: Any) -> XMemFrames:
    """The network at work on the CPU. changed: attributes to set, such as short_side."""
    frames = copy.copy(_frames(name))
    for attribute, value in {"exclusive": exclusive, **changed}.items():
        setattr(frames, attribute, value)
    return frames


def golden_tracker(frames: XMemFrames, inference: dict[str, Any]) -> XMemTracker:
    """A tracker with the options of a recorded loop."""
    options = stm_golden.memory_options(inference)
    return XMemTracker(frames, options, inference["mem_every"], inference["deep_update_every"])
