"""Finding out what a path is, and saying what else it looks like."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from store_samples import records, same_records, write_sample

from engine.errors import FormatError, StoreError
from engine.store import export, open_source
from engine.store.ndjson import mask_line, of_line


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="unknown format 'zip': use one of store, mugvos"):
        open_source(write_sample(tmp_path / "a.h5"), "zip")
    with pytest.raises(FormatError, match=r"its name does not say which format"):
        export(tmp_path / "a.h5", tmp_path / "out")


LOOKS = {
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG image"),
    "MP4": (b"\0\0\0\x18ftypmp42" + bytes(20), "a video"),
    "MKV": (b"\x1aE\xdf\xa3" + bytes(20), "a video"),
    "ZIP": (b"PK\x03\x04" + bytes(20), "a ZIP archive"),
    "nothing": (b"", "an empty file"),
    "text": (b"hello\n", "text"),
    "bytes": (bytes(range(1, 99)) + b"\0", "something binary"),
}


@pytest.mark.parametrize("case", LOOKS)
def test_files_of_another_kind(tmp_path: Path, case: str) -> None:
    data, looks = LOOKS[case]
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(StoreError, match=rf"a\.h5: is no mask store, it looks like {looks}"):
        open_source(tmp_path / "a.h5")


DOCUMENTS = {
    "a list": ([], "one frame of the reference pipeline"),
    "other keys": ({"weights": 1, "bias": 2}, r"not known \(keys: weights, bias\)"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_documents_of_another_kind(tmp_path: Path, case: str) -> None:
    document, message = DOCUMENTS[case]
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match=message):
        open_source(tmp_path / "a.json")


def test_a_document_cut_short(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"videos": [')
    with pytest.raises(FormatError, match="is no JSON"):
        open_source(tmp_path / "a.json")


def test_folders_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="an empty folder"):
        open_source(tmp_path)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "0.jpg")
    with pytest.raises(FormatError, match="a folder of video frames"):
        open_source(tmp_path)
    (tmp_path / "0.jpg").unlink()
    write_sample(tmp_path / "a.h5")
    with pytest.raises(FormatError, match="a folder of stores; merge them first"):
        open_source(tmp_path)


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_ndjson_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(write_sample(tmp_path / "a.h5", times=[0.5 * n for n in range(6)]), tmp_path / "a.ndjson")
    lines = (tmp_path / "a.ndjson").read_bytes()
    monkeypatch.setattr(sys, "stdin", Stdin(lines))
    with open_source("-") as source:
        assert source.format == "ndjson"
        clip = source.clip("street")
        assert [(r.frame, r.track, r.counts) for r in clip.records()] == [
            (r.frame, r.track, r.counts) for r in records()
        ]
        assert clip.times == [0.5 * n for n in range(6)]
    first = json.loads(lines.splitlines()[0])
    assert set(first) == {"clip", "frame", "time", "track", "name", "score", "segmentation"}
    assert first["segmentation"]["size"] == [20, 31]


def test_ndjson_cut_short_and_damaged(tmp_path: Path) -> None:
    export(write_sample(tmp_path / "a.h5"), tmp_path / "a.ndjson")
    lines = (tmp_path / "a.ndjson").read_bytes()
    (tmp_path / "a.ndjson").write_bytes(lines[:-20])
    with open_source(tmp_path / "a.ndjson") as source:
        assert len(list(source.clip("street").records())) == len(records()) - 1
        assert "cut short" in source.notes[0]
    (tmp_path / "b.ndjson").write_bytes(lines.replace(b'"size": [20, 31]', b'"size": [20, 32]'))
    with pytest.raises(FormatError, match=r"b\.ndjson, line 1: run lengths do not fill a mask of 32x20"):
        open_source(tmp_path / "b.ndjson")
    (tmp_path / "c.ndjson").write_bytes(lines + lines)
    with open_source(tmp_path / "c.ndjson") as source, pytest.raises(FormatError, match="two masks in frame"):
        source.clip("street")


def test_lines_along_a_live_pipe() -> None:
    written = "".join(mask_line("street", r, (20, 31), None, "x") + "\n" for r in records()).encode()
    found = [of_line(text, "pipe") for text in written.splitlines()]
    plain = [line.record for line in found]
    assert [(r.frame, r.track, r.counts, r.score) for r in plain] == [
        (r.frame, r.track, r.counts, r.score) for r in records()
    ]
    assert {line.name for line in found} == {"x"} and found[0].clip == "street"


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b""))
    with pytest.raises(StoreError, match="standard input is empty"):
        open_source("-")
    monkeypatch.setattr(sys, "stdin", Stdin(b"hello"))
    with pytest.raises(StoreError, match="standard input: is no mask store, it looks like text"):
        open_source("-")


def test_the_whole_way_round(tmp_path: Path) -> None:
    first = write_sample(tmp_path / "a.h5")
    export(first, tmp_path / "b.h5", "store")
    with open_source(tmp_path / "b.h5") as source:
        clip = source.clip("street")
        assert same_records(list(clip.records()), records())
        assert (clip.fps, clip.source, clip.frame_count) == (25, "street.mp4", 6)
