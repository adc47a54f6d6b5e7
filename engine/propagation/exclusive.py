"""Tracks that compete: a pixel belongs to one at most."""

import numpy as np

from engine.types import FloatArray


def winner_takes_all(soft: FloatArray, strength: FloatArray | None = None) -> FloatArray:
    """Soft masks (N, H, W) of which one at most is above 0.5 at each pixel: the one that is strongest there.

    strength: (N, H, W), what decides; the soft masks themselves by default.
    """
    if len(soft) < 2:
        return soft
    decisive = soft if strength is None else strength
    winner = decisive.argmax(0)[None] == np.arange(len(soft))[:, None, None]
    return np.where(winner, soft, np.minimum(soft, 0.5)).astype(np.float32)
