"""The EWS endpoint over HTTP: sign-in, bodies, fault rules; the SOAP inside is the face's.

Order of things, as on a real server: who is it (401), is it a POST of XML at all (405, 415), is it too big, what does it ask
(faults for what cannot be read), and only then does anything happen.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops_lib.sandbox import error_answers, requests_log
from ops_lib.sandbox.administration import POLICY_HEADER
from ops_lib.sandbox.affinity import Affinity
from ops_lib.sandbox.answers import PAGES, XML, Answer, ClientGone, Receive, Scope, Send, page, read_body
from ops_lib.sandbox.ews.envelope import Reply, SoapRequest
from ops_lib.sandbox.ews.envelope import fault as fault_reply
from ops_lib.sandbox.ews.errors import SoapFault
from ops_lib.sandbox.ews.session import Caller
from ops_lib.sandbox.faults import Fault, Faults
from ops_lib.sandbox.gate import Gate, NotSignedIn
from ops_lib.sandbox.operations import LISTS
from ops_lib.sandbox.requests_log import RequestsLog
from ops_lib.sandbox.streaming import Streams

if TYPE_CHECKING:
    from ops_lib.sandbox.ews import EwsFace
    from ops_lib.sandbox.store import Organisation

EWS_PATH = "/ews/exchange.asmx"
# On premises a request may have 64 MB; Exchange Online documents 400 KB for ErrorRequestStreamTooBig.
LARGEST_REQUEST_BYTES = 64 * 1024 * 1024

_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)

_SERVICE_PAGE = b"""<HTML><HEAD><TITLE>ExchangeServicesService Service</TITLE></HEAD><BODY>
<H1>ExchangeServicesService Service</H1><P>You have created a service.</P>
<P>To test this service, you will need to create a client and use it to call the service: send SOAP requests by POST.</P>
</BODY></HTML>"""


@dataclass(slots=True)
class Behind:
    """What stands behind the endpoint at the moment; a reset puts another face, of another organisation, in its place."""

    face: EwsFace

    @property
    def organisation(self) -> Organisation:
        """The organisation the face speaks for."""
        return self.face.organisation


@dataclass(slots=True)
class _Asked:
    """One request, as far as it is known: what it wants, of which mailbox, in how many parts."""

    operation: str
    mailbox: str
    parts: int = 1


class EwsEndpoint:
    """An ASGI application that answers at the EWS address."""

    def __init__(
        self,
        behind: Behind,
        gate: Gate,
        faults: Faults,
        log: RequestsLog,
        *,
        affinity: Affinity,
        streams: Streams,
        largest_request_bytes: int = LARGEST_REQUEST_BYTES,
    ) -> None:
        self._behind = behind
        self._affinity = affinity
        self._streams = streams
        self._gate = gate
        self._faults = faults
        self._log = log
        self._largest = largest_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body, size = await read_body(receive, self._largest)
        except ClientGone:
            return
        answer = Answer(scope, send, gzipped="gzip" in headers.get("accept-encoding", ""))
        try:
            caller = self._gate.caller(scope, headers.get("authorization", ""))
        except NotSignedIn as refused:
            operation = requests_log.CHALLENGED if refused.is_challenge else requests_log.REFUSED
            self._log.arrived(operation, "", size)
            reply = Reply(401, {"Content-Type": _HTML}, PAGES[401].encode())
            await self._plain(answer, operation, "", reply, refused.headers)
            return
        if await self._is_no_request(scope["method"], headers.get("content-type", ""), size, caller, answer):
            return
        content = _decoded(body, size, headers.get("content-encoding", ""), self._largest)
        if isinstance(content, Reply):
            self._log.arrived(requests_log.UNREADABLE, caller.address, size)
            await self._plain(answer, requests_log.UNREADABLE, caller.address, content)
            return
        await self._soap(content, size, caller, answer, headers, receive)

    # -- what comes in -------------------------------------------------------------------------------------------------

    async def _is_no_request(self, method: str, content_type: str, size: int, caller: Caller, answer: Answer) -> bool:
        """Answers what is not a POST of XML; says whether it did."""
        if method == "POST":
            kind, _, parameters = content_type.partition(";")
            charset = parameters.partition("charset=")[2].strip(' "').lower()
            if kind.strip().lower() == "text/xml" and charset in ("", "utf-8", "utf8"):
                return False
            text = f"Cannot process the message because the content type '{content_type}' was not the expected type '{XML}'."
            reply = Reply(415, {"Content-Type": _TEXT}, text.encode())
        elif method in ("GET", "HEAD"):
            reply = Reply(200, {"Content-Type": _HTML}, _SERVICE_PAGE)
        else:
            reply = Reply(405, {"Allow": "GET, HEAD, POST"}, b"")
        self._log.arrived(f"({method})", caller.address, size)
        await self._plain(answer, f"({method})", caller.address, reply)
        return True

    async def _plain(
        self,
        answer: Answer,
        operation: str,
        mailbox: str,
        reply: Reply,
        more: tuple[tuple[str, str], ...] = (),
    ) -> None:
        sent = await answer.send(reply.status, (*reply.headers.items(), *more), reply.body)
        self._log.answered(operation, mailbox, reply.status, sent)

    # -- what is asked -------------------------------------------------------------------------------------------------

    async def _soap(
        self, body: bytes, size: int, caller: Caller, answer: Answer, headers: dict[str, str], receive: Receive
    ) -> None:
        try:
            request = self._behind.face.read(body)
        except SoapFault as problem:
            self._log.arrived(requests_log.UNREADABLE, caller.address, size)
            await self._plain(answer, requests_log.UNREADABLE, caller.address, fault_reply(problem))
            return
        asked = _Asked(request.operation, (request.mailbox or caller.address).lower(), _parts(request))
        administration = self._behind.organisation.administration
        closed = administration.closes_ews(asked.mailbox, caller.address, headers.get("user-agent", ""))
        if closed:
            self._log.arrived(asked.operation, asked.mailbox, size)
            await self._plain(answer, asked.operation, asked.mailbox, Reply(403, {POLICY_HEADER: closed}, b""))
            return
        request.server = self._affinity.server_of(headers, asked.mailbox)
        fault = self._faults.decide(asked.operation, asked.mailbox)
        self._log.arrived(asked.operation, asked.mailbox, size, faulted=fault is not None)
        if fault is None and asked.operation == "GetStreamingEvents":
            await self._stream(request, asked, caller, answer, receive)
            return
        if fault is None:
            cookies = self._affinity.cookies(headers, request.server)
            await self._plain(answer, asked.operation, asked.mailbox, self._apply(request, caller), cookies)
            return
        status, sent = await self._go_wrong(fault, asked, request, caller, answer)
        if status:
            self._log.answered(asked.operation, asked.mailbox, status, sent)

    async def _stream(
        self, request: SoapRequest, asked: _Asked, caller: Caller, answer: Answer, receive: Receive
    ) -> None:
        """Answers what goes on until its time is over."""
        budget = (caller.address, request.impersonated[1].lower() if request.impersonated else "")
        try:
            if self._streams.is_full(budget):
                raise SoapFault("ErrorExceededConnectionCount")
            stream = self._behind.face.stream(request, caller)
        except SoapFault as problem:
            await self._plain(answer, asked.operation, asked.mailbox, fault_reply(problem))
            return
        sent = await self._streams.run(stream, budget, answer, receive)
        self._log.answered(asked.operation, asked.mailbox, 200, sent)

    def _apply(self, request: SoapRequest, caller: Caller) -> Reply:
        try:
            return self._behind.face.answer(request, caller)
        except SoapFault as problem:
            return fault_reply(problem)
        except Exception:  # noqa: BLE001  the boundary: a client gets the fault Exchange sends, the sandbox's keeper the trace
            _log.exception("the sandbox failed at %s", request.operation)
            return error_answers.soap_fault("ErrorInternalServerError")

    async def _go_wrong(
        self, fault: Fault, asked: _Asked, request: SoapRequest, caller: Caller, answer: Answer
    ) -> tuple[int, int]:
        """Does to a request what the rule says: the status and the bytes sent, 0 for no answer."""
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.drop == "before":
            answer.drop()
            return 0, 0
        instead = _instead(fault, asked)
        applied = self._apply(request, caller) if instead is None or fault.applied else None
        if fault.twice:
            applied = self._apply(self._behind.face.read(request.body), caller)
        reply = instead or applied
        assert reply is not None
        if fault.late_seconds:
            await asyncio.sleep(fault.late_seconds)
        if fault.drop == "after":
            answer.drop()
            return 0, 0
        headers = tuple(reply.headers.items())
        if fault.truncate:
            return reply.status, await answer.cut(reply.status, headers, reply.body, fault.keep, fault.truncate)
        return reply.status, await answer.send(reply.status, headers, reply.body)


def _instead(fault: Fault, asked: _Asked) -> Reply | None:
    """Draws the answer a rule gives instead of the real one, if it gives one."""
    if fault.soap_fault:
        return error_answers.soap_fault(fault.soap_fault, fault.message, fault.back_off_milliseconds)
    if fault.response_code:
        return error_answers.error_answer(
            asked.operation, asked.parts, fault.response_code, fault.message, fault.back_off_milliseconds
        )
    if fault.status is not None or fault.body is not None:
        return Reply(*page(fault))
    return None


def _parts(request: SoapRequest) -> int:
    """Says how many response messages the request calls for: one for each thing in its list."""
    for child in request.root:
        name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
        if name in LISTS:
            return sum(1 for one in child if isinstance(one.tag, str))
    return 1


def _decoded(body: bytes, size: int, encoding: str, largest: int) -> bytes | Reply:
    """Undoes a request's compression; gives the refusal where it is unknown, damaged, or the request is too big."""
    if size > largest:
        return error_answers.soap_fault("ErrorRequestStreamTooBig")
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return body
    windows = {"gzip": 31, "x-gzip": 31, "deflate": 15}
    if kind not in windows:
        return Reply(415, {"Content-Type": _TEXT, "Accept-Encoding": "gzip, deflate"}, b"Unknown Content-Encoding.")
    unpacker = zlib.decompressobj(windows[kind])
    try:
        unpacked = unpacker.decompress(body, largest + 1)
    except zlib.error:
        unpacked = b""
    if len(unpacked) > largest:
        return error_answers.soap_fault("ErrorRequestStreamTooBig")
    if not unpacker.eof:
        return Reply(400, {"Content-Type": _TEXT}, b"The compressed body is damaged.")
    return unpacked
