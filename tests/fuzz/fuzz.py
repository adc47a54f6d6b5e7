"""Hostile inputs, by the hundred thousand: no crash, no hang, no unbounded allocation, no error but MugvosError.

    python tests/fuzz/fuzz.py --runs 1000000 [--only pictures] [--seed 0]

Every target but the stores is driven by atheris where it is installed (coverage-guided, pip install atheris), otherwise
by mutations of valid inputs; HDF5 stores are mutated by hdf5_store.py, in children that may die. Prints a line of JSON
a target: inputs tried, refused, accepted, and what was found; findings are kept in --keep.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
_TESTS = Path(__file__).resolve().parents[1]
for _name in ("", "fuzz", "store", "annotation"):
    sys.path.append(str(_TESTS / _name))

SHARES = {
    "rle-codes": 33, "rle-values": 4, "spots": 24, "mask-prompts": 4, "arguments": 14,
    "configuration": 1, "list-files": 3,
    "lines": 2, "line-values": 0.6, "json-bytes": 2, "json-values": 0.5, "exported": 0.15, "meta-files": 1,
    "pictures": 0.5, "zips": 0.3,
    "arrays": 1, "checkpoints": 0.5, "descriptions": 0.5, "journals": 2, "page-fields": 5, "page-headers": 1,
    "page-requests": 1, "stores": 0.3, "stores forged": 0.3,
}  # fmt: skip
"""Of 100 inputs; what is cheap gets more."""
SECONDS_EACH = 20
MEMORY = 2 << 30
"""Address space that a target may take beyond what it had before its first input."""


class Watch:
    """Calls a target, counts what came back, and keeps each new kind of finding once."""

    def __init__(self, name: str, keep: Path) -> None:
        import targets

        self.name, self._target, self._keep = name, targets.TARGETS[name][0], keep
        self.counts = {"tried": 0, "refused": 0, "accepted": 0}
        self.findings: dict[str, str] = {}
        self.slowest = 0.0
        self._report = keep / f"{name}.json"

    def __call__(self, data: bytes) -> None:
        """One input."""
        from engine.errors import MugvosError

        self.counts["tried"] += 1
        began = time.perf_counter()
        try:
            self._target(data)
            self.counts["accepted"] += 1
        except MugvosError as error:
            self.counts["refused"] += 1
            if "\n" in str(error):
                self._found("an error of several lines", data, error)
        except Exception as error:
            self._found(_kind(error), data, error)
        self.slowest = max(self.slowest, time.perf_counter() - began)
        if self.counts["tried"] % 100 == 0 or self.counts["tried"] <= 20:
            self.write()

    def write(self) -> None:
        """What was seen so far, for the process that started this one."""
        found = {"target": self.name, **self.counts, "slowest_s": round(self.slowest, 3), "findings": self.findings}
        self._report.write_text(json.dumps(found))

    def _found(self, kind: str, data: bytes, error: Exception) -> None:
        if kind not in self.findings:
            file = self._keep / f"{self.name}-{hashlib.sha1(kind.encode()).hexdigest()[:8]}"
            file.write_bytes(data)
            file.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))
            self.findings[kind] = file.name
            self.write()


def _kind(error: Exception) -> str:
    """Where in our code an error came from: one finding for each such place."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "/engine/" in f.filename or "_cli/" in f.filename]
    last = ours[-1] if ours else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:100]!r}"[:200]


def _limits() -> None:
    """A target that takes too much memory gets a MemoryError."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))


def one_target(name: str, runs: int, seed: int, keep: Path) -> None:
    """All inputs of one target in this process."""
    warnings.simplefilter("ignore")
    begin = _guided if _has_atheris() else _unguided
    begin(name, runs, seed, keep)


def _has_atheris() -> bool:
    from importlib.util import find_spec

    return find_spec("atheris") is not None


def _guided(name: str, runs: int, seed: int, keep: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["engine", "mugvos_cli"]):
        import targets

        seeds = targets.TARGETS[name][1]()
        watch = Watch(name, keep)
        for data in seeds:
            watch(data)
        watch.slowest = 0.0  # imports were in it
    corpus = Path(tempfile.mkdtemp(prefix="corpus-", dir=keep))
    for number, data in enumerate(seeds):
        (corpus / str(number)).write_bytes(data)
    _limits()
    import atexit

    atexit.register(watch.write)
    flags = [f"-runs={runs}", f"-seed={seed + 1}", f"-timeout={SECONDS_EACH}", "-rss_limit_mb=6000", "-max_len=20000"]
    prefix = f"-artifact_prefix={keep}/{name}-died-"
    atheris.Setup([sys.argv[0], *flags, prefix, "-print_final_stats=0", "-verbosity=0", str(corpus)], watch)
    atheris.Fuzz()


def _unguided(name: str, runs: int, seed: int, keep: Path) -> None:
    import targets

    seeds, rng, watch = targets.TARGETS[name][1](), random.Random(f"{name} {seed}"), Watch(name, keep)
    for data in seeds:
        watch(data)
    _limits()
    for _ in range(runs):
        watch(mutated(rng.choice(seeds), rng))
    watch.write()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, removed, doubled or swapped for others."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        act = rng.randrange(5)
        if act == 0:
            changed[at:at] = rng.randbytes(rng.choice((1, 2, 8)))
        elif act == 1:
            del changed[at : at + rng.choice((1, 4, 64))]
        elif act == 2 and changed:
            changed[at % len(changed)] = rng.choice((0, 255, 127, rng.randrange(256)))
        elif act == 3:
            changed[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"9999"))
        else:
            changed[at:at] = changed[at : at + rng.choice((1, 8, 64))]
    return bytes(changed)


def _supervised(name: str, runs: int, seed: int, keep: Path) -> dict[str, Any]:
    """One target in a process of its own, and how that ended."""
    command = [
        sys.executable,
        __file__,
        "--runs",
        str(runs),
        "--target",
        name,
        "--seed",
        str(seed),
        "--keep",
        str(keep),
    ]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    report = keep / f"{name}.json"
    found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"target": name, "tried": 0}
    found["seconds"] = round(time.monotonic() - began, 1)
    if done.returncode:
        found.setdefault("findings", {})[f"ended with {done.returncode}"] = done.stderr[-2000:]
    return found


def _rounded_up(runs: float) -> int:
    """To the next hundred where there are hundreds: of more than that, only these are reported."""
    return -(-int(runs) // 100) * 100 if runs > 100 else max(10, round(runs))


def main() -> int:
    """Every target after the other; the exit status says whether anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=1_000_000, help="in all, shared out over the targets")
    parser.add_argument("--only", action="append", help="a target; may be repeated; it then gets all the runs")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for findings")
    given = parser.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp(prefix="mugvos-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    if given.target:
        one_target(given.target, given.runs, given.seed, keep)
        return 0
    import hdf5_store

    total, found = 0, 0
    for name, share in SHARES.items():
        if given.only and name not in given.only:
            continue
        runs = given.runs if given.only else _rounded_up(given.runs * share / sum(SHARES.values()))
        forged = name == "stores forged"
        row = hdf5_store.fuzz(runs, given.seed, keep, forged) if "stores" in name else None
        row = row or _supervised(name, runs, given.seed, keep)
        total, found = total + row["tried"], found + len(row.get("findings", {}))
        print(json.dumps(row), flush=True)
    print(json.dumps({"inputs": total, "findings": found, "kept in": str(keep), "guided": _has_atheris()}), flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
