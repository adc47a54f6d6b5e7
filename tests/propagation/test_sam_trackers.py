"""Trackers around SAM: recorded runs, what every tracker owes, and restarts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sam_golden import case, golden_sam, unpacked

from engine.errors import CheckpointError, MaskError, UsageError, VideoError
from engine.flow.dis import DISFlow
from engine.models.persam.mixture import Fit
from engine.models.persam.video_form import Largest
from engine.models.sam.asking import Asker
from engine.models.sam.automatic import ProposalSettings
from engine.models.sam.config import CONFIGS
from engine.models.sam.prompting import Prompter
from engine.models.sampt.chain import FlowChain
from engine.models.sampt.readout import ReadOut
from engine.models.sampt.tracks import Tracks
from engine.propagation.factory import make_tracker
from engine.propagation.options import MMPMOptions
from engine.propagation.persam import PerSAMTracker
from engine.propagation.sam_factory import make_asker, make_point_tracker
from engine.propagation.sam_iou import SAMIoUTracker
from engine.propagation.sam_options import SAM_MODELS, Form, SAMOptions
from engine.propagation.sam_tracker import SAMTracker
from engine.propagation.sampt import SAMPTTracker
from engine.store.state import pack, unpack
from engine.types import FloatArray, UInt8Array

SIZE = (96, 128)


def asker() -> Asker:
    return Asker(Prompter(golden_sam()))


def scene() -> tuple[UInt8Array, np.ndarray]:
    """Four frames, and two masks of the first."""
    recorded = case("persam_video")
    return recorded["frames"], np.stack([recorded["first_mask"] == label for label in (1, 2)])


MAKERS: dict[str, Callable[[bool], SAMTracker]] = {
    "sam-iou": lambda exclusive: SAMIoUTracker(asker(), ProposalSettings(3, 0.0, 0.0), exclusive),
    "persam": lambda exclusive: PerSAMTracker(asker(), exclusive=exclusive, chunk=1),
    "persam-image": lambda exclusive: PerSAMTracker(asker(), "image", exclusive=exclusive),
    "persam-f": lambda exclusive: PerSAMTracker(asker(), fit=Fit(5, 1e-3), exclusive=exclusive),
    "sam-pt": lambda exclusive: SAMPTTracker(
        asker(), FlowChain(DISFlow()), ReadOut(5, 2, 1, -1.0), exclusive=exclusive, chunk=1
    ),
}


def test_sam_iou_takes_the_recorded_proposals() -> None:
    recorded = case("sam_iou")
    grid, predicted_iou, stability, box_nms = recorded["settings"].tolist()
    tracker = SAMIoUTracker(asker(), ProposalSettings(int(grid), predicted_iou, stability, box_nms=box_nms))
    tracker.start(recorded["frames"][0], recorded["first_masks"])
    proposals, begin = unpacked(recorded["proposals_packed"], *SIZE), np.cumsum([0, *recorded["counts"]])
    for t in range(1, len(recorded["frames"])):
        soft = tracker.step(recorded["frames"][t])
        expected = proposals[begin[t] : begin[t + 1]][recorded["link_index"][t]]
        assert np.array_equal(soft > 0.5, expected)


@pytest.mark.parametrize(("letters", "fit"), [("v", None), ("vf", True)])
def test_persam_that_competes_makes_the_recorded_label_maps(letters: str, fit: bool | None) -> None:
    frames, masks = scene()
    tracker = PerSAMTracker(asker(), "video", fit, Largest(modulo=True), exclusive=True)
    tracker.start(frames[0], masks)
    for t, expected in enumerate(case("persam_video")[f"{letters}_pred"]):
        soft = tracker.step(frames[t + 1])
        assert np.array_equal(np.where((soft > 0.5).any(0), soft.argmax(0) + 1, 0), expected)


@pytest.mark.parametrize("name", MAKERS)
def test_a_run_that_was_saved_goes_on_with_the_same_bits(name: str) -> None:
    frames, masks = scene()
    first, second = MAKERS[name](False), MAKERS[name](False)
    first.start(frames[0], masks)
    first.step(frames[1])
    second.load_state(unpack(pack(first.state())))
    assert np.array_equal(first.step(frames[2]), second.step(frames[2]))
    assert np.array_equal(first.step(frames[3]), second.step(frames[3]))


@pytest.mark.parametrize("name", MAKERS)
def test_tracks_come_go_and_are_corrected(name: str) -> None:
    frames, masks = scene()
    tracker = MAKERS[name](False)
    tracker.start(frames[0], masks[:1])
    calls = tracker.asker.prompter.encoder_calls
    assert tracker.step(frames[1]).shape == (1, *SIZE)
    tracker.add(frames[1], masks[1:])
    tracker.correct([0], masks[1:])
    assert tracker.asker.prompter.encoder_calls == calls + 1  # whatever is given on it, a frame is looked at once
    soft = tracker.step(frames[2])
    assert soft.shape == (2, *SIZE) and soft.dtype == np.float32
    assert np.allclose(soft[0], soft[1], atol=1e-4)  # both were given the same mask on the same frame
    tracker.correct([1], np.zeros((1, *SIZE), np.bool_))
    assert not (tracker.step(frames[3])[1] > 0.5).any()
    tracker.drop([0])
    assert tracker.step(frames[3]).shape == (1, *SIZE)
    tracker.drop([0])
    assert tracker.step(frames[3]).shape == (0, *SIZE)
    tracker.start(frames[0], masks[:1])
    assert tracker.step(frames[1]).shape == (1, *SIZE)


@pytest.mark.parametrize("name", MAKERS)
def test_tracks_alone_and_together(name: str) -> None:
    frames, masks = scene()
    together, alone = MAKERS[name](False), MAKERS[name](False)
    together.start(frames[0], masks)
    alone.start(frames[0], masks[1:])
    both, one = together.step(frames[1]), alone.step(frames[1])
    assert np.mean((both[1] > 0.5) != (one[0] > 0.5)) < 1e-3
    rivals = MAKERS[name](True)
    rivals.start(frames[0], masks)
    assert ((rivals.step(frames[1]) > 0.5).sum(0) <= 1).all()


def test_other_sizes_are_refused() -> None:
    frames, masks = scene()
    tracker = MAKERS["persam"](False)
    with pytest.raises(MaskError, match="128x96"):
        tracker.start(frames[0], masks[:, :50])
    tracker.start(frames[0], masks)
    with pytest.raises(VideoError, match="one size"):
        tracker.step(frames[1][:50])


def test_a_track_without_proposals_keeps_its_last_mask() -> None:
    frames, masks = scene()
    tracker = SAMIoUTracker(asker(), ProposalSettings(2, 2.0))  # nothing is trusted
    tracker.start(frames[0], masks)
    assert not tracker.step(frames[1]).any()
    assert [found.area for found in tracker._last] == masks.sum((1, 2)).tolist()


class Recalled:
    """A point tracker that says which frames it was shown: points move by their frame's brightness."""

    window, stride = 4, 2

    def track(self, frames: list[UInt8Array], queries: FloatArray) -> Tracks:
        value = np.array([float(frame[0, 0, 0]) for frame in frames])
        moved = value[:, None] - value[queries[:, 0].astype(int)][None]
        return Tracks(queries[None, :, 1:] + moved[..., None], np.ones((len(frames), len(queries)), np.bool_))


def test_points_are_followed_through_any_number_of_frames() -> None:
    from engine.models.sampt.window import PointWindow

    frames = [np.full((4, 4, 3), t, np.uint8) for t in range(12)]
    window = PointWindow(Recalled())
    window.start(frames[0])
    window.add(np.array([[10.0, 20]]))
    for t in range(1, 12):
        if t == 5:
            window.add(np.array([[0.0, 0]]))
        found = window.step(frames[t])
        assert found.xy[0, 0].tolist() == [10 + t, 20 + t]
        if t >= 5:
            assert found.xy[0, 1].tolist() == [t - 4, t - 4]
        assert len(window.state()["frames"]) <= Recalled.window
    window.drop([0])
    assert window.step(frames[3]).xy.shape == (1, 1, 2)


def test_points_whose_flow_does_not_come_back_are_hidden() -> None:
    class OneWay:
        def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
            there = np.zeros((2, 20, 30), np.float32)
            there[0, :, 15:] = 5
            return there, np.zeros((2, 20, 30), np.float32)

    frames = [np.zeros((20, 30, 3), np.uint8)] * 2
    found = FlowChain(OneWay()).track(frames, np.array([[0.0, 5, 5], [0, 20, 5]]))
    assert found.visible.tolist() == [[True, True], [True, False]]
    assert found.xy[1].tolist() == [[5, 5], [25, 5]]


@pytest.mark.parametrize(("model", "form"), [*((model, "video") for model in SAM_MODELS), ("persam", "image")])
def test_every_model_runs_on_the_bundled_kind_of_sam(model: str, form: Form) -> None:
    chosen = {"sam-iou": SAMOptions(grid=2), "sam-pt": SAMOptions(refinements=1)}.get(model, SAMOptions(form=form))
    made = make_tracker(model, random_weights=True, sam_options=chosen)
    assert made.random_weights and made.model == model
    frames, masks = scene()
    if model == "persam-f":
        made.tracker._fit = Fit(2, 1e-3)
    made.tracker.start(frames[0], masks)
    assert np.isfinite(made.tracker.step(frames[1], last=True)).all()


def test_sams_are_named_or_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use one of sam-vit-b"):
        make_asker("sam-huge")
    with pytest.raises(CheckpointError, match="no such file"):
        make_asker(str(tmp_path / "none.pth"))
    assert make_asker("sam-tiny", random_weights=True).config == CONFIGS["sam-tiny"]


def test_files_of_the_wrong_kind_say_what_they_are(tmp_path: Path) -> None:
    sam, other = tmp_path / "sam.pth", tmp_path / "other.pth"
    names = ("image_encoder.blocks.0.x", "prompt_encoder.x", "mask_decoder.x")
    torch.save({**dict.fromkeys(names, torch.zeros(1)), "image_encoder.pos_embed": torch.zeros(1, 2, 2, 768)}, sam)
    with pytest.raises(CheckpointError, match=r"look like sam-vit-b: give it to --sam"):
        make_tracker(str(sam))
    with pytest.raises(CheckpointError, match=r"does not fit sam-vit-b"):
        make_asker(str(sam))
    xmem = ("key_encoder.x", "value_encoder.x", "key_proj.d_proj.x")
    torch.save(dict.fromkeys(xmem, torch.zeros(1)), other)
    with pytest.raises(CheckpointError, match="holds no SAM, it looks like XMem"):
        make_asker(str(other))


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(UsageError, match="grid 0"):
        SAMOptions(grid=0)
    with pytest.raises(UsageError, match="above 1"):
        SAMOptions(iou_threshold=70)
    with pytest.raises(UsageError, match="--large-area means nothing to sam-pt"):
        make_tracker("sam-pt", sam_options=SAMOptions(area="modulo"))
    with pytest.raises(UsageError, match="--interval means nothing to persam"):
        make_tracker("persam", options=MMPMOptions(interval=3))
    with pytest.raises(UsageError, match="use one of exact, modulo"):
        SAMOptions(area="wrong")
    with pytest.raises(UsageError, match="flow, cotracker1, cotracker2, cotracker3"):
        make_point_tracker("tapir", "dis", asker().device)
