"""Five small jobs, one a command that writes: what to run, what has been finished so far, and when two ends are equal.

A job's folder holds its inputs; everything that it makes lies in `out/`. What a run works on is noted in `worked`, a
line for each frame or step, so that work that is done twice is seen.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generate_toys import QUICK, write_sam, write_videos
from pipeline_golden import frames
from small_videos import scene, write_frames, write_mask

from engine.errors import MugvosError
from engine.masks import rle
from engine.store import StoreReader, StoreWriter, open_source
from engine.types import Track

STORE = "out/tracks.h5"


@dataclass(frozen=True)
class Job:
    """`arguments`: of the command. `prepare`: fills a folder with its inputs. `certain`: what must never be done
    again, as `worked` names it, by looking at the folder. `result`: what equal runs have in common."""

    name: str
    arguments: tuple[str, ...]
    prepare: Callable[[Path], None]
    certain: Callable[[Path], set[str]]
    result: Callable[[Path], Any]
    output: str = STORE


def store_contents(path: Path) -> dict[str, Any]:
    """All that a store says, but for when it was made."""
    found: dict[str, Any] = {}
    with StoreReader(path) as store:
        for name in store.clips:
            clip = store.clip(name)
            made = {k: v for k, v in clip.provenance.items() if k != "annotation"}
            records = [repr(record) for record in clip.records()]
            times = [repr(time) for time in clip.times]
            parts = (list(clip.frames), times, list(clip.tracks), records, clip.frame_count, clip.complete, made)
            found[name] = [repr(part) for part in parts]
    return found


def note_work(path: Path) -> Callable[[], None]:
    """What a child does before it begins: have each frame and step noted in `path`."""

    def begin() -> None:
        from engine.store import SegmentedRun
        from engine.training.loop import Trainer

        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        append, advance = SegmentedRun.append, Trainer._advance

        def noted_append(self: Any, frame: int, records: Any) -> None:
            os.write(handle, f"{self.output.name} {frame}\n".encode())
            append(self, frame, records)

        def noted_advance(self: Any) -> Any:
            os.write(handle, f"step {self.step + 1}\n".encode())
            return advance(self)

        SegmentedRun.append = noted_append  # type: ignore[method-assign]
        Trainer._advance = noted_advance  # type: ignore[method-assign]

    return begin


def leftovers(folder: Path) -> list[str]:
    """What a finished run leaves beside its outputs that it should not."""
    signs = (".tmp", ".old", ".part", ".clips", ".training.pt", ".lock")
    return [str(p.relative_to(folder)) for p in (folder / "out").rglob("*") if p.name.endswith(signs)]


def _segments(output: Path) -> Iterator[str]:
    """The frames of an unfinished run that are certain."""
    try:
        found = json.loads((output.with_name(output.name + ".part") / "manifest.json").read_bytes())
    except FileNotFoundError:
        return
    for frame in range(found["next_frame"]):
        yield f"{output.name} {frame}"


def _propagated(folder: Path) -> set[str]:
    return (
        {f"tracks.h5 {frame}" for frame in range(12)} if (folder / STORE).exists() else set(_segments(folder / STORE))
    )


def _generated(folder: Path) -> set[str]:
    clips = (folder / STORE).with_name("tracks.h5.clips")
    found: set[str] = set()
    for part in clips.rglob("*.h5.part"):
        found |= set(_segments(part.with_name(part.name.removesuffix(".part"))))
    for store in clips.glob("*/*.h5"):
        with StoreReader(store):
            found |= {f"{store.name} {frame}" for frame in range(4)}
    return found


def _trained(folder: Path) -> set[str]:
    import torch

    path = folder / "out/w.safetensors.training.pt"
    if not path.exists():
        return set()
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {f"step {step}" for step in range(1, state["step"] + 1)}


def _training_result(folder: Path) -> Any:
    rows = [json.loads(line) for line in (folder / "out/w.safetensors.metrics.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in row.items() if k != "speed"} for row in rows]
    return (folder / "out/w.safetensors").read_bytes(), timeless


def _prepare_propagate(folder: Path) -> None:
    images, masks = scene(12)
    write_frames(folder / "frames", images)
    write_mask(folder / "m.png", masks[0])


def _prepare_generate(folder: Path) -> None:
    write_videos(folder / "clips", "ab")
    write_sam(folder / "sam.safetensors")


def _prepare_train(folder: Path) -> None:
    write_frames(folder / "pictures", frames()[:2])


def prepare_stores(folder: Path) -> None:
    """Two stores of two clips each, some hundred masks in all."""
    masks = scene(12)[1]
    for name in ("one", "two"):
        with StoreWriter(folder / f"{name}.h5") as writer:
            for clip in "ab":
                rows = [rle.record(f, t, masks[(f + t) % 12], 0.5) for f in range(12) for t in range(4)]
                tracks = [Track(t, f"part-{t}") for t in range(4)]
                writer.add_clip(f"{name}-{clip}", 64, 48, 12, tracks, rows)


def _earlier(output: Path) -> None:
    """An output of another day, which has to stay or to be replaced whole."""
    if output.suffix:
        output.write_bytes(b"an earlier output")
    else:
        folder = output / "earlier" / "track_1"
        folder.mkdir(parents=True)
        write_mask(folder / "000.png", scene(1)[1][0])


def _converted(folder: Path) -> Any:
    (output,) = [entry for entry in (folder / "out").iterdir() if not entry.name.startswith(".")]
    if output.suffix == ".h5":
        return store_contents(output)
    files = [output] if output.is_file() else sorted(p for p in output.rglob("*") if p.is_file())
    return [(str(file.relative_to(folder)), file.read_bytes()) for file in files]


def whole_or_earlier(folder: Path, output: str) -> None:
    """Raises AssertionError or an error of reading where an output is neither the earlier one nor a whole new one."""
    path = folder / output
    if not path.exists() or (path.is_file() and path.read_bytes() == b"an earlier output"):
        return
    with open_source(path) as source:
        assert list(source.clips), path
        for name in source.clips:
            assert sum(1 for _ in source.clip(name).records()), (path, name)


def opens(path: Path) -> bool:
    """Whether a store is there; raises if it cannot be read to its end."""
    if not path.exists():
        return False
    try:
        store_contents(path)
    except MugvosError as error:
        raise AssertionError(f"{path}: does not open: {error}") from error
    return True


def _convert(kind: str, output: str, *more: str) -> Job:
    arguments = ("convert", *more, output, "--overwrite")
    return Job(f"convert-{kind}", arguments, prepare_stores, lambda folder: set(), _converted, output)


_CPU = ("--device", "cpu")
_QUICK = (*map(str, QUICK), "--grid", "2", "--prompts", "1", "--points", "2")
JOBS = {
    job.name: job
    for job in (
        Job(
            "generate",
            ("generate", "clips", "--checkpoint", "sam.safetensors", *_QUICK, *_CPU, "-o", STORE),
            _prepare_generate,
            _generated,
            lambda folder: store_contents(folder / STORE),
        ),
        Job(
            "propagate",
            ("propagate", "frames", "--mask", "m.png", "--random-weights", "--segment", "2", *_CPU, "-o", STORE),
            _prepare_propagate,
            _propagated,
            lambda folder: store_contents(folder / STORE),
        ),
        Job(
            "train",
            (
                *("train", "--data", "synthetic", "--data", "pictures", "--steps", "6", "--batch", "1", "--size", "32"),
                *("--checkpoint-every", "2", "--log-every", "1", *_CPU, "-o", "out/w.safetensors"),
            ),
            _prepare_train,
            _trained,
            _training_result,
            "out/w.safetensors",
        ),
        _convert("store", STORE, "one.h5", "two.h5"),
        _convert("tree", "out/tree", "one.h5", "--to", "mugvos"),
        _convert("json", "out/tracks.json", "one.h5", "--to", "coco"),
        _convert("lines", "out/tracks.ndjson", "one.h5"),
    )
}


def fresh(job: Job, folder: Path, inputs: Path, earlier: bool = False) -> Path:
    """A folder with the inputs of a job and nothing else; `earlier`: and an output of another day, for `convert`."""
    if not inputs.exists():
        inputs.mkdir(parents=True)
        job.prepare(inputs)
        (inputs / "out").mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(inputs, folder, copy_function=shutil.copy2)
    if earlier and job.name.startswith("convert"):
        _earlier(folder / job.output)
    return folder
