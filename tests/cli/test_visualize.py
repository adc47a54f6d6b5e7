"""`mugvos visualize` from end to end, on clips and stores made here."""

import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.masks import rle
from engine.rendering.colours import LIGHT, colour_of
from engine.store.writer import StoreWriter
from engine.types import Track
from engine.video import VideoWriter, open_video

Cli = Callable[..., Any]
FRAMES, HEIGHT, WIDTH = 8, 48, 65
RATE = Fraction(30000, 1001)


def whole(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:40, 4 + 2 * index : 34 + 2 * index] = True
    return mask


def part(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[16:28, 10 + 2 * index : 20 + 2 * index] = True
    return mask


def picture(index: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 100 + 10 * index, np.uint8)


def write_store(path: Path, names: list[str], source: str = "", numbers: range = range(FRAMES)) -> Path:
    tracks = [Track(1, "whole"), Track(2, "part", parent=1, level=1)]
    with StoreWriter(path) as store:
        for name in names:
            records = (rle.record(n, t, m(i)) for i, n in enumerate(numbers) for t, m in ((1, whole), (2, part)))
            store.add_clip(name, WIDTH, HEIGHT, len(numbers), tracks, records, source, RATE, frames=list(numbers))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: clip.mp4, the same frames as PNGs (even numbers) in frames/, their masks in clip.h5."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter("clip.mp4", RATE, WIDTH, HEIGHT) as film:
        for index in range(FRAMES):
            film.write(picture(index))
    Path("frames").mkdir()
    for index in range(FRAMES):
        Image.fromarray(picture(index)).save(f"frames/{2 * index:05d}.png")
    write_store(Path("tracks.h5"), ["clip"], "frames")
    return tmp_path


def two_videos(folder: Path) -> None:
    """Folders of frames named `clip` and `frames`."""
    shutil.copytree("frames", folder / "clip")
    shutil.copytree("frames", folder / "frames")


def images(path: str | Path) -> list[np.ndarray]:
    with open_video(path) as reader:
        return [frame.image for frame in reader]


def shows(image: np.ndarray, track: int) -> bool:
    return bool((image == colour_of(track)).all(axis=2).any())


def test_film_of_a_store_with_its_own_video(cli: Cli, here: Path) -> None:
    outcome = cli("visualize", "tracks.h5")
    assert (outcome.status, outcome.out) == (0, "")
    assert "wrote tracks.mp4" in outcome.err
    with open_video("tracks.mp4") as reader:
        assert reader.count() == FRAMES
        assert reader.info.fps == RATE


def test_pixels_of_a_folder_of_pngs(cli: Cli, here: Path) -> None:
    assert cli("visualize", "tracks.h5", "-o", "drawn").status == 0
    drawn = images("drawn")
    assert len(drawn) == FRAMES
    for index, image in enumerate(drawn):
        assert tuple(image[10, 20 + 2 * index]) == colour_of(1)
        assert tuple(image[16, 15 + 2 * index]) == colour_of(2)
        assert tuple(image[2, 2]) == tuple(picture(index)[2, 2])


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webm", ".mkv"])
def test_every_kind_of_film(cli: Cli, here: Path, suffix: str) -> None:
    assert cli("visualize", "tracks.h5", "--video", "frames", "-o", f"out{suffix}", "--step", 2).status == 0
    assert len(images(f"out{suffix}")) == FRAMES // 2


def test_choices_of_what_is_drawn(cli: Cli, here: Path) -> None:
    status = cli("visualize", "tracks.h5", "-o", "drawn", "--track", 2, "--no-contour", "--alpha", 1, "--stop", 1)
    assert status.status == 0
    (image,) = images("drawn")
    assert (image[part(0)] == colour_of(2)).all()
    assert (image[~part(0)] == 100).all()


def test_one_level_of_the_tree(cli: Cli, here: Path) -> None:
    def drawn(*chosen: object) -> np.ndarray:
        assert cli("visualize", "tracks.h5", "-o", "out", "--stop", 1, "--overwrite", *chosen).status == 0
        return np.asarray(Image.open(next(iter(sorted(Path("out").glob("*.png"))))))

    assert np.array_equal(drawn("--level", 0), drawn("--track", 1))
    assert np.array_equal(drawn("--level", 1), drawn("--track", 2))
    missing = cli("visualize", "tracks.h5", "-o", "none", "--level", 2)
    assert missing.status == 2 and "its levels are 0 to 1" in missing.err


def test_sizes_of_what_is_drawn(cli: Cli, here: Path) -> None:
    cli("visualize", "tracks.h5", "-o", "beside", "--side-by-side", "--labels")
    cli("visualize", "tracks.h5", "-o", "small", "--max-width", 40)
    assert images("beside")[0].shape == (HEIGHT, 2 * WIDTH + 4, 3)
    assert images("small")[0].shape == (30, 40, 3)


def test_split_view_leaves_the_left_half_bare(cli: Cli, here: Path) -> None:
    assert (
        cli("visualize", "tracks.h5", "-o", "split", "--split", "--stop", 1, "--alpha", 1, "--no-contour").status == 0
    )
    (image,) = images("split")
    middle = WIDTH // 2
    assert (image[:, : middle - 1] == 100).all()
    assert (image[:, middle : middle + 1] == LIGHT).all()
    assert shows(image[:, middle + 1 :], 1) and not shows(image[:, : middle - 1], 1)


def test_cut_outs_are_opaque_where_the_masks_are(cli: Cli, here: Path) -> None:
    assert cli("visualize", "tracks.h5", "-o", "cut", "--cut-out", "--track", 2, "--step", 4).status == 0
    for index, path in enumerate(sorted(Path("cut").glob("*.png"))):
        cut = np.asarray(Image.open(path))
        assert cut.shape == (HEIGHT, WIDTH, 4)
        assert np.array_equal(cut[..., 3] == 255, part(4 * index))
        assert set(np.unique(cut[..., 3])) == {0, 255}
        assert (cut[part(4 * index), :3] == picture(4 * index)[0, 0]).all()


def test_cut_outs_as_films_keep_their_transparency(cli: Cli, here: Path) -> None:
    import av

    assert cli("visualize", "tracks.h5", "-o", "cut.webm", "--cut-out").status == 0
    decoder = av.codec.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own VP9 decoder leaves the alpha plane out
    with av.open("cut.webm") as container:
        frames = [frame for packet in container.demux(video=0) for frame in decoder.decode(packet)]
    assert len(frames) == FRAMES
    opaque = frames[0].to_ndarray(format="rgba")[:HEIGHT, :WIDTH, 3] > 127
    assert (opaque == whole(0)).mean() > 0.97
    assert cli("visualize", "tracks.h5", "-o", "cut.webp", "--cut-out").status == 0
    with Image.open("cut.webp") as moving:
        assert (moving.n_frames, moving.mode) == (FRAMES, "RGBA")
        assert ((np.asarray(moving)[:HEIGHT, :WIDTH, 3] > 127) == whole(0)).mean() > 0.97


def test_an_animated_webp(cli: Cli, here: Path) -> None:
    assert cli("visualize", "tracks.h5", "-o", "moving.webp", "--animation").status == 0
    with Image.open("moving.webp") as moving:
        assert (moving.n_frames, moving.mode) == (FRAMES, "RGB")
    assert cli("visualize", "tracks.h5", "-o", "sheet.webp").status == 0
    with Image.open("sheet.webp") as sheet:
        assert sheet.n_frames == 1


def test_a_report_holds_everything_in_one_file(cli: Cli, here: Path) -> None:
    outcome = cli("visualize", "tracks.h5", "-o", "report.html", "--gt", "tracks.h5")
    assert outcome.status == 0, outcome.err
    text = Path("report.html").read_text()
    assert "Level 0: 1 track" in text and "Level 1: 1 track" in text
    assert text.count("data:image/jpeg;base64,") == 3, "a sheet and a strip for each track"
    assert "J and F over time" in text and "J&amp;F 100.0" in text
    assert "<td>whole</td>" in text, "the part names its whole"
    assert not re.search(r"(src|href)=.?(http|/)", text) and "@import" not in text
    assert "--overwrite" in cli("visualize", "tracks.h5", "-o", "report.html").err


def test_frames_by_the_number_in_the_name(cli: Cli, here: Path) -> None:
    write_store(here / "named.h5", ["clip"], "frames", range(4, 12, 4))
    assert cli("visualize", "named.h5", "-o", "drawn").status == 0
    assert [shows(image, 1) for image in images("drawn")] == [False, False, True, False, True, False, False, False]


def test_contact_sheet(cli: Cli, here: Path) -> None:
    outcome = cli("visualize", "tracks.h5", "-o", "sheet.png", "--columns", 3, "--rows", 2, "--max-width", 400)
    assert outcome.status == 0
    sheet = np.asarray(Image.open("sheet.png"))
    assert sheet.shape[1] == 400
    assert shows(sheet, 1)
    assert shows(sheet, 2)


def test_strips_of_tracks_are_taller_than_the_strip_of_the_clip(cli: Cli, here: Path) -> None:
    cli("visualize", "tracks.h5", "-o", "one.png", "--rows", 1)
    cli("visualize", "tracks.h5", "-o", "two.png", "--per-track")
    one, two = (np.asarray(Image.open(name)) for name in ("one.png", "two.png"))
    assert 1.7 * len(one) < len(two) < 2.1 * len(one)


def test_sheet_of_several_clips_from_a_folder_of_videos(cli: Cli, here: Path) -> None:
    write_store(here / "two.h5", ["clip", "frames"])
    two_videos(here / "videos")
    assert cli("visualize", "two.h5", "--video", "videos", "-o", "both.png").status == 0
    assert cli("visualize", "two.h5", "--video", "videos", "-o", "one.png", "--clip", "clip", "--rows", 1).status == 0
    both, one = (np.asarray(Image.open(name)) for name in ("both.png", "one.png"))
    assert len(both) == 2 * len(one)


def test_films_of_several_clips_go_into_folders(cli: Cli, here: Path) -> None:
    write_store(here / "two.h5", ["a", "b"])
    assert cli("visualize", "two.h5", "--blank", "-o", "films").status == 0
    assert len(images("films/a")) == len(images("films/b")) == FRAMES


def test_a_clip_that_fails_does_not_stop_the_others(cli: Cli, here: Path) -> None:
    write_store(here / "two.h5", ["clip", "frames", "lost"])
    two_videos(here / "videos")
    outcome = cli("visualize", "two.h5", "--video", "videos", "-o", "sheet.png")
    assert outcome.status == 1
    assert "clip lost: none of 2 videos have its name" in outcome.err
    assert "1 of 3 clips were not drawn: lost" in outcome.err
    assert (here / "sheet.png").exists()


def test_blank_needs_no_video(cli: Cli, here: Path) -> None:
    (here / "clip.mp4").unlink()
    write_store(here / "lost.h5", ["clip"], "gone.mp4")
    outcome = cli("visualize", "lost.h5", "-o", "out.mp4")
    assert outcome.status == 2
    assert "its video gone.mp4 is not there: name the video with --video" in outcome.err
    assert cli("visualize", "lost.h5", "-o", "out.mp4", "--blank").status == 0


def test_source_is_looked_for_beside_the_masks_too(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert cli("visualize", here / "tracks.h5").status == 0
    assert (here / "elsewhere/tracks.mp4").exists()


def test_default_output_never_is_the_video(cli: Cli, here: Path) -> None:
    with StoreWriter("clip.h5") as store:  # H.264 padded the odd width by one pixel
        store.add_clip("clip", WIDTH + 1, HEIGHT, FRAMES, [Track(1, "thing")], [], "clip.mp4")
    before = (here / "clip.mp4").read_bytes()
    assert "is an input" in cli("visualize", "clip.h5", "--overwrite", "-o", "clip.mp4").err
    assert "wrote clip-tracks.mp4" in cli("visualize", "clip.h5").err
    assert (here / "clip.mp4").read_bytes() == before


def test_masks_beyond_the_video_are_a_warning(cli: Cli, here: Path) -> None:
    write_store(here / "long.h5", ["clip"], "frames", range(0, 24, 2))
    outcome = cli("visualize", "long.h5", "-q")
    assert outcome.status == 0
    assert "4 frames with masks, 16 the first, are not in the video" in outcome.err


def test_preview_prints_letters_where_there_is_no_terminal(cli: Cli, here: Path) -> None:
    outcome = cli("visualize", "tracks.h5", "--preview")
    assert outcome.status == 0
    assert "\x1b" not in outcome.out
    assert len(outcome.out.splitlines()) > 10
    assert not list(here.glob("*tracks*.mp4")), "a preview alone writes no file"


def test_masks_from_standard_input(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "clip.mp4").unlink()
    with (here / "tracks.h5").open("rb") as stream:
        monkeypatch.setattr("sys.stdin", type("Pipe", (), {"buffer": stream, "isatty": lambda self: False})())
        assert cli("visualize", "-", "--video", "frames").status == 0
    assert (here / "clip.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tracks.h5", "--video", "clip.mp4"], "its masks are 65x48, the video clip.mp4 is 66x48"),
        (["tracks.h5", "--split", "--cut-out"], "--side-by-side, --split and --cut-out exclude each other"),
        (["tracks.h5", "--cut-out", "-o", "x.mp4"], "x.mp4: cannot be transparent: use .webm, .webp"),
        (["tracks.h5", "--cut-out", "-o", "x.html"], "a report shows whole frames"),
        (["tracks.h5", "--gt", "tracks.h5", "-o", "x.mp4"], "--gt is for a report"),
        (["tracks.h5", "--clip", "dog"], "no clip dog: it has clip"),
        (["tracks.h5", "--track", "9"], "clip clip: no track 9: it has 1, 2"),
        (["tracks.h5", "--track", "1", "--track", "9"], "clip clip: no track 9: it has 1, 2"),
        (["two.h5", "-o", "x.png", "--track", "1", "--track", "9"], "2 clips: no track 9: they have 1"),
        (["tracks.h5", "-o", "-"], "pictures are not written to standard output"),
        (["tracks.h5", "--blank", "--video", "frames"], "--blank and --video exclude each other"),
        (["-", "--video", "-"], "masks and video cannot both come from standard input"),
        (["tracks.h5", "-o", "x.png", "--columns", "8", "--max-width", "99"], "8 columns do not fit"),
        (["tracks.h5", "-o", "x.png", "--start", "90"], "nothing to show on the sheet"),
        (["tracks.h5", "--start", "90"], "no frame from 90 on"),
        (["tracks.h5", "--per-track"], "--per-track makes strips on a sheet"),
        (["tracks.h5", "-o", "x.avi"], "unknown video suffix"),
        (["tracks.h5", "--alpha", "2"], "--alpha"),
        (["tracks.h5", "--fps", "0"], "frame rate"),
        (["nothing.h5"], "nothing.h5"),
        (["clip.mp4"], "clip.mp4"),
        (["two.h5", "-o", "x.mp4"], "one film cannot hold 2 clips: choose one with --clip"),
        (["two.h5"], "holds 2 clips: choose one with --clip"),
    ],
)
def test_unusable_input_is_one_line(cli: Cli, here: Path, arguments: list[str], message: str) -> None:
    write_store(here / "two.h5", ["a", "b"], "frames")
    before = {path: path.stat().st_mtime_ns for path in here.iterdir()}
    outcome = cli("visualize", "-q", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in here.iterdir()} == before


@pytest.mark.parametrize("output", ["out.mp4", "out.png", "out"])
def test_what_exists_is_replaced_only_if_asked(cli: Cli, here: Path, output: str) -> None:
    assert cli("visualize", "tracks.h5", "-o", output).status == 0
    again = cli("visualize", "tracks.h5", "-o", output)
    assert again.status == 2
    assert f"{output}: exists already: pass --overwrite" in again.err
    assert cli("visualize", "tracks.h5", "-o", output, "--overwrite").status == 0


@pytest.mark.parametrize("output", ["frames", "tracks.h5"])
def test_inputs_are_never_replaced(cli: Cli, here: Path, output: str) -> None:
    outcome = cli("visualize", "tracks.h5", "-o", output, "--overwrite")
    assert outcome.status == 2
    assert len(images("frames")) == FRAMES
    assert (here / "tracks.h5").stat().st_size > 1000


@pytest.mark.parametrize("video", ["frames/*.png", "list.txt", "frames/00000.png", "frames"])
def test_pictures_that_are_read_are_never_replaced(cli: Cli, here: Path, video: str) -> None:
    before = {file: file.read_bytes() for file in sorted((here / "frames").iterdir())}
    (here / "list.txt").write_text("".join(f"frames/{file.name}\n" for file in before))
    for output in ("frames", "frames/00000.png"):
        outcome = cli("visualize", "tracks.h5", "--video", video, "-o", output, "--overwrite")
        assert outcome.status == 2 and "is an input of this command" in outcome.err
    assert {file: file.read_bytes() for file in (here / "frames").iterdir()} == before


def test_a_damaged_frame_leaves_the_earlier_film(cli: Cli, here: Path) -> None:
    assert cli("visualize", "tracks.h5", "-o", "out.mp4").status == 0
    before = (here / "out.mp4").read_bytes()
    (here / "frames/00008.png").write_bytes(b"no picture")
    outcome = cli("visualize", "tracks.h5", "-o", "out.mp4", "--overwrite", "-q")
    assert outcome.status == 2
    assert "00008.png" in outcome.err
    assert (here / "out.mp4").read_bytes() == before
