"""Everything the sandbox answers over HTTP, by path: EWS, Entra, the control endpoints, and where Graph will be."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import JSONResponse

from ops_lib.sandbox import control
from ops_lib.sandbox.answers import Answer, ClientGone, Receive, Scope, Send, page, read_body
from ops_lib.sandbox.endpoint import EWS_PATH, EwsEndpoint
from ops_lib.sandbox.entra import Directory
from ops_lib.sandbox.faults import DISCOVERY, TOKEN, Fault, Faults
from ops_lib.sandbox.requests_log import RequestsLog

GRAPH_PATH = "/graph"
_LARGEST_FORM_BYTES = 1_000_000
_ENTRA = re.compile(
    r"/(?P<tenant>[^/]+)/(?:(?P<discovery>v2\.0/\.well-known/openid-configuration)|(?P<keys>discovery/v2\.0/keys)"
    r"|(?P<token>oauth2/v2\.0/token))/?",
    re.IGNORECASE,
)
_NO_GRAPH = JSONResponse(
    {
        "error": {
            "code": "notImplemented",
            "message": "The sandbox does not answer Microsoft Graph yet; use ews_url.",
        }
    },
    501,
)


class EntraEndpoint:
    """The OAuth face over HTTP. Rules for the operations Token and OpenIdConfiguration make it go wrong."""

    def __init__(self, directory: Directory, faults: Faults, log: RequestsLog) -> None:
        self._directory = directory
        self._faults = faults
        self._log = log

    async def answer(self, matched: re.Match[str], scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request to a path of Entra."""
        try:
            body, size = await read_body(receive, _LARGEST_FORM_BYTES)
        except ClientGone:
            return
        answer = Answer(scope, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        allowed = ("POST",) if matched["token"] else ("GET", "HEAD")
        if scope["method"] not in allowed:
            await answer.send(405, [("Allow", ", ".join(allowed))], b"")
            return
        if matched["keys"]:
            await self._json(answer, 200, self._directory.keys())
            return
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if matched["token"] else {}
        operation = TOKEN if matched["token"] else DISCOVERY
        subject = form.get("client_id", matched["tenant"]).lower()
        fault = self._faults.decide(operation, subject)
        self._log.arrived(operation, subject, size, faulted=fault is not None)
        if fault is not None and await self._went_wrong(fault, answer):
            return
        if matched["token"]:
            status, document = self._directory.token(matched["tenant"], form, headers.get("authorization", ""))
        else:
            base = f"{scope['scheme']}://{headers.get('host', '')}"
            status, document = self._directory.discovery(base, matched["tenant"])
        self._log.answered(operation, subject, status, await self._json(answer, status, document))

    @staticmethod
    async def _json(answer: Answer, status: int, document: object) -> int:
        rendered = JSONResponse(document).body
        headers = (("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store, no-cache"))
        return await answer.send(status, headers, bytes(rendered))

    @staticmethod
    async def _went_wrong(fault: Fault, answer: Answer) -> bool:
        """Does what the rule says; says whether the request has been dealt with."""
        await asyncio.sleep(fault.delay_seconds + fault.late_seconds)
        if fault.drop:
            answer.drop()
            return True
        if fault.status is None and fault.body is None:
            return False
        status, headers, body = page(fault)
        await answer.send(status, tuple(headers.items()), body)
        return True


class Web:
    """The ASGI application behind both listeners."""

    def __init__(self, ews: EwsEndpoint, entra: EntraEndpoint, controlled: control.Controlled) -> None:
        self._ews = ews
        self._entra = entra
        self._rest = Starlette(routes=control.routes(controlled))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request to whoever answers its path."""
        path = scope.get("path", "")
        if path.rstrip("/").lower() == EWS_PATH:
            await self._ews(scope, receive, send)
        elif matched := _ENTRA.fullmatch(path):
            await self._entra.answer(matched, scope, receive, send)
        elif path == GRAPH_PATH or path.startswith(GRAPH_PATH + "/"):
            await _NO_GRAPH(scope, receive, send)
        else:
            await self._rest(scope, receive, send)
