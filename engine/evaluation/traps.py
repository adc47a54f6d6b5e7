"""Predictions that look right and are not: mistakes of other programs that would silently ruin a score.

Knows ids and the palette of DAVIS.
"""

from collections.abc import Sequence

import numpy as np

from engine.errors import EvaluationError
from engine.store.formats.davis import palette
from engine.types import Track

_LUMA = (0.299, 0.587, 0.114)


def refuse_grey_of_palette(clip: str, truth: Sequence[Track], predicted: Sequence[Track]) -> None:
    """Raise EvaluationError where predicted ids are the grey values of the palette colours of true ids.

    OpenCV and imageio expand palettes: id 1, dark red, becomes 38 when it is read as grey, and no id is right any more.
    """
    true_ids, found = {track.id for track in truth}, {track.id for track in predicted}
    grey = {value: id for id in true_ids if id < 256 for value in _grey_values(id)}
    if not found or found & true_ids or not found <= set(grey):
        return
    values = ", ".join(f"{value} for {grey[value]}" for value in sorted(found)[:3])
    raise EvaluationError(
        f"{clip}: the predicted ids are the grey values of palette colours ({values})",
        "a reader expanded the palette (OpenCV, imageio); write the ids themselves, with Pillow mode P or L",
    )


def _grey_values(id: int) -> set[int]:
    """Grey value of a palette colour, rounded both ways: libraries differ by one."""
    colour = np.frombuffer(palette(), np.uint8)[3 * id : 3 * id + 3]
    grey = float(np.dot(colour, _LUMA))
    return {int(grey), round(grey)}
