"""`propagate.py card`: propagation on a CUDA card, every way that it can be run, against the plain implementation.

For each model, number of tracks, precision and way (eager, with and without frames sent ahead, with weights that are
channels last; compiled, CUDA graphs, both): frames a second of the last ten frames of a drawn clip, when the memory is
full; the floating-point operations of a frame, counted in an eager run; what share of the card's peak that is, and of
the rate at which the card multiplies large matrices here and now; J with the masks of the first run (eager, float32) as
truth, where weights are trained. The plain side runs one track at a time, in the same precision. Decoding: frames a
second by the processor and by the card. Also runs on a CPU, as a rehearsal.
"""

import argparse
import math
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from drawn import drawn_image, drawn_mask, random_network
from plain_mmpm import PlainTrack, plain_input, plain_mask, plain_output
from torch.utils.flop_counter import FlopCounterMode

from engine.errors import MugvosError
from engine.models.mmpm.loading import load_mmpm
from engine.models.mmpm.network import MMPM
from engine.propagation.accelerating import accelerate
from engine.propagation.ahead import ahead, prepared
from engine.propagation.factory import mmpm_tracker
from engine.propagation.loop import propagate
from engine.propagation.options import MMPMOptions
from engine.runtime import resolve_device, resolve_precision
from engine.runtime.precision import autocast
from engine.types import BoolArray, Frame, UInt8Array
from engine.video import VideoReader, VideoWriter, open_on_card, open_video
from engine.weights.find import find_weights

TURN = 20  # frames until the drawn discs turn back
MEASURED = 10  # frames at the end of a clip, two of the usual intervals between memory frames
WAYS: dict[str, dict[str, bool]] = {
    "eager": {},
    "eager, nothing sent ahead": {"sent": False},
    "eager, channels last": {"channels_last": True},
    "compiled": {"compile": True},
    "graphs": {"graphs": True},
    "compiled, graphs": {"compile": True, "graphs": True},
}
PEAK = {  # dense TFLOP/s by data sheet: float32 outside tensor cores, bfloat16 with float32 sums
    "H200": (67, 989),
    "H100 PCIe": (51, 756),
    "H100": (67, 989),
    "A100": (19.5, 312),
    "L40S": (91.6, 362),
    "L4": (30.3, 121),
    "RTX 4090": (82.6, 165),
    "RTX 3090": (35.6, 71),
}


def card(given: argparse.Namespace) -> dict[str, Any]:
    """Everything, as plain values."""
    device = resolve_device(given.device)
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "device": name_of(device),
        "torch": torch.__version__,
        "frame": "x".join(map(str, reversed(given.size))),
        "frames": given.frames,
    }
    for model in given.models:
        network, trained = network_of(model, given.side)
        result[model] = of_model(given, network, trained, device)
    result["decode, frames/s"] = decoding(given, device)
    return result


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"


def network_of(model: str, side: int | None) -> tuple[MMPM, bool]:
    """The network, and whether it was trained: weights are found or random."""
    try:
        if side is None:
            return load_mmpm(find_weights(model), model), True
    except MugvosError:
        pass
    return random_network(model, side), False


def of_model(given: argparse.Namespace, network: MMPM, trained: bool, device: torch.device) -> dict[str, Any]:
    found: dict[str, Any] = {"trained": trained}
    for tracks in given.counts:
        truth: list[dict[int, UInt8Array]] | None = None
        flops = counted(given, network, tracks, device)
        for name in given.precisions:
            dtype = resolve_precision(name, device)
            rates = {"peak": peak(device, dtype, given.peak), "measured matrix product": multiplied(device, dtype)}
            row: dict[str, Any] = {
                "GFLOP a frame": flops / 1e9,
                "TFLOP/s": {k: v and v / 1e12 for k, v in rates.items()},
            }
            row["plain"] = {"frames/s": 1 / (tracks * plain_seconds(given, network, device, dtype))}
            for way, more in WAYS.items():
                run = Run(given, network, tracks, device, dtype, **more)
                row[way] = run.report(flops, rates, row["plain"]["frames/s"])
                truth = truth or run.masks
                if trained and truth and run.masks:
                    row[way]["J with eager fp32"] = agreement(run.masks, truth)
            found[f"{tracks} tracks, {name}"] = row
    return found


class Run:
    """A clip propagated once: seconds of its last frames and all masks as bits, or why it could not be run."""

    def __init__(
        self,
        given: argparse.Namespace,
        network: MMPM,
        tracks: int,
        device: torch.device,
        dtype: torch.dtype,
        sent: bool = True,
        channels_last: bool = False,
        **more: bool,
    ) -> None:
        self.notes: list[str] = []
        found: list[dict[int, BoolArray]] = []
        self.seconds: float | None = None
        self._sent = sent
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        options = MMPMOptions(deep_update="never", **more)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        tracker = mmpm_tracker(network.to(memory_format=layout), device, dtype, options)
        try:
            accelerate(tracker.frames, options, device, self.notes.append)
            self.seconds = timed(self._results(given, tracks, tracker, found), given.frames, device)
        except MugvosError as error:
            self.notes.append(str(error))
        self.masks = [{track: np.packbits(mask) for track, mask in masks.items()} for masks in found]
        self.memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None

    def _results(
        self, given: argparse.Namespace, tracks: int, tracker: Any, found: list[dict[int, BoolArray]]
    ) -> Iterator[None]:
        frames = drawn_frames(given, tracks)
        sent = prepared(frames, tracker.frames.uploads.begin) if self._sent else frames
        for result in propagate(ahead(sent), drawn_prompts(given, tracks), tracker):
            found.append({track: of.mask for track, of in result.tracks.items()})
            yield

    def report(self, flops: float, rates: dict[str, float | None], plain: float) -> dict[str, Any]:
        if self.seconds is None:
            return {"not run": self.notes}
        rate = flops / self.seconds
        shares = {f"of the {name}": rate / most for name, most in rates.items() if most}
        fast = {"frames/s": 1 / self.seconds, "times the plain": 1 / self.seconds / plain, **shares}
        return {**fast, "GiB": self.memory, "notes": self.notes}


def drawn_frames(given: argparse.Namespace, tracks: int) -> Iterator[Frame]:
    """Discs on waves, back and forth."""
    pictures = [drawn_picture(index, tracks, *given.size) for index in range(min(given.frames, TURN))]
    for index in range(given.frames):
        at = index % (2 * TURN)
        yield Frame(index, pictures[min(at, 2 * TURN - 1 - at)].copy(), str(index))


def drawn_picture(index: int, tracks: int, height: int, width: int) -> UInt8Array:
    picture = drawn_image(index, height, width)
    for track in range(tracks):
        picture[drawn_mask(index, track, height, width)] //= 2
        picture[drawn_mask(index, track, height, width)] += np.array(
            [(37 * track + 80 * c) % 128 for c in range(3)], np.uint8
        )
    return picture


def drawn_prompts(given: argparse.Namespace, tracks: int) -> dict[int, dict[int, BoolArray]]:
    return {0: {track + 1: drawn_mask(0, track, *given.size) for track in range(tracks)}}


def timed(results: Iterable[object], frames: int, device: torch.device) -> float:
    """Wall seconds a frame of the last of them."""
    first = max(frames - MEASURED, 1)
    begun = time.perf_counter()
    for at, _ in enumerate(results, 1):
        if at == first:
            settle(device)
            begun = time.perf_counter()
    settle(device)
    return (time.perf_counter() - begun) / (frames - first)


def settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def counted(given: argparse.Namespace, network: MMPM, tracks: int, device: torch.device) -> float:
    """Floating-point operations of a frame: products and convolutions, the mean of the frames that are timed.

    Of attention as it is published: what ours takes more, for the sake of fused kernels, is no work done.
    """
    with mock.patch("engine.propagation.mmpm_frames.fused_mmpm", lambda network: network.eval()):
        tracker = mmpm_tracker(network, device, torch.float32, MMPMOptions(deep_update="never"))
    first, counter = max(given.frames - MEASURED, 1), FlopCounterMode(display=False)
    with ExitStack() as around:
        if device.type == "cpu":  # the counter knows torch's public functions only
            around.enter_context(mock.patch("torch.compiler.is_compiling", lambda: True))
        for at, _ in enumerate(propagate(drawn_frames(given, tracks), drawn_prompts(given, tracks), tracker), 1):
            if at == first:
                around.enter_context(counter)
    return counter.get_total_flops() / (given.frames - first)


@torch.inference_mode()
def plain_seconds(given: argparse.Namespace, network: MMPM, device: torch.device, dtype: torch.dtype) -> float:
    """Of a frame of one track, as the published evaluation runs it."""
    network, side = network.to(device).eval(), network.config.image_side
    track = PlainTrack(network, network.config.interval, network.config.top_k)

    def results() -> Iterator[None]:
        for frame in drawn_frames(given, 1):
            image = plain_input(frame.image, side, network.config.square).to(device)
            with autocast(device, dtype):
                if frame.index == 0:
                    mask = plain_mask(drawn_mask(0, 0, *given.size), side, network.config.square)
                    track.start(image, mask.to(device))
                else:
                    plain_output(track.step(image).float(), frame.image.shape[:2], side)
            yield

    return timed(results(), given.frames, device)


def peak(device: torch.device, dtype: torch.dtype, told: float | None) -> float | None:
    """FLOP/s by data sheet; None for devices that are not in the table."""
    if told is not None:
        return told * 1e12
    name = name_of(device)
    found = next((values for key, values in PEAK.items() if key in name), None)
    return None if found is None else found[dtype != torch.float32] * 1e12


def multiplied(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the product of two large matrices, the best of a few."""
    side = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = math.inf
    for _ in range(6):
        settle(device)
        begun = time.perf_counter()
        torch.mm(a, b)
        settle(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * side**3 / best


def agreement(found: list[dict[int, UInt8Array]], truth: list[dict[int, UInt8Array]]) -> float:
    """Mean J over tracks and frames of masks as bits, the given ones of the first frame left out."""
    values = []
    for ours, theirs in zip(found[1:], truth[1:], strict=True):
        for track, mask in theirs.items():
            union = int(np.bitwise_count(mask | ours[track]).sum())
            values.append(int(np.bitwise_count(mask & ours[track]).sum()) / union if union else 1.0)
    return float(np.mean(values))


def decoding(given: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Frames a second out of an mp4 of these frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with VideoWriter(path, Fraction(24), given.size[1], given.size[0]) as writer:
            for frame in drawn_frames(given, 1):
                writer.write(frame.image)
        ways: dict[str, Callable[[], VideoReader]] = {
            "processor": lambda: open_video(path),
            "card": lambda: open_on_card(path, str(device)),
        }
        return {name: decoded(make, device) for name, make in ways.items()}


def decoded(make: Callable[[], VideoReader], device: torch.device) -> float | str:
    try:
        with make() as reader:
            next(iter(reader))
            begun = time.perf_counter()
            count = sum(1 for _ in reader)
            settle(device)
            return count / (time.perf_counter() - begun)
    except MugvosError as error:
        return str(error)
