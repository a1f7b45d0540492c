"""The sandbox as other servers would speak: a proxy on loopback that says the same in another way.

Nothing of it changes what an answer means; a client that reads XML and HTTP as they are defined notices nothing. Some dialects are servers that
can do less (``cannot search by named properties``, ``lists ids only``), and one must cope.
"""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import requests
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
T, M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"

Answer = Callable[[etree._Element, bytes], etree._Element]

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")


def _other_prefixes(root: etree._Element, _: bytes) -> etree._Element:
    """The message's namespace as the default one, odd prefixes for the rest, white space between elements."""

    def copy(element: etree._Element, nsmap: dict[str | None, str]) -> etree._Element:
        new = etree.Element(element.tag, dict(reversed(element.attrib.items())), nsmap=nsmap)
        new.text, new.tail = element.text, element.tail
        new.extend([copy(child, nsmap) for child in element if isinstance(child.tag, str)])
        return new

    fresh = copy(root, {None: MESSAGES, "E": SOAP, "ns17": TYPES, "i": "http://www.w3.org/2001/XMLSchema-instance"})
    for element in fresh.iter():
        if len(element) and not (element.text or "").strip():
            element.insert(0, etree.Comment(" - "))
    return fresh


def _offsets(root: etree._Element, _: bytes) -> etree._Element:
    """Every instant with another offset, and with a fraction."""

    def shifted(match: re.Match[str]) -> str:
        moment = datetime.fromisoformat(match[1])
        if not 1 < moment.year < 9999:
            return match[0]
        return f"{(moment - timedelta(hours=3, minutes=30)).isoformat()}.0000000-03:30"

    for element in root.iter():
        if element.text and _INSTANT.fullmatch(element.text):
            element.text = _INSTANT.sub(shifted, element.text)
    return root


def _more_than_asked(root: etree._Element, _: bytes) -> etree._Element:
    """Elements, attributes and headers of a later version, in places where nobody expects them."""
    for element in list(root.iter(f"{T}CalendarItem", f"{T}Task")):
        for name in ("FutureThing", "Preview"):
            extra = etree.Element(f"{T}{name}", Kind="new")
            etree.SubElement(extra, f"{T}Subject").text = "not this one"
            element.insert(0, extra)
        element.set("Flavour", "x")
    for message in root.iter(f"{M}ResponseMessages"):
        for each in message:
            etree.SubElement(each, "{urn:elsewhere}Diagnostics").text = "x"
    return root


def _ids_only(root: etree._Element, _: bytes) -> etree._Element:
    """SyncFolderItems with nothing but ids, whatever was asked."""
    for changes in root.iter(f"{M}Changes"):
        for item in changes.iter(f"{T}CalendarItem", f"{T}Task"):
            for child in list(item):
                if child.tag != f"{T}ItemId":
                    item.remove(child)
    return root


def _no_search(root: etree._Element, request: bytes) -> etree._Element:
    """FindItem refuses a restriction on an extended property."""
    if b"Restriction" not in request or b"ExtendedFieldURI" not in request:
        return root
    (messages,) = root.iter(f"{M}ResponseMessages")
    for message in list(messages):
        messages.remove(message)
    refusal = etree.SubElement(messages, f"{M}FindItemResponseMessage", ResponseClass="Error")
    etree.SubElement(refusal, f"{M}MessageText").text = "The path is not supported for a query."
    etree.SubElement(refusal, f"{M}ResponseCode").text = "ErrorUnsupportedPathForQuery"
    etree.SubElement(refusal, f"{M}DescriptiveLinkKey").text = "0"
    return root


def _small_pages(request: bytes) -> bytes:
    return re.sub(rb"(<(?:\w+:)?MaxChangesReturned>)\d+", rb"\g<1>7", request)


def _same(value: Any) -> Any:
    return value


class Dialect:
    """``answer`` rewrites an answer's envelope, ``request`` a request's bytes, ``encode`` makes bytes and Content-Type."""

    def __init__(
        self,
        answer: Answer = lambda root, _: root,
        *,
        request: Callable[[bytes], bytes] = _same,
        encoding: str = "utf-8",
        zipped: bool = False,
        chunked: bool = False,
        closes: bool = False,
        declares_charset: bool = True,
    ) -> None:
        self.answer, self.request, self.encoding = answer, request, encoding
        self.zipped, self.chunked, self.closes, self.declares_charset = zipped, chunked, closes, declares_charset

    def encode(self, root: etree._Element) -> tuple[bytes, dict[str, str]]:
        body = etree.tostring(root, xml_declaration=True, encoding=self.encoding)
        kind = f"text/xml; charset={self.encoding}" if self.declares_charset else "text/xml"
        headers = {"Content-Type": kind}
        if self.zipped:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        return body, headers


DIALECTS = {
    "other prefixes": Dialect(_other_prefixes),
    "times with offsets and fractions": Dialect(_offsets),
    "more than was asked": Dialect(_more_than_asked),
    "UTF-16": Dialect(encoding="utf-16"),
    "no charset in the header": Dialect(declares_charset=False),
    "gzip": Dialect(zipped=True),
    "chunks, and a connection for each answer": Dialect(chunked=True, closes=True),
    "small pages": Dialect(request=_small_pages),
    "lists ids only": Dialect(_ids_only),
    "cannot search by named properties": Dialect(_no_search),
}


@contextmanager
def speaking(dialect: Dialect, url: str) -> Iterator[str]:
    """The address of a server that answers as the one at ``url``, in this dialect, until the end of the block."""
    parts = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            dropped = {"host", "content-length", "connection", "accept-encoding"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            there = requests.post(
                f"{parts.scheme}://{parts.netloc}{self.path}",
                data=dialect.request(body),
                headers=headers,
                timeout=60,
                allow_redirects=False,
            )
            content, answered = there.content, {"Content-Type": there.headers.get("Content-Type", "text/xml")}
            if content.startswith(b"<?xml"):
                content, answered = dialect.encode(dialect.answer(etree.fromstring(content), body))
            for name in ("WWW-Authenticate", "Retry-After"):
                if name in there.headers:
                    answered[name] = there.headers[name]
            self.send_response(there.status_code)
            for name, value in answered.items():
                self.send_header(name, value)
            if dialect.closes:
                self.send_header("Connection", "close")
                self.close_connection = True
            if dialect.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for start in range(0, len(content), 701):
                    piece = content[start : start + 701]
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Tests print nothing of their servers."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{parts.path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
