"""What the user may choose beside the protocol, and what a protocol gets to plan one clip.

Knows plain values and the two sources.
"""

from dataclasses import dataclass, field
from typing import Literal

from engine.evaluation.meta import Meta
from engine.evaluation.sources import Masks
from engine.store.source import ClipMasks

Match = Literal["auto", "name", "number", "overlap"]
MATCHES: tuple[Match, ...] = ("auto", "name", "number", "overlap")


@dataclass(frozen=True)
class Settings:
    """`match`: how tracks are paired. `resize`: predictions of another size are brought to the size of the truth.

    `strict` raises at the first missing prediction; `keep_going` leaves out clips that cannot be read, and lists them.
    `meta` says which objects and frames a data set judges, None where a protocol has none.
    """

    match: Match = "auto"
    resize: bool = False
    strict: bool = False
    keep_going: bool = False
    meta: Meta = field(default_factory=Meta)


@dataclass(frozen=True)
class ClipTask:
    """One true clip, the predicted one that belongs to it (None: there is none), and the settings."""

    name: str
    truth: Masks
    predicted_name: str | None
    predicted: Masks
    settings: Settings

    @property
    def is_anonymous(self) -> bool:
        """Whether predicted tracks have neither names nor ids of their own."""
        return bool(getattr(self.predicted, "anonymous", False))

    @property
    def clip(self) -> ClipMasks:
        """The true clip."""
        return self.truth.clip(self.name)
