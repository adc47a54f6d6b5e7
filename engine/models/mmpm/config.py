"""Every size of MMPM as plain values, found by name.

The published networks use SAM's ViT twice and predict at stride 16 ("vit"). The light form ("conv") keeps MMPM's
parts and their roles, but encodes with convolutions, matches at stride 8 and refines its masks to stride 2.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.descriptions import Count, Layers, Side, Stride, read


@dataclass(frozen=True)
class ViTConfig:
    """SAM's ViT: width, depth, heads, blocks with global attention, window side."""

    embed_dim: int = 768
    depth: Layers = 12
    num_heads: Count = 12
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    window_size: int = 14


@dataclass(frozen=True)
class ConvConfig:
    """Widths of the light image encoder at strides 2, 4, 8, 16 and, if there is a fifth, 32."""

    widths: tuple[int, ...] = (32, 64, 128, 192)


@dataclass(frozen=True)
class MMPMConfig:
    """All that is needed to build an MMPM.

    image_side: long side of the network's input in pixels. square: pad to a square of that side (the ViTs need it).
    stride: of keys, values and hidden state. local_read: read the previous frame once more near the same place.
    interval, memory_frames, top_k: what the model was trained for, used when nobody asks for anything else.
    """

    name: str
    form: Literal["vit", "conv"]
    image_side: Side = 1024
    square: bool = True
    stride: Stride = 16
    feature_dim: int = 256
    key_dim: int = 64
    value_dim: int = 512
    hidden_dim: int = 64
    single_object: bool = False
    local_read: bool = False
    interval: Count = 5
    memory_frames: Count = 10
    top_k: Count | None = None
    image_encoder: ViTConfig = field(default_factory=ViTConfig)
    value_encoder: ViTConfig = field(default_factory=ViTConfig)
    conv: ConvConfig = field(default_factory=ConvConfig)

    @property
    def mask_channels(self) -> int:
        """Mask planes beside RGB in the value encoder: the object's own and, if there may be more, the others'."""
        return 1 if self.single_object else 2

    @property
    def output_resize(self) -> Literal["nearest", "bilinear"]:
        """How probabilities reach the frame's size. The published form thresholds first and then takes the nearest
        pixel, which commutes with taking the nearest probability; the light form interpolates for smoother borders."""
        return "nearest" if self.form == "vit" else "bilinear"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they travel with the weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "MMPMConfig":
        """The inverse of `as_dict`. Raises ValueError for names or values that do not belong here."""
        return read(cls, values)


_VIT_L = ViTConfig(1024, 24, 16, (5, 11, 17, 23))
_VIT_H = ViTConfig(1280, 32, 16, (7, 15, 23, 31))

CONFIGS: dict[str, MMPMConfig] = {
    config.name: config
    for config in (
        MMPMConfig("mmpm-vit-b", "vit"),
        MMPMConfig("mmpm-vit-l", "vit", image_encoder=_VIT_L),
        MMPMConfig("mmpm-vit-h", "vit", image_encoder=_VIT_H),
        MMPMConfig(
            "mmpm-tiny",
            "conv",
            image_side=480,
            square=False,
            stride=8,
            feature_dim=128,
            key_dim=64,
            value_dim=128,
            hidden_dim=32,
            single_object=True,
            local_read=True,
            top_k=32,
        ),
    )
}
