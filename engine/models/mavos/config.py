"""The published MAVOS networks as values. Knows numbers only; no torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.descriptions import Count, read

WIDTH = 256
KEY_WIDTH = 128
VALUE_WIDTH = 512
LAYERS = 3
IDENTITIES = 10
"""Objects of one engine. Part of the shapes of the identity bank and of the decoder."""


@dataclass(frozen=True)
class MAVOSConfig:
    """One network. channels: of the encoder's maps at strides 4, 8, 16 and of its last one, at stride 16 too.

    align_corners: how maps are resized, and with it which image sizes fit. id_kernel: of the identity bank.
    interval: frames between two merges into the long-term memory.
    """

    name: str
    encoder: Literal["mobilenet", "resnet50", "swin-b"]
    channels: tuple[int, int, int, int]
    align_corners: bool = True
    interval: Count = 10

    @property
    def id_kernel(self) -> int:
        """17 where corners are aligned, so that (16 n + 1) pixels make n + 1 positions; else 16."""
        return 17 if self.align_corners else 16

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "MAVOSConfig":
        """The inverse of `as_dict`. Raises ValueError for names or values that do not belong here."""
        return read(cls, values)


CONFIGS: dict[str, MAVOSConfig] = {
    config.name: config
    for config in (
        MAVOSConfig("mavos", "mobilenet", (24, 32, 96, 1280)),
        MAVOSConfig("mavos-r50", "resnet50", (256, 512, 1024, 1024)),
        MAVOSConfig("mavos-swinb", "swin-b", (128, 256, 512, 512), align_corners=False),
    )
}
