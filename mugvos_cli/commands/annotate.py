"""`mugvos annotate`: opens a store and its video, and serves the page where people accept, reject and mend tracks."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mugvos_cli import console
from mugvos_cli.options import Device, Format, Overwrite, Precision, Video
from mugvos_cli.targets import refuse_inputs

if TYPE_CHECKING:
    from engine.annotation.project import Project
    from engine.annotation.videos import ClipVideos
    from engine.annotation.workbench import Models

_LOCAL = ("127.0.0.1", "::1", "localhost")


def annotate(
    tracks: Annotated[
        Path, typer.Argument(metavar="TRACKS", help="A mask store; one that does not exist begins without tracks.")
    ],
    video: Video = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="FILE", help="Where TRACKS of another format are taken over into a store."),
    ] = None,
    sam: Annotated[str, typer.Option("--sam", metavar="NAME", help="Who answers clicks: sam-tiny, sam-vit-b, ...")] = (
        "sam-tiny"
    ),
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="Weights of any SAM instead of a named one.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="NAME|FILE", help="Models to carry masks on; may be repeated. [mmpm-tiny, dis]"
        ),
    ] = None,
    annotator: Annotated[
        str | None, typer.Option("--annotator", metavar="NAME", help="Your name, as it stands beside your decisions.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Listen here; 0.0.0.0 is every network, unencrypted.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    finish: Annotated[
        bool, typer.Option("--finish", help="Only write what was decided into the store; no page.")
    ] = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="An untrained SAM, to try the page; its masks mean nothing.")
    ] = False,
    format: Format = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Accept, reject and mend tracks in the browser.

    Prints two links, one for an annotator and one for a supervisor; each opens once. Every decision is on disk before
    the page shows it as saved, in TRACKS.annotation beside the store, and is written into the store when nothing
    happens for a while and at the end (Ctrl-C).

    Examples:
      mugvos annotate tracks.h5 --video clip.mp4
      mugvos annotate new.h5 --video frames/ --sam sam-vit-b
      mugvos annotate annotations/ --store tracks.h5 --video videos/
    """
    _check_installed()
    from engine.annotation.project import Project
    from engine.annotation.videos import ClipVideos

    path = _store(tracks, store, video, format, overwrite)
    videos = ClipVideos(path, video)
    with Project(path, videos.document) as project:
        if finish:
            console.info(f"{path}: {'written' if project.fold() else 'nothing was left to write'}")
            return
        models = _models(sam, checkpoint, model or ["mmpm-tiny", "dis"], random_weights, device, precision)
        _serve(project, videos, models, host, port, annotator or _login(), browser)


def _check_installed() -> None:
    from importlib.util import find_spec

    from engine.errors import UsageError

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} is not installed", "pip install 'mugvos[annotate]'")


def _store(tracks: Path, store: Path | None, video: str | None, format: str | None, overwrite: bool) -> Path:
    """The store to annotate: TRACKS itself, or what is made of it."""
    from engine.annotation.videos import write_empty_store
    from engine.errors import UsageError
    from engine.store import export, open_source, suffixes
    from engine.store.reader import is_hdf5

    if str(tracks) == "-":
        raise UsageError("a store that is annotated is written again", "name a file, not -")
    if not tracks.exists():
        if video is None or tracks.suffix.lower() not in suffixes.STORE:
            raise UsageError(f"{tracks}: no such file", "check the name; with --video a new store (.h5) is begun")
        write_empty_store(tracks, video)
        console.info(f"began {tracks}")
        return tracks
    if tracks.is_file() and is_hdf5(tracks):
        if store is not None and not (store.exists() and store.samefile(tracks)):
            raise UsageError(
                f"{tracks}: is a mask store, and decisions are written into it, not into {store}",
                "leave --store out, or copy the store first and annotate the copy",
            )
        return tracks
    if store is None:
        raise UsageError(f"{tracks}: is no mask store", "name one to take it over into: --store tracks.h5")
    if store.exists() and not overwrite:
        console.info(f"{store} is there already and is gone on with")
        return store
    refuse_inputs(store, [tracks, video])
    with open_source(tracks, format) as source:
        export(source, store, "store", overwrite=overwrite)
    console.info(f"took {tracks} over into {store}")
    return store


def _models(
    sam: str, checkpoint: Path | None, models: list[str], random_weights: bool, device: str, precision: str
) -> "Models":
    """What can be asked for help; nothing is loaded before it is needed."""
    from engine.annotation.workbench import Models
    from engine.errors import UsageError
    from engine.models.sam.config import CONFIGS
    from engine.propagation.factory import check_model
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device

    if checkpoint is None and sam not in CONFIGS:
        raise UsageError(f"no SAM is called {sam!r}", f"use one of {', '.join(CONFIGS)}, or --checkpoint FILE")
    for name in models:
        check_model(name)
    tune_allocator()
    place = resolve_device(device)
    trackers = {Path(name).name: _tracker_maker(name, place, precision) for name in models}

    def make_sam() -> Any:
        from engine.models.sam.making import make_prompter
        from engine.runtime.precision import resolve_precision

        made = make_prompter(sam, checkpoint, place, resolve_precision(precision, place), random_weights)
        if made.weights is None:
            console.warn(f"{made.model} has random weights; its masks mean nothing")
        return made

    return Models(checkpoint.name if checkpoint else sam, make_sam, trackers)


def _tracker_maker(name: str, place: Any, precision: str) -> Callable[[], Any]:
    def make() -> Any:
        from engine.propagation.factory import FLOW_MODELS, make_tracker
        from engine.runtime.precision import resolve_precision

        dtype = resolve_precision(precision, place, on_cpu=name not in FLOW_MODELS)
        return make_tracker(name, place, dtype).tracker

    return make


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "somebody"


def _serve(
    project: "Project", videos: "ClipVideos", models: "Models", host: str, port: int, name: str, browser: bool
) -> None:
    from engine.annotation.workbench import Workbench
    from mugvos_cli.annotate.access import Sessions
    from mugvos_cli.annotate.server import address_of, listen, make_app, serve

    project.document(project.clips[0])  # a video that does not fit is told before the page opens
    listening = _listening(listen, host, port)
    port = listening.getsockname()[1]
    sessions = Sessions(f"mugvos-{port}", name)
    address = address_of(host, port)
    links = {role: f"{address}/enter?token={sessions.link(role)}" for role in ("annotator", "supervisor")}
    _say_links(links, host, project)
    bench = Workbench(project, videos.shelf, models)
    try:
        if browser and host in _LOCAL:
            _open_browser(links["annotator"])
        serve(make_app(bench, sessions, host, port), listening)
    finally:
        bench.close()
        if project.fold():
            console.info(f"{project.path}: all decisions are written")


def _listening(listen: Any, host: str, port: int) -> Any:
    from engine.errors import UsageError

    try:
        return listen(host, port)
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on ({error.strerror})", "choose another --port, or 0 for a free one"
        ) from error


def _say_links(links: dict[str, str], host: str, project: "Project") -> None:
    if host not in _LOCAL:
        console.warn("the page is served unencrypted; whoever can read the network can read the links and the video")
    for role, link in links.items():
        console.result(f"{role}: {link}")
    if project.unfolded:
        console.info(f"{project.unfolded} decisions of before are there, not yet in {project.path}")
    console.info("each link opens once; Ctrl-C writes the decisions into the store and ends")


def _open_browser(link: str) -> None:
    """Only where there is a screen: a text browser would take over the terminal, and use up the link."""
    import os
    import sys
    import threading
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    threading.Timer(0.5, webbrowser.open, [link]).start()
