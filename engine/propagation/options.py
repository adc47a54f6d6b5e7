"""What a user may choose about propagation with MMPM, XMem and DEVA. Values only; no torch."""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.propagation.sam_options import SAMOptions

DeepUpdate = Literal["random", "memory", "never"]
MemoryKind = Literal["temporal", "long-term"]
_HOW = ("chunk", "offload", "compile", "graphs")
_FLAGS = {"area": "large-area"}  # options that the command line calls by another name


@dataclass(frozen=True)
class MMPMOptions:
    """None stands for what the model was trained for.

    interval: frames between memory frames (r). memory_frames: most frames remembered (T_max). evict: policy, see
    engine.memory.eviction. deep_update: when the value encoder reinforces the hidden state after the first frame; at
    memory frames with probability 0.2 ("random", as published), at each of them ("memory") or not at all ("never").
    exclusive: tracks compete, a pixel belongs to one at most. chunk: most tracks in one pass of the network; halved
    when memory runs out, never a matter of results. top_k: most similar memory positions that are read. seed: of the
    random decisions. memory: the paper's temporal memory, or XMem's with long-term consolidation.
    short_side: of what XMem and DEVA look at. offload: the temporal memory is kept in the computer's own RAM, whatever
    device the network is on. compile: what is worked out of a frame alone, by torch's compiler; graphs: the same as
    CUDA graphs. Both change results by rounding only.
    """

    interval: int | None = None
    memory_frames: int | None = None
    evict: str = "random_except_first_last"
    deep_update: DeepUpdate = "random"
    exclusive: bool = False
    chunk: int = 16
    top_k: int | None = None
    seed: int = 0
    memory: MemoryKind = "temporal"
    short_side: int | None = None
    offload: bool = False
    compile: bool = False
    graphs: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for values out of range."""
        for name in ("interval", "memory_frames", "chunk", "top_k", "short_side"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name.replace('_', ' ')} {value} is below 1", "give a positive number")
        for name, kind in (("deep_update", DeepUpdate), ("memory", MemoryKind)):
            if getattr(self, name) not in get_args(kind):
                raise UsageError(
                    f"{getattr(self, name)!r} is no choice for {name.replace('_', ' ')}",
                    f"use one of {', '.join(get_args(kind))}",
                )


def deciding(options: "MMPMOptions | SAMOptions") -> dict[str, Any]:
    """The options that a result follows from, as plain values: all but those of how it is worked out."""
    return {name: value for name, value in asdict(options).items() if name not in _HOW}


def refuse_meaningless(options: "MMPMOptions | SAMOptions", model: str, *meant: str) -> None:
    """Raises UsageError for an option that was given and is none of those that mean something to this model."""
    usual = type(options)()
    for field in fields(options):
        if field.name not in meant and getattr(options, field.name) != getattr(usual, field.name):
            flag = _FLAGS.get(field.name, field.name.replace("_", "-"))
            raise UsageError(f"--{flag} means nothing to {model}", "leave it out")
