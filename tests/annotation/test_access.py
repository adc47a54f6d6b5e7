"""Every refusal of the server, and what a page that is let in may see."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from annotation_pages import ORIGIN, PORT, Page, Server, serving
from starlette.testclient import TestClient

from mugvos_cli.annotate.access import MOST_BYTES, _too_long, host_names


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as made:
        yield made


def stranger(server: Server, **headers: str) -> TestClient:
    return TestClient(server.app, base_url=ORIGIN, headers=headers, follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/frames/0.jpg?clip=clip", "/store", "/nothing"])
def test_nothing_is_shown_without_a_session(server: Server, path: str) -> None:
    answer = stranger(server).get(path)
    assert answer.status_code == 401
    assert "open the link that `mugvos annotate` printed" in answer.text


def test_nothing_is_decided_without_a_session(server: Server) -> None:
    fields = {"action": "judge", "track": 1, "frames": [0], "state": "accepted"}
    answer = stranger(server, origin=ORIGIN).post("/api/decide?clip=clip", json=fields)
    assert answer.status_code == 401
    assert server.project.unfolded == 0


@pytest.mark.parametrize("token", ["", "wrong", "a" * 500, "ä"])
def test_a_wrong_token_opens_nothing(server: Server, token: str) -> None:
    server.sessions.link("annotator")  # a right one is there to compare it with
    answer = stranger(server).get("/enter", params={"token": token})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "the link is wrong or was used already" in answer.text


def test_a_link_opens_once_and_its_browser_stays_in(server: Server) -> None:
    token = server.sessions.link("annotator")
    browser = stranger(server)
    first = browser.get("/enter", params={"token": token})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert token not in cookie
    assert browser.get("/").status_code == 200
    assert browser.get("/enter", params={"token": token}).status_code == 303, "the same browser opens it again"
    assert stranger(server).get("/enter", params={"token": token}).status_code == 403


def test_a_made_up_cookie_is_no_session(server: Server) -> None:
    for value in ("", "x", "a" * 4000, '"', "a=b;;;"):
        assert stranger(server, cookie=f"mugvos-{PORT}={value}").get("/").status_code == 401


@pytest.mark.parametrize(
    "origin", ["http://evil.example", f"https://127.0.0.1:{PORT}", "null", "http://127.0.0.1:1", ""]
)
def test_a_foreign_origin_is_refused(server: Server, origin: str) -> None:
    page = server.page()
    fields = {"action": "judge", "track": 1, "frames": [0], "state": "accepted"}
    headers = {"origin": origin, "x-page": page.id}
    answer = page.client.post("/api/decide?clip=clip", json=fields, headers=headers)
    assert answer.status_code == 403
    assert server.project.document("clip").state(1, 0) == "auto"


def test_a_post_without_an_origin_is_refused(server: Server) -> None:
    page = server.page()
    assert page.client.post("/api/start", json={}, headers={"x-page": page.id}).status_code == 403


def test_pictures_are_not_for_other_sites(server: Server) -> None:
    page = server.page()
    answer = page.client.get("/frames/0.jpg?clip=clip", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "", "[::1"])
def test_a_foreign_host_is_refused(server: Server, host: str) -> None:
    assert server.page().client.get("/", headers={"host": host}).status_code == 421


def test_which_hosts_are_ours() -> None:
    local = host_names("127.0.0.1", 80, ["box"])
    assert [h for h in ("127.0.0.1:80", "localhost:80", "[::1]:80", "box:80", "10.0.0.1:80") if local(h)] == [
        "127.0.0.1:80", "localhost:80", "[::1]:80"
    ]  # fmt: skip
    everywhere = host_names("0.0.0.0", 80, ["Box"])
    assert [h for h in ("box:80", "10.0.0.1:80", "evil.example:80", "0.0.0.0:81") if everywhere(h)] == [
        "box:80", "10.0.0.1:80"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..\\..\\x",
        "/../../etc/passwd",
        "/frames/../0.jpg",
        "/frames/%2e%2e%2f0.jpg?clip=clip",
    ],
)
def test_no_path_leads_outside(server: Server, path: str) -> None:
    answer = server.page().client.get(path)
    assert answer.status_code in (404, 405)
    assert b"root:" not in answer.content and b"import" not in answer.content


@pytest.mark.parametrize("clip", ["", "other", "../tracks", "/etc/passwd", "clip\x00", "%2e%2e"])
def test_a_clip_is_one_of_the_store(server: Server, clip: str) -> None:
    page = server.page()
    assert page.post("clip", clip=clip).status_code == 400
    assert page.client.get("/frames/0.jpg", params={"clip": clip}).status_code == 400


def test_models_are_those_that_were_named(server: Server) -> None:
    answer = server.page().post("carry", track=1, frame=0, direction="forwards", model="/etc/passwd")
    assert answer.status_code == 400
    assert "no model is called '/etc/passwd' here" in answer.json()["error"]


def test_uploads_are_bounded(server: Server) -> None:
    page = server.page()
    headers = {"origin": ORIGIN, "x-page": page.id}
    big = b'{"name": "' + b"a" * MOST_BYTES + b'"}'
    assert page.client.post("/api/me", content=big, headers=headers).status_code == 413
    pieces = (big[i : i + 65536] for i in range(0, len(big), 65536))  # no length is given
    assert page.client.post("/api/me", content=pieces, headers=headers).status_code == 413
    said = {**headers, "content-length": "x"}
    assert page.client.post("/api/me", content=b"{}", headers=said).status_code == 413


@pytest.mark.parametrize("body", [b"", b"[", b"[" * 100_000, b"[]", b"3", b'{"name": 3}', b'{"name": ""}', b"\xff"])
def test_odd_bodies_are_refused_in_one_line(server: Server, body: bytes) -> None:
    page = server.page()
    answer = page.client.post("/api/me", content=body, headers={"origin": ORIGIN, "x-page": page.id})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_a_request_says_which_page_it_comes_from(server: Server) -> None:
    page = server.page()
    for name in ("", "x", "a" * 65, "page;id=1"):
        headers = {"origin": ORIGIN, "x-page": name}
        assert page.client.post("/api/start", json={}, headers=headers).status_code == 400


def test_other_methods_are_refused(server: Server) -> None:
    page = server.page()
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert page.client.request(method, "/api/start", headers={"origin": ORIGIN}).status_code == 405
    assert page.client.get("/api/start").status_code == 405


def test_only_supervisors_review_and_invite_supervisors(server: Server) -> None:
    anna, sue = server.page("Anna"), server.page("Sue", "supervisor")
    assert anna.post("decide", action="review", track=1, satisfactory=True).status_code == 403
    assert anna.post("invite", role="supervisor").status_code == 403
    assert "/enter?token=" in sue.ask("invite", role="supervisor")["link"]
    link = anna.ask("invite", role="annotator")["link"]
    ben = TestClient(server.app, base_url=ORIGIN)
    assert ben.get(link).status_code == 200


def test_browsers_are_told_to_load_nothing_from_elsewhere(server: Server) -> None:
    answer = server.page().client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in policy


def test_the_page_names_no_other_address(server: Server) -> None:
    from mugvos_cli.annotate.server import page_files

    for name, (contents, _) in page_files().items():
        text = contents.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, name


def test_a_bug_is_one_line_and_no_traceback(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    page: Page = server.page()
    monkeypatch.setattr(server.bench, "frame", lambda *given: 1 / 0)
    answer = page.post("masks", index=0)
    assert answer.status_code == 500
    assert answer.json()["error"] == "a bug in mugvos: ZeroDivisionError: division by zero"


def test_a_link_is_followed_before_the_server_is_up() -> None:
    from mugvos_cli.annotate.server import listen

    with listen("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname(), timeout=60).close()


@pytest.mark.parametrize("text", ["²", "-1", "", "9" * 5000, str(MOST_BYTES + 1)])
def test_a_length_that_is_none_or_too_much_is_refused(text: str) -> None:
    assert _too_long(text)
    assert not _too_long(str(MOST_BYTES))
