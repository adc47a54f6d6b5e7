"""SAM of one configuration: segment-anything's module, which its predictor and mask generator take as it is."""

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from engine.errors import CheckpointError
from engine.models.sam.config import SAMConfig
from engine.models.sam.drawn_decoder import DrawnMaskDecoder
from engine.models.sam.prompt_encoder import DrawnPromptEncoder
from engine.nn.conv_encoder import ConvEncoder


class ConvImageEncoder(ConvEncoder):
    """The convolutional encoder in the place of SAM's ViT. `img_size` is what segment-anything reads from it."""

    def __init__(self, config: SAMConfig) -> None:
        super().__init__(config.widths, config.prompt_dim)
        self.img_size = config.image_side
        if config.fine:
            self.fine = nn.Conv2d(config.widths[1], config.fine, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised and padded (B, 3, S, S) -> embedding (B, C + 4F, S/8, S/8), the fine features unshuffled."""
        features = self.features(image)
        if not hasattr(self, "fine"):
            return features.coarse
        return torch.cat([features.coarse, F.pixel_unshuffle(self.fine(features.fine[0]), 2)], 1)


def build_sam(config: SAMConfig) -> Sam:
    """The network with random weights. State-dict names are segment-anything's, but for a convolutional encoder and
    what draws prompts."""
    prompt_encoder = (DrawnPromptEncoder if config.drawn_prompts else PromptEncoder)(
        embed_dim=config.prompt_dim,
        image_embedding_size=(config.grid, config.grid),
        input_image_size=(config.image_side, config.image_side),
        mask_in_chans=config.mask_in_chans,
    )
    return Sam(_image_encoder(config), prompt_encoder, _mask_decoder(config, prompt_encoder))


def _mask_decoder(config: SAMConfig, prompt_encoder: PromptEncoder) -> MaskDecoder:
    width = config.prompt_dim
    transformer = TwoWayTransformer(depth=2, embedding_dim=width, num_heads=8, mlp_dim=config.mlp_dim)
    if not config.drawn_prompts:
        return MaskDecoder(transformer_dim=width, transformer=transformer, iou_head_hidden_dim=width)
    decoder = DrawnMaskDecoder(width, transformer, width, config.prompted_widths, config.fine)
    decoder.look_again_with(prompt_encoder)
    return decoder


def _image_encoder(config: SAMConfig) -> nn.Module:
    if config.form == "conv":
        return ConvImageEncoder(config)
    encoder: nn.Module = ImageEncoderViT(
        img_size=config.image_side,
        patch_size=config.stride,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        out_chans=config.prompt_dim,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
    )
    return encoder


def begin_encoder(encoder: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """Take over the image encoder of another model's tensors, an MMPM's for one; what it lacks stays as it is.

    Raises CheckpointError where nothing, or something of another shape, is called like a part of this encoder.
    """
    wanted = encoder.state_dict()
    prefix = "image_encoder."
    found = {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
    common = {name: tensor.to(wanted[name].dtype) for name, tensor in found.items() if name in wanted}
    if not common or any(tensor.shape != wanted[name].shape for name, tensor in common.items()):
        raise CheckpointError(f"{source}: holds no image encoder of this kind", "choose weights of a related model")
    encoder.load_state_dict({**wanted, **common})
