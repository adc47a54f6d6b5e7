"""Hostile weights: files of any bytes, and whole files that describe a network that makes no sense."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from wishes import Wish, changed, file


def checkpoints(data: bytes) -> None:
    """Weights as any bytes."""
    from engine.weights import load_state_dict, model_description, recognise

    with file("weights.pth", data) as path:
        state, metadata = load_state_dict(path)
        model_description(metadata, path)
        recognise(state)


def descriptions(data: bytes) -> None:
    """What weights say of their network, spoiled: each network is built of it as far as the tensors allow."""
    wish = Wish(data)
    load, document = wish.one_of(_networks())
    text = json.dumps(changed(document, wish)).encode()
    if wish.number(16) == 1:
        text += wish.rest()
    with file("weights.safetensors", _weights(text)) as path:
        load(path)


def samples_of_descriptions() -> tuple[bytes, ...]:
    """A seed for each network and for both kinds of change."""
    return tuple(bytes([number]) + tail for number in range(8) for tail in (b"", b"abcdefgh" * 3))


def _weights(description: bytes) -> bytes:
    """A safetensors file of one tensor."""
    header = {
        "__metadata__": {"mugvos": description.decode("utf-8", "replace")},
        "a.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 8


@cache
def _networks() -> tuple[tuple[Callable[..., Any], Any], ...]:
    from engine.models.mavos.config import CONFIGS as MAVOS
    from engine.models.mavos.loading import load_mavos
    from engine.models.mmpm.config import CONFIGS as MMPM
    from engine.models.mmpm.loading import load_mmpm
    from engine.models.sam.config import CONFIGS as SAM
    from engine.models.sam.loading import load_sam
    from engine.models.sgmg.config import CONFIGS as SGMG
    from engine.models.sgmg.loading import load_sgmg

    chosen: tuple[tuple[str, Callable[..., Any], tuple[Any, ...]], ...] = (
        ("mmpm", load_mmpm, (MMPM["mmpm-tiny"], MMPM["mmpm-vit-b"])),
        ("sam", load_sam, (SAM["sam-tiny"], SAM["sam-vit-b"])),
        ("mavos", load_mavos, (MAVOS["mavos"],)),
        ("sgmg", load_sgmg, (SGMG["sgmg-tiny"],)),
    )
    plain = [(name, load, json.loads(json.dumps(c.as_dict()))) for name, load, configs in chosen for c in configs]
    return tuple((load, {"model": name, "config": config}) for name, load, config in plain)
