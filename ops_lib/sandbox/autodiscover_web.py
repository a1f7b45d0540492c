"""Autodiscover over HTTP: the sign-in of EWS, and the one request that needs none."""

from __future__ import annotations

from ops_lib.sandbox import requests_log
from ops_lib.sandbox.answers import PAGES, XML, Answer, ClientGone, Receive, Scope, Send, read_body
from ops_lib.sandbox.autodiscover import POX_PATH, SOAP_PATH, Autodiscover
from ops_lib.sandbox.gate import Gate, NotSignedIn
from ops_lib.sandbox.requests_log import RequestsLog

_LARGEST_BYTES = 1_000_000
_HTML = "text/html; charset=utf-8"


class AutodiscoverEndpoint:
    """Answers at both paths, in any case. Its requests are logged with the sign-ins, as ``Autodiscover``."""

    def __init__(self, autodiscover: Autodiscover, gate: Gate, log: RequestsLog) -> None:
        self._autodiscover = autodiscover
        self._gate = gate
        self._log = log

    @staticmethod
    def matches(path: str) -> bool:
        """Whether a path is Autodiscover's."""
        return path.rstrip("/").lower() in (POX_PATH, SOAP_PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body, size = await read_body(receive, _LARGEST_BYTES)
        except ClientGone:
            return
        answer = Answer(scope, send)
        is_pox = scope["path"].rstrip("/").lower() == POX_PATH
        moved_to = self._autodiscover.whereabouts.moved_to
        if moved_to and is_pox and scope["method"] == "GET":
            # The one request that is never signed: who is asked over plain HTTP may only point elsewhere.
            self._log.arrived("Autodiscover", "", size)
            self._log.answered("Autodiscover", "", 302, await answer.send(302, [("Location", moved_to)], b""))
            return
        try:
            caller = self._gate.caller(scope, headers.get("authorization", ""))
        except NotSignedIn as refused:
            operation = requests_log.CHALLENGED if refused.is_challenge else requests_log.REFUSED
            self._log.arrived(operation, "", size)
            sent = await answer.send(401, (("Content-Type", _HTML), *refused.headers), PAGES[401].encode())
            self._log.answered(operation, "", 401, sent)
            return
        if not is_pox and scope["method"] != "POST":
            await answer.send(405, [("Allow", "POST")], b"")
            return
        self._log.arrived("Autodiscover", caller.address, size)
        status, content = (200, self._autodiscover.pox(body)) if is_pox else self._autodiscover.soap(body)
        self._log.answered(
            "Autodiscover", caller.address, status, await answer.send(status, [("Content-Type", XML)], content)
        )
