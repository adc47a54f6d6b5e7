"""The one evaluation: plan every clip, score every unit of work, put the scores together.

Knows sources, protocols and reports. Opens no files: who wants several processes says how each gets its
sources.
"""

from collections.abc import Callable, Iterable, Sequence

from engine.errors import EvaluationError
from engine.evaluation.matching import match_clips
from engine.evaluation.plan import ClipPlan, Problem
from engine.evaluation.pool import Opener, Scorer, processes_worth, score_in_processes
from engine.evaluation.protocols import Protocol, find_protocol
from engine.evaluation.report import ClipScore, Report, TrackScore
from engine.evaluation.words import missing_clips, missing_frames, some, too_short
from engine.store.source import MaskSource

Progress = Callable[[int, int], object]
"""Called with (tracks done, tracks in all)."""


def evaluate(
    pred: MaskSource,
    truth: MaskSource,
    protocol: str = "mug",
    *,
    strict: bool = False,
    jobs: int = 1,
    openers: tuple[Opener, Opener] | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Score predictions against the truth.

    protocol: a name of `engine.evaluation.protocols.PROTOCOLS`. A missing prediction scores 0 and is listed in the
    report; `strict` raises instead. jobs: processes at most, used only with `openers`, by which each process opens
    predictions and truth for itself, and only where the work is worth it.
    Raises EvaluationError if nothing can be compared, sizes differ, or (strict) anything is missing.
    """
    rules = find_protocol(protocol)
    pairs = _matched(truth, pred)
    plans = {name: rules.plan_clip(name, truth, pairs.get(name), pred) for name in truth.clips}
    problems = list(missing_clips([name for name in plans if name not in pairs]))
    problems += [problem for plan in plans.values() for problem in plan.problems]
    _stop_if(strict, problems)
    scores = _score(plans, pred, truth, jobs, openers, on_progress)
    problems += [problem for name, tracks in scores.items() for problem in _found_in(name, tracks)]
    _stop_if(strict, problems)
    return _report(rules, scores, problems, _notes(rules, plans, pred, pairs))


def _matched(truth: MaskSource, pred: MaskSource) -> dict[str, str]:
    """True clip -> predicted clip. Raises EvaluationError if there is no truth or nothing belongs together."""
    if not truth.clips:
        raise EvaluationError("the ground truth holds no clip", "check the path given with --gt")
    pairs = match_clips(truth.clips, pred.clips)
    if not pairs:
        raise EvaluationError(
            f"no predicted clip has the name of a true one: predicted {some(pred.clips, 'clip')}, "
            f"true {some(truth.clips, 'clip')}",
            "name the predicted clips like the true ones, and check that predictions and truth are not swapped",
        )
    return pairs


def _score(
    plans: dict[str, ClipPlan],
    pred: MaskSource,
    truth: MaskSource,
    jobs: int,
    openers: tuple[Opener, Opener] | None,
    on_progress: Progress | None,
) -> dict[str, list[TrackScore]]:
    """The scores of all tracks, by clip."""
    units = [unit for plan in plans.values() for unit in plan.units]
    total, done = sum(len(unit.tracks) for unit in units), 0
    if openers is not None and jobs > 1:
        jobs = processes_worth(_pixels(plans, truth), min(jobs, len(units)))
    results: Iterable[list[TrackScore]] = map(Scorer(pred, truth), units)
    if openers is not None and jobs > 1:
        results = score_in_processes(units, *openers, jobs)
    scores: dict[str, list[TrackScore]] = {name: [] for name in plans}
    for unit, tracks in zip(units, results, strict=True):
        scores[unit.clip] += tracks
        done += len(unit.tracks)
        if on_progress is not None:
            on_progress(done, total)
    return scores


def _pixels(plans: dict[str, ClipPlan], truth: MaskSource) -> float:
    """About how many pixels will be judged; the size of the first clip stands for all."""
    first = truth.clip(next(iter(plans)))
    pairs = sum(len(unit.frames) * len(unit.tracks) for plan in plans.values() for unit in plan.units)
    return float(pairs * first.height * first.width)


def _found_in(name: str, tracks: Sequence[TrackScore]) -> list[Problem]:
    """What only scoring could tell: frames that were missing in predicted tracks, tracks with nothing to judge."""
    partly = [t for t in tracks if t.missing and t.predicted]
    short = [t.name for t in tracks if not t.frames]
    return [missing_frames(name, t.name, t.missing) for t in partly] + ([too_short(name, short)] if short else [])


def _report(rules: Protocol, scores: dict[str, list[TrackScore]], problems: list[Problem], notes: list[str]) -> Report:
    judged = {name: tuple(track for track in tracks if track.frames) for name, tracks in scores.items()}
    clips = tuple(ClipScore(name, tracks) for name, tracks in judged.items() if tracks)
    if not clips:
        reason = problems[0].text if problems else "the truth holds no mask"
        raise EvaluationError(f"nothing to judge: {reason}", f"protocol {rules.name} judges {rules.judged}")
    return Report(rules.name, clips, tuple(problems), tuple(notes))


def _notes(rules: Protocol, plans: dict[str, ClipPlan], pred: MaskSource, pairs: dict[str, str]) -> list[str]:
    extra = [name for name in pred.clips if name not in set(pairs.values())]
    notes = [f"judged: {rules.judged}"]
    notes += [f"{some(extra, 'predicted clip')} without truth ignored"] if extra else []
    return notes + [note for plan in plans.values() for note in plan.notes]


def _stop_if(strict: bool, problems: Sequence[Problem]) -> None:
    missing = [problem.text for problem in problems if problem.missing]
    if strict and missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise EvaluationError(f"{missing[0]}{more}", "complete the predictions, or leave out --strict")
