"""Every size of SAM as plain values, found by name.

The published networks encode with a ViT. `sam-tiny` has SAM's prompt encoder and mask decoder at half the width, on a
convolutional image encoder with features at stride 8 (docs/sam.md).
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.descriptions import Count, Layers, Side, Stride, read


@dataclass(frozen=True)
class SAMConfig:
    """All that is needed to build a SAM.

    form: kind of image encoder. image_side: side of the square input in pixels. stride: of the image embedding.
    prompt_dim: channels of embedding and prompts. mlp_dim: inner width of the decoder's token MLPs.
    drawn_prompts: whether points and boxes are drawn on the image embedding beside being tokens.
    predicted_iou, stability, stability_offset: what its masks have to pass where nobody asks for something else; how
    sharp logits are, and what predicted IoU means, belongs to a model.
    embed_dim, depth, num_heads, global_attn_indexes, window_size: of the ViT; widths: of the convolutional encoder.
    fine: features at half the stride that travel with the embedding. prompted_widths: of the U-Net for drawn prompts.
    """

    name: str
    form: Literal["vit", "conv"] = "vit"
    image_side: Side = 1024
    stride: Stride = 16
    prompt_dim: int = 256
    mlp_dim: int = 2048
    mask_in_chans: int = 16
    drawn_prompts: bool = False
    predicted_iou: float = 0.88
    stability: float = 0.95
    stability_offset: float = 1.0
    embed_dim: int = 768
    depth: Layers = 12
    num_heads: Count = 12
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    window_size: int = 14
    widths: tuple[int, ...] = field(default=())
    fine: int = 0
    prompted_widths: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.drawn_prompts and not (self.fine > 0 and len(self.prompted_widths) == 3):
            raise ValueError("drawn prompts, but no widths for what sees them")

    @property
    def grid(self) -> int:
        """Side of the image embedding in positions."""
        return self.image_side // self.stride

    @property
    def compares_masks(self) -> bool:
        """Whether of proposals alike the less trusted goes by masks; by boxes, as in SAM's generator, where not.

        Trust is a weak sign in a small network: among all masks of one box the best one is often not the most trusted.
        """
        return self.drawn_prompts

    @property
    def least_region(self) -> float:
        """Share of the picture below which holes and specks of its masks are noise; SAM's generator keeps them all."""
        return 0.001 if self.drawn_prompts else 0.0

    @property
    def finds_again(self) -> bool:
        """Whether points inside a mask get that mask again, which carries tracks in the paper's pipeline.

        A small network answers with a part or the neighbourhood as often, and tracks pass from one to the other.
        """
        return not self.drawn_prompts

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they travel with the weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "SAMConfig":
        """The inverse of `as_dict`. Raises ValueError for names or values that do not belong here."""
        return read(cls, values)


CONFIGS: dict[str, SAMConfig] = {
    config.name: config
    for config in (
        SAMConfig("sam-vit-b"),
        SAMConfig("sam-vit-l", embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)),
        SAMConfig("sam-vit-h", embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)),
        SAMConfig(
            "sam-tiny",
            "conv",
            image_side=448,
            stride=8,
            prompt_dim=128,
            mlp_dim=512,
            drawn_prompts=True,
            predicted_iou=0.25,
            stability=0.5,
            stability_offset=0.1,
            widths=(32, 64, 128, 192, 256),
            fine=16,
            prompted_widths=(64, 96, 128),
        ),
    )
}
