"""Kills the commands that write at random moments, gives them again, and compares the end with an unbroken run.

    python tests/crash/campaign.py --kills 100 [--only propagate] [--seed 0]

Half of the kills come after a random time, half at a random change of a file; a run that goes on is killed again, up to
four times in a row. After every kill: what stores are there open; after every restart: nothing is worked on again that
was certain; at the end: the result is that of the unbroken run, and nothing is left beside it. `annotate` is a server
and has campaigns of its own (annotating.py, annotating_badly.py); full disks, read-only folders and signals of all the
other commands are in adversity.py.
"""

import argparse
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
_TESTS = Path(__file__).resolve().parents[1]
for _name in ("", "crash", "golden", "generation", "annotation", "training"):
    sys.path.append(str(_TESTS / _name))

import forked  # noqa: E402
import jobs  # noqa: E402

MOST_IN_A_ROW = 4


@dataclass
class Tally:
    """What a campaign saw. kills: children that died by SIGKILL; rounds: unbroken ends that were compared."""

    kills: int = 0
    rounds: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def fault(self, where: Path, what: str) -> None:
        """Something that must not be."""
        self.faults.append(f"{where.name}: {what}")


@dataclass(frozen=True)
class Unbroken:
    """The run that nothing befell: its result, its seconds, the number of its changes of files."""

    result: Any
    seconds: float
    changes: int


def warm_up() -> None:
    """Import what commands import, and make the networks small. Nothing is computed: children are forked from here."""
    import av  # noqa: F401
    import cv2
    import h5py  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch

    import engine.generation.batch
    import engine.propagation.factory
    import engine.propagation.job
    import engine.training.run
    import engine.training.validation  # noqa: F401
    import mugvos_cli.commands.annotate
    import mugvos_cli.commands.convert
    import mugvos_cli.commands.generate
    import mugvos_cli.commands.propagate
    import mugvos_cli.commands.train  # noqa: F401
    from engine.models.mmpm.config import CONFIGS, ConvConfig

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    conv = ConvConfig(widths=(8, 8, 16, 16))
    sizes = {"feature_dim": 16, "key_dim": 8, "value_dim": 16, "hidden_dim": 8, "image_side": 96, "top_k": 8}
    CONFIGS["mmpm-tiny"] = dataclasses.replace(CONFIGS["mmpm-tiny"], conv=conv, **sizes)
    os.environ["XDG_CONFIG_HOME"] = os.environ["MUGVOS_WEIGHTS"] = tempfile.gettempdir() + "/mugvos-crash-none"


def unbroken(job: jobs.Job, root: Path) -> Unbroken:
    """The run to compare with."""
    folder = jobs.fresh(job, root / job.name, root / f"{job.name}-inputs")
    began = time.monotonic()
    child = forked.run(list(job.arguments), folder, root / "logs", forked.killing_itself(folder, -1, root / "count"))
    seconds = time.monotonic() - began
    if child.status != 0:
        raise RuntimeError(f"{job.name}: the unbroken run failed: {child.err}")
    return Unbroken(job.result(folder), seconds, int((root / "count").read_text()))


def battle(job: jobs.Job, root: Path, kills: int, seed: int) -> Tally:
    """At least so many kills of one job."""
    tally, began = Tally(), time.monotonic()
    known, rng = unbroken(job, root), random.Random(f"{job.name} {seed}")
    while tally.kills < kills:
        folder = jobs.fresh(job, root / job.name, root / f"{job.name}-inputs", rng.random() < 0.5)
        _round(job, folder, root, known, rng, tally, kills)
        tally.rounds += 1
    tally.seconds = time.monotonic() - began
    return tally


def _round(
    job: jobs.Job, folder: Path, root: Path, known: Unbroken, rng: random.Random, tally: Tally, kills: int
) -> None:
    """Kills in a row on one folder, then a run to the end."""
    for _ in range(rng.randint(1, MOST_IN_A_ROW)):
        if tally.kills >= kills or not _killed(job, folder, root, known, rng, tally):
            break
    status, err = _go_on(job, folder, root, tally)
    if status == 2 and "exists already" in err and (folder / job.output).exists():
        status = 0  # the kill came after the last rename: all was done
    if status:
        tally.fault(folder, f"ends with {status}: {err}")
    elif job.result(folder) != known.result:
        tally.fault(folder, "another result than the unbroken run's")
    elif jobs.leftovers(folder):
        tally.fault(folder, f"leaves {jobs.leftovers(folder)}")


def _killed(job: jobs.Job, folder: Path, root: Path, known: Unbroken, rng: random.Random, tally: Tally) -> bool:
    """Run the command and kill it. False if it ended before."""
    sure = job.certain(folder)
    (root / "worked").unlink(missing_ok=True)
    note = jobs.note_work(root / "worked")
    at = rng.randrange(known.changes) if rng.random() < 0.5 else -1
    hurt = forked.killing_itself(folder, at, root / "count")
    child = forked.fork(list(job.arguments), folder, root / "logs", lambda: _both(note, hurt))
    if at < 0:
        child.wait(rng.uniform(0, known.seconds))
        child.end()
    status = child.wait()
    if status is None:
        child.end()
        tally.fault(folder, "hangs")
        return False
    _check_work(job, folder, root, sure, tally)
    if status != -9:
        if status and "exists already" not in child.err:
            tally.fault(folder, f"ends with {status}: {child.err}")
        return False
    tally.kills += 1
    _check_after_kill(job, folder, sure, tally)
    return True


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


def _go_on(job: jobs.Job, folder: Path, root: Path, tally: Tally) -> tuple[int, str]:
    """The same command, to its end."""
    sure = job.certain(folder)
    (root / "worked").unlink(missing_ok=True)
    try:
        child = forked.run(list(job.arguments), folder, root / "logs", jobs.note_work(root / "worked"))
    except TimeoutError as error:
        return 124, str(error)
    _check_work(job, folder, root, sure, tally)
    return child.status or 0, child.err


def _check_work(job: jobs.Job, folder: Path, root: Path, sure: set[str], tally: Tally) -> None:
    again = sure & set((root / "worked").read_text().splitlines() if (root / "worked").exists() else ())
    if again:
        tally.fault(folder, f"worked again on {sorted(again)[:3]}")


def _check_after_kill(job: jobs.Job, folder: Path, sure: set[str], tally: Tally) -> None:
    try:
        if job.name.startswith("convert"):
            jobs.whole_or_earlier(folder, job.output)
        elif job.output.endswith(".h5"):
            jobs.opens(folder / job.output)
        elif (folder / job.output).exists():
            job.result(folder)
        lost = set() if (folder / job.output).exists() else sure - job.certain(folder)
    except Exception as error:
        tally.fault(folder, f"after a kill: {type(error).__name__}: {error}")
        return
    if lost:
        tally.fault(folder, f"lost {sorted(lost)[:3]}")


def main() -> int:
    """Fight, and print a line of JSON a job; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--only", action="append", help="a command; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--adversity", action="store_true", help="full disks, read-only folders and signals, too")
    given = parser.parse_args()
    warm_up()
    import adversity
    import annotating

    faults = 0
    chosen = [name for name in [*jobs.JOBS, "annotate"] if not given.only or name.split("-")[0] in given.only]
    converts = sum(name.startswith("convert") for name in chosen)
    with tempfile.TemporaryDirectory(prefix="mugvos-crash-", ignore_cleanup_errors=True) as root:
        for name in chosen if given.kills else ():
            kills = -(-given.kills // converts) if name.startswith("convert") else given.kills
            if name == "annotate":
                tally = annotating.battle(Path(root), kills, given.seed)
            else:
                tally = battle(jobs.JOBS[name], Path(root), kills, given.seed)
            faults += len(tally.faults)
            print(json.dumps({"job": name, **dataclasses.asdict(tally)}), flush=True)
        if given.adversity:
            for row in adversity.all_of(Path(root), chosen):
                faults += len(row["faults"])
                print(json.dumps(row), flush=True)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
