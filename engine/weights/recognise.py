"""What a set of tensors looks like, told by their names and a few shapes; and loading that explains a misfit.

Knows the layouts of published checkpoints of this field. Knows nothing of files beyond the name to show.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from engine.errors import CheckpointError

_VIT_SIZES = {768: "vit-b", 1024: "vit-l", 1280: "vit-h"}
_SHOWN = 3

# System -> beginnings of names that must all occur. The first match counts, so the particular comes before the general.
_MARKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("MMPM", ("image_encoder.blocks.", "value_encoder.network.", "key_proj.d_proj.")),
    ("mmpm-tiny", ("image_encoder.layer8.", "value_encoder.patch.", "key_proj.d_proj.")),
    ("sam-tiny", ("image_encoder.layer8.", "prompt_encoder.", "mask_decoder.")),
    ("HQ-SAM", ("image_encoder.", "mask_decoder.hf_token.")),
    ("MobileSAM", ("image_encoder.patch_embed.seq.", "prompt_encoder.", "mask_decoder.")),
    ("SAM 2", ("image_encoder.trunk.", "sam_mask_decoder.")),
    ("SAM", ("image_encoder.blocks.", "prompt_encoder.", "mask_decoder.")),
    ("Cutie", ("pixel_encoder.", "object_transformer.")),
    ("DEVA", ("pixel_encoder.", "mask_encoder.", "key_proj.d_proj.")),
    ("XMem", ("key_encoder.", "value_encoder.", "key_proj.d_proj.")),
    ("STCN", ("key_encoder.", "value_encoder.", "key_proj.")),
    ("MAVOS", ("LSTT.", "long_term_memory_attention.")),
    ("AOT or DeAOT", ("LSTT.", "patch_wise_id_bank.")),
    ("BMVOS", ("vos.encoder.", "vos.matcher.")),
    ("SgMg", ("text_encoder.", "input_fft.", "controller.")),
    ("CoTracker", ("fnet.", "updateformer.")),
    ("RAFT", ("fnet.", "cnet.", "update_block.")),
    ("a torchvision ResNet", ("conv1.", "layer1.", "layer4.", "fc.")),
    ("a plain ViT", ("cls_token", "patch_embed.", "blocks.0.")),
)


def recognise(state: Mapping[str, Tensor]) -> str:
    """What these tensors look like: "mmpm-vit-b", "mmpm-vit-h single", "sam-vit-l", "XMem", ...; else "unknown"."""
    for system, beginnings in _MARKS:
        if all(any(name.startswith(beginning) for name in state) for beginning in beginnings):
            return _DETAILED[system](state) if system in _DETAILED else system
    return "unknown"


def strict_load(model: nn.Module, state: Mapping[str, Tensor], source: object, name: str = "") -> None:
    """Load every tensor into `model`; names and shapes must be equal. One on "meta" is moved to the CPU once they are.

    `source` is the file and `name` the model, for the message. Raises the errors of `check_fit`.
    """
    check_fit(model, state, source, name)
    if any(tensor.is_meta for tensor in model.state_dict().values()):
        model.to_empty(device="cpu")
    model.load_state_dict(dict(state))


def check_fit(model: nn.Module, state: Mapping[str, Tensor], source: object, name: str = "") -> None:
    """Raises CheckpointError that counts and names the misfits and says what the file looks like instead."""
    fault = _misfit(model.state_dict(), state)
    if fault:
        looks = recognise(state)
        other = f"it looks like {looks}" if looks != "unknown" else "its layout is not one that is known here"
        what = f"{source}: does not fit {name or type(model).__name__} ({fault}); {other}"
        raise CheckpointError(what, "choose the model that belongs to it with --model, or other weights")


def _misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {_size(given[name])} instead of {_size(wanted[name])}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    return "; ".join(f"{len(names)} {what}: {_shortened(names)}" for what, names in parts if names)


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _size(tensor: Tensor) -> str:
    return "x".join(str(length) for length in tensor.shape) or "scalar"


def _mmpm(state: Mapping[str, Tensor]) -> str:
    planes = state.get("value_encoder.network.patch_embed.proj.weight")
    single = planes is not None and planes.shape[1] == 4
    return f"mmpm-{_vit(state)}" + (" single" if single else "")


def _sam(state: Mapping[str, Tensor]) -> str:
    return f"sam-{_vit(state)}"


def _vit(state: Mapping[str, Tensor]) -> str:
    """Size of SAM's ViT by the width of its position embedding."""
    embedding = state.get("image_encoder.pos_embed")
    width = embedding.shape[-1] if embedding is not None else 0
    return _VIT_SIZES.get(width, f"vit of width {width}")


_DETAILED: dict[str, Callable[[Mapping[str, Tensor]], str]] = {"MMPM": _mmpm, "SAM": _sam}
