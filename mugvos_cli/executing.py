"""Who makes the clips of `mugvos generate`: from what was asked for to an executor. Knows options and executors."""

import os
from typing import TYPE_CHECKING

from engine.errors import UsageError
from mugvos_cli import console

if TYPE_CHECKING:
    from engine.generation.executors.interface import Executor
    from engine.generation.executors.processes import ProcessCrew
    from engine.generation.recipe import SAMRecipe

EXECUTORS = ("local", "process", "ray")
_CORES_A_WORKER = 4


def chosen_executor(executor: str | None, workers: int | None, address: str | None) -> str:
    """The one that is named, else the one that other options ask for. Raises UsageError where they contradict."""
    chosen = executor or ("ray" if address else "process" if workers and workers > 1 else "local")
    if address and chosen != "ray":
        raise UsageError(f"--ray-address goes with --executor ray, not {chosen}", "leave one of the two out")
    if chosen == "local" and workers and workers > 1:
        raise UsageError(f"--executor local makes one clip at a time, not {workers}", "use --executor process")
    return chosen


def make_executor(
    executor: str, recipe: "SAMRecipe", device: str, workers: int | None, address: str | None
) -> "Executor":
    """The executor. Weights that this machine needs are fetched before. Raises UsageError without Ray for "ray"."""
    from engine.generation.executors.crew import CrewExecutor

    if executor == "ray":
        from engine.generation.executors.actors import RayCrew

        return CrewExecutor(RayCrew(recipe, address, workers, device), console.warn)
    _fetch(recipe)
    if executor == "process":
        return CrewExecutor(_processes(recipe, device, workers), console.warn)
    from engine.generation.executors.local import LocalExecutor
    from engine.generation.executors.work import Seat

    return LocalExecutor(recipe, Seat(device), console.warn)


def _processes(recipe: "SAMRecipe", device: str, workers: int | None) -> "ProcessCrew":
    """A process for each GPU, or for every few cores; more of either share it."""
    from engine.generation.executors.processes import ProcessCrew, seats_of
    from engine.runtime.device import resolve_device

    place, cores = resolve_device(device), _cores()
    devices = [str(place)]
    if place.type == "cuda" and place.index is None:
        import torch

        devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    count = workers or (max(1, cores // _CORES_A_WORKER) if place.type == "cpu" else len(devices))
    return ProcessCrew(recipe, seats_of(devices, count, cores))


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fetch(recipe: "SAMRecipe") -> None:
    """Fetch named weights that are not here yet."""
    from engine.generation.recipe import unfetched
    from engine.weights import fetch

    for entry in filter(None, map(unfetched, recipe.needed())):
        console.info(f"fetching {entry.name} from {entry.url}")
        with console.progress(f"fetching {entry.name}", entry.size, unit="bytes") as progress:
            fetch(entry, progress)
