"""The protocols by name. Each decides which frames and objects are judged; none of them looks at scores."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import EvaluationError
from engine.evaluation.plan import INDEX_MAPS, ClipPlan
from engine.evaluation.protocols import davis, mug
from engine.evaluation.sources import Masks

PlanClip = Callable[[str, Masks, str | None, Masks], ClipPlan]


@dataclass(frozen=True)
class Protocol:
    """`plan_clip`(true clip, truth, predicted clip or None, predictions) says what is judged; `judged` in words."""

    name: str
    judged: str
    plan_clip: PlanClip


PROTOCOLS = {
    "mug": Protocol("mug", mug.JUDGED, mug.plan_clip),
    "davis": Protocol("davis", davis.JUDGED, davis.plan_clip),
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises EvaluationError with the known names."""
    if name not in PROTOCOLS:
        raise EvaluationError(f"no protocol {name!r}", f"use one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def usual_protocol(truth: Masks) -> str:
    """The protocol to take if none is named: label images are judged as in DAVIS, tracks each on its own."""
    return "davis" if truth.format in INDEX_MAPS else "mug"
