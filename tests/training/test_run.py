"""From names of data to a file of weights."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from small_videos import HEIGHT, WIDTH, scene, write_frames, write_video
from training_toys import TINY, settings

from engine.errors import CheckpointError, FormatError, OutputError, UsageError
from engine.masks import rle
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.loading import load_mmpm
from engine.store import StoreWriter
from engine.training.mixture import Mixture
from engine.training.run import open_data, train
from engine.training.synthesis import Synthesizer
from engine.training.videos import VideoClips
from engine.types import Track

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmpm-tiny smaller than it is."""
    monkeypatch.setitem(CONFIGS, "mmpm-tiny", TINY)


def run(output: Path, overwrite: bool = False, stop_at: int | None = None, **more: object) -> int:
    seen: list[int] = []
    wanted = settings(**more)
    return train(
        wanted,
        open_data(["synthetic"], wanted, CPU),
        output,
        overwrite=overwrite,
        provenance={"data": ["synthetic"]},
        on_step=lambda progress: seen.append(progress.step),
        should_stop=lambda: seen[-1] == stop_at,
    )


def test_what_is_written_can_be_loaded_and_says_how_it_was_made(tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    assert run(output) == 0
    network = load_mmpm(output)
    assert network.config == TINY
    with safe_open(output, "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} <= {"torch.float16", "torch.int64"}  # noqa: SIM118
        described = file.metadata()["mugvos"]
    assert '"data": ["synthetic"]' in described
    assert '"steps": 6' in described
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "w.safetensors",
        "w.safetensors.curves.png",
        "w.safetensors.metrics.jsonl",
    ]


def test_stopped_and_run_again_equals_unbroken(tmp_path: Path) -> None:
    run(tmp_path / "whole.safetensors")
    for step in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken.safetensors", stop_at=step)
        assert not (tmp_path / "broken.safetensors").exists()
    assert run(tmp_path / "broken.safetensors") == 3
    assert (tmp_path / "broken.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_another_run_in_the_way_is_told_and_can_be_thrown_away(tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(output, stop_at=1)
    with pytest.raises(CheckpointError, match="seed: 0 there, 1 here"):
        run(output, seed=1)
    assert run(output, overwrite=True, seed=1) == 0
    with pytest.raises(OutputError, match=r"exists.*--overwrite"):
        run(output, seed=1)
    with pytest.raises(KeyboardInterrupt):
        run(output, overwrite=True, stop_at=2)
    assert run(output, overwrite=True) == 2, "the same run goes on, also with --overwrite"


def test_training_may_begin_with_weights(tmp_path: Path) -> None:
    run(tmp_path / "first.safetensors")
    wanted = settings(steps=1, learning_rate=0.0, final_rate=0.0, weight_decay=0.0)
    train(
        wanted, open_data(["synthetic"], wanted, CPU), tmp_path / "second.safetensors", tmp_path / "first.safetensors"
    )
    first, second = (load_mmpm(tmp_path / f"{name}.safetensors") for name in ("first", "second"))
    parameters = dict(second.named_parameters())
    assert all(torch.equal(tensor, parameters[name]) for name, tensor in first.named_parameters())


def test_outputs_and_models_are_looked_at_first(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        run(tmp_path)
    with pytest.raises(OutputError, match="cannot be written to"):
        run(tmp_path / "no" / "w.safetensors")
    with pytest.raises(UsageError, match="did you mean mmpm-tiny"):
        run(tmp_path / "w.safetensors", model="mmpm-tini")


def test_data_by_name(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(4)[0])
    with StoreWriter(tmp_path / "t.h5") as writer:
        records = [rle.record(at, 1, mask) for at, mask in enumerate(scene(4)[1])]
        writer.add_clip("clip", WIDTH, HEIGHT, 4, [Track(1, "a")], records, source=str(video))
    pictures = write_frames(tmp_path / "pictures", scene(2)[0])
    wanted = settings()
    drawn = open_data(["synthetic"], wanted, CPU)
    assert isinstance(drawn, Synthesizer)
    assert drawn.pool is None
    filled = open_data(["synthetic", str(pictures)], wanted, CPU)
    assert isinstance(filled, Synthesizer)
    assert filled.pool is not None
    assert len(filled.pool.images) == 2
    assert isinstance(open_data([str(tmp_path / "t.h5")], wanted, CPU), VideoClips)
    mixed = open_data([str(pictures), str(tmp_path / "t.h5")], wanted, CPU)
    assert isinstance(mixed, Mixture)
    assert {type(source) for source in mixed.sources} == {Synthesizer, VideoClips}
    assert all(source.generator is mixed.generator for source in mixed.sources)
    with pytest.raises(FormatError, match=r"none\.h5: no such data"):
        open_data([str(tmp_path / "none.h5")], wanted, CPU)
