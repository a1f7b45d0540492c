"""One POST to an Exchange server: signed in, for one mailbox, with an answer or an error of our own.

exchangelib does what it does well: sessions and their pool, Basic, NTLM and OAuth, the SOAP header (version, impersonation, time zone) and
the routing header. What it would do on its own is left out: it guesses no version, opens no folder, waits for nothing and repeats nothing.

What may have happened is kept apart with care, because a create must not be sent twice:
`Unreachable` nothing left this machine · `AnswerLost` the request was sent, no usable answer came · everything else: the server answered.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    NTLM,
    OAUTH2,
    UTC,
    Build,
    Configuration,
    Credentials,
    Identity,
    Version,
)
from exchangelib.errors import EWSError
from exchangelib.protocol import BaseProtocol, FailFast
from exchangelib.services.common import EWSAccountService
from exchangelib.util import post_ratelimited
from lxml import etree
from oauthlib.oauth2 import OAuth2Error, TokenExpiredError
from urllib3.exceptions import HTTPError, NewConnectionError, ProxyError

from ops_lib.errors import AnswerLost, InputError, MailboxError, ServerFailed, SignInRefused, Unreachable, WrongUrl
from ops_lib.mailbox import SignIns
from ops_lib.mailbox.ews import failures
from ops_lib.mailbox.ews.answers import Answer
from ops_lib.mailbox.ews.connections import Adapter, AnswerTooLarge
from ops_lib.mailbox.ews.door import Door, OpenGate
from ops_lib.mailbox.ews.oauth import MsalCredentials, fingerprint, source_of
from ops_lib.model import Account, Host

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 20.0

SESSIONS_PER_HOST = 8
"""Connections that mailboxes of one host and one sign-in share. Exchange allows an account 27 requests at once by default."""

VERSIONS: dict[str, tuple[Build, str]] = {
    "2013": (Build(15, 0, 847), "Exchange2013_SP1"),
    "2016": (Build(15, 1), "Exchange2016"),
    "2019": (Build(15, 2), "Exchange2016"),
    "SE": (Build(15, 2), "Exchange2016"),
    "Office 365": (Build(15, 20), "Exchange2016"),
}
"""What a host's version asks for in RequestServerVersion. It is never guessed: a wrong one is an error with its mend."""

for _name in ("exchangelib", "oauthlib", "requests_oauthlib", "requests_ntlm", "ntlm_auth", "spnego", "msal"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)  # they log bodies of people's mail, and tokens


class _NoRetry(FailFast):  # type: ignore[misc]
    """Turns an answer that is no SOAP into our own error, where exchangelib would put headers and body into a message."""

    def __init__(self, subject: str, auth: str) -> None:
        self.subject = subject
        self.auth = auth

    def raise_response_errors(self, response: requests.Response) -> None:
        status, content = response.status_code, response.content
        if status == 200 or (status in (400, 500, 503) and is_soap(content)):
            return
        raise failures.of_status(status, response.headers, content, subject=self.subject, auth=self.auth)


class _Protocol(BaseProtocol):  # type: ignore[misc]
    """The sessions of one host and one sign-in. exchangelib's own cache of protocols is keyed by URL and credentials only: not used."""

    SESSION_POOLSIZE = SESSIONS_PER_HOST
    USERAGENT = "syncops"

    def __init__(self, config: Configuration, ca_bundle: str, door: Door) -> None:
        self.ca_bundle = ca_bundle
        self.door = door
        super().__init__(config)

    @property
    def version(self) -> Version:
        return self.config.version

    def get_auth_type(self) -> str:
        raise AssertionError("the sign-in is always given")

    def create_session(self, *, is_endless: bool = False) -> Any:
        session = super().create_session()
        adapter = Adapter(
            self.ca_bundle, is_endless=is_endless, pool_block=True, pool_connections=1, pool_maxsize=1, max_retries=0
        )
        session.mount(self.service_endpoint, adapter)
        # What the environment says of proxies and authorities is asked once: asking it for each request takes as long as the request itself.
        settings = session.merge_environment_settings(self.service_endpoint, {}, None, None, None)
        session.proxies, session.verify, session.trust_env = settings["proxies"], settings["verify"], False
        return session


@dataclass(slots=True)
class _Seat:
    """What exchangelib's services want to know of an account. Its own Account class would open folders and keep more."""

    protocol: _Protocol
    access_type: str
    identity: Identity
    version: Version
    default_timezone: Any = UTC
    affinity_cookie: str | None = None

    @property
    def primary_smtp_address(self) -> str:
        return str(self.identity.primary_smtp_address)


class _Post(EWSAccountService):  # type: ignore[misc]
    """Any operation: the payload is ours, the envelope and the way there exchangelib's."""

    SERVICE_NAME = "any"

    def post(self, payload: etree._Element, headers: Mapping[str, str]) -> requests.Response:
        session = self.protocol.get_session()
        response, session = post_ratelimited(
            protocol=self.protocol,
            session=session,
            url=self.protocol.service_endpoint,
            headers={**self._extra_headers(), **headers},
            data=self.wrap(content=payload, api_version=self.account.version.api_version),
            timeout=self.timeout,
        )
        self.protocol.release_session(session)
        return cast(requests.Response, response)

    def begin(self, payload: etree._Element, headers: Mapping[str, str], quiet_seconds: float) -> requests.Response:
        """The answer unread, over a connection of its own that ends with it."""
        session = self.protocol.create_session(is_endless=True)
        try:
            response = session.post(
                self.protocol.service_endpoint,
                headers={**self._extra_headers(), **headers},
                data=self.wrap(content=payload, api_version=self.account.version.api_version),
                allow_redirects=False,
                timeout=(self.timeout[0], quiet_seconds),
                stream=True,
            )
            if response.status_code != 200:
                self.protocol.retry_policy.raise_response_errors(response)
        except BaseException:
            session.close()
            raise
        return cast(requests.Response, response)


class Transport:
    """The way to one mailbox. ``requests`` counts what was sent, ``bytes_received`` the bodies' bytes on the wire."""

    def __init__(
        self,
        host: Host,
        account: Account,
        secret: Callable[[str], str],
        timeout_seconds: float = 120.0,
        sign_ins: SignIns | None = None,
    ) -> None:
        self.address = account.mailbox or account.user_email
        self.host = host
        self.requests = 0
        self.bytes_received = 0
        if "@" not in self.address:
            raise InputError(
                f"'{self.address}' is no email address",
                subject=f"account {account.account_id}",
                fix="enter the mailbox's primary address.",
            )
        if host.version not in VERSIONS:
            raise InputError(
                f"the version '{host.version}' is not known",
                subject=f"host {host.name}",
                fix=f"one of: {', '.join(VERSIONS)}.",
            )
        if not host.url.lower().startswith(("https://", "http://")):
            raise InputError(
                f"'{host.url}' is no web address", subject=f"host {host.name}", fix="enter https://…/EWS/Exchange.asmx."
            )
        build, api_version = VERSIONS[host.version]
        version = Version(build=build, api_version=api_version)
        self._protocol = _protocol_for(host, account, secret, version, sign_ins)
        credentials = self._protocol.credentials
        signed_in_as = credentials.signed_in_as if isinstance(credentials, MsalCredentials) else host.service_user
        seat = _Seat(
            self._protocol,
            _access_type(host, account, signed_in_as),
            Identity(primary_smtp_address=self.address),
            version,
        )
        timeout = (min(CONNECT_TIMEOUT_SECONDS, timeout_seconds), timeout_seconds)
        self._service = _Post(account=seat, timeout=timeout)

    def post(self, payload: etree._Element, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request and give the answer, whatever SOAP it holds. ``headers`` go with it and before those it would have.

        Raises `Unreachable`, `AnswerLost`, `SignInRefused`, `AccessRefused`, `ServerBusy`, `ServerFailed`: see the top of this module.
        """
        return self._signed_in(lambda: self._post_once(payload, headers or {}))

    def begin(self, payload: etree._Element, headers: Mapping[str, str], quiet_seconds: float) -> requests.Response:
        """Send one request whose answer goes on, and give it unread; silence for so long is a `requests.ReadTimeout`. To be closed.

        Raises as `post` does; an answer that is an error is none that goes on.
        """
        return self._signed_in(lambda: self._sent(lambda: self._service.begin(payload, headers, quiet_seconds)))

    def _signed_in(self, send: Callable[[], T]) -> T:
        credentials = self._protocol.credentials
        if not isinstance(credentials, MsalCredentials):
            return self._protocol.door.through(send, self.address)
        used = credentials.make_current(self.address)
        try:
            return send()
        except SignInRefused:
            # A 401 was not carried out. A token that was withdrawn before its time is replaced once; the same token is not sent again.
            if not credentials.replace(self.address, used):
                raise
            return send()

    def _sent(self, send: Callable[[], requests.Response]) -> requests.Response:
        """Send, and count it as sent unless it certainly was not."""
        response, error = None, None
        try:
            response = send()
        except MailboxError as exception:
            error = exception.with_traceback(None)  # an answer, if not the one wanted
        except Exception as exception:  # noqa: BLE001 what is not known is raised again in there
            error = self._error_of(exception)
        if error is None or not isinstance(error, Unreachable) or isinstance(error, WrongUrl):
            self.requests += 1
        if response is None:
            # From out here: the frames it came through hold headers with passwords and tokens.
            raise error or AnswerLost("there is no answer", subject=self.address, fix=_LOST_FIX)
        return response

    def _post_once(self, payload: etree._Element, headers: Mapping[str, str]) -> Answer:
        response = self._sent(lambda: self._service.post(payload, headers))
        content = response.content
        size = response.headers.get("Content-Length", "")
        self.bytes_received += int(size) if size.isdigit() else len(content)
        if not content.strip():
            raise AnswerLost(
                "the answer is empty", subject=self.address, http_status=response.status_code, fix=_LOST_FIX
            )
        return Answer(response.status_code, response.headers, content)

    def _error_of(self, exception: Exception) -> MailboxError:
        """What an exception of exchangelib, requests or oauthlib means: above all, whether anything had been sent."""
        chain = _chain(exception)
        where = self.host.url
        if any(isinstance(link, TokenExpiredError) for link in chain):
            return ServerFailed(
                "the token expired before the request was sent", subject=self.address, response_code="token expired",
                fix="check the clock of this machine.",
            )  # fmt: skip
        if any(isinstance(link, OAuth2Error) for link in chain):
            return SignInRefused("the token cannot be used", subject=self.address, fix="OAuth needs an https URL.")
        if isinstance(exception, PermissionError) or type(exception).__module__.startswith("spnego"):
            return SignInRefused(
                "the server broke off the NTLM sign-in", subject=self.address, response_code="NTLM",
                fix="check user name (DOMAIN\\user) and secret, and that the server takes NTLM at this URL.",
            )  # fmt: skip
        if any(isinstance(link, KeyError) and link.args[:1] == ("www-authenticate",) for link in chain):
            return ServerFailed(
                "the server failed in the middle of the NTLM sign-in", subject=self.address, response_code="NTLM"
            )
        if any(isinstance(link, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema) for link in chain):
            return Unreachable(f"'{where}' is no web address", subject=self.address, fix="correct the host's URL.")
        if not any(isinstance(link, requests.RequestException | OSError | HTTPError | EWSError) for link in chain):
            raise exception
        reason = _reason(chain)
        if _nothing_was_sent(chain):
            if any(isinstance(link, ssl.SSLError | requests.exceptions.SSLError) for link in chain):
                fix = "give the host the CA that signed the server's certificate (--ca-bundle)."
                return Unreachable(
                    f"no secure connection to {where}: {reason}", subject=self.address, response_code="TLS", fix=fix
                )
            fix = "check the host's URL, the name service and the firewall."
            return Unreachable(f"no connection to {where}: {reason}", subject=self.address, fix=fix)
        return AnswerLost(f"the request was sent and no answer came: {reason}", subject=self.address, fix=_LOST_FIX)


_LOST_FIX = "nothing: what was written is looked up before it is written again."


def is_soap(content: bytes) -> bool:
    """Whether a body is a SOAP envelope, with or without an XML declaration and whatever its prefix."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith(b"<") and (b"Envelope" in start) and (b"<html" not in start.lower())


def _access_type(host: Host, account: Account, signed_in_as: str) -> str:
    """Impersonation names the mailbox in the header; whoever signed in needs none for their own, except an app, which has none."""
    if host.access != "impersonation":
        return str(DELEGATE)
    own = account.is_impersonation_account or account.mailbox.lower() == signed_in_as.lower()
    return str(DELEGATE if own and host.auth != "oauth-app" else IMPERSONATION)


_protocols: dict[tuple[Any, ...], _Protocol] = {}
_protocols_lock = threading.Lock()


def _protocol_for(
    host: Host, account: Account, secret: Callable[[str], str], version: Version, sign_ins: SignIns | None
) -> _Protocol:
    """The sessions that all mailboxes with this host and sign-in share; made when first asked for."""
    if host.auth in ("basic", "ntlm"):
        own_sign_in = host.access == "direct"
        user = account.user_email if own_sign_in else host.service_user
        if not user:
            raise InputError("no user name to sign in with", subject=f"host {host.name}", fix="enter the service user.")
        password = secret(account.secret if own_sign_in else host.secret)
        gate = sign_ins.gate(host, user, password) if sign_ins is not None else OpenGate()
        key: tuple[Any, ...] = (user, fingerprint(password), *gate.key)
        sign_in: dict[str, Any] = {
            "auth_type": BASIC if host.auth == "basic" else NTLM,
            "credentials": Credentials(*(_for_basic(user, password) if host.auth == "basic" else (user, password))),
        }
        door = Door(gate)
    else:
        if sign_ins is None and host.auth != "oauth-app":
            raise InputError(
                f"signing in with '{host.auth}' needs somebody to sign in first",
                subject=f"host {host.name}",
                fix="syncops signin does that, in the workspace.",
            )
        if not host.url.lower().startswith("https://"):
            raise InputError(
                "a token must not travel without TLS", subject=f"host {host.name}", fix="enter the host's https URL."
            )
        tokens = sign_ins.tokens(host, account) if sign_ins is not None else source_of(host, secret(host.secret))
        key, sign_in, door = tokens.key, {"auth_type": OAUTH2, "credentials": MsalCredentials(tokens)}, Door(OpenGate())
    key = (host.url, host.auth, host.ca_bundle, host.version, *key)
    with _protocols_lock:
        if key not in _protocols:
            configuration = Configuration(
                service_endpoint=host.url,
                version=version,
                retry_policy=_NoRetry(f"host {host.name}", host.auth),
                max_connections=SESSIONS_PER_HOST,
                **sign_in,
            )
            _protocols[key] = _Protocol(configuration, host.ca_bundle, door)
        return _protocols[key]


def _for_basic(user: str, password: str) -> tuple[str, str]:
    """Both as requests can put them into a header, which it writes in Latin-1: where that cannot hold them, what comes out is UTF-8 (RFC 7617)."""
    try:
        f"{user}{password}".encode("latin-1")
    except UnicodeEncodeError:
        return user.encode().decode("latin-1"), password.encode().decode("latin-1")
    return user, password


def forget_sign_in(tokens: tuple[str, ...]) -> None:
    """Close the connections of one sign-in by tokens (their ``key``) and forget it."""
    with _protocols_lock:
        for key in [each for each in _protocols if each[-len(tokens) :] == tokens]:
            _protocols.pop(key).close()


def close_connections() -> None:
    """Close every connection of every host and forget the sign-ins. The next request makes new ones."""
    with _protocols_lock:
        for protocol in _protocols.values():
            protocol.close()
        _protocols.clear()


# ── what an exception says about the request ─────────────────────────────────────────────────────────────────────────
def _chain(exception: BaseException) -> list[BaseException]:
    """The exception and everything it came from, also what is kept in arguments and ``reason``; each once."""
    found: list[BaseException] = []
    waiting: list[Any] = [exception]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or any(link is other for other in found):
            continue
        found.append(link)
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
    return found


def _nothing_was_sent(chain: list[BaseException]) -> bool:
    """No name, refused, timed out connecting, a proxy that would not, or the TLS handshake failed: the request never left."""
    if any(
        isinstance(link, NewConnectionError | ProxyError | requests.ConnectTimeout | ssl.SSLCertVerificationError)
        for link in chain
    ):
        return True
    return any(_is_from_handshake(link) for link in chain)


def _is_from_handshake(link: BaseException) -> bool:
    """A TLS connection that breaks raises the same exceptions early and late: where it was raised tells them apart."""
    traceback = link.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "do_handshake":
            return True
        traceback = traceback.tb_next
    return False


def _reason(chain: list[BaseException]) -> str:
    """The innermost cause in a few words. Messages of requests hold the URL and object addresses: not taken."""
    for kind, words in (
        (ssl.SSLCertVerificationError, "the server's certificate is not trusted here"),
        (requests.exceptions.SSLError, "TLS failed"),
        (ssl.SSLError, "TLS failed"),
        (requests.ConnectTimeout, "nothing answered in time"),
        (requests.ReadTimeout, "no answer in time"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was reset"),
        (AnswerTooLarge, "the answer is too large to be one of EWS"),
        (requests.exceptions.ContentDecodingError, "the answer cannot be unpacked"),
        (requests.exceptions.ChunkedEncodingError, "the answer broke off"),
    ):
        for link in chain:
            if isinstance(link, kind):
                detail = getattr(link, "verify_message", "") or ""
                return f"{words} ({detail})" if detail else words
    if any("getaddrinfo" in str(link) or "resolve" in str(link).lower() for link in chain):
        return "the name is not known"
    if any(isinstance(link, ProxyError) for link in chain):
        return "the proxy did not let us through"
    return "the connection was closed"
