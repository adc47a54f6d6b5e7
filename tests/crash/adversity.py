"""Full disks, read-only folders and signals: one clear line, the right status, and the same command goes on later.

Disks are small file systems in memory where mounting is allowed (Linux, root); elsewhere files may not grow beyond a
bound, which fails in the same places; read-only folders and the full disks of `annotate` are left out there.
"""

import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import forked
import jobs

SIZES_KIB = (40, 200, 1100, 2100, 2600, 4000)
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def all_of(root: Path, chosen: list[str], signals: int = 6, seed: int = 0) -> Iterator[dict[str, Any]]:
    """A row for each job and kind of adversity. signals: how many of each."""
    for name in chosen:
        if name == "annotate":
            import annotating_badly

            yield from annotating_badly.all_of(root, signals, seed)
            continue
        job = jobs.JOBS[name]
        folder = jobs.fresh(job, root / job.name, root / f"{job.name}-inputs")
        began = time.monotonic()
        child = forked.run(list(job.arguments), folder, root / "logs")
        assert child.status == 0, child.err
        known, seconds = job.result(folder), time.monotonic() - began
        yield _row(job, "full disk", [_full(job, root, known, size) for size in SIZES_KIB])
        if mounts():
            yield _row(job, "read-only output", [_read_only(job, root, known)])
        rng = random.Random(f"{name} {seed}")
        for number, status in SIGNALS.items():
            faults = [_signalled(job, root, known, number, status, rng.uniform(0.1, seconds)) for _ in range(signals)]
            yield _row(job, number.name, faults)


def _row(job: jobs.Job, what: str, faults: list[str]) -> dict[str, Any]:
    return {"job": job.name, "adversity": what, "times": len(faults), "faults": [fault for fault in faults if fault]}


def mounts() -> bool:
    """Whether file systems can be mounted here."""
    if os.name != "posix" or os.geteuid() != 0:
        return False
    probe = Path("/tmp") / f"mugvos-mount-{os.getpid()}"
    probe.mkdir(exist_ok=True)
    try:
        return _system("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(probe)) == 0
    finally:
        _system("umount", str(probe))
        probe.rmdir()


def _system(*command: str) -> int:
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode
    return 127


@contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _full(job: jobs.Job, root: Path, known: Any, kib: int) -> str:
    """The command on a disk that is too small, then on the same disk with room."""
    folder = jobs.fresh(job, root / job.name, root / f"{job.name}-inputs")
    if not mounts():
        return _bounded(job, folder, root, known, kib << 10)
    with _mounted(folder / "out", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs"):
        fault = _refused(forked.run(list(job.arguments), folder, root / "logs"), f"{kib} KiB")
        if fault is not None:
            return fault
        subprocess.run(["mount", "-o", "remount,size=256m", str(folder / "out")], check=True)
        return _then_well(job, folder, root, known, f"after {kib} KiB")


def _bounded(job: jobs.Job, folder: Path, root: Path, known: Any, size: int) -> str:
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    fault = _refused(forked.run(list(job.arguments), folder, root / "logs", bound), f"{size} bytes")
    return _then_well(job, folder, root, known, f"after {size} bytes") if fault is None else fault


def _read_only(job: jobs.Job, root: Path, known: Any) -> str:
    folder = jobs.fresh(job, root / job.name, root / f"{job.name}-inputs")
    with _mounted(folder / "out", "--bind", str(folder / "out")):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder / "out")], check=True)
        fault = _refused(forked.run(list(job.arguments), folder, root / "logs"), "read-only")
    if fault == "":
        return "it was written"
    return _then_well(job, folder, root, known, "after") if fault is None else fault


def _refused(child: forked.Child, where: str) -> str | None:
    """None for one clear line with status 2; "" where all went well; else the fault."""
    if child.status == 0:
        return ""
    errors = [line for line in child.err.splitlines() if line.startswith("mugvos: error:")]
    good = child.status == 2 and len(errors) == 1 and "bug" not in errors[0] and "Traceback" not in child.err
    return None if good else f"{where}: status {child.status}: {child.err}"


def _then_well(job: jobs.Job, folder: Path, root: Path, known: Any, where: str) -> str:
    child = forked.run(list(job.arguments), folder, root / "logs")
    if child.status:
        return f"{where}: status {child.status}: {child.err}"
    if job.result(folder) != known:
        return f"{where}: another result"
    return f"{where}: leaves {jobs.leftovers(folder)}" if jobs.leftovers(folder) else ""


def _signalled(job: jobs.Job, root: Path, known: Any, number: int, wanted: int, after: float) -> str:
    """A signal at a moment; the frame or step at hand is finished and kept, and the same command goes on."""
    folder = jobs.fresh(job, root / job.name, root / f"{job.name}-inputs")
    (root / "worked").unlink(missing_ok=True)
    child = forked.fork(list(job.arguments), folder, root / "logs", _noted(root))
    child.wait(after)
    heard = not child.ended()
    child.end(number)
    status = child.wait()
    if status == 0:
        return ""
    if status != wanted and not (status == -number and "stopping" not in child.err):
        return f"{signal.Signals(number).name} after {after:.2f} s: status {status}: {child.err}"
    worked = set((root / "worked").read_text().splitlines()) if (root / "worked").exists() else set()
    if heard and "stopping after" in child.err and not worked <= job.certain(folder):
        return f"{signal.Signals(number).name}: {sorted(worked - job.certain(folder))[:3]} was done and is not kept"
    return _then_well(job, folder, root, known, f"after {signal.Signals(number).name}")


def _noted(root: Path) -> Callable[[], None]:
    return jobs.note_work(root / "worked")
