"""The control endpoints: what was asked, what is to go wrong, what was mailed, what time it is, and a fresh start.

They are no part of Exchange and need no sign-in: the sandbox listens on loopback only. ``docs/sandbox.md`` shows each.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ops_lib.errors import InputError, OpsError
from ops_lib.sandbox import post
from ops_lib.sandbox.attempts import Attempts
from ops_lib.sandbox.autodiscover import Whereabouts
from ops_lib.sandbox.clock import Clock
from ops_lib.sandbox.entra import Directory
from ops_lib.sandbox.entra.control import EntraControl
from ops_lib.sandbox.entra.routes import routes as entra_routes
from ops_lib.sandbox.faults import Faults
from ops_lib.sandbox.gate import Gate
from ops_lib.sandbox.requests_log import RequestsLog
from ops_lib.sandbox.store import Organisation
from ops_lib.sandbox.streaming import Streams
from ops_lib.sandbox.ways_in import read_ways

PREFIX = "/control"


class Controlled(Protocol):
    """What the control endpoints act on."""

    faults: Faults
    requests: RequestsLog
    sign_ins: RequestsLog
    clock: Clock
    directory: Directory
    attempts: Attempts
    gate: Gate
    whereabouts: Whereabouts
    streams: Streams

    @property
    def organisation(self) -> Organisation:
        """The organisation as it is now."""

    def reset(self) -> None:
        """Puts a fresh organisation in the place of the present one."""


def _plain(value: Any) -> Any:
    """Draws a value of the store as JSON: instants in UTC ending in Z, dataclasses as objects."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(part) for name, part in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    return value


async def _document(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body())
    except ValueError as problem:
        raise InputError(
            f"the body is not JSON: {problem}", subject=request.url.path, fix="Send one JSON object."
        ) from None
    if not isinstance(document, dict):
        raise InputError("the body must be a JSON object", subject=request.url.path, fix="Send one JSON object.")
    return document


def _instant(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{value!r} is no time", subject="clock, now", fix="Write it as 2026-11-23T09:00:00Z."
        ) from None
    if at.tzinfo is None:
        raise InputError(f"{value!r} has no zone", subject="clock, now", fix="Write it as 2026-11-23T09:00:00Z.")
    return at


Handler = Callable[[Request], Awaitable[Response]]


def _guarded(handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except OpsError as problem:
            return JSONResponse({"error": str(problem), "subject": problem.subject, "fix": problem.fix}, 400)

    return guarded


def routes(sandbox: Controlled) -> list[Route]:
    """The routes of the control endpoints, below :data:`PREFIX`."""

    async def requests(_: Request) -> Response:
        rules = {row["id"]: row["hits"] for row in sandbox.faults.rows()}
        return JSONResponse(
            {
                **sandbox.requests.document(),
                "rules": rules,
                "sign_ins": sandbox.sign_ins.document(),
                "attempts": sandbox.attempts.document(),
            }
        )

    async def forget_requests(_: Request) -> Response:
        sandbox.requests.clear()
        sandbox.sign_ins.clear()
        sandbox.attempts.clear()
        return JSONResponse({"cleared": True})

    async def faults(_: Request) -> Response:
        return JSONResponse({"rules": sandbox.faults.rows()})

    async def add_fault(request: Request) -> Response:
        rule = sandbox.faults.add(await _document(request))
        return JSONResponse({"id": rule.id, "rule": dict(rule.document)}, 201)

    async def clear_faults(_: Request) -> Response:
        return JSONResponse({"removed": sandbox.faults.clear()})

    async def remove_fault(request: Request) -> Response:
        rule_id = request.path_params["rule_id"]
        if sandbox.faults.remove(rule_id):
            return JSONResponse({"removed": 1})
        return JSONResponse({"error": f"no rule has the id {rule_id}", "fix": "GET /faults lists them."}, 404)

    async def outbox(_: Request) -> Response:
        with sandbox.organisation.lock:
            post.release(sandbox.organisation)
        return JSONResponse([_plain(sent.document()) for sent in sandbox.organisation.outbox])

    async def clock(_: Request) -> Response:
        return JSONResponse({"now": _plain(sandbox.clock())})

    async def set_clock(request: Request) -> Response:
        document = await _document(request)
        if set(document) == {"now"}:
            if document["now"] is None:
                sandbox.clock.restart()
            else:
                sandbox.clock.set(_instant(document["now"]))
        elif set(document) == {"advance_seconds"} and isinstance(document["advance_seconds"], (int, float)):
            sandbox.clock.advance(document["advance_seconds"])
        else:
            raise InputError(
                "says neither when it is nor how far to move",
                subject="clock",
                fix='Send {"now": "2026-11-23T09:00:00Z"}, {"now": null} or {"advance_seconds": 3600}.',
            )
        return await clock(request)

    async def sign_in(_: Request) -> Response:
        return JSONResponse({"offers": list(sandbox.gate.offers)})

    async def set_sign_in(request: Request) -> Response:
        sandbox.gate.offers = read_ways((await _document(request)).get("offers"))
        return await sign_in(request)

    async def autodiscover(_: Request) -> Response:
        return JSONResponse(sandbox.whereabouts.document())

    async def set_autodiscover(request: Request) -> Response:
        sandbox.whereabouts.change(await _document(request))
        return await autodiscover(request)

    async def streams(_: Request) -> Response:
        with sandbox.organisation.lock:
            return JSONResponse(
                {"connections": len(sandbox.streams), "subscriptions": len(sandbox.organisation.subscriptions)}
            )

    async def cut_streams(_: Request) -> Response:
        return JSONResponse({"cut": sandbox.streams.cut()})

    async def administration(_: Request) -> Response:
        return JSONResponse(sandbox.organisation.administration.document())

    async def set_administration(request: Request) -> Response:
        document = await _document(request)
        with sandbox.organisation.lock:
            sandbox.organisation.administration.change(document)
        return await administration(request)

    def may_act(client_id: str) -> None:
        sandbox.organisation.grant_impersonation(client_id, None)

    async def reset(_: Request) -> Response:
        sandbox.reset()
        return JSONResponse({"reset": True})

    table: list[tuple[str, str, Handler]] = [
        ("/requests", "GET", requests),
        ("/requests", "DELETE", forget_requests),
        ("/faults", "GET", faults),
        ("/faults", "POST", add_fault),
        ("/faults", "DELETE", clear_faults),
        ("/faults/{rule_id}", "DELETE", remove_fault),
        ("/outbox", "GET", outbox),
        ("/clock", "GET", clock),
        ("/clock", "POST", set_clock),
        ("/sign-in", "GET", sign_in),
        ("/sign-in", "POST", set_sign_in),
        ("/autodiscover", "GET", autodiscover),
        ("/autodiscover", "POST", set_autodiscover),
        ("/streams", "GET", streams),
        ("/streams", "DELETE", cut_streams),
        ("/administration", "GET", administration),
        ("/administration", "POST", set_administration),
        ("/reset", "POST", reset),
        *entra_routes(EntraControl(sandbox.directory, sandbox.attempts, may_act), _document),
    ]
    return [Route(PREFIX + path, _guarded(handler), methods=[method]) for path, method, handler in table]
