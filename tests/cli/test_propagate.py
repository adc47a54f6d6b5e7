"""`mugvos propagate` from the outside: outputs, streams, resuming, interrupts."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from small_videos import scene, write_frames, write_mask, write_video

from engine.masks import rle
from engine.store import StoreReader
from engine.video.container import ContainerReader
from mugvos_cli.interrupt import stoppable

Cli = Callable[..., Any]
FAST = ("--model", "dis")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: clip.mp4 of 10 frames, m.png on its first and late.png on its sixth frame."""
    images, masks = scene(10)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "m.png", masks[0])
    write_mask(tmp_path / "late.png", masks[5])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path: str, clip: str = "clip") -> dict[tuple[int, int], bytes]:
    with StoreReader(path) as store:
        return {(r.frame, r.track): r.counts for r in store.clip(clip).records()}


def test_without_output_the_store_is_named_after_the_video(cli: Cli) -> None:
    done = cli("propagate", "clip.mp4", "--mask", "m.png", *FAST)
    assert (done.status, done.out) == (0, "")
    assert "writing clip.h5" in done.err
    assert "clip.h5: 1 track, 10 frames" in done.err
    assert sorted(rows("clip.h5")) == [(frame, 1) for frame in range(10)]


def test_what_made_the_store_is_written_in_it(cli: Cli) -> None:
    cli("propagate", "clip.mp4", "--mask", "car=m.png", "--seed", 3, *FAST)
    with StoreReader("clip.h5") as store:
        made = store.clip("clip").provenance
        assert store.clip("clip").tracks[0].name == "car"
    assert (made["command"], made["model"], made["weights"], made["precision"]) == (
        "propagate",
        "dis",
        "none",
        "float32",
    )
    assert made["options"]["seed"] == 3


def test_prompts_on_later_frames_begin_and_correct_tracks(cli: Cli) -> None:
    masks = ("--mask", "car=m.png", "--mask", "van=late.png@5", "--mask", "car=late.png@5")
    assert cli("propagate", "clip.mp4", *masks, *FAST).status == 0
    found = rows("clip.h5")
    assert sorted(frame for frame, track in found if track == 2) == list(range(5, 10))
    assert found[5, 1] == found[5, 2] == rle.encode(scene(6)[1][5])


def test_an_output_that_exists_is_kept_unless_told(cli: Cli) -> None:
    assert cli("propagate", "clip.mp4", "--mask", "m.png", *FAST).status == 0
    before = Path("clip.h5").read_bytes()
    refused = cli("propagate", "clip.mp4", "--mask", "late.png", *FAST)
    assert refused.status == 2
    assert "--overwrite" in refused.err
    assert Path("clip.h5").read_bytes() == before
    assert cli("propagate", "clip.mp4", "--mask", "late.png", "--overwrite", *FAST).status == 0
    assert Path("clip.h5").read_bytes() != before


@pytest.mark.parametrize("kind", ["-o", "--profile"])
def test_inputs_are_never_replaced(cli: Cli, here: Path, kind: str) -> None:
    assert cli("propagate", "clip.mp4", "--mask", "m.png", "-o", "first.h5", *FAST).status == 0
    before = {name: (here / name).read_bytes() for name in ("clip.mp4", "m.png", "first.h5")}
    for name in before:
        given = ("--mask", "m.png", "--mask", "more=first.h5", *FAST, "--overwrite")
        done = cli("propagate", "clip.mp4", *given, kind, name)
        no_store = kind == "-o" and not name.endswith(".h5")
        words = "a mask store is written, which is no" if no_store else "is an input of this command"
        assert done.status == 2 and f"{name}: {words}" in done.err
    assert {name: (here / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", ["film.mp4", "film.GIF", "mask.png", "tracks.json", "lines.ndjson"])
def test_a_store_is_not_called_like_something_else(cli: Cli, here: Path, name: str) -> None:
    done = cli("propagate", "clip.mp4", "--mask", "m.png", "-o", name, *FAST)
    assert done.status == 2 and f"name it {Path(name).stem}.h5; films and pictures are drawn" in done.err
    assert not (here / name).exists()


def test_the_profile_never_replaces_the_store(cli: Cli) -> None:
    done = cli("propagate", "clip.mp4", "--mask", "m.png", *FAST, "-o", "out.h5", "--profile", "./out.h5")
    assert done.status == 2 and "the store goes there already" in done.err


def test_lines_alone_write_no_file_and_equal_the_store(cli: Cli, here: Path) -> None:
    files = sorted(here.iterdir())
    done = cli("propagate", "clip.mp4", "--mask", "m.png", "--ndjson", *FAST)
    assert done.status == 0
    assert sorted(here.iterdir()) == files
    cli("propagate", "clip.mp4", "--mask", "m.png", *FAST)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(10))
    assert lines[3]["time"] == pytest.approx(0.12)
    assert lines[0]["name"] == "m"
    Path("lines.ndjson").write_text(done.out)
    assert cli("convert", "lines.ndjson", "from-lines.h5").status == 0
    assert rows("from-lines.h5") == rows("clip.h5")


def test_store_on_standard_output(here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    files, received = sorted(here.iterdir()), io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(received))
        assert cli("propagate", "clip.mp4", "--mask", "m.png", "-o", "-", *FAST).status == 0
        Path("piped.h5").write_bytes(received.getvalue())
    assert sorted(here.iterdir()) == sorted([*files, here / "piped.h5"])
    cli("propagate", "clip.mp4", "--mask", "m.png", *FAST)
    assert rows("piped.h5") == rows("clip.h5")


def test_two_things_on_standard_output_are_one_too_many(cli: Cli) -> None:
    done = cli("propagate", "clip.mp4", "--mask", "m.png", "-o", "-", "--ndjson", *FAST)
    assert (done.status, done.out) == (2, "")
    assert "both write to standard output" in done.err


def test_exclusive_tracks_share_no_pixel(cli: Cli) -> None:
    masks = ("--mask", "a=m.png", "--mask", "b=late.png")  # they overlap
    cli("propagate", "clip.mp4", *masks, "-o", "free.h5", *FAST)
    cli("propagate", "clip.mp4", *masks, "-o", "exclusive.h5", "--exclusive", *FAST)

    def most(path: str) -> int:
        with StoreReader(path) as store:
            clip = store.clip("clip")
            return max(int(np.sum([clip.mask(frame, track) for track in (1, 2)], 0).max()) for frame in range(1, 10))

    assert most("free.h5") == 2
    assert most("exclusive.h5") == 1


def test_the_chunk_never_changes_the_result(cli: Cli) -> None:
    images, masks = scene(3)
    write_frames(Path("frames"), images)
    for index, mask in enumerate((masks[0], masks[1], ~masks[0])):
        write_mask(Path(f"{index}.png"), mask)
    prompts = [part for index in range(3) for part in ("--mask", f"{index}.png")]
    for chunk in (1, 3):
        done = cli("propagate", "frames", *prompts, "--random-weights", "--chunk", chunk, "-o", f"{chunk}.h5", "-q")
        assert done.status == 0
        assert "random weights; its masks mean nothing" in done.err
    with StoreReader("1.h5") as one, StoreReader("3.h5") as three:
        clips = one.clip("frames"), three.clip("frames")
        for record in clips[0].records():
            pair = [clip.mask(record.frame, record.track) for clip in clips]
            assert (pair[0] != pair[1]).mean() < 0.001


def test_images_keep_their_numbers(cli: Cli) -> None:
    write_frames(Path("frames"), scene(3)[0], ["00010", "00020", "00030"])
    assert cli("propagate", "frames", "--mask", "m.png", "--mask", "late.png@20", *FAST).status == 0
    assert sorted(rows("frames.h5", "frames")) == [(10, 1), (20, 1), (20, 2), (30, 1), (30, 2)]


SLOW = """
import sys, time
from engine.propagation.flow import FlowTracker
step = FlowTracker.step
def slow(self, *arguments):
    time.sleep(0.15)
    return step(self, *arguments)
FlowTracker.step = slow
from mugvos_cli.main import run
run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_asks_and_a_second_insists(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stoppable() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), number)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable() as should_stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not should_stop()
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupted_the_frame_is_finished_and_kept(cli: Cli) -> None:
    cli("propagate", "clip.mp4", "--mask", "m.png", "-o", "whole.h5", *FAST)
    command = ["propagate", "clip.mp4", "--mask", "m.png", "--ndjson", "-o", "out.h5", *FAST]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["frame"] == 3:
                process.send_signal(signal.SIGINT)
                break
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "stopping after this frame" in err
    last = "mugvos: error: interrupted; what was finished is kept: give the same command again to go on from there"
    assert err.splitlines()[-1] == last
    assert not Path("out.h5").exists()
    done = cli("propagate", "clip.mp4", "--mask", "m.png", "-o", "out.h5", *FAST)
    assert done.status == 0
    assert "went on from frame" in done.err
    assert int(done.err.split("went on from frame ")[1].split()[0]) >= 4
    assert rows("out.h5") == rows("whole.h5")


def test_an_unfinished_run_with_another_video_is_not_taken_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("mugvos_cli.propagate_run.stoppable", _at_once)
        assert cli("propagate", "clip.mp4", "--mask", "m.png", *FAST).status == 130
    write_video(Path("clip.mp4"), scene(12)[0])
    done = cli("propagate", "clip.mp4", "--mask", "m.png", *FAST)
    assert done.status == 2
    assert "other parameters" in done.err
    assert "video" in done.err
    assert cli("propagate", "clip.mp4", "--mask", "m.png", "--overwrite", *FAST).status == 0
    assert len(rows("clip.h5")) == 12


def _at_once(**_: str) -> Any:
    """In place of `stoppable`: somebody asked to stop before the first frame."""
    from contextlib import nullcontext

    return nullcontext(lambda: True)


@pytest.fixture(scope="module")
def small_sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of a SAM that costs nothing, with its configuration."""
    from sam_golden import CONFIG, golden_sam

    from engine.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, golden_sam().state_dict(), {"model": "sam", "config": CONFIG.as_dict()})
    return path


def test_points_and_boxes_begin_tracks_on_any_frame(cli: Cli, small_sam: Path) -> None:
    spots = ("--point", "car=20,20", "--point", "car=5,5,-", "--point", "van=30,20@3", "--box", "box=10,12,40,30@3")
    done = cli("propagate", "clip.mp4", *spots, "--mask", "file=m.png", "--sam", small_sam, *FAST)
    assert done.status == 0, done.err
    assert "car: the single mask on frame 0, predicted IoU" in done.err
    assert re.search(r"van: mask [123] of 3 on frame 3, predicted IoU \d\.\d\d, \d+ pixels \(sam-golden\)", done.err)
    with StoreReader("clip.h5") as store:
        clip = store.clip("clip")
        assert {track.name: track.first_frame for track in clip.tracks} == {"file": 0, "car": 0, "van": 3, "box": 3}
        car = next(track.id for track in clip.tracks if track.name == "car")
        points = {(r.frame, r.track): [(p.x, p.y, p.positive) for p in r.points] for r in clip.records()}
    assert points[0, car] == [(20, 20, True), (5, 5, False)]
    assert points[1, car] == []


@pytest.mark.parametrize(
    ("spots", "said"),
    [
        ((), "nothing to propagate: give --mask"),
        (("--point", "900,20"), "point 900,20 of track 'object' lies outside the video"),
        (("--point", "20,20@99"), "the video ends before it"),
        (("--point", "20,20,-"), "background points only"),
        (("--box", "20,20,10,30"), "ends before it begins"),
        (("--mask", "object=m.png", "--point", "20,20"), "frame 0 has a mask of track 'object' already"),
        (("--point", "20,20", "--sam", "sam-vit-bb"), "no SAM is called 'sam-vit-bb'"),
        (("--point", "20,20", "--sam", "m.png"), "is no file of weights"),
    ],
)
def test_prompts_that_cannot_be_used(cli: Cli, small_sam: Path, spots: tuple[str, ...], said: str) -> None:
    sam = () if "--sam" in spots else ("--sam", small_sam)
    done = cli("propagate", "clip.mp4", *spots, *sam, *FAST)
    assert done.status == 2
    assert said in done.err.splitlines()[-1] and done.err.count("error") == 1


def test_models_around_sam(cli: Cli, small_sam: Path) -> None:
    options: dict[str, dict[str, int]] = {"sam-iou": {"grid": 2}, "persam": {}, "sam-pt": {"refinements": 1}}
    for model, chosen in options.items():
        given = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        done = cli("propagate", "clip.mp4", "--mask", "m.png", "-m", model, "--sam", small_sam, *given, "--overwrite")
        assert done.status == 0, done.err
        with StoreReader("clip.h5") as store:
            made = store.clip("clip").provenance
        assert made["model"] == model and len(made["weights"]) == 16
        assert {**chosen, "sam": "sam-golden"}.items() <= made["options"].items()
    refused = cli("propagate", "clip.mp4", "--mask", "m.png", "-m", "persam", "--point-tracker", "cotracker9")
    assert refused.status == 2 and "cotracker9" in refused.err


REFUSED = [
    (("--graphs", "--device", "cpu", "--model", "mmpm-tiny"), "--graphs records CUDA graphs"),
    (("--decode", "cuda", "--device", "cpu"), "--decode cuda: frames would be decoded on a card and looked at on cpu"),
    (("--graphs", "--profile", "trace.json"), "--profile waits for the card where --graphs must not be disturbed"),
    (("--decode", "gpu"), "is not one of auto, cpu, cuda"),
    (("--compile", *FAST), "--compile means nothing to dis"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_accelerations_that_cannot_be_had_are_refused(cli: Cli, options: tuple[str, ...], message: str) -> None:
    done = cli("propagate", "clip.mp4", "--mask", "m.png", *options)
    assert done.status == 2 and message in re.sub(r"\s+", " ", done.err.replace("│", " "))
    assert not Path("clip.h5").exists()


def test_compiling_without_a_compiler_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    done = cli("propagate", "clip.mp4", "--mask", "m.png", "--compile", "--device", "cpu")
    assert done.status == 2 and "--compile needs a C++ compiler" in done.err and done.err.count("\n") <= 2


def test_sentences_and_looking_need_frames_in_memory(cli: Cli) -> None:
    for what in (("--text", "a dog"), ("--detect-every", "5", "--model", "deva")):
        done = cli("propagate", "clip.mp4", *what, "--decode", "cuda")
        assert done.status == 2 and "--decode cannot be had" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mask", "m.png", "--voting", "3"), "--voting goes with --detect-every"),
        (("--mask", "m.png", "--max-missed", "1"), "--max-missed goes with --detect-every"),
        (("--text", "a dog", "--large-first"), "--large-first goes with --detect-every"),
        (("--mask", "m.png", "--window", "9"), "--window goes with --text"),
        (("--detect-every", "5", "--model", "deva", "--raw-text"), "--raw-text goes with --text"),
        (("--text", "a dog", "--detect-every", "5"), "--text and --detect-every both find the objects"),
    ],
)
def test_options_of_another_way_to_name_objects_are_refused(cli: Cli, options: tuple[str, ...], said: str) -> None:
    done = cli("propagate", "clip.mp4", *options)
    assert done.status == 2 and said in done.err


def test_defaults_of_every_run_may_say_what_one_does_not_need(cli: Cli, here: Path) -> None:
    (here / "mugvos.toml").write_text("[propagate]\nvoting = 2\nwindow = 9\n")
    assert cli("propagate", "clip.mp4", "--mask", "m.png", *FAST).status == 0


def test_decoding_on_a_card(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole command, with a card that is the processor: prompts, tracker, store and what is written in it."""
    import torch

    import engine.video
    from engine.runtime import device
    from engine.video.on_card import CardPicture, CardReader

    class Card(CardReader):
        def __init__(self, source: str) -> None:
            ContainerReader.__init__(self, Path(source), source, Path(source).stem)

        def _frames(self, start: int, stop: int | None, step: int) -> Any:
            for frame in ContainerReader._frames(self, start, stop, step):
                yield replace(frame, image=cast(Any, CardPicture(torch.from_numpy(frame.image))))

    asked: list[str] = []

    def resolved(name: str = "auto") -> torch.device:
        asked.append(name)
        return torch.device("cuda" if len(asked) == 1 else "cpu")

    monkeypatch.setattr(device, "resolve_device", resolved)
    monkeypatch.setattr(engine.video, "open_on_card", lambda source, where, note: Card(source))
    common = ("propagate", "clip.mp4", "--mask", "m.png", "--box", "b=8,8,40,40", "--precision", "fp32")
    done = cli(*common, "--decode", "cuda", "-o", "card.h5")
    assert done.status == 0, done.err
    with StoreReader("card.h5") as store:
        assert store.clip("clip").provenance["decode"] == "cuda"
        assert len(store.clip("clip").tracks) == 2 and store.clip("clip").frame_count == 10
    asked.clear()
    refused = cli(*common[:4], "--decode", "cuda", *FAST)
    assert refused.status == 2 and "dis looks at frames in the computer's own memory" in refused.err
