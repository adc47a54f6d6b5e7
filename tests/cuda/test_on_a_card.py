"""What only a card can show: uploads beside the model, recorded and compiled encoders, whole runs against the CPU's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmpm_toys import SIZE, toy_frames, toy_masks, toy_network

from engine.propagation.accelerating import accelerate
from engine.propagation.ahead import ahead, prepared
from engine.propagation.factory import mmpm_tracker
from engine.propagation.loop import propagate
from engine.propagation.options import MMPMOptions
from engine.runtime.compiled import Compiled, check_compiler
from engine.runtime.graphs import Graphed
from engine.runtime.upload import Uploads
from engine.video import VideoWriter, open_on_card, open_video
from engine.video.on_card import CardPicture

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]
CARD = torch.device("cuda")
PROMPTS = {0: {1: toy_masks(7)[0]}, 3: {k: toy_masks(7)[k] for k in range(2, 7)}}


def tracker(precision: torch.dtype = torch.float32, device: torch.device = CARD, **more: Any) -> Any:
    options = MMPMOptions(interval=2, memory_frames=4, top_k=12, deep_update="never", **more)
    made = mmpm_tracker(toy_network(), device, precision, options)
    accelerate(made.frames, options, device, pytest.fail)  # a note would say that it was not done
    return made


def run(made: Any, count: int = 12) -> np.ndarray:
    """Soft masks of the first track; pictures are sent from another thread, as `mugvos propagate` does it."""
    frames = ahead(prepared(toy_frames(count), made.frames.uploads.begin))
    return np.stack([result.tracks[1].soft for result in propagate(frames, PROMPTS, made)])


def test_pictures_arrive_whole_while_the_card_is_busy() -> None:
    uploads = Uploads(CARD, torch.from_numpy)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (480, 854, 3), dtype=np.uint8) for _ in range(40)]
    busy, sums = torch.rand(2048, 2048, device=CARD), []
    uploads.begin(pictures[0])
    for at, picture in enumerate(pictures):
        for _ in range(5):
            busy = (busy @ busy).softmax(1)
        if at + 1 < len(pictures):
            uploads.begin(pictures[at + 1])
        there = uploads.take(picture)
        sums.append(there.long().sum() + (there[7, 11].long() * 1000).sum())
        del there  # its memory may be used again from here on
    wanted = [int(p.astype(np.int64).sum() + 1000 * p[7, 11].astype(np.int64).sum()) for p in pictures]
    assert [int(found) for found in sums] == wanted


def test_pictures_of_changing_sizes_arrive_whole() -> None:
    uploads = Uploads(CARD, torch.from_numpy)
    for side in (8, 8, 16, 8, 32, 16):
        picture = np.full((side, side, 3), side, np.uint8)
        uploads.begin(picture)
        found = uploads.take(picture)
        assert found.device.type == "cuda" and found.shape == picture.shape and bool((found == side).all())


@torch.inference_mode()
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_recorded_encoders_give_what_they_gave(precision: torch.dtype) -> None:
    frames, notes = tracker(precision).frames, []
    graphed = Graphed(frames.look, on_note=notes.append)
    generator = torch.Generator(CARD).manual_seed(0)
    images = [torch.randn(1, 3, 64, 96, device=CARD, generator=generator) for _ in range(6)]
    wanted = [leaves(frames.look(image)) for image in images]
    found = [leaves(graphed(image)) for image in images]  # all kept: later replays must not touch earlier results
    assert not notes
    for ours, theirs in zip(found, wanted, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 if precision == torch.float32 else 3e-2)
    other_size = torch.randn(1, 3, 32, 96, device=CARD, generator=generator)
    for one, other in zip(leaves(graphed(other_size)), leaves(frames.look(other_size)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=3e-2)
    assert all(torch.equal(a, b) for a, b in zip(leaves(graphed(images[0])), found[0], strict=True))


def test_what_cannot_be_recorded_leaves_the_card_usable() -> None:
    notes: list[str] = []
    graphed = Graphed(lambda x: x * float(x.sum()), on_note=notes.append)  # waits for the card: not to be recorded
    x = torch.ones(3, device=CARD)
    for _ in range(3):
        assert graphed(x).tolist() == [3, 3, 3]
    assert len(notes) == 1


@torch.inference_mode()
def test_compiled_encoders_give_what_they_gave() -> None:
    check_compiler(CARD)
    frames = tracker().frames
    image = torch.randn(1, 3, 64, 96, device=CARD)
    for one, other in zip(leaves(Compiled(frames.look)(image)), leaves(frames.look(image)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("how", [{}, {"graphs": True}, {"compile": True}, {"compile": True, "graphs": True}])
def test_whole_runs_agree_with_the_cpu(how: dict[str, bool]) -> None:
    wanted = run(tracker(device=torch.device("cpu")))
    found = run(tracker(**how))
    assert found.shape == wanted.shape == (12, *SIZE)
    assert np.mean((found > 0.5) == (wanted > 0.5)) > 0.999


def leaves(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple | list) else []


def test_pictures_decoded_on_the_card_are_those_of_the_processor(tmp_path: Path) -> None:
    """Numbers and times agree exactly; colours as far as two roundings of the same conversion do."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"torchcodec cannot be loaded: {error}")
    path, notes = tmp_path / "clip.mp4", []
    with VideoWriter(path, 25, 640, 480) as writer:
        for frame in drawn(20):
            writer.write(frame)
    plain, card = list(open_video(path)), open_on_card(path, "cuda", notes.append)
    assert not notes and card.count() == 20
    for ours, theirs in zip(card, plain, strict=True):
        assert (ours.index, ours.name) == (theirs.index, theirs.name) and ours.time == pytest.approx(theirs.time)
        assert isinstance(ours.image, CardPicture) and ours.image.tensor.device.type == "cuda"
        assert np.abs(np.asarray(ours.image).astype(int) - theirs.image).mean() < 3
    late = next(iter(card.frames(13)))
    assert np.abs(np.asarray(late.image).astype(int) - plain[13].image).mean() < 3


def drawn(count: int) -> Any:
    rows, columns = np.mgrid[:480, :640]
    for at in range(count):
        planes = [np.sin((columns + 5 * at) / (30 + 9 * k)) + np.cos((rows - 3 * at) / (40 + 7 * k)) for k in range(3)]
        yield (np.stack(planes, 2) * 60 + 128).astype(np.uint8)
