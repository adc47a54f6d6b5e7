"""`mugvos train` from the outside: data in, weights out, usable by propagate; refusals and interrupts."""

import dataclasses
import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from small_videos import scene, write_frames, write_mask, write_video

from engine.models.mmpm.config import CONFIGS, ConvConfig
from engine.weights.load import load_state_dict
from mugvos_cli.interrupt import stoppable

Cli = Callable[..., Any]
SHORT = ("--steps", 2, "--batch", 1, "--size", 32, "--device", "cpu")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller mmpm-tiny, and the current folder with clip.mp4, m.png and a folder of pictures."""
    conv = ConvConfig(widths=(8, 8, 16, 16))
    sizes = {"feature_dim": 16, "key_dim": 8, "value_dim": 16, "hidden_dim": 8, "image_side": 96, "top_k": 8}
    monkeypatch.setitem(CONFIGS, "mmpm-tiny", dataclasses.replace(CONFIGS["mmpm-tiny"], conv=conv, **sizes))
    images, masks = scene(5)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "m.png", masks[0])
    write_frames(tmp_path / "pictures", images[:2])
    monkeypatch.chdir(tmp_path)


def test_trained_weights_propagate(cli: Cli) -> None:
    done = cli("train", "--data", "synthetic", "--data", "pictures", "-o", "w.safetensors", *SHORT)
    assert (done.status, done.out) == (0, ""), done.err
    assert "w.safetensors: mmpm-tiny, 2 steps" in done.err
    assert cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "w.safetensors", "-o", "out.h5").status == 0


def test_training_on_what_was_propagated(cli: Cli) -> None:
    cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", "tracks.h5")
    done = cli("train", "--data", "tracks.h5", "-o", "w.safetensors", *SHORT)
    assert done.status == 0, done.err
    assert Path("w.safetensors").exists()


@pytest.mark.parametrize(("name", "words"), [("tracks.h5", "is an input"), ("w.pth", "name it w.safetensors")])
def test_weights_replace_no_data_and_are_called_what_they_are(cli: Cli, name: str, words: str) -> None:
    assert cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", "tracks.h5").status == 0
    before = Path("tracks.h5").read_bytes()
    done = cli("train", "--data", "tracks.h5", "-o", name, "--overwrite", *SHORT)
    assert done.status == 2 and words in done.err
    assert Path("tracks.h5").read_bytes() == before


@contextmanager
def asked(work: str) -> Iterator[Callable[[], bool]]:
    """In place of `stoppable`: somebody has asked to stop."""
    with stoppable(work):
        yield lambda: True


def test_an_interrupted_run_goes_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("mugvos_cli.commands.train.stoppable", asked)
        done = cli("train", "--data", "synthetic", "-o", "w.safetensors", *SHORT)
    assert done.status == 130
    assert "what was finished is kept" in done.err
    assert not Path("w.safetensors").exists()
    done = cli("train", "--data", "synthetic", "-o", "w.safetensors", *SHORT)
    assert done.status == 0
    assert "went on from step 1" in done.err


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"{name}.metrics.jsonl").read_text().splitlines()]


def test_the_written_configuration_makes_the_same_weights(cli: Cli, tmp_path: Path) -> None:
    more = ("--lr", "2e-3", "--accumulate", 2, "--schedule", "steps", "--milestone", 1, "--log-every", 1, "--seed", 3)
    done = cli("train", "--data", "synthetic", "--data", "pictures", "-o", "w.safetensors", *SHORT, *more)
    assert done.status == 0, done.err
    written = tomllib.loads(Path("w.safetensors.toml").read_text())
    assert written["data"] == ["synthetic", str(tmp_path / "pictures")]
    assert (written["lr"], written["milestone"], written["seed"], written["precision"]) == (2e-3, [1], 3, "fp32")
    again = cli("train", "--config", "w.safetensors.toml", "-o", "again.safetensors")
    assert again.status == 0, again.err
    first, second = (load_state_dict(f"{name}.safetensors")[0] for name in ("w", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    timeless = [
        [{k: v for k, v in row.items() if k != "speed"} for row in rows(f"{n}.safetensors")] for n in ("w", "again")
    ]
    assert timeless[0] == timeless[1]
    assert [row["rate"] for row in rows("w.safetensors")] == pytest.approx([2e-3 / 200, 2e-3 * 2 / 200])


def test_flags_win_over_the_environment_over_the_file_over_defaults(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("run.toml").write_text(
        'data = ["synthetic"]\nsteps = 3\nbatch = 1\nsize = 32\nlr = 0.5\nwarmup = 7\ndevice = "cpu"\n'
    )
    monkeypatch.setenv("MUGVOS_TRAIN_LR", "0.25")
    monkeypatch.setenv("MUGVOS_TRAIN_STEPS", "2")
    done = cli("train", "--config", "run.toml", "--steps", 1, "-o", "w.safetensors")
    assert done.status == 0, done.err
    written = tomllib.loads(Path("w.safetensors.toml").read_text())
    assert [written[name] for name in ("steps", "lr", "warmup", "hard_from")] == [1, 0.25, 7, 500]


def test_a_stage_brings_its_own_numbers(cli: Cli) -> None:
    done = cli("train", "--stage", "static", "--data", "pictures", "-o", "w.safetensors", *SHORT, "--lr", "1e-4")
    assert done.status == 0, done.err
    written = tomllib.loads(Path("w.safetensors.toml").read_text())
    chosen = {name: written[name] for name in ("lr", "schedule", "weight_decay", "ema", "hard_from", "seed", "stage")}
    assert chosen == {
        "lr": 1e-4,
        "schedule": "constant",
        "weight_decay": 0.05,
        "ema": 0.0,
        "hard_from": 200000,
        "seed": 14159265,
        "stage": "static",
    }


def test_validation_is_told_and_written_down(cli: Cli) -> None:
    cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", "tracks.h5")
    arguments = ("--data", "synthetic", "--validate", "tracks.h5", "--validate-every", 1, "--validate-frames", 3)
    done = cli("train", *arguments, "-o", "w.safetensors", *SHORT)
    assert done.status == 0, done.err
    assert done.err.count("validation J 0.") == 2
    assert [0 <= row["validation"] <= 1 for row in rows("w.safetensors")] == [True, True]


def test_other_inputs_are_refused_by_what_differs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("train", "--data", "synthetic", "-o", "init.safetensors", *SHORT)
    with monkeypatch.context() as patched:
        patched.setattr("mugvos_cli.commands.train.stoppable", asked)
        cli("train", "--data", "pictures", "--init", "init.safetensors", "-o", "w.safetensors", *SHORT)
    frame = next(Path("pictures").iterdir())
    frame.write_bytes(frame.read_bytes() + b"more")
    cli("train", "--data", "synthetic", "-o", "init.safetensors", *SHORT, "--overwrite", "--seed", 1)
    done = cli("train", "--data", "pictures", "--init", "init.safetensors", "-o", "w.safetensors", *SHORT)
    assert done.status == 2
    assert "inputs.data 1:" in done.err
    assert "inputs.init:" in done.err
    assert not Path("w.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--data", "none.h5"), "none.h5: no such data"),
        (("--data", "synthetic", "--size", "40"), "--size 40"),
        (("--data", "synthetic", "--model", "mmpm-tini"), "did you mean mmpm-tiny"),
        (("--data", "synthetic", "--hard-from", "9", "--hard-to", "9"), "--hard-from 9 --hard-to 9"),
        (("--data", "synthetic", "--init", "none.pth"), "none.pth"),
        (("--data", "synthetic", "--stage", "video"), "--stage video learns from masks of videos"),
        (("--data", "synthetic", "--compile", "--device", "cpu"), "--compile needs a CUDA device"),
        (("--data", "synthetic", "--encoder", "sam-tinny"), "no weights are called"),
        (("--data", "synthetic", "--model", "sam-tiny", "--stage", "static"), "--stage static is for mmpm-... models"),
        (("--data", "synthetic", "--model", "sam-tiny", "--encoder", "mmpm-tiny"), "give it as --init"),
        (("--data", "synthetic", "--objects", 2), "clips from pictures follow one object"),
        (("--data", "synthetic", "--validate-videos", "pictures"), "--validate-videos without --validate"),
        (("--data", "synthetic", "--precision", "fp16", "--device", "cpu"), "fp16 needs a GPU"),
        (("--data", "synthetic", "--schedule", "steps"), "--milestone"),
        (("--data", "synthetic", "--config", "none.toml"), "none.toml: no such configuration"),
        (("--data", "synthetic", "--config", "wrong.toml"), "wrong.toml: unknown key 'stepps'"),
        ((), "--data"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    Path("wrong.toml").write_text("stepps = 3")
    done = cli("train", *arguments, "-o", "w.safetensors", "-q")
    assert done.status == 2
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("mugvos: error:")
    assert says in done.err
    assert not list(Path().glob("w.*"))
