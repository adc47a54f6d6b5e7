"""Validation: J of a network on clips that are not trained on, the same however many processes share the work."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import HEIGHT, WIDTH, scene, write_frames
from training_toys import TINY, network, settings

from engine.errors import StoreError, UsageError
from engine.masks import rle
from engine.store import StoreWriter, open_source
from engine.training.distributed import Group
from engine.training.mmpm_task import MMPMTask
from engine.training.run import Surroundings, open_data, train
from engine.training.validation import Validation
from engine.types import Track

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two clips of five frames called 10, 20, ..; the second has two tracks, one of them hidden in its last frames."""
    images, masks = scene(5)
    with StoreWriter(tmp_path / "t.h5") as writer:
        for clip in ("a", "b"):
            folder = write_frames(tmp_path / "videos" / clip, images, [f"{10 * at:05d}" for at in range(1, 6)])
            records = [rle.record(10 * (at + 1), 1, mask) for at, mask in enumerate(masks)]
            tracks = [Track(1, "square")]
            if clip == "b":
                corner = np.zeros((HEIGHT, WIDTH), np.bool_)
                corner[36:, 40:] = True
                records = sorted(
                    [*records, rle.record(10, 2, corner), rle.record(20, 2, corner)], key=lambda r: (r.frame, r.track)
                )
                tracks.append(Track(2, "corner"))
            numbers = [10 * at for at in range(1, 6)]
            writer.add_clip(clip, WIDTH, HEIGHT, 5, tracks, records, source=str(folder), frames=numbers)
    return tmp_path / "t.h5"


def validation(path: Path, frames: int = 50, **more: object) -> Validation:
    return Validation(open_source(str(path)), None, frames, CPU, **more)  # type: ignore[arg-type]


def test_the_score_is_the_mean_over_tracks_of_judged_frames(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[tuple[int, int]] = []

    def overlap(found: np.ndarray, truth: np.ndarray | None) -> float:
        judged.append((int(found.sum()), 0 if truth is None else int(truth.sum())))
        return 0.25 if truth is None else 0.75

    monkeypatch.setattr("engine.training.validation._overlap", overlap)
    score = validation(store, frames=4).score(TINY, network().state_dict())
    assert len(judged) == 3 * 3, "frames 20, 30 and 40 of three tracks"
    assert score == pytest.approx((0.75 + 0.75 + (0.75 + 0.25 + 0.25) / 3) / 3)


def test_better_masks_score_higher(store: Path) -> None:
    model = network()
    with torch.no_grad():
        model.mask_decoder.pred.weight.zero_()
        model.mask_decoder.pred.bias.fill_(-9.0)
    nothing = validation(store).score(TINY, model.state_dict())
    assert nothing == pytest.approx((0 + 0 + 3 / 4) / 3), "the hidden corner is rightly found nowhere"
    with torch.no_grad():
        model.mask_decoder.pred.bias.fill_(9.0)
    everything = validation(store).score(TINY, model.state_dict())
    assert 0 < everything < 0.2


def test_the_randomness_of_training_is_left_alone(store: Path) -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    scores = {validation(store).score(TINY, network().state_dict()) for _ in range(2)}
    assert len(scores) == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_divide_the_clips(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "total", lambda self, values, device: list(values))
    judged = []
    for rank in (0, 1):
        shared = validation(store, group=Group(rank, 2))
        monkeypatch.setattr(shared, "_judge", lambda network, start: judged.append(start.clip.name) or [0.5])
        assert shared.score(TINY, network().state_dict()) == 0.5
    assert judged == ["a", "b"]


def test_nothing_to_validate_on_is_told(tmp_path: Path, store: Path) -> None:
    with StoreWriter(tmp_path / "one.h5") as writer:
        writer.add_clip("a", WIDTH, HEIGHT, 5, [Track(1, "x")], [rle.record(0, 1, scene(1)[1][0])], source="gone.mp4")
    with pytest.raises(StoreError, match="no track to validate on"):
        validation(tmp_path / "one.h5")
    with pytest.raises(StoreError, match=r"its video .* is not there"):
        Validation(open_source(str(store)), tmp_path / "nowhere", 5, CPU)


def test_a_run_reports_it_at_its_interval_and_at_the_end(store: Path, tmp_path: Path) -> None:
    wanted = settings(steps=3, batch=1, validate_every=2)
    seen: list[float | None] = []
    around = Surroundings(validation=validation(store))
    clips = open_data(["synthetic"], wanted, CPU)
    model = wanted.model
    assert model == "mmpm-tiny"
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(__import__("engine.training.initial", fromlist=["CONFIGS"]).CONFIGS, model, TINY)
        train(wanted, clips, tmp_path / "w.safetensors", on_step=lambda p: seen.append(p.validation), around=around)
    assert seen[0] is None
    assert all(score is not None and 0 <= score <= 1 for score in seen[1:])


def test_promptable_models_have_none(store: Path, tmp_path: Path) -> None:
    wanted = settings(model="sam-tiny", steps=1, batch=1)
    clips = open_data(["synthetic"], wanted, CPU)
    with pytest.raises(UsageError, match="--validate is for mmpm"):
        train(wanted, clips, tmp_path / "w.safetensors", around=Surroundings(validation=validation(store)))
    assert not isinstance(clips, MMPMTask)
