"""Everything the sandbox answers over HTTP, by path: EWS, Autodiscover, Entra, the control endpoints, and where Graph will be."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import JSONResponse

from ops_lib.sandbox import control
from ops_lib.sandbox.answers import Receive, Scope, Send
from ops_lib.sandbox.autodiscover_web import AutodiscoverEndpoint
from ops_lib.sandbox.endpoint import EWS_PATH, EwsEndpoint
from ops_lib.sandbox.entra.web import EntraEndpoint

GRAPH_PATH = "/graph"
_NO_GRAPH = JSONResponse(
    {
        "error": {
            "code": "notImplemented",
            "message": "The sandbox does not answer Microsoft Graph yet; use ews_url.",
        }
    },
    501,
)


class Web:
    """The ASGI application behind both listeners."""

    def __init__(
        self,
        ews: EwsEndpoint,
        entra: EntraEndpoint,
        autodiscover: AutodiscoverEndpoint,
        controlled: control.Controlled,
    ) -> None:
        self._ews = ews
        self._autodiscover = autodiscover
        self._entra = entra
        self._rest = Starlette(routes=control.routes(controlled))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request to whoever answers its path."""
        path = scope.get("path", "")
        if path.rstrip("/").lower() == EWS_PATH:
            await self._ews(scope, receive, send)
        elif self._autodiscover.matches(path):
            await self._autodiscover(scope, receive, send)
        elif matched := self._entra.matches(path):
            await self._entra.answer(matched, scope, receive, send)
        elif path == GRAPH_PATH or path.startswith(GRAPH_PATH + "/"):
            await _NO_GRAPH(scope, receive, send)
        else:
            await self._rest(scope, receive, send)
