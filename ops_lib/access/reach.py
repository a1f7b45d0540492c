"""Can this machine reach that server? Proxy, name, connection and TLS, each by itself, and each with what was seen.

Nothing is sent to the server here but what a TLS handshake needs. Every step ends in time, whatever the other side does.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from cryptography import x509
from requests.utils import get_environ_proxies, select_proxy

from ops_lib.errors import OpsError, Unreachable
from ops_lib.mailbox import traffic
from ops_lib.mailbox.ews.connections import tls_context

T = TypeVar("T")
_LONGEST_PROXY_ANSWER = 16 * 1024


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy that the environment names. ``variable`` is which variable does; ``credentials`` are user:password, if it has any."""

    host: str
    port: int
    is_tls: bool
    variable: str
    credentials: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port} (from {self.variable})"


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a URL: where to, and through which proxy."""

    host: str
    port: int
    is_tls: bool
    proxy: Proxy | None

    @property
    def first(self) -> tuple[str, int]:
        """Whom this machine connects to: the proxy, or the server itself."""
        return (self.proxy.host, self.proxy.port) if self.proxy is not None else (self.host, self.port)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate as it shows itself, trusted or not."""

    subject: str
    names: tuple[str, ...]
    issuer: str
    ends: datetime


def route_to(url: str) -> Route:
    """The way the suite's requests to ``url`` take. **Raises** `Unreachable` for a proxy that is no address."""
    found: list[Route] = []

    def question() -> dict[str, Any]:
        found.append(_route_to(url))
        route = found[0]
        proxy = route.proxy and {"host": route.proxy.host, "port": route.proxy.port, "is_tls": route.proxy.is_tls, "variable": route.proxy.variable}  # fmt: skip
        return {"host": route.host, "port": route.port, "is_tls": route.is_tls, "proxy": proxy}

    seen = traffic.look("route", [url], question)
    if found:
        return found[0]
    return Route(seen["host"], seen["port"], seen["is_tls"], Proxy(**seen["proxy"]) if seen["proxy"] else None)


def _route_to(url: str) -> Route:
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
    chosen = select_proxy(url, get_environ_proxies(url))
    if not chosen:
        return Route(host, port, is_tls, None)
    variable = _variable(parts.scheme)
    try:
        proxy = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
        name, number = proxy.hostname or "", proxy.port
    except ValueError:
        name, number, proxy = "", None, urlsplit("")
    if not name or proxy.scheme not in ("http", "https"):
        raise Unreachable(
            f"the proxy that {variable} names is no http or https address",
            subject=variable,
            fix=f"set {variable} to http://HOST:PORT, or add {host} to NO_PROXY.",
        )
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}" if proxy.username else ""
    default = 443 if proxy.scheme == "https" else 80
    return Route(host, port, is_tls, Proxy(name, number or default, proxy.scheme == "https", variable, credentials))


def addresses(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name. **Raises** `Unreachable`."""
    return [str(each) for each in traffic.look("name", [host, port], lambda: _addresses(host, port, seconds))]


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    try:
        found = within(seconds, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        reason = "nobody answered in time" if isinstance(error, TimeoutError) else "the name is not known"
        raise Unreachable(
            f"{host} has no address here: {reason}",
            response_code="DNS",
            fix="check the name in the host's URL, and this machine's name service.",
        ) from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def connect(route: Route, seconds: float) -> socket.socket:
    """A connection to the server, or to the proxy and through it; where traffic is replayed, one that leads nowhere. **Raises** `Unreachable`."""
    found: list[socket.socket] = []
    traffic.look("connection", [*route.first, route.host, route.port], lambda: found.append(_connect(route, seconds)))
    return found[0] if found else socket.socket()


def _connect(route: Route, seconds: float) -> socket.socket:
    host, port = route.first
    try:
        connection = socket.create_connection((host, port), timeout=seconds)
    except OSError as error:
        reason = {
            TimeoutError: "nothing answered in time",
            ConnectionRefusedError: "the connection was refused",
        }.get(type(error), error.strerror or "it cannot be reached")
        what = f"the proxy {route.proxy}" if route.proxy is not None else f"{host}:{port}"
        raise Unreachable(
            f"no connection to {what}: {reason}",
            response_code="TCP",
            fix="check the proxy."
            if route.proxy is not None
            else "check the port in the host's URL, the firewall, and whether a proxy is needed (HTTPS_PROXY).",
        ) from None
    connection.settimeout(seconds)
    if route.proxy is None or not route.is_tls:
        return connection
    try:
        return _through(route, route.proxy, connection, seconds)
    except BaseException:
        connection.close()
        raise


def secure(route: Route, connection: socket.socket, ca_bundle: str) -> tuple[str, Certificate]:
    """A TLS handshake as strict as the suite's own: the TLS version and the certificate. **Raises** `Unreachable` with what is wrong."""

    def question() -> dict[str, Any]:
        version, certificate = _secure(route, connection, ca_bundle)
        return {"version": version, "certificate": _plain(certificate)}

    seen = traffic.look("certificate", [route.host, route.port], question)
    return str(seen["version"]), _certificate_of(seen["certificate"])


def _secure(route: Route, connection: socket.socket, ca_bundle: str) -> tuple[str, Certificate]:
    context = tls_context()
    trusted, _ = trust(ca_bundle)
    try:
        context.load_verify_locations(trusted)
        with context.wrap_socket(connection, server_hostname=route.host) as stream:
            return stream.version() or "", _certificate(stream.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"the server's certificate is not trusted: {error.verify_message or 'it does not verify'}",
            response_code="TLS",
            fix=_certificate_fix(error.verify_code, route.host),
        ) from None
    except ssl.SSLError as error:
        reason = error.reason or ""
        if reason == "WRONG_VERSION_NUMBER" or "HTTP_REQUEST" in reason:
            message, fix = "what answers there does not speak TLS", "check the port in the host's URL."
        elif any(word in reason for word in ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS")):
            message, fix = "the server has no TLS 1.2 or newer", "turn TLS 1.2 on at the server or its load balancer."
        else:
            message, fix = f"TLS failed ({reason or 'no reason given'})", "check the server's TLS settings."
        raise Unreachable(message, response_code=f"TLS {reason}".strip(), fix=fix) from None
    except OSError as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else "the connection was closed"
        raise Unreachable(
            f"the TLS handshake was not finished: {reason}",
            response_code="TLS",
            fix="check that the URL's port is the server's HTTPS port, and what stands between.",
        ) from None


def shown_certificate(route: Route, seconds: float) -> Certificate | None:
    """The certificate of a server that is not trusted, to say whose it is. Only read: nothing is ever sent over this connection."""

    def question() -> dict[str, Any] | None:
        shown = _shown_certificate(route, seconds)
        return _plain(shown) if shown is not None else None

    seen = traffic.look("shown certificate", [route.host, route.port], question)
    return _certificate_of(seen) if seen is not None else None


def _shown_certificate(route: Route, seconds: float) -> Certificate | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        suppress(OSError, ValueError, OpsError),
        _connect(route, seconds) as connection,
        context.wrap_socket(connection, server_hostname=route.host) as stream,
    ):
        return _certificate(stream.getpeercert(binary_form=True) or b"")
    return None


def trust(ca_bundle: str) -> tuple[str, str]:
    """The file of trusted authorities, and its origin in words: the host's own, the environment's, else the one that comes along."""
    if ca_bundle:
        return ca_bundle, f"the host's CA bundle {ca_bundle}"
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if os.environ.get(variable):
            return os.environ[variable], f"{variable}={os.environ[variable]}"
    import certifi

    return certifi.where(), "the public authorities"


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _variable(scheme: str) -> str:
    names = [f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"]
    return next((name for name in names if os.environ.get(name)), "the system's settings")


def within(seconds: float, question: Callable[[], T]) -> T:
    """The answer to what cannot be told to hurry. **Raises** `TimeoutError`; the question is then left behind."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(question())
        except BaseException as error:  # noqa: BLE001 raised again in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]


def _through(route: Route, proxy: Proxy, connection: socket.socket, seconds: float) -> socket.socket:
    """Ask the proxy for a tunnel to the server."""
    deadline = time.monotonic() + seconds
    if proxy.is_tls:
        context = tls_context()
        context.load_verify_locations(trust("")[0])
        try:
            connection = context.wrap_socket(connection, server_hostname=proxy.host)
        except OSError:
            raise Unreachable(
                f"no secure connection to the proxy {proxy}", response_code="TLS", fix=f"correct {proxy.variable}."
            ) from None
    target = f"{route.host}:{route.port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if proxy.credentials:
        request += f"Proxy-Authorization: Basic {base64.b64encode(proxy.credentials.encode()).decode()}\r\n"
    answer = b""
    try:
        connection.sendall(f"{request}\r\n".encode())
        while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_PROXY_ANSWER:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            received = connection.recv(1)  # not one byte of what comes after belongs to us
            if not received:
                break
            answer += received
    except OSError:
        answer = b""
    connection.settimeout(seconds)
    status = answer.split(b" ", 2)[1:2]
    if status and status[0].startswith(b"2"):
        return connection
    code = status[0].decode("ascii", "replace") if status else ""
    fix = {
        "407": f"put the proxy's user and password into {proxy.variable}: http://USER:PASSWORD@{proxy.host}:{proxy.port}.",
        "403": f"have {target} allowed at the proxy.",
    }.get(code, f"check {proxy.variable}, or add {route.host} to NO_PROXY.")
    raise Unreachable(
        f"the proxy {proxy} does not let us through to {target}"
        + (f" (HTTP {code})" if code else ": no answer in time"),
        response_code=f"HTTP {code}" if code else "TCP",
        fix=fix,
    )


def _certificate_fix(code: int, host: str) -> str:
    if code in (9, 10):
        return "renew the server's certificate (or set this machine's clock)."
    if code in (62, 64):
        return f"use the name in the certificate as the host's URL, or have {host} added to the certificate."
    return "give the host the authority that signed the server's certificate (host edit --ca-bundle FILE); a chain without its intermediate is the server's to mend."


def _plain(certificate: Certificate) -> dict[str, Any]:
    """A certificate as plain JSON."""
    return {
        "subject": certificate.subject,
        "names": list(certificate.names),
        "issuer": certificate.issuer,
        "ends": certificate.ends.isoformat(),
    }


def _certificate_of(plain: dict[str, Any]) -> Certificate:
    return Certificate(plain["subject"], tuple(plain["names"]), plain["issuer"], datetime.fromisoformat(plain["ends"]))


def _certificate(content: bytes) -> Certificate:
    read = x509.load_der_x509_certificate(content)
    names: list[str] = []
    with suppress(x509.ExtensionNotFound):
        alternatives = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(each.value) for each in alternatives]
    return Certificate(
        read.subject.rfc4514_string(),
        tuple(names),
        read.issuer.rfc4514_string(),
        read.not_valid_after_utc.astimezone(UTC),
    )
