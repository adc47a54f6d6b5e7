"""Whole runs of `mugvos generate`: the same whatever interrupts it, failures named, parts that make up the whole."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generate_toys import QUICK, contents, write_sam, write_videos
from pipeline_golden import frames
from small_videos import scene, write_frames, write_video

from engine.store import StoreReader, merge_stores
from engine.video import VideoWriter


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sam(tmp_path_factory.mktemp("sam") / "sam.safetensors")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def run(cli: Callable[..., Any], sam: Path) -> Callable[..., Any]:
    def generate(*args: object) -> Any:
        return cli("generate", "--checkpoint", sam, "--device", "cpu", *QUICK, *args)

    return generate


@pytest.fixture(scope="module")
def whole(sam: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("whole") / "out.h5"
    subprocess.run(_command(sam, videos, path), check=True, capture_output=True)
    return contents(path)


def _command(sam: Path, videos: Path, output: Path) -> list[str]:
    plain = ["generate", videos, "--checkpoint", sam, "--device", "cpu", *QUICK, "-o", output]
    return [sys.executable, "-c", "from mugvos_cli.main import run; run()", *map(str, plain)]


def test_a_store_with_a_clip_for_each_video(whole: dict[str, Any]) -> None:
    assert list(whole) == ["a", "b"]
    for numbers, tracks, records, count, complete in whole.values():
        assert (numbers, count, complete) == ([0, 1, 2, 3], 4, True)
        assert 0 < len(tracks) <= 4 and len(records) == 4 * len(tracks)


@pytest.mark.parametrize("batch", [1, 50])
def test_batches_change_nothing(batch: int, run: Callable[..., Any], videos: Path, whole: Any, tmp_path: Path) -> None:
    assert run(videos, "-o", tmp_path / "out.h5", "--batch", batch).status == 0
    assert contents(tmp_path / "out.h5") == whole
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "no-config"] == ["out.h5"]


def test_what_a_clip_says_of_its_making(run: Callable[..., Any], videos: Path, tmp_path: Path) -> None:
    outcome = run(videos / "a", "-o", tmp_path / "out.h5", "--seed", 5, "--json")
    report = json.loads(outcome.out)
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("a")
        made = clip.provenance
        assert made["command"] == "generate" and made["flow"] == "dis" and made["model"] == "sam-golden"
        assert made["settings"]["seed"] == 5 and len(made["weights"]) == 16
        later = [record for record in clip.records(frame=1) if record.area]
        assert later and all(r.points and 0 <= r.warped_iou <= 1 and r.stability > 0.95 for r in later)
        assert report["tracks"] == len(clip.tracks) and report["failed"] == []


@pytest.mark.parametrize("after", ["0.h5.part", "segment-000001", "segment-000003"])
def test_a_killed_run_goes_on(after: str, sam: Path, videos: Path, whole: Any, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    command = _command(sam, videos, output)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if any(after in str(path) for path in (tmp_path / "out.h5.clips").rglob("*")) or after.endswith(".part"):
            if after.endswith(".part") and not (tmp_path / "out.h5.clips").exists():
                continue
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    subprocess.run(command, check=True, capture_output=True)
    assert contents(output) == whole
    assert not (tmp_path / "out.h5.clips").exists()


def test_shards_make_up_the_whole(run: Callable[..., Any], videos: Path, whole: Any, tmp_path: Path) -> None:
    for part in (1, 2):
        assert run(videos, "-o", tmp_path / f"{part}.h5", "--shard", f"{part}/2").status == 0
    merge_stores([tmp_path / "1.h5", tmp_path / "2.h5"], tmp_path / "all.h5")
    assert contents(tmp_path / "all.h5") == whole
    assert run(videos, "-o", tmp_path / "3.h5", "--shard", "3/3").status == 2
    assert "--shard 0/2" in run(videos, "-o", tmp_path / "3.h5", "--shard", "0/2").err


def test_a_failing_clip_is_named_and_tried_again(
    run: Callable[..., Any], videos: Path, whole: Any, tmp_path: Path
) -> None:
    write_videos(tmp_path / "v", "ab")
    broken = tmp_path / "v" / "c"
    write_frames(broken, frames())
    (broken / "00002.png").write_bytes(b"no picture")
    output = tmp_path / "out.h5"
    first = run(tmp_path / "v", "-o", output)
    assert first.status == 1 and "c: " in first.err and "--retry-failed" in first.err
    assert contents(output) == whole
    again = run(tmp_path / "v", "-o", output)
    assert again.status == 1 and "2 clips had been finished earlier" in again.err
    (broken / "00002.png").write_bytes((tmp_path / "v" / "a" / "00002.png").read_bytes())
    mended = run(tmp_path / "v", "-o", output, "--retry-failed")
    assert mended.status == 0, mended.err
    assert list(contents(output)) == ["a", "b", "c"]
    assert contents(output)["c"][1:] == whole["a"][1:] or len(contents(output)["c"][2]) > 0
    assert not (tmp_path / "out.h5.clips").exists()


def test_only_failing_clips_are_an_error(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    outcome = run(tmp_path / "bad.mp4", "-o", tmp_path / "out.h5")
    assert outcome.status == 2 and "bad" in outcome.err and not (tmp_path / "out.h5").exists()


def test_other_parameters_are_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    write_videos(tmp_path / "v", "a")
    (tmp_path / "v" / "a" / "00001.png").write_bytes(b"no picture")
    output = tmp_path / "out.h5"
    assert run(tmp_path / "v", "-o", output).status == 2
    refused = run(tmp_path / "v", "-o", output, "--seed", 7)
    assert refused.status == 2 and "other parameters" in refused.err and "settings" in refused.err
    write_videos(tmp_path / "w", "a")
    assert run(tmp_path / "w", "-o", output, "--seed", 7, "--overwrite").status == 0
    done = run(tmp_path / "w", "-o", output, "--seed", 7)
    assert done.status == 2 and "exists already" in done.err


def test_a_video_is_never_replaced(run: Callable[..., Any], tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, scene(2)[0])
    before = video.read_bytes()
    outcome = run(video, "-o", video, "--overwrite")
    assert outcome.status == 2 and "is an input of this command" in outcome.err
    assert video.read_bytes() == before


def test_clips_of_a_length(run: Callable[..., Any], videos: Path, tmp_path: Path) -> None:
    assert run(videos / "a", "-o", tmp_path / "out.h5", "--clip-length", 3, "--resize", "64x48").status == 0
    with StoreReader(tmp_path / "out.h5") as store:
        assert list(store.clips) == ["a_bin0"]
        clip = store.clip("a_bin0")
        assert (clip.width, clip.height, list(clip.frames)) == (64, 48, [0, 1, 2])
    assert "no size" in run(videos / "a", "-o", tmp_path / "x.h5", "--resize", "64").err
    short = run(videos, "-o", tmp_path / "x.h5", "--clip-length", 5)
    assert short.status == 2 and "no video has frames enough" in short.err and "above" not in short.err


def test_the_plan_alone(run: Callable[..., Any], videos: Path, tmp_path: Path) -> None:
    outcome = run(videos, "-o", tmp_path / "out.h5", "--clip-length", 2, "--dry-run", "--json")
    clips = json.loads(outcome.out)["clips"]
    assert [(c["name"], c["start"], c["stop"]) for c in clips] == [
        ("a_bin0", 0, 2),
        ("a_bin1", 2, 4),
        ("b_bin0", 0, 2),
        ("b_bin1", 2, 4),
    ]
    assert outcome.status == 0 and not (tmp_path / "out.h5").exists()
    assert "from frame" in run(videos, "--dry-run").out
    outcome = run(videos)
    assert outcome.status == 2 and "no output named: add -o FILE" in outcome.err


@pytest.mark.parametrize("option", ["--min-mean-iou", "--min-agreement", "--duplicates"])
def test_an_iou_is_a_share(option: str, run: Callable[..., Any], videos: Path, tmp_path: Path) -> None:
    refused = run(videos, "-o", tmp_path / "out.h5", option, 70)
    assert refused.status == 2 and option in refused.err and refused.err.count("\n") == 1


def test_kept_warped_masks_are_part_of_a_run(run: Callable[..., Any], videos: Path, tmp_path: Path) -> None:
    assert run(videos / "a", "-o", tmp_path / "out.h5", "--keep-warped", 0.95).status == 0
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("a")
        assert clip.provenance["settings"]["link"]["keep_warped"] == 0.95
        kept = [r for r in clip.records() if r.area and r.frame and r.warped_iou < 0.95]
    assert kept and all(np.isnan(r.score) and not r.points for r in kept)
    assert "--keep-warped" in run(videos / "a", "-o", tmp_path / "x.h5", "--keep-warped", 2).err


def test_agreement_leaves_out_what_drifts(run: Callable[..., Any], videos: Path, whole: Any, tmp_path: Path) -> None:
    assert run(videos / "a", "-o", tmp_path / "all.h5", "--min-agreement", 0).status == 0
    assert contents(tmp_path / "all.h5")["a"] == whole["a"]
    outcome = run(videos / "a", "-o", tmp_path / "some.h5", "--min-agreement", 0.9, "--json")
    report = json.loads(outcome.out)
    assert report["left out"] + report["tracks"] == len(whole["a"][1])
    with StoreReader(tmp_path / "some.h5") as store:
        quality = store.clip("a").provenance["quality"]
    assert quality["min_agreement"] == 0.9
    assert sum(quality["left out"].values()) == report["left out"]


def test_a_pipe_is_read_for_the_plan_for_clips_and_backwards(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VideoWriter(tmp_path / "v.mp4", 10, 128, 96) as writer:
        for image in frames()[:2] * 2:
            writer.write(image)
    options = ("-o", tmp_path / "out.h5", "--clip-length", 2, "--split-scenes", "--min-agreement", 0, "--max-tracks", 1)
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as there:  # less than a pipe holds
        there.write((tmp_path / "v.mp4").read_bytes())
    with io.TextIOWrapper(os.fdopen(read_end, "rb")) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        outcome = run("-", *options)
    assert outcome.status == 0, outcome.err
    assert list(contents(tmp_path / "out.h5")) == ["stdin_bin0", "stdin_bin1"]
    refused = run("-", "-o", tmp_path / "x.h5", "--workers", 2)
    assert refused.status == 2 and "standard input is not there for workers" in refused.err


def test_what_was_generated_trains(
    run: Callable[..., Any], cli: Callable[..., Any], videos: Path, tmp_path: Path
) -> None:
    assert run(videos / "a", "-o", tmp_path / "tracks.h5", "--max-tracks", 3).status == 0
    short = ("--steps", 2, "--batch", 1, "--size", 32, "--device", "cpu")
    trained = cli(
        "train", "--data", tmp_path / "tracks.h5", "--videos", videos, "-o", tmp_path / "w.safetensors", *short
    )
    assert trained.status == 0, trained.err
    rows = (tmp_path / "w.safetensors.metrics.jsonl").read_text().splitlines()
    assert rows and all(np.isfinite(json.loads(row)["loss"]) for row in rows)
