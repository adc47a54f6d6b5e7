"""Who may talk to the server: links that open once, sessions, and the checks that every request passes first.

Knows headers and secrets. Knows nothing of tracks. Each refusal is a status and one line.
"""

import hmac
import ipaddress
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

MOST_BYTES = 4 << 20
"""Of a request's body: run lengths of a mask take far less."""

_SAFE = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass
class Session:
    """One browser. `name` is what its owner calls themselves."""

    role: str
    name: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Sessions:
    """Links that were given out and not used yet, and the browsers that used one. Nothing outlives the process."""

    def __init__(self, cookie: str, default_name: str) -> None:
        self.cookie, self._default_name = cookie, default_name
        self._links: dict[str, str] = {}
        self._sessions: dict[str, Session] = {}
        self._guard = threading.Lock()

    def link(self, role: str) -> str:
        """A token that makes one browser an annotator or a supervisor."""
        token = secrets.token_urlsafe(24)
        with self._guard:
            self._links[token] = role
        return token

    def redeem(self, token: str) -> Session | None:
        """The session of a token; None for one that was used, or that never was. It cannot be used again."""
        given = token.encode("utf-8", "replace")
        with self._guard:
            found = next((known for known in self._links if hmac.compare_digest(known.encode(), given)), None)
            if found is None:
                return None
            session = Session(self._links.pop(found), self._default_name)
            self._sessions[session.secret] = session
            return session

    def of(self, headers: Headers) -> Session | None:
        """The session of a request, by its cookie."""
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return None
        return None if morsel is None else self._sessions.get(morsel.value)


def host_names(host: str, port: int, own_names: Iterable[str]) -> Callable[[str], bool]:
    """Which Host headers are meant for this server.

    A page elsewhere can have its own name point to this machine (DNS rebinding), so names count only if they are ours;
    an address counts if it is a loopback one, the one listened on, or any where all of them are listened on.
    """
    everywhere = host in ("0.0.0.0", "::")
    names = {"localhost", host.lower(), *(name.lower() for name in own_names if everywhere)}

    def is_ours(header: str) -> bool:
        name, colon, given = header.rpartition(":")
        if not colon or given != str(port):
            return False
        name = name.strip("[]").lower()
        if name in names and name not in ("0.0.0.0", "::"):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or everywhere

    return is_ours


class Guarded:
    """An ASGI application behind all checks: Host, origin, session, size. Adds what browsers should enforce."""

    def __init__(self, app: Any, sessions: Sessions, is_our_host: Callable[[str], bool]) -> None:
        self._app, self._sessions, self._is_our_host = app, sessions, is_our_host

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._refusal(scope)
        sender = _with_headers(send)
        if answer is not None:
            await answer(scope, receive, sender)
            return
        await self._app(scope, _bounded(receive), sender)

    def _refusal(self, scope: Any) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_our_host(host):
            return _refused(f"this server is not called {host[:100]!r}", 421)
        if scope["method"] not in (*_SAFE, "POST"):
            return _refused(f"{scope['method']} is not understood here", 405)
        if scope["method"] == "POST" and headers.get("origin") != f"http://{host}":
            return _refused("the request comes from another page", 403)
        if scope["path"] == "/enter" and scope["method"] in _SAFE:
            return self._enter(scope, headers)
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _refused("the request comes from another page", 403)
        session = self._sessions.of(headers)
        if session is None:
            return _refused(f"no session: {_HOW_TO_ENTER}", 401)
        if _too_long(headers.get("content-length", "0")):
            return _refused(f"more than {MOST_BYTES} bytes were sent", 413)
        scope["session"] = session
        return None

    def _enter(self, scope: Any, headers: Headers) -> Response:
        """A link, used: the browser gets its session and goes on without the token in its address."""
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        session = self._sessions.redeem(token)
        if session is None:
            if self._sessions.of(headers) is not None:
                return RedirectResponse("/", 303)
            return _refused(f"the link is wrong or was used already: {_HOW_TO_ENTER}", 403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._sessions.cookie, session.secret, httponly=True, samesite="lax", max_age=30 * 86400)
        return answer


_HOW_TO_ENTER = (
    "open the link that `mugvos annotate` printed; each link opens once, and keeps working in the browser that used it"
)


class TooMuchError(Exception):
    """The body is longer than it said, or than is read."""


def _too_long(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,12}", text) is None or int(text) > MOST_BYTES


def _bounded(receive: Any) -> Any:
    """The same messages; TooMuchError where their bodies grow above the limit, whatever the header said."""
    taken = 0

    async def bounded() -> Any:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BYTES:
            raise TooMuchError
        return message

    return bounded


def _with_headers(send: Any) -> Any:
    async def sender(message: Any) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            more = {**_HEADERS, **({} if b"cache-control" in known else {"Cache-Control": "no-store"})}
            pairs = [(name.lower().encode(), value.encode()) for name, value in more.items()]
            message = {**message, "headers": [*message["headers"], *pairs]}
        await send(message)

    return sender


def _refused(reason: str, status: int) -> Response:
    if status in (401, 403):
        return PlainTextResponse(f"mugvos: {reason}\n", status)
    return JSONResponse({"error": reason}, status)
