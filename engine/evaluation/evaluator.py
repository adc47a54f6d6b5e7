"""The one evaluation: plan every clip, score every unit of work, put the scores together.

Knows sources, protocols and reports. Opens no files: who wants several processes says how each gets its sources.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial

from engine.errors import EvaluationError, MugvosError
from engine.evaluation.matching import match_clips
from engine.evaluation.meta import Meta
from engine.evaluation.plan import ClipPlan, Problem, Unit
from engine.evaluation.pool import (
    CLIPS_WORTH_SHARING,
    ClipScorer,
    Opener,
    Scored,
    ScoredClip,
    Scorer,
    clip_scorer,
    processes_worth,
    unit_scorer,
)
from engine.evaluation.processes import Processes
from engine.evaluation.protocols import Protocol, find_protocol
from engine.evaluation.report import ClipScore, Report, TrackScore
from engine.evaluation.settings import ClipTask, Match, Settings
from engine.evaluation.sources import LastClip, Masks
from engine.evaluation.words import first_of, missing_clips, missing_frames, some, too_short

_Results = Generator[Scored | ScoredClip, None, None]

Progress = Callable[[int, int], object]
"""Called with (tracks done, tracks in all); the second number settles once every clip has been opened."""


def evaluate(
    pred: Masks,
    truth: Masks,
    protocol: str = "mug",
    *,
    strict: bool = False,
    keep_going: bool = False,
    match: Match = "auto",
    resize: bool = False,
    meta: Meta | None = None,
    clips: Collection[str] | None = None,
    jobs: int = 1,
    openers: tuple[Opener, Opener] | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Score predictions against the truth.

    protocol: a name of `engine.evaluation.protocols.PROTOCOLS`. A missing prediction scores 0 and is listed in the
    report; `strict` raises instead. keep_going: a clip that cannot be read is left out and listed. match: how tracks
    are paired; resize: bring predictions to the size of the truth; meta: what the data set says of its objects (see
    `engine.evaluation.meta`). clips: the only true clips to judge. jobs: processes at most, used only with `openers`,
    by which each process opens predictions and truth for itself, and only where the work is worth it.
    Raises EvaluationError if nothing can be compared, sizes differ, or (strict) anything is missing.
    """
    settings = Settings(match, resize, strict, keep_going, meta or Meta())
    work = _Evaluation(LastClip(pred), LastClip(truth, clips), find_protocol(protocol), settings)
    if openers is not None and jobs > 1 and (jobs := processes_worth(work.pixels(), jobs)) > 1:
        results = _shared_out(work, jobs, openers)
    else:
        results = (score for score in map(Scorer(work.pred, work.truth, keep_going), work.units()))
    with closing(results):
        for scored in results:
            work.take(scored)
            if on_progress is not None:
                on_progress(*work.progress())
    return work.report()


def _shared_out(work: "_Evaluation", jobs: int, openers: tuple[Opener, Opener]) -> _Results:
    """Score clips here and in other processes or, where there are too few of them, their units."""
    protocol, settings = work.rules.name, work.settings
    with Processes(jobs - 1) as processes:
        if len(work.truth.clips) >= CLIPS_WORTH_SHARING * jobs:
            score_clip = ClipScorer(work.pred, work.truth, protocol, settings)
            elsewhere = partial(clip_scorer, openers, protocol, settings)
            yield from processes.map(work.clip_pairs(), score_clip, elsewhere)
        else:
            score_unit = Scorer(work.pred, work.truth, settings.keep_going)
            units = list(work.units())
            yield from processes.map(units, score_unit, partial(unit_scorer, openers, settings.keep_going))


class _Evaluation:
    """One evaluation under way: what belongs together, what was planned, what was scored and what was odd."""

    def __init__(self, pred: LastClip, truth: LastClip, rules: Protocol, settings: Settings) -> None:
        self.pred, self.truth, self.rules, self.settings = pred, truth, rules, settings
        if rules.needs_meta and not settings.meta.objects:
            raise EvaluationError(f"protocol {rules.name} needs the meta file of the data set", "name it with --meta")
        belonging = _matched(truth, pred)
        claimed = set(belonging.values())
        self.extra = [name for name in pred.clips if name not in claimed]
        self.pairs = {name: belonging[name] for name in truth.clips if name in belonging}
        self.failed: set[str] = set()
        self.problems: list[Problem] = []
        self.oddities: list[str] = []
        self.planned, self.done = 0, 0
        self.plans: dict[str, ClipPlan] = {}
        self.scores: dict[str, list[TrackScore]] = {name: [] for name in truth.clips}
        self._add(missing_clips([name for name in truth.clips if name not in self.pairs]))

    def pixels(self) -> float:
        """About how many pixels there are to judge; the first clip stands for all."""
        clip = self.truth.clip(self.truth.clips[0])
        return float(len(self.truth.clips) * len(clip.tracks) * len(clip.frames) * clip.height * clip.width)

    def units(self) -> Iterator[Unit]:
        """Plans clip after clip, each only when its turn comes, so that planning and scoring share its readers."""
        for name in self.truth.clips:
            plan = self._plan(ClipTask(name, self.truth, self.pairs.get(name), self.pred, self.settings))
            self._note(name, plan, sum(len(unit.tracks) for unit in plan.units))
            yield from plan.units

    def clip_pairs(self) -> list[tuple[str, str | None]]:
        """Names of all true clips and of their predictions."""
        return [(name, self.pairs.get(name)) for name in self.truth.clips]

    def _note(self, name: str, plan: ClipPlan, tracks: int) -> None:
        self.plans[name] = plan
        self.planned += tracks
        self._add(plan.problems)

    def _plan(self, task: ClipTask) -> ClipPlan:
        """What is to be judged of a clip; nothing where it cannot be read and the others shall go on."""
        try:
            return self.rules.plan_clip(task)
        except MugvosError as error:
            if not self.settings.keep_going:
                raise
            self._fail(task.name, error.what)
            return ClipPlan()

    def _fail(self, clip: str, fault: str) -> None:
        if clip not in self.failed:
            self.problems.append(Problem(fault if clip in fault else f"{clip}: {fault}", "clip left out"))
        self.failed.add(clip)

    def take(self, scored: Scored | ScoredClip) -> None:
        """The scores of one unit, or of a clip that was planned elsewhere."""
        if isinstance(scored, ScoredClip):
            self._take_clip(scored)
        elif scored.fault is not None:
            self._fail(scored.clip, scored.fault)
        else:
            self._take_unit(scored)

    def _take_clip(self, scored: ScoredClip) -> None:
        self._note(scored.name, scored.plan, sum(len(unit.tracks) for unit in scored.units))
        if scored.fault is not None:
            self._fail(scored.name, scored.fault)
        for unit in scored.units:
            self.take(unit)

    def _take_unit(self, scored: Scored) -> None:
        self.scores[scored.clip] += scored.tracks
        self.done += len(scored.tracks)
        self.oddities += scored.notes
        self._add([missing_frames(scored.clip, t.name, t.missing) for t in scored.tracks if t.missing and t.predicted])

    def progress(self) -> tuple[int, int]:
        """Tracks done and in all; a clip that was not opened yet counts for one."""
        return self.done, self.planned + len(self.scores) - len(self.plans)

    def report(self) -> Report:
        """All together. Raises EvaluationError if no track had a frame to judge."""
        clips = self._judged()
        if not clips:
            reason = self.problems[0].text if self.problems else "the truth holds no mask"
            raise EvaluationError(
                f"nothing to judge: {reason}", f"protocol {self.rules.name} judges {self.rules.judged}"
            )
        summary = self.rules.summarise(clips)
        notes = (*self._notes(), *summary.notes)
        return Report(self.rules.name, clips, tuple(self.problems), notes, summary.headline, summary.metrics)

    def _judged(self) -> tuple[ClipScore, ...]:
        """Clips with the tracks that count; tracks without a judged frame are listed."""
        scores = {name: tracks for name, tracks in self.scores.items() if name not in self.failed}
        if self.rules.only_seen:
            scores = {name: [track for track in tracks if _is_seen(track)] for name, tracks in scores.items()}
        short = {name: [t.name for t in tracks if not t.frames] for name, tracks in scores.items()}
        self._add([too_short(name, tracks) for name, tracks in short.items() if tracks])
        judged = {name: tuple(t for t in tracks if t.frames) for name, tracks in scores.items()}
        return tuple(ClipScore(name, tracks) for name, tracks in judged.items() if tracks)

    def _notes(self) -> list[str]:
        notes = [f"judged: {self.rules.judged}"]
        notes += [f"{some(self.extra, 'predicted clip')} without truth ignored"] if self.extra else []
        notes += [note for plan in self.plans.values() for note in plan.notes]
        return notes + first_of(dict.fromkeys(self.oddities))

    def _add(self, problems: Sequence[Problem]) -> None:
        """Note problems. Raises EvaluationError at the first missing prediction where all are wanted."""
        self.problems += problems
        missing = [problem.fault for problem in problems if problem.missing]
        if self.settings.strict and missing:
            raise EvaluationError(missing[0], "complete the predictions, or leave out --strict")


def _is_seen(track: TrackScore) -> bool:
    """Whether the truth shows the track in any judged frame."""
    return track.traits is None or track.traits.area > 0


def _matched(truth: LastClip, pred: LastClip) -> dict[str, str]:
    """True clip -> predicted clip, of clips that are not chosen too: the prediction of one is never that of another.

    Raises EvaluationError if there is no truth or nothing belongs together.
    """
    if not truth.clips:
        raise EvaluationError("the ground truth holds no clip", "check the path given with --gt")
    pairs = match_clips(truth.all_clips, pred.clips) or match_clips(truth.clips, pred.clips)
    if not pairs:
        raise EvaluationError(
            f"no predicted clip has the name of a true one: predicted {some(pred.clips, 'clip')}, "
            f"true {some(truth.clips, 'clip')}",
            "name the predicted clips like the true ones, and check that predictions and truth are not swapped",
        )
    return pairs
