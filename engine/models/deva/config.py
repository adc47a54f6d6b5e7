"""Every size of DEVA as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DEVAConfig:
    """key_dim, value_dim, feature_dim: channels of keys; of values and sensory memory; of pixel features.

    short_side: of the network's input, None for the frame's own. antialias: when frames are made smaller.
    interval, memory_frames, top_k: what was published, used when nobody asks for anything else.
    """

    name: str = "deva"
    key_dim: int = 64
    value_dim: int = 512
    feature_dim: int = 512
    short_side: int | None = 480
    antialias: bool = True
    interval: int = 5
    memory_frames: int = 10
    top_k: int = 30


CONFIGS: dict[str, DEVAConfig] = {"deva": DEVAConfig()}
