"""Autodiscover's way to servers: HTTP with verified TLS, no redirects, an end to every answer; and SRV records.

Which places are asked, and what may be sent there, is decided in `ops_lib/access/autodiscover.py`, whose ``Transport`` this is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from requests.auth import HTTPBasicAuth
from requests_ntlm import HttpNtlmAuth
from urllib3.exceptions import HTTPError

from ops_lib.errors import Unreachable
from ops_lib.mailbox import traffic
from ops_lib.mailbox.ews.connections import Adapter

LARGEST_ANSWER_BYTES = 262_144


class SignIn(Protocol):
    """How to sign in; ``auth`` is "basic", "ntlm" or "bearer"."""

    @property
    def user(self) -> str: ...

    @property
    def secret(self) -> str: ...

    @property
    def auth(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Got:
    """What a server answered; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Nobody(requests.auth.AuthBase):
    """Signs nothing: without it requests would take a password from a .netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class HttpTransport:
    """Sends requests; one session, closed by ``close``. ``ca_bundle``: a private authority's certificates."""

    def __init__(self, ca_bundle: str = "") -> None:
        self._session = requests.Session()
        self._session.mount("https://", Adapter(ca_bundle, max_retries=0))
        self._session.mount("http://", Adapter(max_retries=0))

    def send(
        self, method: str, url: str, form: Any, *, body: bytes, credentials: SignIn | None, timeout_seconds: float
    ) -> Got:
        """Sends one request. Raises Unreachable when no whole answer came in time, or a larger one than any server gives."""
        headers = {"User-Agent": "syncops", "Accept": "text/xml, application/xml"}
        if body:
            headers["Content-Type"] = "text/xml; charset=utf-8"
        try:
            with self._session.request(
                method,
                url,
                data=body or None,
                headers=headers,
                auth=_auth(credentials),
                timeout=timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = answer.raw.read(LARGEST_ANSWER_BYTES + 1, decode_content=True)
                if len(content) > LARGEST_ANSWER_BYTES:
                    raise Unreachable("answers more than any Autodiscover service does", subject=url)
                lowered = {name.lower(): value for name, value in answer.headers.items()}
                return Got(answer.status_code, lowered, content)
        except (requests.RequestException, HTTPError, OSError, KeyError, ValueError) as problem:
            raise Unreachable(_reason(problem), subject=url) from None

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()


def _auth(credentials: SignIn | None) -> requests.auth.AuthBase:
    if credentials is None:
        return _Nobody()
    if credentials.auth == "bearer":
        return _Bearer(credentials.secret)
    if credentials.auth == "ntlm":
        auth: requests.auth.AuthBase = HttpNtlmAuth(credentials.user, credentials.secret)
        return auth
    return HTTPBasicAuth(credentials.user.encode(), credentials.secret.encode())


def _reason(problem: Exception) -> str:
    """Why there is no answer, without addresses and headers."""
    said = str(problem).lower()
    if "getaddrinfo" in said or "resolve" in said:
        return "the name is not known"
    if isinstance(problem, requests.exceptions.SSLError) or "certificate" in said:
        return "no secure connection: the certificate is not trusted or not this host's"
    if isinstance(problem, requests.exceptions.ProxyError):
        return "the proxy did not let us through"
    if isinstance(problem, requests.Timeout | TimeoutError) or "timed out" in said or "in time" in said:
        return "no answer in time"
    if isinstance(problem, requests.ConnectionError):
        return "no connection"
    return "the answer broke off"


def srv_records(name: str) -> Sequence[tuple[str, int]]:
    """The hosts and ports of an SRV record, best first; none when there is no record or no name service."""
    found = traffic.look("service", [name], lambda: [list(each) for each in _srv_records(name)])
    return [(str(host), int(port)) for host, port in found]


def _srv_records(name: str) -> Sequence[tuple[str, int]]:
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(name, "SRV", lifetime=5.0)
    except (dns.exception.DNSException, OSError):
        return ()
    rows = sorted(answer, key=lambda row: (row.priority, -row.weight))
    return [(str(row.target), int(row.port)) for row in rows]
