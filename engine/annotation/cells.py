"""One cell of the annotator's table, the mask of one track in one frame with what people said of it.

Knows values and their plain form in the journal. Knows nothing of files, of who may decide, or of how masks are made.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from engine.errors import StoreError
from engine.masks import rle
from engine.types import BoolArray, MaskRecord, PointPrompt

State = Literal["missing", "auto", "accepted", "rejected", "refined", "empty"]
STATES: tuple[State, ...] = get_args(State)
"""missing: no mask is known; auto: nobody looked at it; rejected: wrong, and not mended yet; empty: not to be seen."""
DECIDED: tuple[State, ...] = ("accepted", "refined", "empty")
Status = Literal["open", "done", "rejected", "approved", "returned"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""Of a track. done: every frame is decided; rejected: the whole track is no use; the last two are a supervisor's."""
Tag = Literal["", "thing", "stuff", "part"]
TAGS: tuple[Tag, ...] = get_args(Tag)

Plain = dict[str, Any]
_LETTERS: dict[State, str] = dict(zip(STATES, "macrfe", strict=True))
_SCORES = ("score", "stability", "warped_iou")


@dataclass(frozen=True)
class Cell:
    """counts: run lengths of the clip's size, None where no mask is known. candidate: which of SAM's three it was.

    score: predicted IoU, warped_iou: IoU with the mask carried over from the frame before; NaN where not known.
    """

    state: State = "missing"
    counts: bytes | None = None
    area: int = 0
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    score: float = math.nan
    stability: float = math.nan
    warped_iou: float = math.nan
    points: tuple[PointPrompt, ...] = ()
    candidate: int | None = None

    @classmethod
    def of_record(cls, record: MaskRecord, state: State = "auto") -> "Cell":
        """The cell of a row of the store."""
        return cls(
            state,
            record.counts,
            record.area,
            record.box,
            record.score,
            record.stability,
            record.warped_iou,
            record.points,
        )

    @classmethod
    def of_mask(cls, mask: BoolArray, state: State, **more: Any) -> "Cell":
        """The cell of bool (H, W)."""
        found = rle.record(0, 0, mask)
        return cls(state, found.counts, found.area, found.box, **more)

    def record(self, frame: int, track: int) -> MaskRecord | None:
        """The row for the store, None where no mask is known."""
        if self.counts is None:
            return None
        scores = (self.score, self.stability, self.points, self.warped_iou)
        return MaskRecord(frame, track, self.counts, self.area, self.box, *scores)

    def with_state(self, state: State) -> "Cell":
        """The same mask, judged otherwise."""
        return replace(self, state=state)

    def plain(self) -> Plain:
        """As JSON holds it. A value that is not known is null."""
        return {
            "state": self.state,
            "counts": None if self.counts is None else self.counts.decode("ascii"),
            "area": self.area,
            "box": list(self.box),
            "score": _known(self.score),
            "stability": _known(self.stability),
            "warped_iou": _known(self.warped_iou),
            "points": [[p.x, p.y, int(p.positive)] for p in self.points],
            "candidate": self.candidate,
        }

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> "Cell":
        """The inverse of `plain`. Raises StoreError for values that are none of a cell."""
        try:
            counts = values["counts"]
            score, stability, warped_iou = (math.nan if values[key] is None else float(values[key]) for key in _SCORES)
            return cls(
                _one_of(values["state"], STATES),
                None if counts is None else counts.encode("ascii"),
                int(values["area"]),
                _box(values["box"]),
                score,
                stability,
                warped_iou,
                tuple(PointPrompt(float(x), float(y), bool(positive)) for x, y, positive in values["points"]),
                values["candidate"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a decision that cannot be read ({error})", "the journal is damaged") from error


@dataclass(frozen=True)
class TrackState:
    """What is known of a track beside its masks. note: what the supervisor wrote, at frame number note_frame."""

    name: str
    first_frame: int = 0
    parent: int | None = None
    level: int = 0
    tag: Tag = ""
    status: Status = "open"
    note: str = ""
    note_frame: int | None = None
    made_here: bool = False

    def plain(self) -> Plain:
        """As JSON holds it."""
        return dict(vars(self))

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> "TrackState":
        """The inverse of `plain`. Raises StoreError for values that are none of a track."""
        try:
            _one_of(values["status"], STATUSES), _one_of(values["tag"], TAGS)
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a decision that cannot be read ({error})", "the journal is damaged") from error


def difference(before: Plain | None, after: Plain | None) -> tuple[Plain | None, Plain | None]:
    """Of two plain values only what differs; None, for a thing that is not there, is kept as it is."""
    if before is None or after is None:
        return before, after
    keys = [key for key in after if before.get(key) != after[key]]
    return {key: before[key] for key in keys}, {key: after[key] for key in keys}


def packed_states(states: list[State]) -> str:
    """States of consecutive frames as text: letters with their number of repeats, "c12r1"."""
    pieces: list[tuple[str, int]] = []
    for state in states:
        letter = _LETTERS[state]
        if pieces and pieces[-1][0] == letter:
            pieces[-1] = (letter, pieces[-1][1] + 1)
        else:
            pieces.append((letter, 1))
    return "".join(f"{letter}{count}" for letter, count in pieces)


def unpacked_states(text: str) -> list[State]:
    """The inverse of `packed_states`. Raises StoreError for other text."""
    states = {letter: state for state, letter in _LETTERS.items()}
    pieces = re.findall(r"([a-z])([0-9]{1,8})", text)
    if "".join(letter + count for letter, count in pieces) != text or any(letter not in states for letter, _ in pieces):
        raise StoreError("states of an annotated track cannot be read", "the store is damaged")
    return [states[letter] for letter, count in pieces for _ in range(int(count))]


def _known(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _one_of(value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
    return value


def _box(values: Any) -> tuple[int, int, int, int]:
    x, y, w, h = (int(value) for value in values)
    return x, y, w, h
