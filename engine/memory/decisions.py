"""The two random decisions of the temporal and the sequential memory, drawn from a seed or played back from a record.

A deep update of the hidden state is a coin; an eviction picks one entry among candidates. Both are asked here, so that
a clip's result depends on its seed alone and a recorded run can be repeated. Knows nothing of what is decided upon.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from engine.errors import UsageError
from engine.runtime.seeds import numpy_generator

DEEP_PROBABILITY = 0.2


class Decisions(Protocol):
    """Where decisions come from."""

    def restart(self) -> None:
        """Begin again, for another clip."""
        ...

    def coin(self) -> bool:
        """Whether the next memory frame reinforces the hidden state."""
        ...

    def evict(self, candidates: Sequence[int], count: int) -> int:
        """Which of `count` entries goes; `candidates` (not empty) are those that the policy allows to go."""
        ...

    def state(self) -> dict[str, Any]:
        """How far the decisions got: plain numbers."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class SeededDecisions:
    """Decision number i of each kind follows from (seed, kind, i): the state is two counters."""

    def __init__(self, seed: int, probability: float = DEEP_PROBABILITY) -> None:
        self.seed = seed
        self.probability = probability
        self.restart()

    def restart(self) -> None:
        """Begin again: a clip's decisions do not depend on the clips before it."""
        self.coins = 0
        self.evictions = 0

    def coin(self) -> bool:
        """True with the probability given."""
        self.coins += 1
        return bool(numpy_generator(self.seed, "deep update", self.coins).random() < self.probability)

    def evict(self, candidates: Sequence[int], count: int) -> int:
        """One candidate, uniformly."""
        self.evictions += 1
        return candidates[int(numpy_generator(self.seed, "eviction", self.evictions).integers(len(candidates)))]

    def state(self) -> dict[str, Any]:
        """The seed, the probability and both counters."""
        return {
            "seed": self.seed,
            "probability": self.probability,
            "coins": self.coins,
            "evictions": self.evictions,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take everything from `state`, the seed included."""
        self.seed, self.probability = int(state["seed"]), float(state["probability"])
        self.coins, self.evictions = int(state["coins"]), int(state["evictions"])


class RecordedDecisions:
    """Plays back the decisions of an earlier run.

    deep: one flag for each coin. kept: for each eviction the indices of the entries that stayed, all but one.
    Raises UsageError when asked for more than was recorded.
    """

    def __init__(self, deep: Sequence[bool], kept: Sequence[Sequence[int]] = ()) -> None:
        self.deep = [bool(flag) for flag in deep]
        self.kept = [[int(index) for index in indices] for indices in kept]
        self.restart()

    def restart(self) -> None:
        """From the first recorded decision."""
        self.coins = 0
        self.evictions = 0

    def coin(self) -> bool:
        """The next recorded flag."""
        if self.coins == len(self.deep):
            raise UsageError(f"only {len(self.deep)} deep updates were recorded", "record a run of the whole clip")
        self.coins += 1
        return self.deep[self.coins - 1]

    def evict(self, candidates: Sequence[int], count: int) -> int:
        """The one entry that the record does not keep."""
        if self.evictions == len(self.kept):
            raise UsageError(f"only {len(self.kept)} evictions were recorded", "record a run of the whole clip")
        self.evictions += 1
        gone = set(range(count)) - set(self.kept[self.evictions - 1])
        if len(gone) != 1:
            raise UsageError(f"the record keeps {count - len(gone)} of {count} entries", "one has to go at a time")
        return gone.pop()

    def state(self) -> dict[str, Any]:
        """How many decisions were played."""
        return {"coins": self.coins, "evictions": self.evictions}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on after as many decisions; the record itself is not part of the state."""
        self.coins, self.evictions = int(state["coins"]), int(state["evictions"])
