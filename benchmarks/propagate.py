"""What propagation costs: ours against a plain implementation of the same network, one track at a time.

    python benchmarks/propagate.py parts [--model mmpm-vit-b] [--top-k 30] [--precision bf16] [--device cuda]
    python benchmarks/propagate.py clip [--tracks 1] [--frames 60] [--weights FILE] [--precision bf16] [--no-plain]
    python benchmarks/propagate.py flat [--png flat.png]
    python benchmarks/propagate.py tracks
    python benchmarks/propagate.py card [--device cuda] [--models mmpm-tiny mmpm-vit-b] [--counts 1 30]

parts: seconds of each part with ten remembered frames, and of a frame made of them (values every fifth frame). The
plain side's cost for n tracks is n times its cost for one, for it runs once a track; ours is measured with one and with
four tracks, and is a straight line in between and beyond. clip: a drawn video of 854x480 through mmpm-tiny, decoding
and store included; both sides must agree. flat: small pictures, the cost of a frame early and late. tracks: its slope.
card: all ways of running on a CUDA card, in one table (propagate_card.py).
Random weights where none are given. CPU: process seconds of all threads; CUDA: wall seconds, synchronised.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn import drawn_image, drawn_mask, random_network
from plain_mmpm import PlainTrack, plain_input, plain_mask, plain_output
from propagate_card import card
from torch import Tensor

from engine.masks import rle
from engine.memory.bank import TemporalMemory
from engine.memory.decisions import SeededDecisions
from engine.models.mmpm.loading import load_mmpm
from engine.models.mmpm.network import MMPM
from engine.propagation.factory import mmpm_tracker
from engine.propagation.job import Job, write_store
from engine.propagation.loop import propagate
from engine.propagation.mmpm_frames import EncodedFrame, MMPMFrames
from engine.propagation.options import MMPMOptions
from engine.propagation.prompts import PromptSet
from engine.runtime import resolve_device, resolve_precision, tune_allocator
from engine.store import StoreReader
from engine.types import BoolArray, Frame, Track, UInt8Array
from engine.video import VideoWriter, open_video

MEMORY, INTERVAL, FEW = 10, 5, 4


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """CPU seconds of one run, or wall seconds on another device after a run that nobody counts."""
    if device.type == "cpu":
        begin = time.process_time()
        work()
        return time.process_time() - begin
    work()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def our_parts(
    frames: MMPMFrames, encoded: EncodedFrame, tracks: int, top_k: int | None
) -> dict[str, Callable[[], Any]]:
    """Every part with `tracks` tracks on memory of random values."""
    size = encoded.image.shape[-2:]
    hidden = frames.empty_hidden(encoded, tracks)
    memory = TemporalMemory(MEMORY, "fifo", SeededDecisions(0), frames.score_dtype)
    key, channels = encoded.key, frames.config.value_dim
    for t in range(MEMORY):
        memory.add(
            t, key.key + 0.1 * t, key.shrinkage, torch.randn(tracks, channels, key.key.shape[2]).to(frames.device)
        )
    soft = torch.rand(tracks, *size, device=frames.device)
    read = torch.randn(tracks, channels, *hidden.shape[-2:], device=frames.device)
    return {
        "read": lambda: memory.read(key.key, key.selection, top_k),
        "decode": lambda: frames.masks(encoded, read, hidden, True),
        "value": lambda: frames.values(encoded, hidden, soft, False),
    }


def plain_parts(network: MMPM, image: Tensor, top_k: int | None) -> dict[str, Callable[[], Any]]:
    track = PlainTrack(network, INTERVAL, top_k)
    track.hidden = network.empty_hidden(1, 1, (image.shape[2], image.shape[3]))
    features, key = track.encode(image)
    value = torch.randn(1, 1, network.config.value_dim, *track.hidden.shape[-2:], device=image.device)
    track.memory = [(key, value)] * MEMORY
    mask, read = torch.rand(1, 1, *image.shape[2:], device=image.device), value
    return {
        "encode": lambda: track.encode(image),
        "read": lambda: track.read(key),
        "decode": lambda: track.segment(features, read),
        "value": lambda: network.encode_value(image, features, track.hidden, mask, False),
    }


@torch.inference_mode()
def parts(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds by part, ours for one and for a few tracks, plain for one."""
    device = resolve_device(given.device)
    network = random_network(given.model)
    picture = drawn_image(0, 480, 854)
    frames = MMPMFrames(network, device, resolve_precision(given.precision, device), 8, False)
    encoded = frames.encode(picture)
    plain = {}
    for name, work in plain_parts(network.to(device), encoded.image, given.plain_top_k).items():
        plain[name] = seconds(work, device)
    tune_allocator()  # the program does, the published code does not
    ours: dict[int, dict[str, float]] = {}
    for tracks in (1, FEW):
        ours[tracks] = {"encode": seconds(lambda: frames.encode(picture), device)}
        for name, work in our_parts(frames, encoded, tracks, given.top_k).items():
            ours[tracks][name] = seconds(work, device)
    rows = {str(n): {"plain": n * per_frame(plain), "ours": line(ours, n)} for n in (1, 10, 30)}
    for row in rows.values():
        row["ratio"] = row["plain"] / row["ours"]
    return {
        "model": given.model,
        "precision": given.precision,
        "top_k": given.top_k,
        "plain": plain,
        "ours": ours,
        "frame": rows,
    }


def per_frame(cost: dict[str, float]) -> float:
    return cost["encode"] + cost["read"] + cost["decode"] + cost["value"] / INTERVAL


def line(ours: dict[int, dict[str, float]], tracks: int) -> float:
    """Seconds a frame for any number of tracks, from the two that were measured."""
    one, few = per_frame(ours[1]) - ours[1]["encode"], per_frame(ours[FEW]) - ours[FEW]["encode"]
    return ours[1]["encode"] + one + (few - one) / (FEW - 1) * (tracks - 1)


def clip(given: argparse.Namespace) -> dict[str, Any]:
    """End to end through a video file and a store, against the plain loop on the same decoded frames."""
    tune_allocator()
    device = resolve_device(given.device)
    network = load_mmpm(given.weights) if given.weights else random_network("mmpm-tiny")
    masks = {k + 1: drawn_mask(0, k, 480, 854) for k in range(given.tracks)}
    dtype = resolve_precision(given.precision, device, on_cpu=True)
    with tempfile.TemporaryDirectory() as folder:
        path, output = Path(folder) / "clip.mp4", Path(folder) / "out.h5"
        with VideoWriter(path, Fraction(24), 854, 480) as writer:
            for index in range(given.frames):
                writer.write(drawn_image(index, 480, 854))
        with open_video(path) as reader:
            tracks = [Track(k, str(k)) for k in masks]
            tracker = mmpm_tracker(network, device, dtype, MMPMOptions(deep_update="never", memory_frames=given.frames))
            cpu, wall = time.process_time(), time.perf_counter()
            write_store(Job(reader, PromptSet(tracks, {0: masks}), tracker, "clip"), output)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            result = {"ours": {"CPU s a frame": cpu / given.frames, "frames/s": given.frames / wall}}
            if given.plain:
                result |= plain_clip(given, network, [frame.image for frame in reader], masks, output)
    return {"tracks": given.tracks, "precision": str(dtype), "threads": torch.get_num_threads(), **result}


@torch.inference_mode()
def plain_clip(
    given: argparse.Namespace, network: MMPM, images: list[UInt8Array], masks: dict[int, BoolArray], output: Path
) -> dict[str, Any]:
    """The first track plainly; the others would cost the same again. agreement: mean J of both sides' masks."""
    cpu, wall = time.process_time(), time.perf_counter()
    track = PlainTrack(network, INTERVAL, network.config.top_k)
    codes = []
    for index, picture in enumerate(images):
        image = plain_input(picture, network.config.image_side)
        if index == 0:
            track.start(image, plain_mask(masks[1], network.config.image_side))
        else:
            codes.append(rle.encode(plain_output(track.step(image), picture.shape[:2], network.config.image_side)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    with StoreReader(output) as store:
        found = {record.frame: record.counts for record in store.clip("clip").records(track=1)}
    agreement = np.mean([rle.iou(code, found[at], 480, 854) for at, code in enumerate(codes, 1)])
    return {
        "plain": {"CPU s a frame": given.tracks * cpu / len(images), "frames/s": len(images) / wall / given.tracks},
        "agreement": float(agreement),
    }


def small_run(tracks: int, count: int) -> Iterator[int]:
    """A long video of small pictures with `tracks` tracks; yields after every frame."""
    tracker = mmpm_tracker(random_network("mmpm-tiny", 96), torch.device("cpu"), torch.float32, MMPMOptions())
    images = [drawn_image(index, 54, 96) for index in range(50)]
    frames = (Frame(index, images[index % 50], str(index)) for index in range(count))
    masks = {k: drawn_mask(0, k, 54, 96) for k in range(tracks)}
    for result in propagate(frames, {0: masks}, tracker):
        yield result.frame


def flat(given: argparse.Namespace) -> dict[str, Any]:
    """CPU milliseconds a frame and resident memory around frames 100, 1,000 and 10,000."""
    tune_allocator()
    marks, found = (100, 1000, 10000), {}
    trace: list[tuple[int, float, float]] = []
    begin = time.process_time()
    for index in small_run(1, marks[-1] + 101):
        if index % 100 == 0:
            now = time.process_time()
            trace.append((index, 10 * (now - begin), resident()))
            begin = now
    for mark in marks:
        near = [row for row in trace if row[0] > 0 and abs(row[0] - mark) <= max(100, mark // 10)]
        found[mark] = {"CPU ms a frame": float(np.median([r[1] for r in near])), "MiB": near[-1][2]}
    if given.png:
        draw(trace, given.png)
    return {"at": found}


def resident() -> float:
    """MiB in memory now; the peak where the system does not tell."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def draw(trace: list[tuple[int, float, float]], path: str) -> None:
    """Cost and memory against the frame's number, each from zero to a quarter above its largest."""
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (900, 420), "white")
    pen = ImageDraw.Draw(canvas)
    for panel, (column, unit) in enumerate(((1, "CPU ms a frame"), (2, "MiB resident"))):
        top, height = 30 + 200 * panel, 150
        values = [row[column] for row in trace[1:]]
        most, last = 1.25 * max(values), trace[-1][0]
        points = [(60 + 820 * row[0] / last, top + height * (1 - row[column] / most)) for row in trace[1:]]
        pen.rectangle((60, top, 880, top + height), outline="gray")
        pen.line(points, fill="navy", width=2)
        pen.text((60, top - 16), f"{unit}; the frame's number from 0 to {last}", fill="black")
        pen.text((8, top), f"{most:.1f}", fill="black")
        pen.text((8, top + height - 12), "0", fill="black")
    canvas.save(path)


def tracks(given: argparse.Namespace) -> dict[str, Any]:
    """CPU milliseconds a frame and MiB for 1 to 500 tracks, and the straight lines through them with their R²."""
    tune_allocator()
    counts, costs, sizes = [1, 5, 20, 100, 200, 500], [], []
    for count in counts:
        run = small_run(count, 24)
        marks = [(time.process_time(), resident()) for index in run if index in (3, 23)]
        costs.append(1000 * (marks[1][0] - marks[0][0]) / 20)
        sizes.append(marks[1][1])
    return {"CPU ms a frame": straight(counts, costs), "MiB": straight(counts, sizes)}


def straight(counts: list[int], found: list[float]) -> dict[str, Any]:
    """The line through figures by number of tracks."""
    slope, base = np.polyfit(counts, found, 1)
    rest = np.array(found) - np.polyval((slope, base), counts)
    r2 = 1 - float(rest @ rest) / float(np.var(found) * len(found))
    return {"found": dict(zip(counts, found, strict=True)), "a track": slope, "base": base, "R²": r2}


def main() -> None:
    """Parse, run, print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("parts", "clip", "flat", "tracks", "card"))
    parser.add_argument("--model", default="mmpm-vit-b")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--top-k", type=int, help="of ours")
    parser.add_argument("--plain-top-k", type=int, help="of the plain side; the published evaluation has none")
    parser.add_argument("--tracks", type=int, default=1)
    parser.add_argument("--frames", type=int, help="40; card: 56, so that the memory is full at the end")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--no-plain", dest="plain", action="store_false")
    parser.add_argument("--png")
    about_card = parser.add_argument_group("card")
    about_card.add_argument("--models", nargs="+", default=["mmpm-tiny", "mmpm-vit-b"], metavar="MODEL")
    about_card.add_argument("--counts", nargs="+", type=int, default=[1, 30], metavar="TRACKS")
    about_card.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    about_card.add_argument("--size", nargs=2, type=int, default=[480, 854], metavar=("HEIGHT", "WIDTH"))
    about_card.add_argument("--side", type=int, help="of the network's input, weights are random then")
    about_card.add_argument(
        "--peak", type=float, help="the card's TFLOP/s in every precision, for cards not in the table"
    )
    given = parser.parse_args()
    given.frames = given.frames or (56 if given.what == "card" else 40)
    what = {"parts": parts, "clip": clip, "flat": flat, "tracks": tracks, "card": card}[given.what]
    print(json.dumps(what(given), indent=1))


if __name__ == "__main__":
    main()
