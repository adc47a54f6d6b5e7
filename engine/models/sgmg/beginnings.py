"""What training begins with where there is no SgMg yet: Video-Swin trained on Kinetics, RoBERTa as published.

Knows the names in those files. Knows nothing of where files lie, beyond a folder of RoBERTa's.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from engine.errors import CheckpointError
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.windows import relative_index
from engine.weights.load import load_state_dict
from engine.weights.recognise import strict_load

ROBERTA_FILES = ("model.safetensors", "pytorch_model.bin")


def begin_backbone(network: SgMg, state: Mapping[str, Tensor], source: object) -> None:
    """Weights of Video-Swin's action classifiers: patches of two frames become those of one, merging moves out of the
    stages, the last norm goes. Raises CheckpointError for other contents."""
    plain = {name.split("backbone.", 1)[1]: tensor for name, tensor in state.items() if "backbone." in name}
    patch = plain.get("patch_embed.proj.weight")
    if patch is None:
        raise CheckpointError(f"{source}: holds no Video-Swin", "give a checkpoint of Video-Swin-Transformer")
    kept = {}
    for name, tensor in plain.items():
        if name.startswith("norm."):
            continue
        parts = name.split(".")
        if parts[0] == "layers" and parts[2] == "downsample":
            name = ".".join(["downsamples", parts[1], *parts[3:]])
        if name.endswith("relative_position_index"):
            tensor = relative_index(network.config.window)
        kept[name] = tensor
    kept["patch_embed.proj.weight"] = patch.sum(2, keepdim=True)
    strict_load(network.swin, kept, source, f"the backbone of {network.config.name}")


def begin_text(network: SgMg, folder: Path) -> bool:
    """RoBERTa's weights from a folder of Hugging Face's; whether there are any. Raises CheckpointError if they do not
    fit."""
    path = next((folder / name for name in ROBERTA_FILES if (folder / name).is_file()), None)
    if path is None:
        return False
    state, _ = load_state_dict(path)
    wanted = network.text_encoder["text_backbone"].state_dict()
    plain = {name.removeprefix("roberta."): tensor for name, tensor in state.items()}
    # Files for masked words have no pooler: it stays as it was drawn.
    kept = {
        name: plain.get(name, own) if name.startswith("pooler.") else plain.get(name) for name, own in wanted.items()
    }
    there = {name: tensor for name, tensor in kept.items() if tensor is not None}
    strict_load(network.text_encoder["text_backbone"], there, path, "RoBERTa")
    return True
