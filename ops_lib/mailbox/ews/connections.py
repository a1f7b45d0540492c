"""HTTP connections as the suite makes them: TLS 1.2 or newer, a host's own CA, and an end to every answer, in time and in bytes.

A read timeout alone does not end an answer that comes byte by byte: each byte starts it anew. Here the whole answer has a time, from
the first byte of its header to the last of its body.
"""

from __future__ import annotations

import http.client
import io
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager
from urllib3.util.ssl_ import create_urllib3_context

from ops_lib.mailbox import traffic

WHOLE_ANSWER = 3
"""A whole answer may take so many times what one read may: a large page on a slow line is read to its end."""


LARGEST_ANSWER = 64_000_000
"""Bytes of an answer's body, unpacked. The largest page that is asked for has a few; what has more has no end, or is packed to fill the memory."""


class AnswerTooLarge(requests.exceptions.ChunkedEncodingError):
    """An answer that was not read to its end, because it may have none."""


def tls_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, certificates and names verified. Which authorities are trusted is loaded by whoever connects."""
    context: ssl.SSLContext = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = True
    return context


class Adapter(HTTPAdapter):
    """One connection. A host's own CA wins over REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, which requests puts before a session's ``verify``."""

    def __init__(self, ca_bundle: str = "", *, is_endless: bool = False, **options: Any) -> None:
        self.ca_bundle = ca_bundle
        self._is_endless = is_endless  # for answers that are meant to go on
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=tls_context())
        if not self._is_endless:
            self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options, ssl_context=tls_context())
        if not self._is_endless:
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        def proceed() -> requests.Response:
            sent = _in_bytes(request)
            return super(Adapter, self).send(sent, stream, timeout, self.ca_bundle or verify or True, cert, proxies)

        tape = traffic.current()
        response = proceed() if tape is None else tape.send(request, proceed)
        return response if self._is_endless else _limited(response)


def _limited(response: requests.Response) -> requests.Response:
    """The answer, whose body raises `AnswerTooLarge` beyond the limit when it is read; NTLM needs the connection before that."""
    read = response.iter_content

    def limited(*arguments: Any, **options: Any) -> Iterator[Any]:
        size = 0
        for chunk in read(*arguments, **options):
            size += len(chunk)
            if size > LARGEST_ANSWER:
                response.close()
                raise AnswerTooLarge(f"the answer is larger than {LARGEST_ANSWER // 1_000_000} MB")
            yield chunk

    response.iter_content = limited  # type: ignore[method-assign]
    return response


def _in_bytes(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The request with what is not ASCII in its headers as UTF-8: an address in X-AnchorMailbox may have any letters, and what
    Latin-1 has not could not be sent at all."""
    said = {name: value for name, value in request.headers.items() if isinstance(value, str) and not value.isascii()}
    if not said:
        return request
    sent = request.copy()
    headers: Any = sent.headers
    for name, value in said.items():
        headers[name] = value.encode()
    return sent


class _Until(io.RawIOBase):
    """What a socket receives, until a moment."""

    def __init__(self, raw: io.RawIOBase, sock: Any, moment: float) -> None:
        self._raw, self._sock, self._moment = raw, sock, moment

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._moment - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not come to an end in time")
        timeout = self._sock.gettimeout()
        self._sock.settimeout(left if timeout is None else min(timeout, left))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(timeout)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that ends in time."""

    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        timeout = sock.gettimeout()
        if timeout is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_Until(raw, sock, time.monotonic() + WHOLE_ANSWER * timeout))


class _Pool(HTTPConnectionPool):
    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.response_class = _Answer  # type: ignore[attr-defined]
        return connection


class _SecurePool(HTTPSConnectionPool):
    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.response_class = _Answer  # type: ignore[attr-defined]
        return connection


_POOLS = {"http": _Pool, "https": _SecurePool}
