"""What a store is a part of: the shards of which runs it holds, so that whoever merges can tell which are missing.

Knows the text that is kept in the attribute `parts` of a store. Knows neither files nor clips.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from engine.errors import StoreError

_SHOWN = 8


@dataclass(frozen=True)
class Parts:
    """runs: by the identity of a run, into how many shards it was divided and which of them, from 1, are there."""

    runs: Mapping[str, tuple[int, frozenset[int]]] = field(default_factory=dict)

    @classmethod
    def of_shard(cls, run: str, index: int, count: int) -> Self:
        """The index-th of count shards of a run."""
        return cls({run: (count, frozenset({index}))})

    @classmethod
    def of_text(cls, text: str) -> Self:
        """What `text` gave. Raises ValueError for anything else."""
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("no parts")
        return cls({str(run): (int(count), frozenset(map(int, have))) for run, (count, have) in document.items()})

    def text(self) -> str:
        """As a store keeps it."""
        return json.dumps({run: [count, sorted(have)] for run, (count, have) in sorted(self.runs.items())})

    def joined(self, other: "Parts") -> "Parts":
        """Of both. Raises StoreError where one run was divided in two ways."""
        runs = dict(self.runs)
        for run, (count, have) in other.runs.items():
            known, there = runs.get(run, (count, frozenset()))
            if known != count:
                raise StoreError(
                    f"shards of {known} and of {count} are of one run", "merge those of one --shard I/N division only"
                )
            runs[run] = count, there | have
        return Parts(runs)

    def missing(self) -> list[str]:
        """For each run that is not whole, words for what is missing: "shards 3 and 7 of 16"."""
        gaps = ((count, sorted(set(range(1, count + 1)) - have)) for count, have in self.runs.values())
        return [f"{_listed(gap)} of {count}" for count, gap in gaps if gap]


def _listed(numbers: Iterable[int]) -> str:
    texts = [str(number) for number in numbers]
    if len(texts) == 1:
        return f"shard {texts[0]}"
    if len(texts) > _SHOWN:
        texts = [*texts[:_SHOWN], f"{len(texts) - _SHOWN} more"]
    return f"shards {', '.join(texts[:-1])} and {texts[-1]}"
