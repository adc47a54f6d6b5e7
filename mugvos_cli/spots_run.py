"""Points and boxes on the command line: the SAM that is asked, and its answers, each of which is said.

Knows options as text. What a point means and how masks are found is the engine's business.
"""

from typing import TYPE_CHECKING

from mugvos_cli import console

if TYPE_CHECKING:
    from engine.propagation.prompts import PromptSet
    from engine.propagation.sam_factory import MadeAsker
    from engine.propagation.spots import Spot
    from engine.video import VideoReader


def asker_of(sam: str, device: str, precision: str, random_weights: bool) -> "MadeAsker":
    """The SAM of --sam on its device."""
    from engine.propagation.sam_factory import make_asker
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.runtime.precision import resolve_precision

    tune_allocator()
    place = resolve_device(device)
    return make_asker(sam, place, resolve_precision(precision, place), random_weights)


def find_masks(made: "MadeAsker", reader: "VideoReader", spots: list["Spot"], prompts: "PromptSet") -> None:
    """Masks for points and boxes, which join the prompts; each is said."""
    from engine.propagation.asked import answer_spots
    from engine.weights.digest import weights_used

    by = weights_used(made.weights if spots else None)
    for answer in answer_spots(made.asker, reader, spots):
        console.info(f"{answer} ({made.config.name})")
        spot = answer.spot
        key = spot.frame, prompts.give(spot.name, spot.frame, answer.mask, f"--point or --box of {spot.name!r}")
        prompts.origins[key] = f"{spot} {by}"
        prompts.points[key] = tuple(spot.points)
