"""Who is working on which track. A claim lasts as long as its holder is heard of.

Knows names of things and of holders, and a clock. A holder is one open page; two pages of one person are two holders.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

Thing = tuple[str, int]  # a clip's name and a track
LASTING = 20.0
"""Seconds after which a page that is not heard of any more loses its claims."""


@dataclass
class _Claim:
    holder: str
    name: str
    heard: float


class Locks:
    """Claims on things, one holder each."""

    def __init__(self, lasting: float = LASTING, clock: Callable[[], float] = time.monotonic) -> None:
        self._claims: dict[Thing, _Claim] = {}
        self._lasting, self._clock = lasting, clock

    def claim(self, thing: Thing, holder: str, name: str) -> str | None:
        """Take a thing, or keep it. None if it is the holder's now, else the name of the one who has it."""
        self._expire()
        claim = self._claims.get(thing)
        if claim is not None and claim.holder != holder:
            return claim.name
        self._claims[thing] = _Claim(holder, name, self._clock())
        return None

    def hear(self, holder: str) -> None:
        """A sign of life: all claims of this holder last on."""
        self._expire()
        for claim in self._claims.values():
            if claim.holder == holder:
                claim.heard = self._clock()

    def release(self, thing: Thing, holder: str) -> None:
        """Give a thing back; nothing happens if another holds it."""
        claim = self._claims.get(thing)
        if claim is not None and claim.holder == holder:
            del self._claims[thing]

    def release_all(self, holder: str) -> None:
        """Give everything back."""
        for thing in [thing for thing, claim in self._claims.items() if claim.holder == holder]:
            del self._claims[thing]

    def held(self) -> dict[Thing, tuple[str, str]]:
        """All claims: thing -> (holder, name)."""
        self._expire()
        return {thing: (claim.holder, claim.name) for thing, claim in self._claims.items()}

    def _expire(self) -> None:
        late = self._clock() - self._lasting
        self._claims = {thing: claim for thing, claim in self._claims.items() if claim.heard >= late}
