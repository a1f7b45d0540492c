"""The control endpoints of the directory as routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .control import EntraControl

Handler = Callable[[Request], Awaitable[Response]]
Read = Callable[[Request], Awaitable[dict[str, Any]]]


def routes(entra: EntraControl, document: Read) -> list[tuple[str, str, Handler]]:
    """Path, method and handler of each; ``document`` reads a request's JSON object."""

    async def apps(_: Request) -> Response:
        return JSONResponse(entra.apps())

    async def add_app(request: Request) -> Response:
        return JSONResponse(entra.add_app(await document(request)), 201)

    async def change_app(request: Request) -> Response:
        return JSONResponse(entra.change_app(request.path_params["client_id"], await document(request)))

    async def add_secret(request: Request) -> Response:
        return JSONResponse(entra.add_secret(request.path_params["client_id"], await document(request)), 201)

    async def remove_secret(request: Request) -> Response:
        named = request.path_params
        return JSONResponse(entra.remove_secret(named["client_id"], named["secret_id"]))

    async def add_certificate(request: Request) -> Response:
        return JSONResponse(entra.add_certificate(request.path_params["client_id"], await document(request)), 201)

    async def remove_certificates(request: Request) -> Response:
        return JSONResponse(entra.remove_certificates(request.path_params["client_id"]))

    async def user(request: Request) -> Response:
        return JSONResponse(entra.user(request.path_params["address"]))

    async def change_user(request: Request) -> Response:
        return JSONResponse(entra.change_user(request.path_params["address"], await document(request)))

    async def policy(_: Request) -> Response:
        return JSONResponse(entra.policy())

    async def change_policy(request: Request) -> Response:
        return JSONResponse(entra.change_policy(await document(request)))

    return [
        ("/apps", "GET", apps),
        ("/apps", "POST", add_app),
        ("/apps/{client_id}", "POST", change_app),
        ("/apps/{client_id}/secrets", "POST", add_secret),
        ("/apps/{client_id}/secrets/{secret_id}", "DELETE", remove_secret),
        ("/apps/{client_id}/certificates", "POST", add_certificate),
        ("/apps/{client_id}/certificates", "DELETE", remove_certificates),
        ("/users/{address}", "GET", user),
        ("/users/{address}", "POST", change_user),
        ("/policy", "GET", policy),
        ("/policy", "POST", change_policy),
    ]
