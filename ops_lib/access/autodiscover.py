"""Where does the mailbox of this address live? The EWS URL by Autodiscover (H6), in the documented order.

1. ``https://DOMAIN/autodiscover/``, 2. ``https://autodiscover.DOMAIN/autodiscover/``, 3. the redirect that
``http://autodiscover.DOMAIN`` answers to an unsigned GET, 4. the SRV record ``_autodiscover._tcp.DOMAIN`` (where a resolver is at
hand). At each place the plain form (``autodiscover.xml``) is asked first, then SOAP (``autodiscover.svc``).

What is never done: sending credentials over plain HTTP; sending them before the server has asked for a sign-in of their kind; sending
them to a host outside the address's domain that only an unsigned redirect names (unless it is Microsoft's, or ``trusted``); going on
after they were refused, since each refusal counts towards the account's lock; ``autodiscover.TLD``.

**Source** learn.microsoft.com: autodiscover-for-exchange, how-to-generate-a-list-of-autodiscover-endpoints,
handling-autodiscover-error-messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from ops_lib.access import checks
from ops_lib.access.autodiscover_forms import Answer, Form, form_of, read
from ops_lib.errors import InputError, MailboxMissing, SignInRefused, Unreachable

REQUEST_SECONDS = 10.0
SEARCH_SECONDS = 60.0
MOST_REDIRECTS = 10
# Where Exchange Online lives; redirects lead there from nearly every domain.
MICROSOFT = ("outlook.com", "office365.com", "office365.us", "onmicrosoft.com", "partner.outlook.cn")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to sign in: ``auth`` is "basic", "ntlm" or "bearer" (``secret`` is then a token and ``user`` is not sent)."""

    user: str
    secret: str = field(repr=False)
    auth: str = "basic"


class Reply(Protocol):
    """What a server answered."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""

    @property
    def body(self) -> bytes:
        """The whole body."""


class Transport(Protocol):
    """The way to servers. It follows no redirects and verifies certificates."""

    def send(
        self, method: str, url: str, form: Form, *, body: bytes, credentials: Credentials | None, timeout_seconds: float
    ) -> Reply:
        """Sends one request, signed only with ``credentials``. Raises Unreachable when no whole answer came in time."""


Resolver = Callable[[str], Sequence[tuple[str, int]]]
"""Gives the hosts and ports of an SRV record, best first; none where there is no record."""


@dataclass(frozen=True, slots=True)
class Step:
    """One place that was asked, and what came of it, in words."""

    url: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Found:
    """The answer. ``email`` is the address it is for in the end; ``source`` the place that knew; ``steps`` all that were asked."""

    email: str
    ews_url: str
    source: str
    steps: tuple[Step, ...]


def discover(
    email: str,
    credentials: Credentials,
    *,
    transport: Transport,
    resolver: Resolver | None = None,
    url: str = "",
    trusted: Collection[str] = (),
    clock: Callable[[], float] = time.monotonic,
    search_seconds: float = SEARCH_SECONDS,
) -> Found:
    """Finds the EWS URL of a mailbox.

    ``url``: ask there and nowhere else. ``trusted``: hosts outside the address's domain that may be sent the credentials.
    After ``search_seconds`` no request is begun; the last may take some seconds more.

    Raises:
        InputError: the address or ``url`` cannot be.
        SignInRefused: a server did not take the credentials; nothing more was tried.
        MailboxMissing: a server knows no such address.
        Unreachable: nobody knew, or it took longer than ``search_seconds``; the message names what was tried.
    """
    if not _domain(email):
        raise InputError(
            f"{email} is no email address", subject="autodiscover", fix="give one like ana@sunrise.example."
        )
    hosts = {host.lower() for host in trusted}
    if url:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise InputError(
                f"{url} is no https address",
                subject="autodiscover",
                fix="give https://…/autodiscover/autodiscover.xml.",
            )
        hosts.add(parts.hostname.lower())
    return _Search(credentials, transport, resolver, url, hosts, clock, clock() + search_seconds).run(email.strip())


def _domain(email: str) -> str:
    local, _, domain = email.strip().rpartition("@")
    sound = (
        local and domain and not any(one.isspace() or one in "/:@?#\\%" for one in domain) and "." in domain.strip(".")
    )
    return domain.lower().strip(".") if sound else ""


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """A redirect nobody vouches for."""

    url: str


class _Search:
    def __init__(
        self,
        credentials: Credentials,
        transport: Transport,
        resolver: Resolver | None,
        url: str,
        trusted: set[str],
        clock: Callable[[], float],
        deadline: float,
    ) -> None:
        self._credentials = credentials
        self._transport = transport
        self._resolver = resolver
        self._url = url
        self._trusted = trusted
        self._clock = clock
        self._deadline = deadline
        self._steps: list[Step] = []
        self._asked: set[tuple[str, str]] = set()
        self._silent: set[str] = set()
        self._redirects = 0
        self._unknown = False

    def run(self, email: str) -> Found:
        asked = email
        while True:
            outcome = self._look(asked)
            if isinstance(outcome, Found):
                return outcome
            if not outcome or self._redirects > MOST_REDIRECTS:
                raise self._nothing(email)
            asked = outcome

    def _nothing(self, email: str) -> MailboxMissing | Unreachable:
        tried = "; ".join(f"{step.url}: {step.outcome}" for step in self._steps) or "nothing could be asked"
        if self._unknown:
            return MailboxMissing(
                f"the organisation's server knows no mailbox of this address ({tried})", subject=email,
                fix="check the address, and that it has a mailbox.",
            )  # fmt: skip
        return Unreachable(
            f"no Autodiscover service knows where this mailbox lives ({tried})", subject=email,
            fix="ask the organisation's administrator for the EWS URL, and enter it.",
        )  # fmt: skip

    # -- the places ----------------------------------------------------------------------------------------------------

    def _look(self, address: str) -> Found | str:
        """The answer, another address to ask for, or "" when nobody knew."""
        for url in self._places(address):
            outcome = self._at(url, address)
            if outcome:
                return outcome
        return ""

    def _places(self, address: str) -> Iterator[str]:
        if self._url:
            stem = self._url.rpartition(".")[0]
            yield self._url
            if self._url.lower().endswith((".xml", ".svc")):
                yield f"{stem}.svc" if self._url.lower().endswith(".xml") else f"{stem}.xml"
            return
        domain = _domain(address)
        for host in (domain, f"autodiscover.{domain}"):
            yield from _both_forms(host)
        there = self._redirect_over_http(domain)
        if there:
            yield there
        for host, port in self._resolver(f"_autodiscover._tcp.{domain}") if self._resolver else ():
            place = host.rstrip(".").lower() if port == 443 else f"{host.rstrip('.').lower()}:{port}"
            if self._may_sign_in_at(f"https://{place}/", address):
                yield from _both_forms(place)
            else:
                self._note(f"_autodiscover._tcp.{domain}", f"names {place}, which is not of {domain}")

    def _redirect_over_http(self, domain: str) -> str:
        """Where the one unsigned request over plain HTTP is sent on to, if it may be gone to."""
        url = f"http://autodiscover.{domain}/autodiscover/autodiscover.xml"
        reply = self._send("GET", url, Form.POX, b"", None)
        if reply is None:
            return ""
        if reply.status not in _REDIRECTS:
            self._note(url, f"no redirect (HTTP {reply.status})")
            return ""
        return self._next(url, reply, f"x@{domain}")

    # -- one place -----------------------------------------------------------------------------------------------------

    def _at(self, url: str, address: str) -> Found | str:
        while url:
            if (url, address) in self._asked:
                self._note(url, "was asked already: a circle")
                return ""
            self._asked.add((url, address))
            form = form_of(url)
            body = form.request(url, address)
            reply = self._send("POST", url, form, body, None)
            signed = False
            if reply is not None and reply.status == 401:
                if not self._is_offered(reply):
                    self._note(url, f"asks for a sign-in, but takes no {self._credentials.auth}")
                    return ""
                reply = self._send("POST", url, form, body, self._credentials)
                signed = True
            if reply is None:
                return ""
            if signed and reply.status == 401:
                raise SignInRefused(
                    f"{url} does not take the sign-in", subject=address, response_code="401", http_status=401,
                    fix="check user name and password before trying again: each refusal counts towards a lock.",
                )  # fmt: skip
            if reply.status in _REDIRECTS:
                url = self._next(url, reply, address)
                continue
            outcome = self._read(url, form, reply, address)
            if not isinstance(outcome, _Unsigned):
                return outcome
            url = self._permitted(url, outcome.url, address, signed=signed)
        return ""

    def _read(self, url: str, form: Form, reply: Reply, address: str) -> Found | str | _Unsigned:
        if reply.status != 200:
            self._note(url, f"HTTP {reply.status}")
            return ""
        answer: Answer = read(form, reply.body)
        if answer.ews_url:
            try:
                ews_url = checks.ews_url(answer.ews_url)
            except InputError as problem:
                self._note(url, problem.message)
                return ""
            if not ews_url.lower().startswith("https:"):
                self._note(url, f"gives {ews_url}, which is not encrypted")
                return ""
            self._note(url, f"gives {ews_url}")
            return Found(address, ews_url, url, tuple(self._steps))
        if answer.redirect_address:
            self._redirects += 1
            self._note(url, f"sends on to the address {answer.redirect_address}")
            known = any(asked == answer.redirect_address for _, asked in self._asked)
            return "" if known or not _domain(answer.redirect_address) else answer.redirect_address
        if answer.redirect_url:
            return _Unsigned(answer.redirect_url)
        self._unknown = self._unknown or answer.is_unknown
        self._note(url, answer.error)
        return ""

    # -- what may be done ----------------------------------------------------------------------------------------------

    def _send(self, method: str, url: str, form: Form, body: bytes, credentials: Credentials | None) -> Reply | None:
        left = self._deadline - self._clock()
        place = _place(url)
        if left <= 0:
            self._note(url, "not asked: the time is over")
            return None
        if place in self._silent:
            return None
        try:
            return self._transport.send(
                method, url, form, body=body, credentials=credentials, timeout_seconds=min(REQUEST_SECONDS, left)
            )
        except Unreachable as problem:
            self._silent.add(place)
            self._note(url, problem.message)
            return None

    def _is_offered(self, reply: Reply) -> bool:
        offered = reply.headers.get("www-authenticate", "").lower()
        wanted = {"ntlm": ("ntlm", "negotiate")}.get(self._credentials.auth, (self._credentials.auth,))
        return any(offered.startswith(way) or f", {way}" in offered or f",{way}" in offered for way in wanted)

    def _next(self, url: str, reply: Reply, address: str) -> str:
        """Where an HTTP redirect leads, "" if it may not be gone to. No body vouches for it, so it counts as unsigned."""
        location = reply.headers.get("location", "")
        return self._permitted(url, urljoin(url, location) if location else "", address, signed=False)

    def _permitted(self, url: str, there: str, address: str, *, signed: bool) -> str:
        """The redirect's target if it may be gone to: over https, not too often, and not to a stranger on a stranger's word."""
        self._redirects += 1
        if self._redirects > MOST_REDIRECTS:
            self._note(url, f"one redirect more than {MOST_REDIRECTS}")
        elif not there.lower().startswith("https://") or not urlsplit(there).hostname:
            self._note(url, f"points to {there or 'nowhere'}, which is not https")
        elif not signed and not self._may_sign_in_at(there, address):
            self._note(
                url, f"points to {_place(there)}, which is not of {_domain(address)}: name it as trusted if it is right"
            )
        else:
            self._note(url, f"points to {there}")
            if signed:
                self._trusted.add(str(urlsplit(there).hostname).lower())
            return there
        return ""

    def _may_sign_in_at(self, url: str, address: str) -> bool:
        host = str(urlsplit(url).hostname or "").lower()
        domains = (_domain(address), *MICROSOFT)
        return host in self._trusted or any(host == domain or host.endswith(f".{domain}") for domain in domains)

    def _note(self, url: str, outcome: str) -> None:
        self._steps.append(Step(url, outcome))


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _both_forms(host: str) -> Iterator[str]:
    yield f"https://{host}/autodiscover/autodiscover.xml"
    yield f"https://{host}/autodiscover/autodiscover.svc"
