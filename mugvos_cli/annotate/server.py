"""The application: addresses of pages and questions, and the server that runs it.

Knows Starlette and uvicorn. A file is served only if it is one of the page's own, or a frame or the store that was
named on the command line; no address is ever turned into a path.
"""

import asyncio
import json
import re
import signal
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from engine.errors import MugvosError
from mugvos_cli import console
from mugvos_cli.annotate.access import Guarded, Sessions, TooMuchError, host_names
from mugvos_cli.annotate.answers import Answers, Asked, NotAllowedError
from mugvos_cli.annotate.fields import Fields

if TYPE_CHECKING:
    from engine.annotation.workbench import Workbench

QUESTIONS = (
    "start", "me", "invite", "clip", "beat", "hold", "offer", "prefetch", "decide", "undo", "carry", "stop", "save",
    "masks", "track", "agreement",
)  # fmt: skip
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PAGE = re.compile(r"[A-Za-z0-9-]{8,64}")
_QUIET_SECONDS = 15.0
_SMALL_STORE = 256 << 20


def page_files() -> dict[str, tuple[bytes, str]]:
    """The files of the page by name: contents and type. All of them are read once."""
    folder = resources.files("mugvos_cli.annotate") / "static"
    found = {}
    for file in folder.iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = (file.read_bytes(), f"{kind}; charset=utf-8")
    return found


def make_app(bench: "Workbench", sessions: Sessions, host: str, port: int, fold_when_quiet: bool = True) -> Any:
    """The application, behind all checks."""
    answers = Answers(bench, sessions, address_of(host, port))
    files = page_files()

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return JSONResponse({"error": "there is no such page"}, 404)
        contents, kind = files[name]
        return Response(contents, media_type=kind)

    async def frame(request: Request) -> Response:
        def read() -> bytes:
            return bench.shelf(request.query_params.get("clip", "")).jpeg(request.path_params["index"])

        found = await _told(read)
        if isinstance(found, Response):
            return found
        return Response(found, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def store(request: Request) -> Response:
        found = await _told(bench.project.fold)
        if isinstance(found, Response):
            return found
        path = bench.project.path
        return FileResponse(path, media_type="application/x-hdf5", filename=path.name)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_fold_when_quiet(bench)) if fold_when_quiet else None
        yield
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    routes = [
        Route("/", page),
        Route("/static/{name}", page),
        Route("/frames/{index:int}.jpg", frame),
        Route("/store", store),
        *(Route(f"/api/{name}", _question(getattr(answers, name)), methods=["POST"]) for name in QUESTIONS),
    ]
    names = {socket.gethostname(), socket.getfqdn()}
    return Guarded(Starlette(routes=routes, lifespan=lifespan), sessions, host_names(host, port, names))


def address_of(host: str, port: int) -> str:
    """How a browser reaches the server: by this machine's name where it listens everywhere."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # a browser that follows the link before the server is up waits, and is not refused
    except OSError:
        listening.close()
        raise
    return listening


def serve(app: Any, listening: socket.socket) -> None:
    """Serve until somebody asks to stop (Ctrl-C, SIGTERM)."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=200,
        timeout_graceful_shutdown=3,
    )
    with _outliving_signals():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _outliving_signals() -> Iterator[None]:
    """Uvicorn ends on Ctrl-C and SIGTERM and then raises them again; decisions are still to be written then."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *given: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _question(answer: Callable[[Asked], dict[str, Any]]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        page = request.headers.get("x-page", "")
        if not _PAGE.fullmatch(page):
            return JSONResponse({"error": "the request does not say which page it comes from"}, 400)
        try:
            values = json.loads(await request.body() or b"{}")
        except TooMuchError:
            return JSONResponse({"error": "too much was sent"}, 413)
        except ClientDisconnect:
            return Response(status_code=400)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "the request is not JSON"}, 400)

        def work() -> dict[str, Any]:
            return answer(Asked(request["session"], page, request.query_params.get("clip", ""), Fields(values)))

        found = await _told(work)
        return found if isinstance(found, Response) else JSONResponse(found)

    return endpoint


async def _told(work: Callable[[], Any]) -> Any:
    """What work gives, or its error as an answer."""
    from engine.annotation.project import HeldError

    try:
        return await run_in_threadpool(work)
    except MugvosError as error:
        status = 409 if isinstance(error, HeldError) else 403 if isinstance(error, NotAllowedError) else 400
        return JSONResponse({"error": str(error)}, status)
    except Exception as error:
        console.error(f"a bug while answering: {type(error).__name__}: {error}")
        if console.settings.debug:
            traceback.print_exception(error)
        return JSONResponse({"error": f"a bug in mugvos: {type(error).__name__}: {error}"}, 500)


async def _fold_when_quiet(bench: "Workbench") -> None:
    """Write decisions into the store when nothing was decided for a while; large stores wait for the end."""
    seen = -1
    while True:
        await asyncio.sleep(_QUIET_SECONDS)
        now = len(bench.project.journal)
        if now == seen and bench.project.unfolded and bench.project.path.stat().st_size < _SMALL_STORE:
            found = await _told(bench.project.fold)
            if isinstance(found, Response):
                console.warn(json.loads(bytes(found.body))["error"])
            now = len(bench.project.journal)
        seen = now
