"""Pictures, masks and networks that benchmarks make up: the same ones every time."""

from dataclasses import replace

import numpy as np
import torch

from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.network import MMPM
from engine.types import BoolArray, UInt8Array


def drawn_image(index: int, height: int, width: int) -> UInt8Array:
    """Coloured waves that drift; nothing in it is flat."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin((x + 3 * index) / (9 + 4 * c)) + np.cos((y - 2 * index) / (13 + 3 * c)) for c in range(3)]
    return (np.stack(waves, 2) * 60 + 128).astype(np.uint8)


def drawn_mask(index: int, track: int, height: int, width: int) -> BoolArray:
    """A disc of a sixth of the height at a place of its own."""
    y, x = np.mgrid[:height, :width]
    centre_y, centre_x = height * (0.25 + 0.13 * (track % 5)), width * (0.2 + 0.1 * (track % 7)) + 3 * index
    return (y - centre_y) ** 2 + (x - centre_x) ** 2 < (height / 6) ** 2


def random_network(name: str, side: int | None = None) -> MMPM:
    """An MMPM of this name with the same random weights every time; side: of its input, the model's if None."""
    torch.manual_seed(0)
    config = CONFIGS[name] if side is None else replace(CONFIGS[name], image_side=side)
    return MMPM(config).eval()
