"""man/ and completions/ are what the program says today, and the tools that read them accept them."""

import shutil
import subprocess

import pytest

from mugvos_cli import manual
from mugvos_cli.main import program


def test_nothing_is_stale():
    assert manual.stale() == [], "run `make generated`"


def test_writing_and_checking(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(manual, "ROOT", tmp_path)
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "mugvos-gone.1").write_text("old")
    assert manual.stale(tmp_path)
    manual.write(tmp_path)
    assert manual.stale(tmp_path) == []
    assert not (tmp_path / "man" / "mugvos-gone.1").exists()
    (tmp_path / "man" / "mugvos.1").write_text("other")
    assert [str(name) for name in manual.stale(tmp_path)] == ["man/mugvos.1"]


def test_a_page_for_every_command():
    names = {path.name for path in manual.files()}
    assert {f"mugvos-{name}.1" for name in program().commands} < names
    assert {"mugvos.1", "mugvos.bash", "_mugvos", "mugvos.fish"} < names


def test_pages_do_not_depend_on_the_environment(monkeypatch, tmp_path):
    before = manual.files()
    monkeypatch.setenv("MUGVOS_DEVICE", "cpu")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mugvos.toml").write_text("seed = 7\n")
    assert manual.files() == before


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_troff_has_nothing_to_complain_about():
    for name, text in manual.files().items():
        if name.suffix == ".1":
            done = subprocess.run(
                ["groff", "-ww", "-man", "-Tutf8"], input=text, capture_output=True, text=True, check=True
            )
            assert done.stderr == "", name


@pytest.mark.parametrize(("shell", "name"), [("bash", "mugvos.bash"), ("zsh", "_mugvos"), ("fish", "mugvos.fish")])
def test_shells_accept_the_scripts(shell, name):
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    script = str(manual.ROOT / "completions" / name)
    subprocess.run([shell, "-n", script], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mugvos", "inf"], ["info"]),
        (["mugvos", "models", ""], ["list", "show", "fetch", "convert"]),
        (["mugvos", "models", "fetch", "mmpm"], ["mmpm-tiny"]),
        (["mugvos", "info", "--js"], ["--json"]),
        (["mugvos", "info", "--format", "dav"], ["davis"]),
        (["mugvos", "info", ""], []),
    ],
)
def test_bash_completes(words, expected):
    script = manual.ROOT / "completions" / "mugvos.bash"
    ask = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mugvos; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", ask, str(script), *words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
