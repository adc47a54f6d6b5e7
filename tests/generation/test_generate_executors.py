"""`mugvos generate` with several workers: the store is that of one, whoever works."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generate_toys import QUICK, contents, write_sam, write_videos


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sam(tmp_path_factory.mktemp("sam") / "sam.safetensors")


@pytest.fixture
def run(cli: Callable[..., Any], sam: Path) -> Callable[..., Any]:
    def generate(*args: object) -> Any:
        return cli("generate", "--checkpoint", sam, "--device", "cpu", *QUICK, *args)

    return generate


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "ray"])
def test_a_worker_makes_what_this_process_makes(executor: str, run: Callable[..., Any], tmp_path: Path) -> None:
    if executor == "ray":
        pytest.importorskip("ray", reason="Ray is not installed")
    videos = write_videos(tmp_path / "v", "a")
    (videos / "bad.mp4").write_bytes(b"nothing")
    told = run(videos, "-o", tmp_path / "there.h5", "--executor", executor, "--workers", 1, "--json")
    if "no Ray cluster" in told.err:
        pytest.skip("Ray does not come up here")
    assert told.status == 1 and "bad" in told.err, told.err
    assert told.out.startswith("{") and '"clips": 1' in told.out
    again = run(videos, "-o", tmp_path / "there.h5", "--retry-failed")
    assert again.status == 1 and "1 clip had been finished earlier" in again.err, again.err
    assert run(videos / "a", "-o", tmp_path / "here.h5").status == 0
    assert contents(tmp_path / "there.h5") == contents(tmp_path / "here.h5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ray-address", "auto", "--executor", "process"), "--ray-address goes with --executor ray"),
        (("--executor", "local", "--workers", 2), "use --executor process"),
        (("--executor", "threads"), "threads"),
    ],
)
def test_options_that_contradict(
    options: tuple[object, ...], message: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    done = run(tmp_path, "-o", tmp_path / "x.h5", *options)
    assert done.status == 2 and message in done.err


def test_without_ray(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = run(write_videos(tmp_path / "v", "a"), "-o", tmp_path / "x.h5", "--executor", "ray")
    assert done.status == 2 and done.err.count("\n") == 1
    assert 'pip install "mugvos[ray]"' in done.err


def test_no_cluster_there(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")

    def refuse(**options: object) -> None:
        raise ConnectionError(f"nobody at {options['address']}\nand more")

    monkeypatch.setattr(ray, "init", refuse)
    done = run(write_videos(tmp_path / "v", "a"), "-o", tmp_path / "x.h5", "--ray-address", "nowhere:6379")
    assert done.status == 2 and done.err.count("\n") == 1
    assert "no Ray cluster at nowhere:6379 (ConnectionError: nobody at nowhere:6379)" in done.err
