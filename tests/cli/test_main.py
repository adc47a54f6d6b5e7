"""Starting fast, one line for every fault, and the exit statuses."""

import errno
import os
import signal
import subprocess
import sys
import time
import types

import pytest

from engine.errors import PartialError, StoreError
from mugvos_cli import main

HEAVY = ("torch", "cv2", "h5py", "av", "numpy", "PIL", "imageio", "rich", "engine.store", "engine.video")


def _fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["info", "--help"], ["nonsense"], ["models", "fetch"]])
def test_nothing_heavy_is_imported(args):
    done = _fresh(
        "import sys\nfrom mugvos_cli.main import program\n"
        f"try: program().main({args!r})\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_asking_for_completions_imports_nothing_heavy():
    done = _fresh(
        "import os, sys\nos.environ.update(_MUGVOS_COMPLETE='complete_bash', COMP_WORDS='mugvos ', COMP_CWORD='1')\n"
        "from typer._completion_classes import completion_init; completion_init()\n"
        "from mugvos_cli.main import program\n"
        "try: program().main()\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    assert "info" in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_lists_every_command_that_is_there(cli):
    done = cli("--help")
    assert done.status == 0
    listed = set(main.program().commands)
    assert {"info", "models", "doctor"} <= listed
    for name in listed:
        assert f"\n  {name} " in done.out


def test_every_command_loads_and_has_the_common_options():
    for name in main.program().commands:
        command = main.load(name)
        flags = {flag for param in command.params for flag in param.opts}
        assert {"--quiet", "-q", "--verbose", "-v", "--debug"} <= flags, name
        assert command.help and "Example" in command.help, name
        texts = [getattr(param, "help", None) for param in command.params if param.param_type_name == "option"]
        assert all(texts), name


def test_version_and_help_of_a_command(cli):
    assert cli("--version").out.startswith("mugvos ")
    done = cli("info", "-h")
    assert done.status == 0
    assert "\n    mugvos info dataset.h5 --json\n" in done.out, "examples keep their lines"


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["inof"], "Did you mean 'info'?"),
        (["--nonsense"], "No such option"),
        (["info"], "Missing argument 'TRACKS': see `mugvos info --help`"),
        (["info", "a", "--format", "xyz"], "'xyz' is not one of store, "),
        (["models", "nonsense"], "see `mugvos models --help`"),
    ],
)
def test_wrong_usage_is_one_line(cli, args, part):
    done = cli(*args)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("mugvos: error: ") and done.err.count("\n") == 1
    assert part in done.err


def test_no_arguments_show_the_help(cli):
    done = cli()
    assert done.status == 2
    assert "Usage: mugvos" in done.out


@pytest.fixture
def fails(monkeypatch, cli):
    """Runs a command that raises what it is given."""

    def run(fault: BaseException, *args: str):
        def info() -> None:
            """Fail. Example."""
            raise fault

        module = types.SimpleNamespace(info=info)
        monkeypatch.setattr(main, "import_module", lambda name: module)
        return cli("info", *args)

    return run


@pytest.mark.parametrize(
    ("fault", "status", "line"),
    [
        (StoreError("a.h5 is no store", "give a store"), 2, "a.h5 is no store: give a store"),
        (PartialError("2 of 3 clips failed"), 1, "2 of 3 clips failed"),
        (OSError(errno.ENOSPC, "No space left on device", "x.h5"), 2, "x.h5: no space left on device: free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "x.h5"), 2, "x.h5: permission denied: check the perm"),
        (OSError(errno.EROFS, "Read-only file system", "x.h5"), 2, "x.h5: read-only file system: choose"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.h5"), 2, "x.h5: no such file"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), 2, "x: is a directory: name a file"),
        (MemoryError(), 2, "out of memory: "),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("two\nlines"), 70, "this is a bug in mugvos: ValueError: two lines: please report"),
        (OSError("no number"), 70, "this is a bug in mugvos: OSError: no number"),
    ],
)
def test_faults_are_one_line_and_a_status(fails, fault, status, line):
    done = fails(fault)
    assert done.status == status
    assert done.out == ""
    assert done.err.startswith(f"mugvos: error: {line}") and done.err.count("\n") == 1


def test_debug_shows_the_traceback(fails, monkeypatch):
    fault = StoreError("a.h5 is no store")
    assert "Traceback" not in fails(fault).err
    assert "Traceback" in fails(fault, "--debug").err
    monkeypatch.setenv("MUGVOS_DEBUG", "1")
    assert "Traceback" in fails(fault).err
    monkeypatch.setenv("MUGVOS_DEBUG", "0")
    assert "Traceback" not in fails(fault).err


def test_a_status_returned_by_a_command_is_the_exit_status(monkeypatch, cli):
    def info() -> int:
        """Return one. Example."""
        return 1

    monkeypatch.setattr(main, "import_module", lambda name: types.SimpleNamespace(info=info))
    assert cli("info").status == 1


def _run(code: str, **more: object) -> subprocess.Popen[bytes]:
    start = "import types, time, sys; from mugvos_cli import main, console\n"
    end = "\nmain.import_module = lambda name: types.SimpleNamespace(info=info); sys.argv[1:] = ['info']; main.run()"
    command = [sys.executable, "-c", start + code + end]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def test_a_reader_that_goes_away_is_no_error():
    with _run("def info():\n  for _ in range(100000): console.result('x' * 100)") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) != 70


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_are_one_line_and_close_what_is_open(number, status):
    busy = "def info():\n  try:\n    console.result('ready')\n    time.sleep(60)\n  finally: console.result('closed')"
    with _run(busy, start_new_session=True) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        output, error = process.communicate(timeout=60)
        assert (process.returncode, output) == (status, b"closed\n")
        assert error.startswith(b"mugvos: error: interrupted") and error.count(b"\n") == 1


def test_help_starts_fast():
    best = min(_seconds() for _ in range(3))
    assert best < 1.0, "generous, for loaded machines; 0.1 s is usual"


def _seconds() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mugvos_cli.main", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start
