"""Does a host work? Everything from the name to a user's folders is tried in order, and the first thing that is wrong says what to do.

Only reads are sent, each step ends in time, and a password is tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal

from ops_lib.access import reach
from ops_lib.access.checks import EARLY_DAYS, remarks
from ops_lib.errors import AccessRefused, InputError, ItemGone, MailboxError, OpsError, SignInRefused, Unreachable
from ops_lib.mailbox import SignIns
from ops_lib.mailbox.ews import failures, probes
from ops_lib.mailbox.ews.answers import Answer, Element, Message, child, children, messages, text_of
from ops_lib.mailbox.ews.requests import get_folder
from ops_lib.mailbox.ews.transport import Transport, is_soap
from ops_lib.model import Account, Host, Kind

Verdict = Literal["ok", "warn", "fail", "skipped"]

STEP_SECONDS = 20.0
"""How long one step waits for one answer; an answer that drips may take three times as long."""

FOLDER_RIGHTS = ("Read", "CreateContents")
ITEM_RIGHTS = ("Modify", "Delete")
"""What a sync needs on a folder and on the items in it, as EffectiveRights names it."""

_EDITOR = "give the account the level Editor on the mailbox's Calendar and Tasks folders, or let it impersonate."


@dataclass(frozen=True, slots=True)
class Step:
    """What one step saw. ``next_step`` is what to do where it is not ok."""

    step: str
    verdict: Verdict
    observed: str
    response_code: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class HostCheck:
    """The steps up to the first that failed."""

    host: str
    mailbox: str
    steps: tuple[Step, ...]

    @property
    def verdict(self) -> Verdict:
        """``fail`` where a step failed, ``warn`` where something was not looked at or will not work for long."""
        verdicts = {step.verdict for step in self.steps}
        return "fail" if "fail" in verdicts else "warn" if verdicts - {"ok"} else "ok"


def check_host(
    host: Host,
    account: Account | None,
    *,
    secret: Callable[[str], str],
    sign_ins: SignIns,
    now: datetime,
    claims: Mapping[str, str] | None = None,
    seconds: float = STEP_SECONDS,
) -> HostCheck:
    """Try a host with the mailbox of ``account``; without one, everything that needs no mailbox.

    ``claims`` says whose account has a mailbox: the user's email by the mailbox.
    Sends nothing that changes anything. **Raises** nothing of what can be wrong with the host: that is what it is for.
    """
    run = _Run(host, account, secret, sign_ins, now, claims or {}, seconds)
    steps: list[Step] = []
    for step in run.steps():
        steps.append(step)
        if step.verdict == "fail":
            break
    return HostCheck(host.name, account.mailbox if account is not None else "", tuple(steps))


class _Run:
    def __init__(
        self,
        host: Host,
        account: Account | None,
        secret: Callable[[str], str],
        sign_ins: SignIns,
        now: datetime,
        claims: Mapping[str, str],
        seconds: float,
    ) -> None:
        self.host, self.account = host, account
        self.secret, self.sign_ins = secret, sign_ins
        self.now, self.claims, self.seconds = now, claims, seconds
        self.opened: Answer | None = None

    def steps(self) -> Iterator[Step]:
        """Each step when it is asked for: what follows a failure is never tried."""
        yield self._settings()
        try:
            route = reach.route_to(self.host.url)
        except OpsError as error:
            yield _failed("name", error)
            return
        yield self._step("name", lambda: self._name(route))
        yield self._step("connection", lambda: self._connection(route))
        yield self._tls(route)
        yield self._step("EWS", self._ews)
        yield self._step("sign-in", self._sign_in)
        if self.account is None:
            yield Step(
                "mailbox",
                "skipped",
                "no account on this host yet",
                next_step="name a mailbox with --mailbox, or add an account.",
            )
            return
        yield self._step(self._access_words(), self._access)
        yield self._address()
        for kind, folder in ((Kind.EVENT, "calendar"), (Kind.TASK, "tasks")):
            yield self._step(folder, partial(self._folder, kind))

    def _step(self, name: str, look: Callable[[], Step | str]) -> Step:
        try:
            seen = look()
        except OpsError as error:
            return _failed(name, error)
        return seen if isinstance(seen, Step) else Step(name, "ok", seen)

    # ── up to the server ─────────────────────────────────────────────────────────────────────────────────────────
    def _settings(self) -> Step:
        host = self.host
        found = remarks(host, self.now.date())
        said = f"{host.url}, {host.auth}, access {host.access}, version {host.version}"
        if host.is_retired:
            return Step(
                "settings", "warn", f"{said}; the host is retired", next_step=f"syncops host restore {host.name!r}."
            )
        if found:
            return Step("settings", "warn", said, next_step=" ".join(found))
        return Step("settings", "ok", said)

    def _name(self, route: reach.Route) -> str:
        name, port = route.first
        found = reach.addresses(name, port, self.seconds)
        shown = f"{name} is {', '.join(found[:4])}"
        return f"{shown}; it is the proxy, and finds {route.host}" if route.proxy is not None else shown

    def _connection(self, route: reach.Route) -> str:
        reach.connect(route, self.seconds).close()
        through = f" through the proxy {route.proxy}" if route.proxy is not None else ", no proxy"
        return f"{route.host}:{route.port} accepts connections{through}"

    def _tls(self, route: reach.Route) -> Step:
        if not route.is_tls:
            return Step("TLS", "ok", "none: plain http, which is taken on this machine only")
        _, trusted_by = reach.trust(self.host.ca_bundle)
        try:
            with reach.connect(route, self.seconds) as connection:
                version, certificate = reach.secure(route, connection, self.host.ca_bundle)
        except OpsError as error:
            failed = _failed("TLS", error)
            shown = reach.shown_certificate(route, self.seconds) if "certificate" in error.message else None
            if shown is None:
                return failed
            return replace(
                failed, observed=f"{failed.observed}; it shows {_described(shown)}; trusted are {trusted_by}"
            )
        except ValueError:
            return Step(
                "TLS", "fail", "the server's certificate cannot be read", "TLS", "have the certificate made anew."
            )
        seen = f"{version}, {_described(certificate)}, trusted by {trusted_by}"
        days = (certificate.ends - self.now).days
        if days <= EARLY_DAYS:
            return Step("TLS", "warn", seen, next_step=f"renew the server's certificate: it ends in {days} days.")
        return Step("TLS", "ok", seen)

    def _ews(self) -> Step | str:
        """What answers there, to somebody who has not signed in."""
        response = probes.greeted(self.host.url, self.host.ca_bundle, self.seconds)
        if response.status_code == 401:
            offered = probes.offered_schemes(response.headers)
            wanted = {"basic": "Basic", "ntlm": "NTLM"}.get(self.host.auth, "Bearer")
            seen = f"asks to sign in; offers {', '.join(offered) or 'no way to'}"
            if offered and wanted not in offered and not (wanted == "NTLM" and "Negotiate" in offered):
                return Step(
                    "EWS", "fail", f"{seen}, and the host is set to {self.host.auth}", "HTTP 401",
                    f"turn {wanted} on for EWS at the server, or host edit --auth.",
                )  # fmt: skip
            return seen
        if is_soap(response.content) and response.status_code in (200, 500):
            return "answers SOAP without asking to sign in"
        if response.status_code == 200:
            said = failures.scrubbed(response.text[:4000], 80)
            return Step(
                "EWS", "fail", f"what answers is no EWS{f': {said}' if said else ''}", "HTTP 200",
                "correct the host's URL; it ends in /EWS/Exchange.asmx, and no sign-in page may stand before it.",
            )  # fmt: skip
        raise failures.of_status(
            response.status_code, response.headers, response.content, subject="", auth=self.host.auth
        )

    # ── signed in ────────────────────────────────────────────────────────────────────────────────────────────────
    def _sign_in(self) -> Step | str:
        """With the credentials of whoever signs in, as themselves: their own rights are enough for any EWS answer."""
        host, account = self.host, self.account
        if host.access == "direct" and (account is None or (host.auth in ("basic", "ntlm") and not account.secret)):
            return Step(
                "sign-in", "skipped", "every account signs in itself, and none is there yet to do so",
                next_step="add an account, then try --mailbox.",
            )  # fmt: skip
        if account is None and "@" not in host.service_user and host.auth != "oauth-app":
            return Step(
                "sign-in", "skipped", "no mailbox to ask for yet",
                next_step="name a mailbox with --mailbox, or add an account.",
            )  # fmt: skip
        seat = account or _seat(host, host.service_user or host.client_id)
        who = f"{seat.user_email if host.access == 'direct' else host.service_user} with {host.auth}"
        if host.auth.startswith("oauth"):
            tokens = self.sign_ins.tokens(host, seat)
            tokens.token(f"host {host.name}")
            who = f"a token of {tokens.signed_in_as}" if tokens.signed_in_as else f"a token of the app {host.client_id}"
            if account is None and host.auth == "oauth-app":
                return f"the directory gives {who}; no mailbox yet to use it on"
        as_oneself = host if host.access == "direct" or host.auth == "oauth-app" else replace(host, access="delegate")
        try:
            self._ask(as_oneself, seat, Kind.EVENT)
        except (SignInRefused, Unreachable):
            raise
        except MailboxError as error:
            if error.http_status not in (0, 200, 500):
                raise  # no answer of EWS: a page, a gateway, a policy
        return f"the server accepts {who}"

    def _access_words(self) -> str:
        return {"impersonation": "impersonation", "delegate": "delegate access"}.get(self.host.access, "own mailbox")

    def _access(self) -> Step | str:
        account = self._account
        self.opened = self._ask(self.host, account, Kind.EVENT)
        (message,) = messages(self.opened, account.mailbox)
        if not message.is_success:
            raise _closed(message, account.mailbox)
        words = self._access_words()
        own = account.is_impersonation_account or account.mailbox == self.host.service_user.lower()
        if words == "impersonation" and own and self.host.auth != "oauth-app":
            return Step(
                words, "skipped", f"{account.mailbox} is the service account's own mailbox, which it opens as itself",
                next_step="try a user's: --mailbox.",
            )  # fmt: skip
        return f"opens {account.mailbox}"

    def _address(self) -> Step:
        """Is it the mailbox's primary address? Under an alias a mailbox could be claimed a second time unseen."""
        account = self._account
        transport = Transport(self.host, account, self.secret, self.seconds, self.sign_ins)
        try:
            (message,) = messages(transport.post(probes.whose_address(account.mailbox)), account.mailbox)
        except MailboxError as error:
            return Step("address", "skipped", "the server does not say whose address it is", error.response_code)
        found = [
            text_of(child(each, "Mailbox", "EmailAddress")).lower()
            for each in children(message.element, "ResolutionSet")
        ]
        if account.mailbox in found:
            return Step("address", "ok", f"{account.mailbox} is the primary address")
        if len(found) != 1:
            return Step("address", "skipped", "the directory does not say whose address it is", message.response_code)
        (primary,) = found
        owner = self.claims.get(primary, account.user_email)
        if owner != account.user_email:
            return Step(
                "address", "fail", f"{account.mailbox} is an alias of {primary}, which belongs to the account of {owner}", "",
                "give this user's own mailbox: two CRM users cannot be kept in step with one calendar.",
            )  # fmt: skip
        return Step(
            "address", "warn", f"{account.mailbox} is an alias of {primary}", "", f"make the account for {primary}: syncops account add --email {primary}."
        )  # fmt: skip

    def _folder(self, kind: Kind) -> Step | str:
        account = self._account
        answer = self.opened if kind is Kind.EVENT and self.opened is not None else self._ask(self.host, account, kind)
        (message,) = messages(answer, account.mailbox)
        if not message.is_success:
            raise _closed(message, account.mailbox)
        name, element = ("calendar", "CalendarFolder") if kind is Kind.EVENT else ("tasks", "TasksFolder")
        folder = child(message.element, "Folders", element)
        if folder is None:
            return Step(
                name, "fail", "the server gives another kind of folder", "GetFolder", "look at the mailbox in Outlook."
            )
        rights = child(folder, "EffectiveRights")
        missing = [right for right in FOLDER_RIGHTS if not _has(rights, right)]
        item = None if missing else self._any_item(kind, account)
        if item is not None:
            missing = [right for right in ITEM_RIGHTS if not _has(child(item, "EffectiveRights"), right)]
        seen = f"{text_of(child(folder, 'DisplayName'))}, {text_of(child(folder, 'TotalCount'))} items"
        if missing:
            return Step(name, "fail", f"{seen}; missing: {', '.join(missing)}", "ErrorAccessDenied", _EDITOR)
        if item is None and not all(_has(rights, right) for right in ITEM_RIGHTS):
            return f"{seen}; may read and create; there is no item yet to see whether it may change and delete"
        return f"{seen}; may read, create, change and delete"

    def _any_item(self, kind: Kind, account: Account) -> Element | None:
        """Some item of the folder with the rights on it: those on a folder speak of the folder itself."""
        transport = Transport(self.host, account, self.secret, self.seconds, self.sign_ins)
        (message,) = messages(transport.post(probes.any_item(kind, account.mailbox)), account.mailbox)
        if not message.is_success:
            raise _closed(message, account.mailbox)
        return next(iter(children(message.element, "RootFolder", "Items")), None)

    @property
    def _account(self) -> Account:
        if self.account is None:
            raise InputError("no mailbox was named", fix="name one with --mailbox.")
        return self.account

    def _ask(self, host: Host, account: Account, kind: Kind) -> Answer:
        transport = Transport(host, account, self.secret, self.seconds, self.sign_ins)
        return transport.post(get_folder(kind, account.mailbox))


def _has(rights: Element | None, right: str) -> bool:
    return text_of(child(rights, right)).lower() == "true"


def _closed(message: Message, mailbox: str) -> MailboxError:
    """Why a folder does not open. A server that does not let somebody see a folder says that it is not there."""
    error = message.error(mailbox)
    if not isinstance(error, ItemGone):
        return error
    return AccessRefused(
        "the folder is not there, or the account may not see it",
        subject=mailbox,
        response_code=error.response_code,
        fix=_EDITOR,
    )


def account_for(host: Host, accounts: list[Account], mailbox: str | None) -> Account | None:
    """Whose mailbox to try: the named one, also without an account; else a user's that is kept in step, else any."""
    if mailbox is not None:
        found = next((each for each in accounts if mailbox.strip().lower() in (each.mailbox, each.user_email)), None)
        return found or _seat(host, mailbox.strip().lower())
    ordered = sorted(accounts, key=lambda each: (each.is_impersonation_account, not each.calendar))
    return ordered[0] if ordered else None


def _seat(host: Host, mailbox: str) -> Account:
    """A mailbox without an account."""
    return Account(
        account_id="", host_id=host.host_id, user_id="", user_email=mailbox, mailbox=mailbox, time_zone="UTC"
    )


def _failed(name: str, error: OpsError) -> Step:
    subject = f"{error.subject}: " if error.subject and error.subject not in error.message else ""
    return Step(name, "fail", f"{subject}{error.message}", error.response_code, error.fix)


def _described(certificate: reach.Certificate) -> str:
    names = ", ".join(certificate.names[:4]) or certificate.subject
    return f"a certificate for {names} by {certificate.issuer} until {certificate.ends:%Y-%m-%d}"
