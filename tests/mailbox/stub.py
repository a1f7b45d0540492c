"""A loopback HTTP server that plays what it is given, one reply per request, and remembers what it was asked."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@dataclass
class Reply:
    """What the stub answers: a status, headers and a body; or it hangs up, before or in the middle of the body."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    cut_after: int | None = None
    delay_seconds: float = 0.0


@dataclass
class Asked:
    """One request as the stub saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


Script = Sequence[Reply] | Callable[[Asked, int], Reply]


class Stub:
    """``with Stub([reply, …]) as stub: … stub.url``. More requests than replies are answered 599 and counted in ``unexpected``."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.unexpected = 0
        self._script = script
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                asked = Asked(
                    self.path, dict(self.headers), self.rfile.read(int(self.headers.get("Content-Length", "0")))
                )
                stub.asked.append(asked)
                self._send(stub._reply(asked))

            def do_GET(self) -> None:
                asked = Asked(self.path, dict(self.headers), b"")
                stub.asked.append(asked)
                self._send(stub._reply(asked))

            def _send(self, reply: Reply) -> None:
                if reply.delay_seconds:
                    time.sleep(reply.delay_seconds)
                if reply.drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = reply.body.encode() if isinstance(reply.body, str) else reply.body
                self.send_response(reply.status)
                headers = {"Content-Type": "text/xml; charset=utf-8", "Content-Length": str(len(body))} | reply.headers
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.cut_after is not None:
                    self.wfile.write(body[: reply.cut_after])
                    self.wfile.flush()
                    self.close_connection = True
                    return
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if tls else "http"

    def _reply(self, asked: Asked) -> Reply:
        number = len(self.asked) - 1
        if callable(self._script):
            return self._script(asked, number)
        if number < len(self._script):
            return self._script[number]
        self.unexpected += 1
        return Reply(status=599)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}/EWS/Exchange.asmx"

    def __enter__(self) -> Stub:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def envelope(inside: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        f"<s:Body>{inside}</s:Body></s:Envelope>"
    )


def response(operation: str, *messages: str) -> str:
    return envelope(
        f"<m:{operation}Response><m:ResponseMessages>{''.join(messages)}</m:ResponseMessages></m:{operation}Response>"
    )


def success(operation: str, inside: str = "") -> str:
    return (
        f'<m:{operation}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{inside}'
        f"</m:{operation}ResponseMessage>"
    )


def failure(operation: str, code: str, text: str = "", values: dict[str, str] | None = None) -> str:
    named = "".join(f'<t:Value Name="{name}">{value}</t:Value>' for name, value in (values or {}).items())
    more = f"<m:MessageXml>{named}</m:MessageXml>" if named else ""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="Error"><m:MessageText>{text}</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{more}</m:{operation}ResponseMessage>"
    )


def fault(code: str, text: str = "", values: dict[str, str] | None = None) -> str:
    """A SOAP fault as Exchange gives it."""
    named = "".join(f'<t:Value Name="{name}">{value}</t:Value>' for name, value in (values or {}).items())
    more = f"<t:MessageXml>{named}</t:MessageXml>" if named else ""
    return envelope(
        f'<s:Fault><faultcode xmlns:a="{TYPES}">a:{code}</faultcode><faultstring xml:lang="en-US">{text}</faultstring><detail>'
        f'<e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">{code}</e:ResponseCode>'
        f'<e:Message xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">{text}</e:Message>{more}</detail></s:Fault>'
    )


def event(
    item_id: str,
    subject: str = "Tour",
    more: str = "",
    start: str = "2026-11-23T15:00:00Z",
    end: str = "2026-11-23T16:00:00Z",
) -> str:
    return (
        f'<t:CalendarItem><t:ItemId Id="{item_id}" ChangeKey="ck-{item_id}"/><t:Subject>{subject}</t:Subject>'
        f"<t:Start>{start}</t:Start><t:End>{end}</t:End>{more}</t:CalendarItem>"
    )


def task(item_id: str, more: str = "") -> str:
    return f'<t:Task><t:ItemId Id="{item_id}" ChangeKey="ck-{item_id}"/><t:Subject>Call</t:Subject>{more}</t:Task>'


def items(operation: str, *elements: str) -> str:
    """An answer with one success message per element."""
    return response(operation, *(success(operation, f"<m:Items>{element}</m:Items>") for element in elements))


def sync_page(state: str, *changes: str, is_last: bool = True) -> str:
    return response(
        "SyncFolderItems",
        success(
            "SyncFolderItems",
            f"<m:SyncState>{state}</m:SyncState><m:IncludesLastItemInRange>{str(is_last).lower()}</m:IncludesLastItemInRange>"
            f"<m:Changes>{''.join(changes)}</m:Changes>",
        ),
    )


def found(*elements: str, is_last: bool = True, offset: int | None = None) -> str:
    following = f' IndexedPagingOffset="{offset}"' if offset is not None else ""
    return response(
        "FindItem",
        success(
            "FindItem",
            f'<m:RootFolder{following} TotalItemsInView="{len(elements)}" IncludesLastItemInRange="{str(is_last).lower()}">'
            f"<t:Items>{''.join(elements)}</t:Items></m:RootFolder>",
        ),
    )
