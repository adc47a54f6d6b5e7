"""JSON read value by value: the same values as a parser of whole documents, in memory that does not grow."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from store_samples import HEIGHT, WIDTH, masks_of, write_sample

from engine.errors import FormatError
from engine.masks import rle
from engine.store import export, open_source
from engine.store.formats.json_stream import JsonFile, JsonReader

DOCUMENT: dict[str, Any] = {
    "numbers": [0, -12, 1.5, -2.5e10, 1e-7, 123456789012345678],
    "text": ["", "plain", 'quote " and \\ and \n', "Fußgängerin", "\U0001f600", "x" * 40],
    "ü": {"true": True, "false": False, "null": None, "empty": [{}, [], [[]]]},
    "deep": [[[{"a": [1, {"b": [2, 3]}]}]]],
}


def walked(reader: JsonReader) -> Any:
    """The value, entered at every level."""
    if reader.kind() == "{":
        return {name: walked(reader) for name in reader.names()}
    if reader.kind() == "[":
        return [walked(reader) for _ in reader.entries()]
    return reader.value()


def reader_of(text: bytes, block: int = 1 << 12) -> JsonReader:
    return JsonReader(io.BytesIO(text), "a.json", block=block)


@pytest.mark.parametrize("block", [1, 2, 7, 64, 4096])
@pytest.mark.parametrize("form", [{}, {"ensure_ascii": False}, {"indent": 2}])
def test_the_same_values_however_the_file_is_cut_into_blocks(block: int, form: dict[str, Any]) -> None:
    text = json.dumps(DOCUMENT, **form).encode()
    for whole in (text, b"\xef\xbb\xbf" + text, b" \n" + text + b"\n"):
        reader = reader_of(whole, block)
        assert walked(reader) == DOCUMENT
        reader.end()
    passed, taken = reader_of(text, block), reader_of(text, block)
    passed.skip()
    passed.end()
    assert taken.value() == DOCUMENT
    assert list(reader_of(text, block).names()) == list(DOCUMENT)


def test_values_are_found_again_by_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(DOCUMENT, ensure_ascii=False), encoding="utf-8")
    with JsonFile(tmp_path / "a.json") as file:
        reader = file.read()
        places = [(name, list(reader.entries())) for name in reader.names() if reader.kind() == "["]
        for name, offsets in places:
            assert [file.value(offset) for offset in offsets] == DOCUMENT[name]


def test_every_cut_is_an_error() -> None:
    text = json.dumps(DOCUMENT).encode()
    for end in range(len(text)):
        with pytest.raises(FormatError, match="is no JSON"):
            reader = reader_of(text[:end], 16)
            walked(reader)
            reader.end()


BROKEN = {
    b'{"a": 1,}': "a key|'}'",
    b"[1 2]": "',' or ']' expected",
    b'{"a" 1}': "a key and a colon expected",
    b"{1: 2}": "a key and a colon expected",
    b"[1, 2] 3": "the end of the file expected",
    b'["\xfc"]': "not UTF-8",
    b"[tru]": "Expecting value at byte 1",
    b"[" * 100_000: "nested too deeply",
    b"[" + b"9" * 5000 + b"]": "a number too long",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_documents(text: bytes) -> None:
    reader = reader_of(text)
    with pytest.raises(FormatError, match=BROKEN[text]):
        reader.skip()
        reader.end()


COUNT = 1000
PADDED = {"size": [HEIGHT, WIDTH], "counts": rle.empty(HEIGHT, WIDTH).decode(), "padding": "x" * 4000}
SIZE = {"width": WIDTH, "height": HEIGHT}
NAMES = [f"street/{frame:05d}.jpg" for frame in range(COUNT)]
LONG: dict[str, dict[str, Any]] = {
    "coco": {
        "images": [{"id": i, "file_name": name, **SIZE} for i, name in enumerate(NAMES)],
        "annotations": [{"id": i, "image_id": i, "track_id": 1, "segmentation": PADDED} for i in range(COUNT)],
    },
    "youtube-vis": {
        "annotations": [{"id": 1, "video_id": 1, "segmentations": [PADDED] * COUNT}],
        "videos": [{"id": 1, "file_names": NAMES, **SIZE}],
    },
    "sa-v": {
        "video_id": "street",
        "masklet": [[PADDED]] * COUNT,
        "masklet_id": [1],
        "frame_numbers": list(range(COUNT)),
        "video_height": HEIGHT,
        "video_width": WIDTH,
    },
}


@pytest.mark.parametrize("format", LONG)
def test_a_source_holds_numbers_and_not_the_file(tmp_path: Path, format: str) -> None:
    path = tmp_path / "long.json"
    path.write_text(json.dumps(LONG[format]))
    tracemalloc.start()
    with open_source(path) as source:
        clip: Any = source.clip("street")
        masks = clip.packed(clip.frames[-8:], 1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert source.format == format and len(clip.frames) == COUNT
    assert all(mask is not None and not mask.any() for mask in masks)
    assert 2 * most < path.stat().st_size


def test_packed_masks_are_those_of_a_store(tmp_path: Path) -> None:
    store = write_sample(tmp_path / "a.h5")
    export(store, tmp_path / "a.json", "youtube-vis")
    with open_source(store) as first, open_source(tmp_path / "a.json") as second:
        clips: list[Any] = [first.clip("street"), second.clip("street")]
        assert masks_of(clips[0]) == masks_of(clips[1])
        for track in (1, 4, 9):
            one, other = (clip.packed(range(7), track) for clip in clips)
            assert [m is None or m.tolist() for m in one] == [m is None or m.tolist() for m in other]
