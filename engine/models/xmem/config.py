"""Every size of XMem as plain values. All published files differ only in these."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from engine.errors import CheckpointError


@dataclass(frozen=True)
class XMemConfig:
    """key_dim, value_dim, hidden_dim: channels of keys, values and hidden state; 0 means no hidden state at all.

    single_object: the value encoder sees no other objects. short_side: of the network's input, None for the frame's
    own. antialias: when frames are made smaller; the published figures come from a version that did not.
    interval, memory_frames, top_k: what was published, used when nobody asks for anything else.
    """

    name: str = "xmem"
    key_dim: int = 64
    value_dim: int = 512
    hidden_dim: int = 64
    single_object: bool = False
    short_side: int | None = 480
    antialias: bool = False
    interval: int = 5
    memory_frames: int = 10
    top_k: int = 30

    @property
    def mask_channels(self) -> int:
        """Mask planes beside RGB in the value encoder: the object's own and, if there may be more, the others'."""
        return 1 if self.single_object else 2


CONFIGS: dict[str, XMemConfig] = {
    config.name: config
    for config in (
        XMemConfig(),
        XMemConfig("xmem-s012"),
        XMemConfig("xmem-s2"),
        XMemConfig("xmem-s0"),
        XMemConfig("xmem-no-sensory", hidden_dim=0),
    )
}

_KEY, _VALUE = "key_proj.key_proj.weight", "value_encoder.fuser.block2.conv2.weight"
_GATE, FIRST = "decoder.hidden_update.transform.weight", "value_encoder.conv1.weight"


def configuration(state: Mapping[str, Tensor], source: object, name: str = "xmem") -> XMemConfig:
    """The sizes of the network that tensors belong to. Raises CheckpointError where one that tells is missing."""
    missing = [tensor for tensor in (_KEY, _VALUE, FIRST) if tensor not in state]
    if missing:
        raise CheckpointError(f"{source}: holds no XMem, {missing[0]} is missing", "choose weights of XMem")
    return XMemConfig(
        name,
        key_dim=len(state[_KEY]),
        value_dim=len(state[_VALUE]),
        hidden_dim=len(state[_GATE]) // 3 if _GATE in state else 0,
        single_object=state[FIRST].shape[1] == 4,
    )
