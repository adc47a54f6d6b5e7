"""The command line run inside the process: `cli("info", "tracks.h5")` gives status, out and err."""

import contextlib
import ctypes
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mugvos_cli import console
from mugvos_cli.main import program

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core already; this one has not imported torch yet
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard() -> None:
    """A suite started in the background inherits an ignored Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def _networks_are_let_go() -> Iterator[None]:
    """Helpers keep networks for the tests of a file; behind it they go, or a long run would hold all of them."""
    yield
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").endswith(("_golden", "_toys")):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # glibc keeps what it was told to keep
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs `mugvos ARGS...` without the user's own configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))

    def run(*args: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            program().main([str(arg) for arg in args])
        streams = capsys.readouterr()
        console.reset()
        return Outcome(int(end.value.code or 0), streams.out, streams.err)

    return run


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Puts bytes into standard input through a real pipe, in small pieces."""
    opened = []

    def connect(data: bytes) -> None:
        read_end, write_end = os.pipe()
        threading.Thread(target=_send, args=(write_end, data), daemon=True).start()
        opened.append(io.TextIOWrapper(os.fdopen(read_end, "rb")))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield connect
    for stream in opened:
        with contextlib.suppress(ValueError):
            stream.close()


def _send(write_end: int, data: bytes) -> None:
    with contextlib.suppress(OSError), os.fdopen(write_end, "wb", buffering=0) as stream:
        for at in range(0, len(data), 1000):
            stream.write(data[at : at + 1000])
