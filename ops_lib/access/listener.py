"""Waits on this machine for the browser to come back from a sign-in."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ops_lib.errors import InputError, OpsError

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<body style="font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem"><h1>{title}</h1><p>{text}</p></body></html>"""


class Listener:
    """An HTTP server on loopback, for one sign-in. ``with Listener(redirect_uri, port) as listener: … listener.wait(…)``"""

    def __init__(self, redirect_uri: str, port: int) -> None:
        parts = urlsplit(redirect_uri)
        if parts.scheme != "http" or parts.hostname not in ("localhost", "127.0.0.1"):
            raise InputError(
                f"the browser comes back to {redirect_uri}, which is not this machine",
                subject="redirect uri",
                fix="use --paste, or register http://localhost with the app and enter it as the host's --redirect-uri.",
            )
        self._path = parts.path or "/"
        self._state = ""
        self._finish: Callable[[str], str] = lambda address: ""
        self._done = threading.Event()
        self._failed: OpsError | None = None
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # somebody who connects and says nothing holds nobody up

            def do_GET(self) -> None:
                listener._answer(self)

            def log_message(self, *_: Any) -> None:
                """Nothing: the address holds the code."""

        try:
            self._server = HTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise InputError(
                f"port {port} cannot be listened on ({error.strerror})", fix="give another one with --listen, or 0 for any."
            ) from None  # fmt: skip
        self.port = self._server.server_port
        self.redirect_uri = f"http://{parts.hostname}:{self.port}{parts.path}"

    def __enter__(self) -> Listener:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, state: str, finish: Callable[[str], str], seconds: float) -> None:
        """Wait for the answer with this state, and let ``finish`` make of its address the sentence the person is shown.

        **Raises** what ``finish`` raised, and `InputError` when nobody came in time.
        """
        self._finish = finish
        self._state = state
        if not self._done.wait(seconds):
            raise InputError(
                f"nobody came back from the sign-in within {seconds:.0f} seconds",
                fix="try again, or use --paste where the browser is on another machine.",
            )
        if self._failed is not None:
            raise self._failed

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        given = parse_qs(parts.query).get("state", [""])[0]
        if (parts.path or "/") != self._path or not self._state or given != self._state:
            self._say(request, 404, "Nothing here", "This page waits for a sign-in, and this is not its answer.")
            return
        self._state = ""  # the first answer counts; a browser that asks twice is not a second one
        try:
            text = self._finish(f"http://localhost:{self.port}{request.path}")
        except OpsError as error:
            self._failed = error
            self._say(request, 403, "Not signed in", str(error))
        else:
            self._say(request, 200, "Signed in", f"{text} You may close this window.")
        self._done.set()

    @staticmethod
    def _say(request: BaseHTTPRequestHandler, status: int, title: str, text: str) -> None:
        body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        request.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ):
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
