"""The directory over HTTP. Rules for Token, Authorize, DeviceCode and OpenIdConfiguration make it go wrong."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse

from ops_lib.sandbox.answers import Answer, ClientGone, Receive, Scope, Send, page, read_body
from ops_lib.sandbox.faults import AUTHORIZE, DEVICE_CODE, DISCOVERY, TOKEN, Fault, Faults
from ops_lib.sandbox.requests_log import RequestsLog

from . import pages
from .directory import Directory
from .refusals import Refused
from .signin import GoTo, SignIn, Step

_LARGEST_FORM_BYTES = 1_000_000
_COOKIE = "sandbox_browser"
_PATHS = re.compile(
    r"/(?P<tenant>[^/]+)/(?:(?P<discovery>(?:v2\.0/)?\.well-known/openid-configuration)"
    r"|(?P<keys>discovery/v2\.0/keys)|(?P<instance>discovery/instance)|oauth2/v2\.0/(?:(?P<token>token)"
    r"|(?P<authorize>authorize)|(?P<devicecode>devicecode)|(?P<logout>logout))|(?P<login>login)"
    r"|(?P<device>oauth2/deviceauth)|(?P<admin>(?:v2\.0/)?adminconsent))/?",
    re.IGNORECASE,
)
_OPERATIONS = {
    "token": TOKEN,
    "authorize": AUTHORIZE,
    "devicecode": DEVICE_CODE,
    "discovery": DISCOVERY,
}
_BY_POST = ("token", "devicecode", "login")


class EntraEndpoint:
    """Answers at the directory's paths."""

    def __init__(self, directory: Directory, sign_in: SignIn, faults: Faults, log: RequestsLog) -> None:
        self._directory = directory
        self._sign_in = sign_in
        self._faults = faults
        self._log = log

    @staticmethod
    def matches(path: str) -> re.Match[str] | None:
        """Whether a path is the directory's."""
        return _PATHS.fullmatch(path)

    async def answer(self, matched: re.Match[str], scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            body, size = await read_body(receive, _LARGEST_FORM_BYTES)
        except ClientGone:
            return
        answer = Answer(scope, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        what = next(name for name, value in matched.groupdict().items() if name != "tenant" and value)
        either = what in ("authorize", "device")
        allowed = ["GET", "HEAD", "POST"] if either else ["POST"] if what in _BY_POST else ["GET", "HEAD"]
        if scope["method"] not in allowed:
            await answer.send(405, [("Allow", ", ".join(allowed))], b"")
            return
        source = body if scope["method"] == "POST" else scope["query_string"]
        form = dict(parse_qsl(source.decode("utf-8", "replace"), keep_blank_values=True))
        operation, tenant = _OPERATIONS.get(what, ""), matched["tenant"]
        base = f"{scope['scheme']}://{headers.get('host', '')}"
        if not operation:
            await self._uncounted(what, tenant, form, base, headers, answer)
            return
        subject = self._directory.subject_of(form) or tenant.lower()
        fault = self._faults.decide(operation, subject)
        self._log.arrived(operation, subject, size, faulted=fault is not None)
        if fault is not None and await _went_wrong(fault, answer):
            return
        on_demand = fault.aadsts if fault is not None else 0
        if what == "authorize":
            browser = _browser(headers)
            step = self._step(lambda: self._sign_in.authorize(tenant, form, browser, on_demand))
            status, sent = await self._show(step, browser, base, answer)
        else:
            status, document = self._document(what, tenant, form, base, headers, on_demand)
            sent = await _json(answer, status, document)
        self._log.answered(operation, subject, status, sent)

    def _document(
        self, what: str, tenant: str, form: dict[str, str], base: str, headers: dict[str, str], on_demand: int
    ) -> tuple[int, object]:
        if on_demand:
            refused = Refused(on_demand, tenant=tenant, client_id=form.get("client_id", ""))
            correlation_id = form.get("client-request-id", "") or headers.get("client-request-id", "")
            return refused.meaning.status, self._directory.refusal(refused, correlation_id)
        if what == "token":
            return self._directory.token(tenant, form, headers.get("authorization", ""), base)
        if what == "devicecode":
            return self._directory.device_code(tenant, form, base)
        return self._directory.discovery(base, tenant)

    async def _uncounted(
        self, what: str, tenant: str, form: dict[str, str], base: str, headers: dict[str, str], answer: Answer
    ) -> None:
        """The pages after the first, and what is only looked up."""
        if what in ("keys", "instance"):
            document = self._directory.keys() if what == "keys" else self._directory.instance(base)
            await _json(answer, 200, document)
            return
        browser = _browser(headers)
        steps: dict[str, Callable[[], Step]] = {
            "login": lambda: self._sign_in.submit(form, browser),
            "device": lambda: self._sign_in.device(form.get("user_code", ""), browser),
            "logout": lambda: self._sign_in.sign_out(form, browser),
            "admin": lambda: self._sign_in.admin_consent(tenant, form, browser),
        }
        await self._show(self._step(steps[what]), browser, base, answer)

    def _step(self, take: Callable[[], Step]) -> Step:
        with self._directory.lock:
            return take()

    @staticmethod
    async def _show(step: Step, browser: str, base: str, answer: Answer) -> tuple[int, int]:
        secure = "; Secure" if base.startswith("https") else ""
        headers = [
            ("Set-Cookie", f"{_COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax{secure}"),
            ("Cache-Control", "no-store, no-cache"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "DENY"),
        ]
        if isinstance(step, GoTo) and not step.fields:
            return 302, await answer.send(302, [*headers, ("Location", step.address)], b"")
        content = pages.form_post(step) if isinstance(step, GoTo) else pages.page(step)
        status = 200 if isinstance(step, GoTo) else step.status
        return status, await answer.send(status, [*headers, ("Content-Type", "text/html; charset=utf-8")], content)


def _browser(headers: dict[str, str]) -> str:
    """The value that tells this browser from others: its cookie's, or a new one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        found = None
    known = found.value if found is not None else ""
    return known if re.fullmatch(r"[\w-]{20,64}", known) else secrets.token_urlsafe(24)


async def _json(answer: Answer, status: int, document: object) -> int:
    rendered = JSONResponse(document).body
    headers = (("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store, no-cache"))
    return await answer.send(status, headers, bytes(rendered))


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
