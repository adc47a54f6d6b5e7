"""Valid inputs to begin from: small files of every format that is read. Knows formats; knows nothing of fuzzing."""

import io
import json
import zipfile
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from store_samples import TRACKS, add_sample, masks, records, write_sample

from engine.store import StoreWriter, export
from engine.store.segment_files import pack_records
from engine.store.state import pack
from engine.types import MaskRecord


@cache
def stores() -> tuple[bytes, ...]:
    """Mask stores: one small clip; several clips with long tables, which lie in chunks behind an index."""
    with TemporaryDirectory() as folder:
        small, large = write_sample(Path(folder) / "a.h5"), Path(folder) / "b.h5"
        with StoreWriter(large) as writer:
            for name in ("one", "two", "three/four"):
                add_sample(writer, name, frame_count=1500, provenance={"note": "x" * 3000})
            for number in range(9):
                add_sample(writer, f"clip {number}")
        return small.read_bytes(), large.read_bytes()


def _forward() -> list[MaskRecord]:
    """The sample's masks without background points, which most formats cannot hold."""
    return [replace(record, points=tuple(p for p in record.points if p.positive)) for record in records()]


@cache
def documents() -> dict[str, Any]:
    """A JSON document of every kind that is read."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_sample(root / "a.h5", records=_forward())
        found: dict[str, Any] = {}
        for name in ("coco", "youtube-vis", "sa-v"):
            export(root / "a.h5", root / f"{name}.json", name)
            found[name] = json.loads((root / f"{name}.json").read_bytes())
        export(root / "a.h5", root / "frames", "pipeline")
        found["pipeline"] = json.loads(next((root / "frames").rglob("*.json")).read_bytes())
    found["youtube-vis results"] = found["youtube-vis"]["annotations"]
    found["coco results"] = found["coco"]["annotations"]
    size = [20, 31]
    plain = {"size": size, "counts": [100, 20, 500]}
    polygon = [[1.5, 2, 9, 2.5, 8, 12]]
    for name, code in (("coco plain", plain), ("coco polygons", polygon)):
        changed = json.loads(json.dumps(found["coco"]))
        for annotation in changed["annotations"]:
            annotation["segmentation"] = code
        found[name] = changed
    return found


@cache
def lines() -> bytes:
    """NDJSON of the sample clip."""
    with TemporaryDirectory() as folder:
        write_sample(Path(folder) / "a.h5")
        export(Path(folder) / "a.h5", Path(folder) / "a.ndjson")
        return (Path(folder) / "a.ndjson").read_bytes()


@cache
def pictures() -> tuple[bytes, ...]:
    """PNG of every kind, JPEG, BMP, TIFF, WebP and GIF, 20x31."""
    first = masks()[0, 1]
    labels = first.astype(np.uint8) * 3 + masks()[3, 9].astype(np.uint8) * 7
    colour = np.stack([labels * 9, labels, labels + 20], axis=2)
    palette = Image.fromarray(labels, "P")
    palette.putpalette(bytes(range(256)) * 3)
    transparent = Image.fromarray(np.dstack([colour, labels * 30]), "RGBA")
    deep = Image.fromarray(labels.astype(np.uint16) * 257)
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (Image.fromarray(labels), "PNG", {}), (Image.fromarray(first), "PNG", {}), (palette, "PNG", {}),
        (Image.fromarray(colour), "PNG", {}), (transparent, "PNG", {}), (deep, "PNG", {}),
        (Image.fromarray(colour), "JPEG", {}), (Image.fromarray(colour), "BMP", {}),
        (Image.fromarray(colour), "TIFF", {"compression": "tiff_lzw"}), (transparent, "WEBP", {}), (palette, "GIF", {}),
    ]  # fmt: skip
    found = []
    for image, kind, more in kinds:
        stream = io.BytesIO()
        image.save(stream, kind, **more)
        found.append(stream.getvalue())
    return tuple(found)


@cache
def zips() -> tuple[bytes, ...]:
    """Archives of a tree, a document and a store."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_sample(root / "a.h5", records=_forward())
        export(root / "a.h5", root / "tree", "mugvos")
        export(root / "a.h5", root / "flat", "davis", flatten=True)
        export(root / "a.h5", root / "a.json", "coco")
        chosen = [sorted((root / "tree").rglob("*.png"))[:4], sorted((root / "flat").rglob("*.png"))[:3]]
        return tuple(_zipped(root, files) for files in (*chosen, [root / "a.json"], [root / "a.h5"]))


def _zipped(root: Path, files: list[Path]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root))
    return stream.getvalue()


@cache
def checkpoints() -> tuple[bytes, ...]:
    """safetensors, torch's zip and torch's old form, with and without wrapping."""
    import torch
    from safetensors.torch import save

    state = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor(3), "c": torch.ones(4).half()}
    found = [save(state, {"mugvos": '{"model": "x"}'})]
    for content in (state, {"state_dict": state, "epoch": 3}, {"model": {f"module.{k}": v for k, v in state.items()}}):
        for new in (True, False):
            stream = io.BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=new)
            found.append(stream.getvalue())
    return tuple(found)


@cache
def archives_of_arrays() -> tuple[bytes, ...]:
    """Segments and states of unfinished runs."""
    state = {"times": np.arange(3.0), "more": {"a": [1, "b", None, (2, np.float32(3))], "k": b"xy"}}
    return pack_records(records()), pack(state)


@cache
def manifest() -> dict[str, Any]:
    """The notes of an unfinished run."""
    from engine.store.manifest import Manifest

    known = Manifest({"video": {"source": "a.mp4", "bytes": 3}}, 2, 20, "state-000001.npz", TRACKS)
    return {"format": "mugvos-run", "version": 1, "digest": known.digest, **asdict(known)}


META: tuple[dict[str, Any], ...] = (
    {"videos": {"a": {"objects": {"1": {"frame_range": {"start": 1, "end": 20, "frame_nums": 4}, "category": "x"}}}}},
    {"videos": {"a": {"objects": {"1": {"category": "dog", "frames": ["00000", "00005"]}}}}},
    {"videos": {"a": {"expressions": {"0": {"exp": "a dog", "obj_id": "1"}}, "frames": ["00000", "00005"]}}},
)
"""Meta files of LVOS, YouTube-VOS and Referring YouTube-VOS."""
