"""Workers that are Ray actors (a Crew), on this machine or on a cluster: one a GPU, or some cores each.

The machines share the folder of the output and the videos, under the same paths: stores are written where they are to
lie and only plain values travel through Ray. Ray is an extra; nothing else of the engine imports it.
"""

import contextlib
import os
import platform
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine
from engine.errors import Interrupted, MugvosError, StoreError, UsageError
from engine.generation.executors.crew import Broken, Done, Event, Lost, Ready, Stopped
from engine.generation.executors.work import Job, Recipe, Seat, perform, set_up

_STARTS = 3  # Ray gives a cluster of its own half a minute to come up, which a machine under load may miss
_OBJECTS = 128 << 20  # bytes of shared memory for Ray's objects on this machine; ours are some hundred bytes each


class ClipActor:
    """What runs in a worker. Its methods are called by Ray; `stop` while `make` runs, from another thread."""

    def __init__(self, recipe: Recipe, seat: Seat) -> None:
        self._recipe, self._seat = recipe, seat
        self._notes: list[str] = []
        self._asked = threading.Event()

    def set_up(self, worker: int, version: str, folder: str) -> Event:
        """Build the maker; Ready or Broken. version: of the driver's mugvos; folder: that its paths start from."""
        try:
            _check_version(version)
            _enter(folder)
            self._maker = set_up(self._recipe, self._seat, self._notes.append)
        except MugvosError as error:
            return Broken(worker, error=error)
        return Ready(worker, parameters=dict(self._maker.parameters))

    def make(self, worker: int, job: Job) -> Event:
        """Do a job."""
        try:
            outcome = perform(job, self._maker, lambda done, total: None, self._asked.is_set)
        except Interrupted:
            return Stopped(worker)
        except MugvosError as error:
            return Broken(worker, error=error)
        notes = tuple(self._notes)
        self._notes.clear()
        return Done(worker, notes, reason=outcome.reason)

    def stop(self) -> None:
        """Stop behind the frame at hand."""
        self._asked.set()


@dataclass(frozen=True)
class Share:
    """What one actor takes of the cluster."""

    cpus: int
    gpus: int


class RayCrew:
    """Actors. Raises UsageError where Ray is not installed or no cluster answers.

    address: of a running cluster, None for one of our own on this machine. workers: None for one a GPU, or where there
    is none, one for every four cores. device: "auto" takes GPUs where the cluster has any.
    """

    def __init__(self, recipe: Recipe, address: str | None, workers: int | None, device: str = "auto") -> None:
        self._ray = _import_ray()
        self._begin_ray(address, workers or 1)
        try:
            self.size, self._share = shared_out(self._ray.cluster_resources(), workers, device)
        except UsageError:
            self._ray.shutdown()
            raise
        self._seat = Seat(_device_of(device, self._share), None if self._share.gpus else self._share.cpus)
        self._recipe = self._ray.put(recipe)
        options = {"num_cpus": self._share.cpus, "num_gpus": self._share.gpus, "max_concurrency": 2, "max_restarts": 0}
        self._kind = self._ray.remote(**options)(ClipActor)
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}
        self._hired = 0

    def hire(self) -> int:
        """Ask Ray for one more actor; it comes when the cluster has room for it."""
        self._hired += 1
        actor = self._kind.remote(self._recipe, self._seat)
        self._actors[self._hired] = actor
        self._calls[actor.set_up.remote(self._hired, engine.__version__, str(Path.cwd()))] = self._hired
        return self._hired

    def give(self, worker: int, job: Job) -> None:
        """Call the actor."""
        self._calls[self._actors[worker].make.remote(worker, job)] = worker

    def wait(self, seconds: float) -> list[Event]:
        """What calls have come back with."""
        calls = list(self._calls)
        done, _ = self._ray.wait(calls, num_returns=1, timeout=seconds) if calls else ([], [])
        return [self._event(call, self._calls.pop(call)) for call in done]

    def stop(self) -> None:
        """Ask every actor."""
        for actor in self._actors.values():
            actor.stop.remote()

    def close(self) -> None:
        """End the actors and leave the cluster; one of our own ends."""
        if self._ray.is_initialized():
            for actor in self._actors.values():
                self._ray.kill(actor)
            self._actors.clear()
            self._calls.clear()
            self._ray.shutdown()

    def _event(self, call: Any, worker: int) -> Event:
        try:
            event: Event = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(self._actors.pop(worker))
            return Lost(worker, how=_in_short(error))
        return event

    def _begin_ray(self, address: str | None, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody what is done here
        _hush()
        cores = max(os.cpu_count() or 1, workers)
        own = {"object_store_memory": _OBJECTS, "include_dashboard": False, "num_cpus": cores}
        before = signal.getsignal(signal.SIGTERM)
        for left in range(0 if address else _STARTS - 1, -1, -1):
            try:
                options = {} if address else own
                self._ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **options)
                _hear_as(before)
                return
            except Exception as error:  # it raises all kinds, plain ones too
                self._ray.shutdown()
                if not left:
                    raise UsageError(
                        f"no Ray cluster at {address or 'this machine'} ({_in_short(error)})",
                        "check --ray-address and that `ray status` works there",
                    ) from error


def shared_out(resources: Mapping[str, float], workers: int | None, device: str) -> tuple[int, Share]:
    """How many actors, and what each takes. Raises UsageError where GPUs are asked for and there are none."""
    cpus, gpus = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
    if device.startswith("cuda") and not gpus:
        raise UsageError("the cluster has no GPU", "use --device cpu, or add machines that have one")
    if gpus and device != "cpu":
        size = workers or gpus
        return size, Share(max(1, min(4, cpus // size)), 1)
    size = workers or max(1, cpus // 4)
    return size, Share(max(1, cpus // size), 0)


def _check_version(version: str) -> None:
    if engine.__version__ != version:
        raise StoreError(
            f"{platform.node()} has mugvos {engine.__version__}, the driver {version}", "install the same everywhere"
        )


def _enter(folder: str) -> None:
    """Paths that were given from the driver's folder on mean the same here."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise StoreError(
            f"{folder}: is not there on {platform.node()}", "begin in a folder that all machines of the cluster share"
        ) from error


def _device_of(device: str, share: Share) -> str:
    """Ray shows each actor its own GPU as the only one."""
    return "cuda" if share.gpus else "cpu" if device == "auto" else device


def _in_short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _hear_as(handler: Any) -> None:
    """Ray takes SIGTERM for itself and never gives it back; what it means is not for Ray to say."""
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


def _hush() -> None:
    """Ray prints of every lost worker on standard output, where results go. The crew tells of them itself."""
    with contextlib.suppress(ImportError):
        from ray._private import worker

        worker.listen_error_messages = lambda *told: None


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError("Ray is not installed", 'pip install "mugvos[ray]"') from error
    return ray
