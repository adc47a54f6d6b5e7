"""The application of `mugvos annotate` without a socket, and pages that talk to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotation_clips import write_project_store
from starlette.testclient import TestClient

from engine.annotation.project import Project
from engine.annotation.videos import ClipVideos
from engine.annotation.workbench import Models, Workbench
from engine.flow.dis import DISFlow
from engine.models.sam.making import make_prompter
from engine.propagation.flow import FlowTracker
from mugvos_cli.annotate.access import Sessions
from mugvos_cli.annotate.server import make_app

PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}"


class Page:
    """One open page of one person."""

    def __init__(self, app: Any, sessions: Sessions, role: str, name: str) -> None:
        self.client = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False)
        self.id = f"page-of-{name}"
        assert self.client.get("/enter", params={"token": sessions.link(role)}).status_code == 200
        self.ask("me", name=name)

    def post(self, question: str, clip: str = "clip", **fields: Any) -> Any:
        """The whole answer."""
        headers = {"origin": ORIGIN, "x-page": self.id}
        return self.client.post(f"/api/{question}", params={"clip": clip}, json=fields, headers=headers)

    def ask(self, question: str, clip: str = "clip", **fields: Any) -> Any:
        """What a question is answered; it has to be answered well."""
        answer = self.post(question, clip, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Server:
    """An application over a store, with its people."""

    def __init__(self, path: Path) -> None:
        self.path = path
        videos = ClipVideos(path, str(path.parent / "frames"))
        self.project = Project(path, videos.document)
        models = Models(
            "sam-tiny",
            lambda: make_prompter("sam-tiny", random_weights=True),
            {"dis": lambda: FlowTracker(DISFlow())},
        )
        self.bench = Workbench(self.project, videos.shelf, models)
        self.sessions = Sessions(f"mugvos-{PORT}", "somebody")
        self.app = make_app(self.bench, self.sessions, "127.0.0.1", PORT, fold_when_quiet=False)

    def page(self, name: str = "Anna", role: str = "annotator") -> Page:
        """A person's page."""
        return Page(self.app, self.sessions, role, name)

    def close(self) -> None:
        """Everything ends; nothing is folded."""
        self.bench.close()
        self.project.close()


@contextmanager
def serving(folder: Path, known: int = 6) -> Iterator[Server]:
    """A server over a fresh store in the folder."""
    server = Server(write_project_store(folder, known))
    try:
        yield server
    finally:
        server.close()
