"""What a protocol decides before anything is scored: which frames of which tracks are judged against what.

Knows plain records that travel to worker processes. Knows no pixels.
"""

from dataclasses import dataclass, field
from typing import Literal

INDEX_MAPS = frozenset({"davis"})
"""Formats whose masks are one label image a frame: an id that is not in it is absent there, not missing."""

FILE_PER_MASK = frozenset({"mugvos"})
"""Formats with a file for each mask: a file that is not there was forgotten."""

Frames = tuple[tuple[int, int | None], ...]
"""(true, predicted) frame numbers, the predicted one None where the prediction has no such frame."""

Pixels = Literal["track", "void", "salient"]


@dataclass(frozen=True)
class Problem:
    """Something that keeps the score from covering the whole truth: the fault, and how it was dealt with.

    `missing` is True where predictions are missing or unusable, False where the truth itself has nothing to judge.
    """

    fault: str
    treatment: str
    missing: bool = True

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{self.fault}, {self.treatment}"


@dataclass(frozen=True)
class TrackPlan:
    """One true track and the predicted one it is held against.

    `predicted` is None if there is none; its frames then score 0, or as empty masks with `absent_is_empty`. `only` are
    the true frames in which this track is judged, all of the unit's where None. `group` is what a protocol averages
    apart (seen, unseen). `pixels` says where masks come from: the tracks; the void on both sides, where it counts as an
    object; the one salient map of the prediction, whatever tracks it has.
    """

    id: int
    name: str
    predicted: int | None
    absent_is_empty: bool = False
    only: frozenset[int] | None = None
    group: str = ""
    level: int = 0
    pixels: Pixels = "track"


@dataclass(frozen=True)
class Unit:
    """A piece of work: some tracks of one clip over the same frames.

    With `trim` each track leaves out its own first and last frame. `truth_fills` takes a frame without a true mask for
    an empty mask rather than for a frame that was not annotated; `files` takes a frame without a predicted mask for a
    forgotten file rather than for an empty mask. `void` removes the truth's void pixels from both sides. `resize` cuts
    or repeats pixels of predictions of another size. `from_first` judges a track from the first frame on in which it is
    seen on either side. With `proposals` (id, name), all predicted tracks are held against all true ones, and the
    assignment of highest total counts.
    """

    clip: str
    predicted_clip: str | None
    frames: Frames
    tracks: tuple[TrackPlan, ...]
    trim: bool = False
    truth_fills: bool = False
    files: bool = False
    void: bool = False
    resize: bool = False
    from_first: bool = False
    proposals: tuple[tuple[int, str], ...] | None = None


@dataclass(frozen=True)
class ClipPlan:
    """All that is to be judged in one clip, and what there is to say about it. Notes are no faults."""

    units: tuple[Unit, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = field(default=())
