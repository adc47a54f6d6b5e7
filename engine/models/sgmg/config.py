"""Every size of SgMg as plain values, found by name.

`sgmg-t` and `sgmg-b` are the published networks (Video-Swin-T and -B with RoBERTa-base); `sgmg-tiny` has the same parts
at a size that learns on a CPU.
"""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from engine.descriptions import Count, Layers, Side, read

_Window = Annotated[int, range(1, 17)]


@dataclass(frozen=True)
class TextConfig:
    """Sizes of a RoBERTa; the defaults are those of roberta-base."""

    vocabulary: int = 50265
    width: int = 768
    layers: Layers = 12
    heads: Count = 12
    feedforward: int = 3072
    positions: int = 514


@dataclass(frozen=True)
class SgMgConfig:
    """All that is needed to build an SgMg.

    embed_dim, depths, heads: of the Video-Swin transformer's four stages. hidden: width of everything after it.
    encoder_layers, decoder_layers, feedforward: of the deformable transformer. short_side: of frames at inference.
    """

    name: str
    embed_dim: int
    depths: tuple[Layers, Layers, Layers, Layers]
    heads: tuple[Count, Count, Count, Count]
    window: tuple[_Window, _Window, _Window] = (8, 7, 7)
    stochastic_depth: float = 0.2
    hidden: int = 256
    attention_heads: Count = 8
    encoder_layers: Layers = 4
    decoder_layers: Layers = 4
    feedforward: int = 2048
    dropout: float = 0.1
    points: int = 4
    queries: int = 5
    mask_channels: int = 16
    short_side: Side = 360
    text: TextConfig = field(default_factory=TextConfig)

    @property
    def stage_channels(self) -> tuple[int, int, int, int]:
        """Channels of the backbone's maps at strides 4, 8, 16 and 32."""
        e = self.embed_dim
        return e, 2 * e, 4 * e, 8 * e

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they travel with the weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "SgMgConfig":
        """The inverse of `as_dict`. Raises ValueError for names or values that do not belong here."""
        return read(cls, values)


CONFIGS: dict[str, SgMgConfig] = {
    config.name: config
    for config in (
        SgMgConfig("sgmg-t", 96, (2, 2, 6, 2), (3, 6, 12, 24)),
        SgMgConfig("sgmg-b", 128, (2, 2, 18, 2), (4, 8, 16, 32)),
        SgMgConfig(
            "sgmg-tiny",
            24,
            (1, 1, 2, 1),
            (1, 2, 4, 8),
            stochastic_depth=0.0,
            hidden=64,
            attention_heads=4,
            encoder_layers=2,
            decoder_layers=2,
            feedforward=256,
            dropout=0.0,
            short_side=144,
            text=TextConfig(1000, 64, 2, 4, 128, 130),
        ),
    )
}
