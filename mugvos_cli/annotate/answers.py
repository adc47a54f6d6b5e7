"""What the page asks for, answered by the workbench: names and fields in, plain values out.

Knows the workbench and fields. Of HTTP it knows what a request says: who asks, from which page, for which clip.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from mugvos_cli.annotate.access import Session, Sessions
from mugvos_cli.annotate.fields import Fields

if TYPE_CHECKING:
    from engine.annotation.cells import Cell
    from engine.annotation.decisions import Decision
    from engine.annotation.document import ClipDocument
    from engine.annotation.journal import Entry
    from engine.annotation.project import Person
    from engine.annotation.workbench import Workbench


class NotAllowedError(UsageError):
    """The person's role does not include this."""


@dataclass(frozen=True)
class Asked:
    """One request: who, from which page, on which clip, with what."""

    session: Session
    page: str
    clip: str
    fields: Fields

    @property
    def person(self) -> "Person":
        """Who decides."""
        from engine.annotation.project import Person

        return Person(self.session.name, self.session.role, self.page)


Make = Callable[["ClipDocument"], "Decision"]


class Answers:
    """One method for each question of the page."""

    def __init__(self, bench: "Workbench", sessions: Sessions, address: str) -> None:
        self.bench, self._sessions, self._address = bench, sessions, address

    def start(self, asked: Asked) -> dict[str, Any]:
        """What the page needs before it shows anything."""
        models = self.bench.models
        return {
            "me": {"name": asked.session.name, "role": asked.session.role},
            "store": self.bench.project.path.name,
            "clips": self.bench.clips(),
            "sam": models.sam_name,
            "models": list(models.trackers),
        }

    def me(self, asked: Asked) -> dict[str, Any]:
        """Another name for this browser's owner."""
        name = " ".join(asked.fields.text("name", 60).split())
        if not name:
            raise UsageError("a name is needed", "it is written beside your decisions")
        asked.session.name = name
        return {"name": name, "role": asked.session.role}

    def invite(self, asked: Asked) -> dict[str, Any]:
        """A link for somebody else; only supervisors make supervisors."""
        role = asked.fields.text("role")
        if role not in ("annotator", "supervisor"):
            raise UsageError(f"{role!r} is no role", "use annotator or supervisor")
        if role == "supervisor":
            _only_supervisors(asked)
        return {"link": f"{self._address}/enter?token={self._sessions.link(role)}"}

    def clip(self, asked: Asked) -> dict[str, Any]:
        """All of a clip but its masks."""
        shelf = self.bench.shelf(asked.clip)
        return {**self.bench.clip(asked.clip), "ready": shelf.ready}

    def beat(self, asked: Asked) -> dict[str, Any]:
        """A sign of life of a page, every few seconds: its claim lasts on, and it hears what others did."""
        project = self.bench.project
        project.locks.hear(asked.page)
        held = project.locks.held()
        return {
            "entries": project.changes(asked.fields.integer("after"))[-500:],
            "held": [
                {"clip": clip, "track": track, "name": name, "mine": page == asked.page}
                for (clip, track), (page, name) in held.items()
            ],
            "jobs": [job for job in self.bench.jobs.plain() if job["clip"] == asked.clip],
            "unfolded": project.unfolded,
        }

    def hold(self, asked: Asked) -> dict[str, Any]:
        """Work on one track and no other. Raises HeldError where another page has it."""
        locks = self.bench.project.locks
        wanted = (asked.clip, asked.fields.integer("track")) if "track" in asked.fields else None
        for thing, (page, _) in locks.held().items():
            if page == asked.page and thing != wanted and not self._is_carried(thing):
                locks.release(thing, asked.page)
        if wanted is not None:
            self.bench.project.hold(*wanted, asked.person)
        return {}

    def offer(self, asked: Asked) -> dict[str, Any]:
        """SAM's three masks for points and a box."""
        from engine.annotation.candidates import Ask
        from engine.types import PointPrompt

        fields = asked.fields
        ask = Ask(tuple(PointPrompt(*point) for point in fields.points("points")), fields.box("box"))
        besides = fields.integer("track") if "track" in fields else None
        return {"candidates": self.bench.offer(asked.clip, fields.integer("index"), ask, besides)}

    def prefetch(self, asked: Asked) -> dict[str, Any]:
        """Have SAM look at frames before anybody clicks on them."""
        count = self.bench.shelf(asked.clip).count
        self.bench.offerer.prefetch(asked.clip, [i for i in asked.fields.integers("indices", 8) if i < count])
        return {}

    def decide(self, asked: Asked) -> dict[str, Any]:
        """A decision. It is on disk before this answers."""
        action = asked.fields.text("action")
        if action == "accept_rest":
            least = asked.fields.number("least_iou", 0, 1)
            track = asked.fields.integer("track")
            return self._decided(asked, self.bench.accept_rest(asked.clip, track, least, asked.person))
        makers: dict[str, Callable[[Asked], Make]] = {
            "judge": _judge, "mend": _mend, "add": _add, "empty_rest": _empty_rest,
            "describe": _describe, "set_aside": _set_aside, "review": _review,
        }  # fmt: skip
        if action not in makers:
            raise UsageError(f"{action!r} is nothing that can be decided", "reload the page")
        return self._decided(asked, self.bench.project.decide(asked.clip, asked.person, makers[action](asked)))

    def undo(self, asked: Asked) -> dict[str, Any]:
        """Take back the last decision of this person, or do it again."""
        again = asked.fields.flag("again")
        return self._decided(asked, self.bench.project.undo(asked.clip, asked.person, again))

    def carry(self, asked: Asked) -> dict[str, Any]:
        """Carry a frame's mask on with a model."""
        fields = asked.fields
        place = (fields.integer("track"), fields.integer("frame"), fields.text("direction"), fields.text("model"))
        return {"job": self.bench.carry(asked.clip, *place, asked.person).plain()}

    def stop(self, asked: Asked) -> dict[str, Any]:
        """Stop a job."""
        self.bench.jobs.stop(asked.fields.integer("job"))
        return {}

    def save(self, asked: Asked) -> dict[str, Any]:
        """Write all decisions into the store now."""
        return {"written": self.bench.project.fold(), "unfolded": self.bench.project.unfolded}

    def masks(self, asked: Asked) -> dict[str, Any]:
        """All masks of a frame."""
        return {"masks": self.bench.frame(asked.clip, asked.fields.integer("index"))}

    def track(self, asked: Asked) -> dict[str, Any]:
        """A track with the states of its frames and all that was decided on it."""
        track = asked.fields.integer("track")
        document = self.bench.project.document(asked.clip)
        if track not in document.tracks:
            return {"track": None}
        log = self.bench.project.history.of_track(asked.clip, track)
        return {"track": self.bench.track(asked.clip, track), "log": log[-200:]}

    def agreement(self, asked: Asked) -> dict[str, Any]:
        """IoU of a track's masks with those carried over from the frame before, by index."""
        fields = asked.fields
        indices = fields.integers("indices") if "indices" in fields else None
        return {"agreement": self.bench.agreement(asked.clip, fields.integer("track"), indices)}

    def _decided(self, asked: Asked, entry: "Entry") -> dict[str, Any]:
        """What a decision changed, for the page: the track as it is now and the frames to draw again."""
        from engine.annotation.workbench import progress

        document = self.bench.project.document(asked.clip)
        track = entry["track"]
        return {
            "seq": entry["seq"],
            "action": entry["action"],
            "id": track,
            "track": self.bench.track(asked.clip, track) if track in document.tracks else None,
            "indices": sorted({document.position[cell[1]] for cell in entry["cells"]}),
            "progress": progress(document),
            "unfolded": self.bench.project.unfolded,
        }

    def _is_carried(self, thing: Any) -> bool:
        running = ("waiting", "running")
        return any((j["clip"], j["track"]) == thing and j["state"] in running for j in self.bench.jobs.plain())


def _judge(asked: Asked) -> Make:
    from engine.annotation import decisions

    track, frames = asked.fields.integer("track"), asked.fields.integers("frames")
    state: Any = asked.fields.text("state")
    return lambda document: decisions.judge(document, track, frames, state)


def _mend(asked: Asked) -> Make:
    from engine.annotation import decisions

    track, frame = asked.fields.integer("track"), asked.fields.integer("frame")
    return lambda document: decisions.mend(document, track, frame, _cell(asked.fields.inner("cell"), document))


def _add(asked: Asked) -> Make:
    from engine.annotation import decisions

    frame, name, tag = asked.fields.integer("frame"), asked.fields.text("name"), asked.fields.text("tag")
    return lambda document: decisions.add_track(document, frame, _cell(asked.fields.inner("cell"), document), name, tag)


def _empty_rest(asked: Asked) -> Make:
    from engine.annotation import decisions

    track, frame = asked.fields.integer("track"), asked.fields.integer("frame")
    return lambda document: decisions.empty_rest(document, track, frame)


def _describe(asked: Asked) -> Make:
    from engine.annotation import decisions

    fields = asked.fields
    track = fields.integer("track")
    name = fields.text("name") if "name" in fields else None
    tag = fields.text("tag") if "tag" in fields else None
    return lambda document: decisions.describe(document, track, name, tag)


def _set_aside(asked: Asked) -> Make:
    from engine.annotation import decisions

    track, wanted = asked.fields.integer("track"), asked.fields.flag("wanted")
    return lambda document: decisions.set_aside(document, track, wanted)


def _review(asked: Asked) -> Make:
    from engine.annotation import decisions

    _only_supervisors(asked)
    fields = asked.fields
    track, satisfactory, note = fields.integer("track"), fields.flag("satisfactory"), fields.text("note", 2000)
    frame = fields.integer("frame") if "frame" in fields else None
    return lambda document: decisions.review(document, track, satisfactory, note, frame)


def _cell(fields: Fields, document: "ClipDocument") -> "Cell":
    """A mask that a page sends: plain run lengths down the columns, the first one background."""
    from engine.annotation.cells import Cell
    from engine.masks import rle
    from engine.types import PointPrompt

    runs = fields.integers("runs", document.height * document.width + 1)
    if sum(runs) != document.height * document.width:
        raise UsageError("the mask does not have the size of the frame", "reload the page")
    record = rle.record_of_counts(0, 0, rle.from_runs(runs), document.height, document.width)
    scores = {name: fields.number(name, -1, 2) for name in ("score", "stability") if name in fields}
    points = tuple(PointPrompt(*point) for point in fields.points("points"))
    candidate = fields.integer("candidate") if "candidate" in fields else None
    return Cell("refined", record.counts, record.area, record.box, **scores, points=points, candidate=candidate)


def _only_supervisors(asked: Asked) -> None:
    if asked.session.role != "supervisor":
        raise NotAllowedError("only a supervisor can do this", "open the supervisor's link")
