"""What was decided so far, in short: for the log on the page, for undo, and for what still has to be folded.

Knows entries of the journal, without their masks.
"""

from collections import defaultdict

from engine.annotation.journal import Entry

_SHOWN = ("seq", "time", "who", "role", "action", "clip", "track", "note", "of", "from", "direction", "model")
_NOT_DECISIONS = ("begin", "fold")


class History:
    """Entries in short. Each person takes back and does again their own decisions, clip by clip."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._done: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._undone: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.clips: set[str] = set()
        self.unfolded = 0

    def note(self, entry: Entry) -> None:
        """The journal has a further entry."""
        if entry["action"] in _NOT_DECISIONS:
            self.unfolded = 0 if entry["action"] == "fold" else self.unfolded
            return
        self.unfolded += 1
        self.clips.add(entry["clip"])
        self._entries.append(_short(entry))
        key = (entry["clip"], entry["who"])
        if entry["action"] == "undo":
            self._done[key].pop()
            self._undone[key].append(entry["seq"])
        elif entry["action"] == "redo":
            self._undone[key].pop()
            self._done[key].append(entry["seq"])
        else:
            self._done[key].append(entry["seq"])
            self._undone[key].clear()

    def refold(self) -> None:
        """The store does not hold what was folded: everything has to be folded again."""
        self.unfolded = len(self._entries)

    def last(self, clip: str, who: str, again: bool = False) -> int | None:
        """Sequence number of what this person would take back (again: do again) next; None if there is nothing."""
        stack = (self._undone if again else self._done)[clip, who]
        return stack[-1] if stack else None

    def since(self, after: int) -> list[Entry]:
        """Entries behind sequence number `after`."""
        first = len(self._entries)
        while first and self._entries[first - 1]["seq"] > after:
            first -= 1
        return self._entries[first:]

    def of_track(self, clip: str, track: int) -> list[Entry]:
        """Everything that was decided on a track."""
        return [entry for entry in self._entries if entry["clip"] == clip and entry["track"] == track]


def _short(entry: Entry) -> Entry:
    frames = sorted({cell[1] for cell in entry["cells"]})
    span = {"first": frames[0], "last": frames[-1], "count": len(frames)} if frames else {}
    return {**{key: entry[key] for key in _SHOWN if key in entry}, **span}
