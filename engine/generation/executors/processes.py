"""Workers that are processes of this machine (a Crew), started anew so that none inherits the driver's memory.

A worker and its driver talk over a pipe: jobs one way, events the other. A worker whose driver is gone stops behind
its frame; a driver whose worker is gone sees the end of the pipe.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from engine.errors import Interrupted, MugvosError
from engine.generation.executors.crew import Broken, Done, Event, Lost, Ready, Stopped
from engine.generation.executors.work import Job, Maker, Recipe, Seat, perform, set_up


@dataclass
class _Desk:
    """One worker as its driver sees it."""

    seat: Seat
    process: BaseProcess
    pipe: Connection


class ProcessCrew:
    """One process a seat."""

    def __init__(self, recipe: Recipe, seats: Sequence[Seat]) -> None:
        self._recipe = recipe
        self._free = list(reversed(seats))
        self._desks: dict[int, _Desk] = {}
        self._hired = 0
        self._context = multiprocessing.get_context("spawn")
        self.size = len(seats)

    def hire(self) -> int:
        """Start a process on a seat that is free."""
        self._hired += 1
        here, there = self._context.Pipe()
        seat = self._free.pop()
        process = self._context.Process(target=serve, args=(there, self._hired, self._recipe, seat), daemon=True)
        process.start()
        there.close()
        self._desks[self._hired] = _Desk(seat, process, here)
        return self._hired

    def give(self, worker: int, job: Job) -> None:
        """Send a job. A worker that is gone is told of by `wait`."""
        with contextlib.suppress(OSError):
            self._desks[worker].pipe.send(job)

    def wait(self, seconds: float) -> list[Event]:
        """Events of all processes that have one."""
        pipes = {desk.pipe: worker for worker, desk in self._desks.items()}
        return [self._received(pipes[pipe]) for pipe in wait(list(pipes), seconds) if isinstance(pipe, Connection)]

    def stop(self) -> None:
        """Whatever comes through its pipe while it works stops a worker."""
        for desk in self._desks.values():
            with contextlib.suppress(OSError):
                desk.pipe.send(None)

    def close(self) -> None:
        """Kill all processes: what they had to keep is kept at every moment."""
        for desk in self._desks.values():
            desk.process.kill()
        for desk in self._desks.values():
            self._bury(desk)
        self._desks.clear()

    def _received(self, worker: int) -> Event:
        desk = self._desks[worker]
        try:
            event: Event = desk.pipe.recv()
        except (EOFError, OSError):
            del self._desks[worker]
            self._free.append(desk.seat)
            return Lost(worker, how=self._bury(desk))
        return event

    @staticmethod
    def _bury(desk: _Desk) -> str:
        """Wait for the end of a process; what it ended by."""
        desk.pipe.close()
        desk.process.join(10)
        if desk.process.exitcode is None:
            desk.process.kill()
            desk.process.join()
        code = desk.process.exitcode or 0
        desk.process.close()
        return f"killed by signal {-code}" if code < 0 else f"it ended with status {code}"


def serve(pipe: Connection, worker: int, recipe: Recipe, seat: Seat) -> None:
    """What a worker does: set up its maker, then one job after the other until the driver says so or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C goes to all; the driver alone decides what it means
        signal.signal(number, signal.SIG_IGN)
    if seat.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(seat.threads)  # before anything that computes is imported
    notes: list[str] = []
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        maker = _set_up(pipe, worker, recipe, seat, notes.append)
        while maker is not None and (job := pipe.recv()) is not None:
            event = _event_of(pipe, worker, job, maker)
            pipe.send(replace(event, notes=tuple(notes)))
            notes.clear()


def seats_of(devices: Sequence[str], workers: int, cores: int) -> list[Seat]:
    """Seats for `workers` processes: devices in turn, the cores shared out."""
    return [Seat(devices[i % len(devices)], max(1, cores // workers)) for i in range(workers)]


def _set_up(pipe: Connection, worker: int, recipe: Recipe, seat: Seat, on_note: Callable[[str], None]) -> Maker | None:
    try:
        maker = set_up(recipe, seat, on_note)
    except MugvosError as error:
        pipe.send(Broken(worker, error=error))
        return None
    pipe.send(Ready(worker, parameters=dict(maker.parameters)))
    return maker


def _event_of(pipe: Connection, worker: int, job: Job, maker: Maker) -> Event:
    """Whatever comes through the pipe meanwhile is the wish to stop; so is its end, with a driver that was killed."""
    try:
        outcome = perform(job, maker, lambda done, total: None, pipe.poll)
    except Interrupted:
        return Stopped(worker)
    except MugvosError as error:
        return Broken(worker, error=error)
    return Done(worker, reason=outcome.reason)
