"""What is fuzzed: each target takes bytes and hands what they say to a reader; only a MugvosError may come back.

Here: masks, documents, pictures, archives, options. Weights and the pages of annotate have modules of their own.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pages
import samples
import weights
from wishes import FOLDER, ODD, Wish, changed, file

from engine.errors import MugvosError

Target = Callable[[bytes], None]


def read_everything(path: Path, format: str | None = None) -> None:
    """All that a source of masks can be asked for."""
    from engine.store import open_source

    with open_source(path, format) as source:
        for name in list(source.clips)[:50]:
            clip = source.clip(name)
            records = list(clip.records())
            for track in list(clip.tracks)[:20]:
                for frame in list(clip.frames)[:5]:
                    clip.mask(frame, track.id)
                    if hasattr(clip, "packed"):
                        clip.packed(list(clip.frames)[:3], track.id)
            for frame in list(clip.frames)[:5]:
                clip.void(frame)
            assert all(len(record.counts) for record in records)


def rle_codes(data: bytes) -> None:
    """Compressed run lengths of any bytes and size."""
    from engine.masks import packed_runs, rle

    wish = Wish(data)
    height, width = wish.one_of((1, 2, 5, 48, 300)), wish.one_of((1, 3, 7, 64, 1000))
    code = wish.rest()
    if wish.number(4):  # letters of the code rather than any byte
        code = bytes(48 + value % 64 for value in code)
    runs = rle.runs(code)
    if rle.is_valid(code, height, width):
        mask = rle.decode(code, height, width)
        assert mask.shape == (height, width)
        assert int(mask.sum()) == rle.area(code, height, width)
        assert runs is not None and int(runs.sum()) == height * width
        assert rle.is_valid(rle.encode(mask), height, width)
        rle.box(code, height, width)
        packed_runs.packed_columns(code, _length(code), height, width)
    else:
        try:
            rle.record_of_counts(0, 0, code, height, width)
        except MugvosError:
            return
        raise AssertionError("a code that is not valid was taken")


def _length(code: bytes) -> Any:
    import numpy as np

    return np.array([len(code)], np.int64)


def rle_values(data: bytes) -> None:
    """Segmentations of JSON in all their forms, spoiled."""
    from engine.store.formats.base import checked_record

    wish = Wish(data)
    size: tuple[int, int] = wish.one_of(((20, 31), (1, 1), (65535, 4096), (480, 854)))
    height, width = size
    runs = [wish.number(700) for _ in range(wish.number(12))]
    runs.append(max(0, height * width - sum(runs)))
    letters = bytes(48 + value % 64 for value in wish.rest()[:30]).decode()
    points = [float(wish.number(70000)) / 7 - 90 for _ in range(2 * wish.number(9))]
    forms: tuple[Any, ...] = (
        {"size": [height, width], "counts": runs}, {"size": [height, width], "counts": letters},
        [points], [points, points],
        {"counts": runs}, wish.one_of(ODD),
    )  # fmt: skip
    code = {"code": wish.one_of(forms)}
    checked_record(0, 1, changed(code, wish).get("code"), height, width, "here")


def spots(data: bytes) -> None:
    """Points and boxes of the command line."""
    from engine.propagation.spots import check_inside, parse_spots

    text = data.decode("utf-8", "replace")
    points, _, boxes = text.partition("|")
    for spot in parse_spots(points.split(";") if points else (), boxes.split(";") if boxes else ()):
        check_inside(spot, (48, 64))
        str(spot)


def mask_prompts(data: bytes) -> None:
    """[NAME=]PATH[@FRAME] of the command line."""
    from engine.propagation.prompts import parse_mask_prompt

    parse_mask_prompt(os.fsdecode(data))


def arguments(data: bytes) -> None:
    """Other small languages of options: parts of a whole, amounts of memory, sizes, raw pictures."""
    from engine.generation.plan import parse_shard
    from engine.runtime.memory import parse_size
    from engine.video.pipes import parse_raw
    from mugvos_cli.commands.generate import _size

    wish = Wish(data)
    parse = wish.one_of((parse_shard, parse_size, parse_raw, _size))
    parse(wish.rest().decode("utf-8", "replace"))


def configuration(data: bytes) -> None:
    """mugvos.toml and --config."""
    from mugvos_cli import config

    with file("mugvos.toml", data) as path:
        config.run_defaults(path, "train", _command("train"))


@cache
def _command(name: str) -> Any:
    from mugvos_cli.main import load

    return load(name)


def list_files(data: bytes) -> None:
    """Lists of images."""
    from engine.video import open_video

    (FOLDER / f"fuzz-{os.getpid()}").mkdir(exist_ok=True)
    for name, picture in zip(("a.png", "b.png"), samples.pictures(), strict=False):
        (FOLDER / f"fuzz-{os.getpid()}" / name).write_bytes(picture)
    with file("list.txt", data.replace(b"HERE", b"fuzz-%d" % os.getpid())) as path, open_video(path) as reader:
        list(reader)


def lines(data: bytes) -> None:
    """NDJSON as any bytes."""
    with file("lines.ndjson", data) as path:
        read_everything(path, "ndjson" if data[:1] > b"@" else None)


def line_values(data: bytes) -> None:
    """Lines of NDJSON with values spoiled."""
    wish = Wish(data)
    given = [json.loads(line) for line in samples.lines().splitlines()[:6]]
    spoiled = changed(given, wish)
    with file("lines.ndjson", b"\n".join(json.dumps(line).encode() for line in spoiled) + b"\n") as path:
        read_everything(path, "ndjson")


def json_bytes(data: bytes) -> None:
    """JSON documents as any bytes."""
    wish = Wish(data)
    format = wish.one_of((None, None, "coco", "youtube-vis", "sa-v"))
    with file("document.json", wish.rest()) as path:
        read_everything(path, format)


def json_values(data: bytes) -> None:
    """JSON documents with values spoiled."""
    wish = Wish(data)
    name = wish.one_of(sorted(samples.documents()))
    document = changed(samples.documents()[name], wish)
    if name == "pipeline":
        with _clip_folder(document) as folder:
            read_everything(folder, "pipeline")
        return
    with file("document.json", json.dumps(document).encode()) as path:
        read_everything(path, wish.one_of((None, None, None, "coco", "youtube-vis", "sa-v")))


@contextlib.contextmanager
def _clip_folder(document: Any) -> Iterator[Path]:
    folder = FOLDER / f"fuzz-{os.getpid()}-clips" / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00001.json").write_bytes(json.dumps(document).encode())
    yield folder.parent


def meta_files(data: bytes) -> None:
    """The meta files of data sets, values spoiled; now and then any bytes."""
    from engine.evaluation.meta import read_meta

    wish = Wish(data)
    spoiled = wish.number(16) == 1
    text = wish.rest() if spoiled else json.dumps(changed(wish.one_of(samples.META), wish)).encode()
    with file("meta.json", text) as path:
        read_meta(path)


def exported(data: bytes) -> None:
    """What was spoiled and is readable can be written in any format, or is refused by one line."""
    from engine.store import FORMATS, export
    from engine.store.atomic import remove

    wish = Wish(data)
    name = wish.one_of([n for n in sorted(samples.documents()) if n != "pipeline"])
    document = changed(samples.documents()[name], wish)
    target = wish.one_of(sorted(FORMATS))
    output = FOLDER / f"fuzz-{os.getpid()}-out" / {"store": "o.h5", "ndjson": "o.ndjson"}.get(target, "o")
    output = output.with_suffix(".json") if target in ("coco", "youtube-vis", "sa-v") else output
    with file("document.json", json.dumps(document).encode()) as path:
        try:
            export(path, output, target, flatten=bool(wish.number(2)))
            read_everything(output)
        finally:
            remove(output.parent)


def pictures(data: bytes) -> None:
    """Pictures and masks as any bytes."""
    from engine.store.formats import png
    from engine.video.stills import read_image

    with file("picture.png", data) as path:
        for read in (png.read_mask_image, png.read_values, png.read_binary, png.image_size, read_image):
            with contextlib.suppress(MugvosError):
                read(path)


def zips(data: bytes) -> None:
    """Archives as any bytes."""
    with file("masks.zip", data) as path:
        read_everything(path)


def arrays(data: bytes) -> None:
    """Segments, states and notes of unfinished runs."""
    from engine.store.segment_files import read_segment, read_state

    wish = Wish(data)
    if wish.number(8) == 0:
        _manifest(wish)
        return
    with file("segment.npz", wish.rest()) as path:
        for read in (read_segment, read_state):
            with contextlib.suppress(MugvosError):
                read(path)


def _manifest(wish: Wish) -> None:
    from engine.store import manifest

    folder = FOLDER / f"fuzz-{os.getpid()}-run"
    folder.mkdir(exist_ok=True)
    document = changed(samples.manifest(), wish)
    (folder / manifest.MANIFEST).write_bytes(json.dumps(document).encode())
    found = manifest.load(folder)
    assert found is None or manifest.differing(found.parameters, {}) is not None


TARGETS: dict[str, tuple[Target, Callable[[], tuple[bytes, ...]]]] = {
    "rle-codes": (rle_codes, lambda: (b"\0\0d6", b"\0\3fPb0000")),
    "rle-values": (rle_values, lambda: (b"\0\5abcdefghijklmnopqrstuvwxyz" * 3,)),
    "spots": (spots, lambda: (b"a=1,2@3;4,5,-|b=1,2,3,4", b"1e5,nan|", b"|0,0,1,1@999999999")),
    "mask-prompts": (mask_prompts, lambda: (b"a=m.png@3", b"/dev/null", b"~x/m.png")),
    "arguments": (arguments, lambda: (b"\0001/16", b"\0014GiB", b"\002640x480@30:yuv420p", b"\0031080x680")),
    "configuration": (configuration, lambda: (b'data = ["synthetic"]\nsteps = 3\n[train]\nlr = 0.5\n', b"a.b = 1")),
    "list-files": (list_files, lambda: (b"HERE/a.png\nHERE/b.png\n", b"\xef\xbb\xbf../x.png\n")),
    "lines": (lines, lambda: (samples.lines()[:600], samples.lines())),
    "line-values": (line_values, lambda: (b"abcdefgh" * 4,)),
    "json-bytes": (json_bytes, lambda: tuple(b"\0" + json.dumps(d).encode() for d in samples.documents().values())),
    "json-values": (json_values, lambda: tuple(bytes([n]) + b"abcdefgh" * 4 for n in range(9))),
    "exported": (exported, lambda: tuple(bytes([n]) + b"abcdefgh" * 4 for n in range(9))),
    "meta-files": (meta_files, lambda: tuple(bytes([2, n]) + b"abcdefgh" * 4 for n in range(3))),
    "pictures": (pictures, samples.pictures),
    "zips": (zips, samples.zips),
    "arrays": (arrays, lambda: tuple(b"\1" + data for data in samples.archives_of_arrays())),
    "checkpoints": (weights.checkpoints, samples.checkpoints),
    "descriptions": (weights.descriptions, weights.samples_of_descriptions),
    "journals": (pages.journals, lambda: (b"abcdefgh",)),
    "page-fields": (pages.fields, lambda: (b"abcdefgh" * 3,)),
    "page-requests": (pages.requests, lambda: tuple(bytes([n]) for n in range(32))),
    "page-headers": (pages.headers, lambda: tuple(bytes([n, n, n, n]) for n in range(24))),
}
