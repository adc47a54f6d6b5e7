"""Shared options, where their values come from, and what is said on which stream."""

import json
import types

import numpy as np
import pytest

from mugvos_cli import config, console, main
from mugvos_cli.options import Device, Jobs, Json, Model, Precision, Seed


@pytest.fixture
def show(monkeypatch, cli, tmp_path):
    """Runs a command with shared options, in an empty folder; gives the values that it got."""

    def info(
        device: Device = "auto",
        precision: Precision = "auto",
        seed: Seed = 0,
        jobs: Jobs = 0,
        model: Model = "mmpm-tiny",
        json: Json = False,
    ) -> None:
        """Show. Example."""
        console.emit_json({"device": device, "precision": precision, "seed": seed, "jobs": jobs, "model": model})
        console.info("info")
        console.detail("detail")
        console.detail("finest", 2)
        console.warn("careful")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "import_module", lambda name: types.SimpleNamespace(info=info))
    return lambda *args: cli("info", *args)


def _values(outcome) -> dict[str, object]:
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_defaults(show):
    expected = {"device": "auto", "precision": "auto", "seed": 0, "jobs": 0, "model": "mmpm-tiny"}
    assert _values(show()) == expected


def test_flag_over_environment_over_file_over_default(show, tmp_path, monkeypatch):
    (tmp_path / "mugvos.toml").write_text('seed = 1\ndevice = "cpu"\n[info]\nprecision = "bf16"\nseed = 2\n')
    assert _values(show()) == {"device": "cpu", "precision": "bf16", "seed": 2, "jobs": 0, "model": "mmpm-tiny"}
    monkeypatch.setenv("MUGVOS_SEED", "3")
    assert _values(show())["seed"] == 3
    assert _values(show("--seed", "4"))["seed"] == 4


def test_the_users_file_counts_where_the_folder_has_none(show, tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(tmp_path / "users"))
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "mugvos.toml").write_text("seed = 5\n")
    assert _values(show())["seed"] == 5
    (tmp_path / "mugvos.toml").write_text("jobs = 2\n")
    assert _values(show())["seed"] == 0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("sead = 1", "unknown key 'sead'"),
        ("[inof]\nseed = 1", "[inof] is no command"),
        ("[info]\nsead = 1", "unknown key 'sead' in [info]"),
        ("seed = ", "no valid TOML"),
        ("overwrite = true", "unknown key 'overwrite'"),
        ('seed = "many"', "Invalid value for '--seed'"),
        ('[info]\ndevice = "gpu"', "'gpu' is no device"),
        ("info = 3", "unknown key 'info'"),
    ],
)
def test_a_wrong_file_is_one_line(show, tmp_path, text, part):
    (tmp_path / "mugvos.toml").write_text(text)
    done = show()
    assert done.status == 2
    assert part in done.err and done.err.count("\n") == 1


def test_the_file_is_not_read_for_help_of_the_program(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mugvos.toml").write_text("broken")
    assert cli("--help").status == 0


def test_tables_of_subcommands():
    assert tuple(sorted(config.SHARED)) == config.SHARED
    command = main.load("models")
    found = config._own_defaults("f", "models", command, {"json": True, "convert": {"overwrite": True}})
    assert found == {"json": True, "convert": {"overwrite": True}}


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:11"])
def test_devices(show, device):
    assert _values(show("--device", device))["device"] == device


@pytest.mark.parametrize(
    "args",
    [
        ["--device", "gpu"],
        ["--device", "cuda:"],
        ["--precision", "fp8"],
        ["--seed", "-1"],
        ["--seed", "x"],
        ["-j", "-2"],
    ],
)
def test_values_are_checked(show, args):
    done = show(*args)
    assert done.status == 2
    assert "Invalid value for" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        ([], ["info", "mugvos: warning: careful"]),
        (["-q"], ["mugvos: warning: careful"]),
        (["-v"], ["info", "detail", "mugvos: warning: careful"]),
        (["-vv"], ["info", "detail", "finest", "mugvos: warning: careful"]),
    ],
)
def test_how_much_is_said(show, args, lines):
    assert show(*args).err.splitlines() == lines


def test_quiet_from_the_environment(show, monkeypatch):
    monkeypatch.setenv("MUGVOS_QUIET", "1")
    assert show().err.splitlines() == ["mugvos: warning: careful"]


def test_a_switch_before_a_subcommand_holds_for_it(cli):
    cli("models", "-q", "list")
    assert console.settings.quiet is False, "and is forgotten afterwards"


def test_json_is_valid_whatever_is_in_it(capsys):
    console.emit_json({"a": np.float32("nan"), 1: np.arange(3), "b": (np.int64(2), float("inf"), None, True), "p": "ü"})
    assert json.loads(capsys.readouterr().out) == {"a": None, "1": [0, 1, 2], "b": [2, None, None, True], "p": "ü"}


def test_table(capsys):
    console.table(("name", "n"), [("a", 1), ("long", 100)])
    assert capsys.readouterr().out == "name    n\na       1\nlong  100\n"
    console.table(("name", "n"), [])
    assert capsys.readouterr().out == "name  n\n"


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys):
    now = [0.0]
    lines = console._Lines("work", 100, clock=lambda: now[0])
    for done in range(0, 101, 10):
        now[0] += 4
        lines(done)
    assert capsys.readouterr().err.splitlines() == ["work: 20/100", "work: 50/100", "work: 80/100", "work: 100/100"]


def test_progress_of_what_is_soon_done_says_nothing(capsys):
    with console.progress("work") as progress:
        progress(1)
        progress(3, 3)
    assert capsys.readouterr().err == ""


def test_progress_learns_the_total_and_counts_bytes(capsys):
    now = [0.0]
    lines = console._Lines("fetching", None, "bytes", clock=lambda: now[0])
    for done, total in ((1_500_000, None), (2_500_000, 2_500_000)):
        now[0] += 11
        lines(done, total)
    assert capsys.readouterr().err == "fetching: 1.5 MB\nfetching: 2.5 MB/2.5 MB\n"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 kB"), (8460, "8 kB"), (375_042_383, "375.0 MB"), (2_564_550_879, "2.6 GB")]
)
def test_sizes(number, text):
    assert console.size(number) == text


def test_quiet_progress(capsys, monkeypatch):
    monkeypatch.setattr(console.settings, "quiet", True)
    with console.progress("work", 1) as progress:
        progress(1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_only_on_a_terminal_and_where_wanted(capsys, monkeypatch, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    console.error("no")
    assert ("\x1b[" in capsys.readouterr().err) == coloured


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with console.progress("work [x]", 3) as progress:
        progress(1)
        progress(3, 3)
    err = capsys.readouterr().err
    assert "work [x]" in err
