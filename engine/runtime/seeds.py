"""Random numbers that depend on one seed and on what they are for, never on the order of use.

A generator for ("eviction", clip name) gives the same numbers whether ten other clips ran before or none. The names are
hashed with BLAKE2b, so that the numbers are the same on every machine and for every PYTHONHASHSEED.
"""

import hashlib

import numpy as np
import torch

from engine.names import encoded

_BITS = 63


def derive_seed(seed: int, *names: str | int) -> int:
    """A number in [0, 2^63) that follows from the seed and the names. ("a", "b") and ("ab",) differ."""
    parts = (f"str:{len(part)}:{part}" if isinstance(part, str) else f"int:{int(part)}" for part in (seed, *names))
    text = "\x1f".join(parts)
    return int.from_bytes(hashlib.blake2b(encoded(text), digest_size=8).digest(), "big") >> (64 - _BITS)


def torch_generator(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """An independent torch generator for these names."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *names))


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """An independent numpy generator for these names."""
    return np.random.default_rng(derive_seed(seed, *names))
