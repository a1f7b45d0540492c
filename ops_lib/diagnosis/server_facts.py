"""What the way to the server and the server itself show: name, connection, certificate, HTTP, sign-in, mailbox, folders, time zone, sync state.

Only reads are sent, nothing is repeated, and a password that was refused once is not sent again. What a failure makes pointless is not asked.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ops_lib.access import reach, rights_ews
from ops_lib.diagnosis.looking import Looking, Sight
from ops_lib.diagnosis.seen import Probe
from ops_lib.errors import MailboxError, OpsError, SignInRefused
from ops_lib.mailbox.ews import failures, folder_rights, probes
from ops_lib.mailbox.ews.answers import Answer, Message, child, children, messages, parse, text_of
from ops_lib.mailbox.ews.folder_rights import BOTH
from ops_lib.mailbox.ews.requests import windows_zone
from ops_lib.mailbox.ews.transport import Transport, is_soap
from ops_lib.model import Account, Host, Kind
from ops_lib.sync.mapping import instant_text
from ops_lib.workspace import Workspace

FOLDERS = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}
_OLDEST, _LATEST = 1990, 2100
_CLAIMS = (
    "aud",
    "tid",
    "appid",
    "azp",
    "app_displayname",
    "scp",
    "roles",
    "upn",
    "unique_name",
    "preferred_username",
    "ver",
)
_LONGEST_CLAIM = 300


class ServerLook:
    """One account's way to its mailbox, looked at step by step."""

    def __init__(
        self, looking: Looking, workspace: Workspace, host: Host, account: Account, states: Mapping[str, str]
    ) -> None:
        self._looking = looking
        self._workspace = workspace
        self._access = workspace.access
        self._host = host
        self._account = account
        self._states = states
        own = account.is_impersonation_account or account.mailbox.lower() == host.service_user.lower()
        self._is_own = own and host.auth != "oauth-app"
        self._impersonates = host.access == "impersonation" and not self._is_own

    # ── up to the server ─────────────────────────────────────────────────────────────────────────────────────────
    def look(self) -> None:
        """Every probe that leaves this machine, in the order in which one needs the other."""
        stopped = self._network()
        greeting = self._looking.pass_over("greeting", stopped) if stopped else self._greeting()
        if not stopped and greeting.failure is not None and greeting.failure.error == "WrongUrl":
            stopped = "what answers there is no Exchange Web Service; nobody's credentials are sent to it"
        self._token(stopped)
        self._mailbox(stopped or self._no_token())

    def _network(self) -> str:
        """Name, connection, certificate; why nothing more can be asked, where one of them failed."""
        looking, url = self._looking, self._host.url
        try:
            route = reach.route_to(url)
        except OpsError as error:
            reason = error

            def fail() -> Sight:
                raise reason

            looking.look("name", "the proxy's settings", fail)
            for name in ("connection", "certificate"):
                looking.pass_over(name, "the way to the server is not known")
            return "the way to the server is not known"
        name, port = route.first
        through = f" through the proxy {route.proxy}" if route.proxy is not None else ""
        found = looking.look(
            "name",
            f"DNS {name}",
            lambda: Sight({"host": name, "addresses": reach.addresses(name, port, looking.patience_seconds)}),
        )
        if not found.is_seen:
            for each in ("connection", "certificate"):
                looking.pass_over(each, "the name has no address")
            return "the name has no address"

        def connect() -> Sight:
            reach.connect(route, looking.patience_seconds).close()
            return Sight({"host": route.host, "port": route.port, "proxy": str(route.proxy or "")})

        if not looking.look("connection", f"TCP {route.host}:{route.port}{through}", connect).is_seen:
            looking.pass_over("certificate", "there is no connection")
            return "there is no connection"
        if not route.is_tls:
            looking.pass_over("certificate", "plain http")
            return ""
        if not looking.look("certificate", f"TLS {route.host}", lambda: self._certificate(route)).is_seen:
            return "there is no secure connection"
        return ""

    def _certificate(self, route: reach.Route) -> Sight:
        seconds = self._looking.patience_seconds
        trusted = reach.trust(self._host.ca_bundle)[1].partition(" /")[0]
        try:
            with reach.connect(route, seconds) as connection:
                version, certificate = reach.secure(route, connection, self._host.ca_bundle)
        except OpsError as error:
            shown = reach.shown_certificate(route, seconds) if "certificate" in error.message else None
            return Sight({"trusted_by": trusted, **(_certificate(shown) if shown is not None else {})}, failure=error)
        return Sight({"version": version, "trusted_by": trusted, **_certificate(certificate)})

    def _greeting(self) -> Probe:
        return self._looking.look("greeting", f"POST {self._host.url}, not signed in", self._greeted)

    def _greeted(self) -> Sight:
        """What answers to somebody who has not signed in: its kind, its headers, and its clock."""
        response = probes.greeted(self._host.url, self._host.ca_bundle, self._looking.patience_seconds)
        headers, status = response.headers, response.status_code
        seen: dict[str, Any] = {
            "status": status,
            "kind": _kind_of(response.content, headers.get("Content-Type", "")),
            "offers": probes.offered_schemes(headers),
            "clock_ahead_seconds": _clock_ahead(headers.get("Date", "")),
        }
        telling = failures.diagnostic(headers)
        if status == 401 or (is_soap(response.content) and status in (200, 500)):
            return Sight(seen, telling)
        if status == 200:
            said = failures.scrubbed(response.text[:4000], 80)
            return Sight(seen | {"says": said}, telling, failures.of_status(404, headers, b"", subject=""))
        error = failures.of_status(status, headers, response.content, subject="", auth=self._host.auth)
        return Sight(seen, telling, error)

    # ── signing in ───────────────────────────────────────────────────────────────────────────────────────────────
    def _token(self, stopped: str) -> None:
        if not self._host.auth.startswith("oauth"):
            self._looking.pass_over("token", f"this host signs in with {self._host.auth}")
            return
        del stopped  # the directory is another server: a token may be had where the mail server is away
        self._looking.look("token", f"a token from {self._host.authority or 'the directory'}", self._told_by_token)

    def _told_by_token(self) -> Sight:
        tokens = self._access.tokens(self._host, self._account)
        found = tokens.token(self._account.mailbox)
        return Sight({"signed_in_as": tokens.signed_in_as, **claims_of(str(found.get("access_token", "")))})

    def _no_token(self) -> str:
        token = self._looking.probes["token"]
        return "there is no token to sign in with" if token.failure is not None else ""

    # ── the mailbox ──────────────────────────────────────────────────────────────────────────────────────────────
    def _mailbox(self, stopped: str) -> None:
        looking = self._looking
        rest = ("service", "address", "rights", "time_zone", "calendar_state", "tasks_state", "items")
        if stopped:
            for name in ("mailbox", *rest):
                looking.pass_over(name, stopped)
            return
        who = f", impersonating {self._account.mailbox}" if self._impersonates else ""
        mailbox = looking.look("mailbox", f"GetFolder calendar and tasks{who}", self._opened)
        if mailbox.failure is not None:
            why = self._after_refusal(mailbox)
            for name in rest:
                if name not in looking.probes:
                    looking.pass_over(name, why)
            return
        looking.pass_over("service", "the mailbox opens")
        looking.look("address", f"ResolveNames {self._account.mailbox}", lambda: self._whose(self._host))
        if self._host.access == "delegate" and not self._is_own:
            looking.look("rights", "GetFolder and FindItem, as a delegate", self._rights)
        else:
            looking.pass_over("rights", "who signs in acts as the mailbox's own user")
        self._zone()
        for kind, name in FOLDERS.items():
            self._sync_state(kind, f"{name}_state", self._states.get(f"{name}_state", ""))
        looking.look("items", f"FindItem, the first {probes.SAMPLE} of the calendar", self._sampled)

    def _after_refusal(self, mailbox: Probe) -> str:
        """What can still be seen of a mailbox that does not open; why the rest is not asked."""
        assert mailbox.failure is not None
        error, looking = mailbox.failure, self._looking
        if error.error in ("Unreachable", "AnswerLost", "WrongUrl", "TimeoutError"):
            return "the server left the mailbox's request without an answer"
        if error.error == "SignInRefused":
            return "the sign-in is refused"
        if error.error == "ServerBusy":
            return "the server asks for a pause"
        if error.http_status == 403:
            return "EWS does not let us in"
        if self._host.access != "impersonation" or self._host.auth == "oauth-app" or self._is_own:
            looking.look("address", f"ResolveNames {self._account.mailbox}", lambda: self._whose(self._host))
            return "the mailbox does not open"
        as_itself = replace(self._host, access="delegate")
        looking.look("service", "GetFolder of the service account's own calendar", lambda: self._as_itself(as_itself))
        looking.look(
            "address", f"ResolveNames {self._account.mailbox}, as the service account", lambda: self._whose(as_itself)
        )
        return "the mailbox does not open"

    def _post(self, payload: Any, host: Host | None = None, account: Account | None = None) -> Answer:
        transport = Transport(
            host or self._host,
            account or self._account,
            self._access.secrets,
            self._looking.patience_seconds,
            self._access,
        )
        return transport.post(payload)

    def _opened(self) -> Sight:
        answer = self._post(folder_rights.folders(self._account.mailbox))
        headers = failures.diagnostic(answer.headers)
        seen: dict[str, Any] = {"impersonates": self._impersonates, "server_version": server_version(answer)}
        try:
            found = dict(zip(BOTH, messages(answer, self._account.mailbox), strict=False))
        except MailboxError as error:
            return Sight(seen, headers, error)
        seen["folders"] = {FOLDERS[kind]: _folder(kind, message) for kind, message in found.items()}
        errors = [message.error(self._account.mailbox) for message in found.values() if not message.is_success]
        codes = {error.response_code for error in errors}
        is_closed = len(errors) == len(BOTH) and len(codes) == 1
        return Sight(seen, headers, errors[0] if is_closed else None)

    def _as_itself(self, host: Host) -> Sight:
        """Does the sign-in hold, whoever's mailbox it is? Any answer of EWS says yes."""
        account = replace(
            self._account, mailbox=host.service_user if "@" in host.service_user else self._account.mailbox
        )
        answer = self._post(folder_rights.folders(account.mailbox, (Kind.EVENT,)), host, account)
        seen = {"server_version": server_version(answer)}
        try:
            (message, *_) = messages(answer, account.mailbox)
        except SignInRefused as error:
            return Sight(seen, failures.diagnostic(answer.headers), error)
        except MailboxError as error:
            return Sight(seen | {"response_code": error.response_code}, failures.diagnostic(answer.headers))
        return Sight(seen | {"response_code": message.response_code}, failures.diagnostic(answer.headers))

    def _whose(self, host: Host) -> Sight:
        """Whose address it is by the organisation's directory."""
        account = (
            self._account
            if host is self._host
            else replace(self._account, mailbox=host.service_user or self._account.mailbox)
        )
        answer = self._post(probes.whose_address(self._account.mailbox, with_all_addresses=True), host, account)
        (message, *_) = messages(answer, self._account.mailbox)
        found = [
            {
                "address": text_of(child(each, "Mailbox", "EmailAddress")).lower(),
                "kind": text_of(child(each, "Mailbox", "MailboxType")),
                "also": sorted(_smtp(entry) for entry in children(each, "Contact", "EmailAddresses") if _smtp(entry)),
            }
            for each in children(message.element, "ResolutionSet")
        ]
        is_known = message.is_success or message.response_code == "ErrorNameResolutionMultipleResults"
        is_nobody = message.response_code == "ErrorNameResolutionNoResults"
        return Sight(
            {"response_code": message.response_code, "found": found},
            failures.diagnostic(answer.headers),
            None if is_known or is_nobody else message.error(self._account.mailbox),
        )

    def _rights(self) -> Sight:
        collected = rights_ews.collect(
            self._host,
            [self._account],
            secret=self._access.secrets,
            sign_ins=self._access,
            clock=self._workspace.now,
            threads=1,
            timeout_seconds=self._looking.patience_seconds,
        )
        if collected.halted is not None:
            raise collected.halted
        rows = [
            {name: str(value) for name, value in asdict(each).items() if name not in ("user", "source")}
            for each in collected.observations
        ]
        return Sight({"observations": rows})

    def _zone(self) -> None:
        name = windows_zone(self._account.time_zone)[0]

        def question() -> Sight:
            answer = self._post(probes.time_zone(name))
            (message, *_) = messages(answer, self._account.mailbox)
            if not message.is_success:
                return Sight(
                    {"windows_zone": name}, failures.diagnostic(answer.headers), message.error(self._account.mailbox)
                )
            known = [each.get("Id", "") for each in children(message.element, "TimeZoneDefinitions")]
            return Sight({"windows_zone": name, "is_known": name in known}, failures.diagnostic(answer.headers))

        self._looking.look("time_zone", f"GetServerTimeZones {name}", question)

    def _sync_state(self, kind: Kind, name: str, state: str) -> None:
        asked = f"SyncFolderItems {FOLDERS[kind]}, since the stored state"
        if not state:
            self._looking.pass_over(name, "no cycle has stored a state yet", asked)
            return

        def question() -> Sight:
            answer = self._post(probes.changes_since(kind, self._account.mailbox, state))
            (message, *_) = messages(answer, self._account.mailbox)
            error = None if message.is_success else message.error(self._account.mailbox)
            return Sight({"is_taken": message.is_success}, failures.diagnostic(answer.headers), error)

        self._looking.look(name, asked, question)

    def _sampled(self) -> Sight:
        answer = self._post(probes.sample_of_calendar(self._account.mailbox))
        (message, *_) = messages(answer, self._account.mailbox)
        headers = failures.diagnostic(answer.headers)
        if not message.is_success:
            return Sight({}, headers, message.error(self._account.mailbox))
        root = child(message.element, "RootFolder")
        total = (root.get("TotalItemsInView") or "") if root is not None else ""
        rows = children(message.element, "RootFolder", "Items")
        return Sight({"total": int(total) if total.isdigit() else len(rows), **items_seen(rows)}, headers)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _certificate(certificate: reach.Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "names": list(certificate.names[:10]),
        "issuer": certificate.issuer,
        "ends": instant_text(certificate.ends),
    }


def _kind_of(content: bytes, content_type: str) -> str:
    """Which kind of answer it is: ``soap``, ``page``, ``empty`` or ``other``."""
    if is_soap(content):
        return "soap"
    start = content[:2048].lower()
    if b"<html" in start or b"<!doctype html" in start or "html" in content_type.lower():
        return "page"
    return "other" if content.strip() else "empty"


def _clock_ahead(date: str) -> float | None:
    """By how much the server's clock is ahead of this machine's, in seconds; None where it does not say."""
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round((moment - datetime.now(UTC)).total_seconds(), 0)


def claims_of(token: str) -> dict[str, Any]:
    """What an access token says of itself, by an allow-list; nothing for one that cannot be read. Never the token, never verified: it is the server's to judge."""
    parts = token.split(".")
    if len(parts) != 3:
        return {"is_readable": False}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        return {"is_readable": False}
    found: dict[str, Any] = {"is_readable": True}
    for name in _CLAIMS:
        value = claims.get(name)
        if isinstance(value, str):
            found[name] = value[:_LONGEST_CLAIM]
        elif isinstance(value, list):
            found[name] = [str(each)[:_LONGEST_CLAIM] for each in value[:20]]
    expires = claims.get("exp")
    if isinstance(expires, (int, float)) and not isinstance(expires, bool) and 0 < expires < 2**35:
        found["expires"] = instant_text(datetime.fromtimestamp(expires, UTC))
    return found


def server_version(answer: Answer) -> str:
    """The server's version as its SOAP header says it; empty where it does not."""
    try:
        roots = parse(answer.content, "")
    except MailboxError:
        return ""
    info = child(roots[0], "Header", "ServerVersionInfo") if roots else None
    if info is None:
        return ""
    parts = [info.get(name, "") for name in ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")]
    return ".".join(part for part in parts if part)


def _folder(kind: Kind, message: Message) -> dict[str, Any]:
    if not message.is_success:
        return {"response_code": message.response_code, "opens": False}
    folder = folder_rights.folder_of(message, kind)
    return {
        "response_code": message.response_code,
        "opens": True,
        "name": folder.name,
        "is_right_kind": folder.is_right_kind,
        "rights": asdict(folder.flags) if folder.flags is not None else None,
    }


def items_seen(rows: list[Any]) -> dict[str, Any]:
    """What is odd about the items of a calendar, as counts: no titles, no people."""
    uids: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    largest = 0
    for row in rows:
        start, end = _moment(row, "Start"), _moment(row, "End")
        if start is None or end is None:
            counts["without_times"] += 1
        else:
            counts["end_before_start"] += end < start
            counts["far_off"] += not (_OLDEST <= start.year <= _LATEST and _OLDEST <= end.year <= _LATEST)
        counts["series"] += text_of(child(row, "CalendarItemType")) == "RecurringMaster"
        counts["other_class"] += not text_of(child(row, "ItemClass")).startswith("IPM.Appointment")
        size = text_of(child(row, "Size"))
        largest = max(largest, int(size) if size.isdigit() else 0)
        uid = text_of(child(row, "UID"))
        if uid:
            uids[uid] += 1
    return {
        "looked_at": len(rows),
        "largest_bytes": largest,
        "same_uid": sum(count for count in uids.values() if count > 1),
        **{name: counts[name] for name in ("without_times", "end_before_start", "far_off", "series", "other_class")},
    }


def _smtp(entry: Any) -> str:
    """The address in an entry of a contact's addresses; empty for one that is none of SMTP."""
    kind, _, address = text_of(entry).rpartition(":")
    return address.lower() if kind.lower() in ("", "smtp") and "@" in address else ""


def _moment(row: Any, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text_of(child(row, name)))
    except ValueError:
        return None
