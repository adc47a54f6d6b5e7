"""The protocols by name. Each decides which frames and objects are judged; none of them looks at scores."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine.errors import EvaluationError
from engine.evaluation.plan import INDEX_MAPS, ClipPlan
from engine.evaluation.protocols import davis, davis_unsupervised, mug, referring, sparse, summaries, vos_benchmark
from engine.evaluation.settings import ClipTask
from engine.evaluation.sources import Masks

PlanClip = Callable[[ClipTask], ClipPlan]


@dataclass(frozen=True)
class Protocol:
    """`plan_clip` says what is judged of a clip; `judged` says it in words; `summarise` makes the headline.

    `meta` are the patterns of the data set's meta file, looked for beside the truth where none is given; `needs_meta`:
    without one nothing can be judged. `only_seen`: tracks without a true pixel in any judged frame do not count.
    """

    name: str
    judged: str
    plan_clip: PlanClip
    summarise: summaries.Summarise = summaries.of_objects
    meta: tuple[str, ...] = ()
    needs_meta: bool = False
    only_seen: bool = False


def _lvos(name: str, judged: str, mode: sparse.Mode) -> Protocol:
    plan = partial(sparse.plan_lvos, mode=mode)
    return Protocol(name, judged, plan, summaries.of_seen_and_unseen, ("*_meta.json",), needs_meta=True)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("mug", mug.JUDGED, mug.plan_clip),
        Protocol("davis", davis.JUDGED, davis.plan_clip),
        Protocol("davis-unsupervised", davis_unsupervised.JUDGED, davis_unsupervised.plan_clip),
        _lvos("lvos", sparse.LVOS_JUDGED, "given"),
        _lvos("lvos-unsupervised-single", sparse.LVOS_ALL_JUDGED, "salient"),
        _lvos("lvos-unsupervised-multiple", sparse.LVOS_ALL_JUDGED, "proposals"),
        Protocol(
            "youtube-vos",
            sparse.YOUTUBE_JUDGED,
            sparse.plan_youtube,
            partial(summaries.of_seen_and_unseen, letters="JF"),
            ("meta.json",),
        ),
        Protocol("long-video", davis.JUDGED, davis.plan_clip),
        Protocol(
            "referring", referring.JUDGED, referring.plan_clip, summaries.of_annotators, ("*meta_expressions*.json",)
        ),
        Protocol("vos-benchmark", vos_benchmark.JUDGED, vos_benchmark.plan_clip, only_seen=True),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises EvaluationError with the known names."""
    if name not in PROTOCOLS:
        raise EvaluationError(f"no protocol {name!r}", f"use one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def usual_protocol(truth: Masks) -> str:
    """The protocol to take if none is named: label images are judged as in DAVIS, tracks each on its own."""
    return "davis" if truth.format in INDEX_MAPS else "mug"
