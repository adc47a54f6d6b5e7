"""The compiled part of each tracker: compiled once a frame size however tracks come and go, and equal to eager."""

from typing import Any

import numpy as np
import pytest
import torch
from counting_backend import Counter
from mmpm_golden import golden_network
from mmpm_toys import SIZE, toy_frames, toy_masks, toy_network, toy_tracker
from torch.utils._python_dispatch import TorchDispatchMode

from engine.errors import UsageError
from engine.models.mmpm.packing import fused_mmpm
from engine.propagation import deva_frames, mmpm_frames, stm_frames, xmem_frames
from engine.propagation.accelerating import accelerate
from engine.propagation.ahead import preparation
from engine.propagation.factory import make_tracker, mmpm_tracker
from engine.propagation.mmpm_frames import MMPMFrames
from engine.propagation.options import MMPMOptions, deciding
from engine.runtime.compiled import Compiled
from engine.runtime.graphs import Graphed
from engine.runtime.precision import autocast
from engine.types import BoolArray, UInt8Array
from engine.video.on_card import CardPicture

CPU = torch.device("cpu")


def images(count: int, size: tuple[int, int] = SIZE) -> list[UInt8Array]:
    return [np.ascontiguousarray(np.resize(frame.image, (*size, 3))) for frame in toy_frames(count)]


def masks(count: int, size: tuple[int, int] = SIZE) -> BoolArray:
    return np.ascontiguousarray(toy_masks(count)[:, : size[0], : size[1]])


def entering_and_leaving(tracker: Any, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """One track, then two, seven and three."""
    pictures, given = images(9, size), masks(7, size)
    tracker.start(pictures[0], given[:1])
    found = [tracker.step(pictures[1])]
    tracker.add(pictures[1], given[1:2])
    found.append(tracker.step(pictures[2]))
    tracker.add(pictures[2], given[2:])
    found += [tracker.step(picture) for picture in pictures[3:5]]
    tracker.drop([0, 2, 4, 5])
    found += [tracker.step(picture) for picture in pictures[5:8]]
    found.append(tracker.step(pictures[8], last=True))
    return found


def assert_equal(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    assert [len(each) for each in wanted] == [1, 2, 7, 7, 3, 3, 3, 3]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_tracks_that_come_and_go_compile_nothing_again() -> None:
    wanted, counter, tracker = entering_and_leaving(toy_tracker()), Counter(), toy_tracker()
    tracker.frames.look = Compiled(tracker.frames.look, counter)
    assert_equal(entering_and_leaving(tracker), wanted)
    assert counter.compiled == 1
    entering_and_leaving(tracker, (40, 96))  # another clip, another size
    assert counter.compiled == 2
    assert_equal(entering_and_leaving(tracker), wanted)
    assert counter.compiled == 2


def test_aot_gives_what_eager_gives() -> None:
    tracker = toy_tracker()
    tracker.frames.look = Compiled(tracker.frames.look, "aot_eager")
    assert_equal(entering_and_leaving(tracker), entering_and_leaving(toy_tracker()))


def test_sixteen_bits_are_compiled_as_they_are() -> None:
    with torch.inference_mode():
        frames = make_tracker("mmpm-tiny", CPU, torch.bfloat16, random_weights=True).tracker.frames  # type: ignore[attr-defined]
        eager, counter = frames.encode(images(1)[0]), Counter()
        frames.look = Compiled(frames.look, counter)
        found = frames.encode(images(1)[0])
    assert counter.compiled == 1 and found.features.coarse.dtype == eager.features.coarse.dtype
    assert found.key.key.dtype == eager.key.key.dtype
    scale = float(eager.features.coarse.float().abs().max())
    torch.testing.assert_close(found.features.coarse.float(), eager.features.coarse.float(), atol=0.02 * scale, rtol=0)


@pytest.mark.parametrize("model", ["mmpm-tiny", "xmem", "deva", "mavos", "bmvos"])
def test_every_tracker_compiles_it_and_takes_pictures_from_a_card(model: str) -> None:
    made = make_tracker(model, CPU, random_weights=True)
    frames: Any = made.tracker.frames  # type: ignore[attr-defined]
    picture, counter = images(1, (32, 48))[0], Counter()
    if model in ("xmem", "deva"):
        frames.short_side = None
    if model == "bmvos":
        frames.own_size = True
    with torch.inference_mode():
        wanted = frames.encode(picture)
        frames.look = Compiled(frames.look, counter)
        for _ in range(2):
            found = frames.encode(picture)
            for ours, theirs in zip(tensors(found), tensors(wanted), strict=True):
                torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        assert counter.compiled == 1
        there = frames.encode(CardPicture(torch.from_numpy(picture)))
    assert there.size == wanted.size == (32, 48) and there.inner == wanted.inner
    resized_there = model in ("mmpm-tiny", "mavos")
    for ours, theirs in zip(tensors(there), tensors(wanted), strict=True):
        scale = float(theirs.abs().max()) or 1.0
        assert float((ours - theirs).abs().max()) <= (0.05 if resized_there else 1e-4) * scale


@pytest.fixture
def as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks as they were trained, under autocast: what a card runs, on the processor."""
    for module in (mmpm_frames, stm_frames):
        monkeypatch.setattr(module, "arithmetic", autocast)
    monkeypatch.setattr(mmpm_frames, "packed_mmpm", lambda network, dtype: fused_mmpm(network))
    monkeypatch.setattr(xmem_frames, "packed_xmem", lambda network, dtype: network.eval())
    monkeypatch.setattr(deva_frames, "packed_deva", lambda network, dtype: network.eval())


@pytest.mark.usefixtures("as_on_a_card")
@pytest.mark.parametrize(("form", "precision"), [("vit", torch.bfloat16), ("conv", torch.float32)])
def test_what_a_card_compiles(form: str, precision: torch.dtype) -> None:
    network = golden_network() if form == "vit" else toy_network()
    frames, counter = MMPMFrames(network, CPU, precision, 4, False), Counter()
    with torch.inference_mode():
        wanted = frames.encode(images(1)[0])
        frames.look = Compiled(frames.look, counter)
        for _ in range(2):
            found = frames.encode(images(1)[0])
    assert counter.compiled == 1
    for ours, theirs in zip(tensors(found), tensors(wanted), strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, atol=1e-4 if precision == torch.float32 else 0.05, rtol=1e-2)


class OnTheProcessor(TorchDispatchMode):
    """Notes operations that make a tensor on the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if any(tensor.device.type == "cpu" for tensor in tensors((result,))):
            self.seen.append(str(function))
        return result


@pytest.mark.usefixtures("as_on_a_card")
@pytest.mark.parametrize("model", ["mmpm, vit", "mmpm-tiny", "xmem", "deva", "mavos", "mavos-swinb", "bmvos"])
def test_nothing_is_made_on_the_processor_where_a_graph_is_recorded(model: str) -> None:
    """On a device without memory: what is copied to a card meanwhile cannot be recorded."""
    if model == "mmpm, vit":
        frames: Any = MMPMFrames(golden_network(), CPU, torch.float32, 4, False)
    else:
        frames = make_tracker(model, CPU, random_weights=True).tracker.frames  # type: ignore[attr-defined]
    meta, side = torch.device("meta"), 256 if model == "mmpm, vit" else 97 if model.startswith("mavos") else 96
    network, watch = frames.network.to(meta), OnTheProcessor()
    with torch.inference_mode():
        for _ in range(2):  # what is kept from the first run on is no matter
            watch.seen.clear()
            with watch:
                frames.look.func(network, meta, torch.float32, torch.empty(1, 3, side, side, device=meta))
    assert watch.seen == []


@pytest.mark.usefixtures("as_on_a_card")
def test_sixteen_bits_as_a_card_has_them() -> None:
    options = MMPMOptions(interval=2, memory_frames=4, top_k=12)
    tracker: Any = mmpm_tracker(toy_network(), CPU, torch.bfloat16, options)
    for found, wanted in zip(entering_and_leaving(tracker), entering_and_leaving(toy_tracker()), strict=True):
        assert found.shape == wanted.shape and np.mean((found > 0.5) == (wanted > 0.5)) > 0.9
    tracker = make_tracker("xmem", CPU, torch.bfloat16, random_weights=True).tracker
    tracker.frames.short_side = None
    assert [len(found) for found in entering_and_leaving(tracker, (32, 48))] == [1, 2, 7, 7, 3, 3, 3, 3]


def tensors(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [leaf for part in tree for leaf in tensors(part)] if isinstance(tree, tuple | list) else []


def test_pictures_sent_ahead_are_the_pictures_that_are_looked_at() -> None:
    ahead, plain = toy_tracker(), toy_tracker()
    prepare = preparation(ahead)
    assert prepare is not None
    for picture in images(3):
        prepare(picture)
        found, wanted = ahead.frames.encode(picture), plain.frames.encode(picture)
        assert torch.equal(found.image, wanted.image) and torch.equal(found.key.key, wanted.key.key)
    assert preparation(make_tracker("dis").tracker) is None


def test_what_the_options_ask_for() -> None:
    frames = toy_tracker().frames
    plain = frames.look
    accelerate(frames, MMPMOptions(), CPU)
    assert frames.look is plain
    with pytest.raises(UsageError, match="need a CUDA device"):
        accelerate(frames, MMPMOptions(graphs=True), CPU)
    accelerate(frames, MMPMOptions(graphs=True), torch.device("cuda"))
    assert isinstance(frames.look, Graphed)
    with pytest.raises(UsageError, match="--compile means nothing to dis"):
        make_tracker("dis", options=MMPMOptions(compile=True))
    assert not {"compile", "graphs"} & deciding(MMPMOptions(compile=True)).keys()
