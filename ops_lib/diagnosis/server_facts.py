"""What the way to the server and the server itself show: name, connection, certificate, HTTP, sign-in, mailbox, folders, time zone, sync state.

Only reads are sent, nothing is repeated, and a password that was refused once is not sent again. What a failure makes pointless is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ops_lib.access import reach, rights_ews
from ops_lib.diagnosis.looking import Looking, Sight
from ops_lib.diagnosis.seen import Probe
from ops_lib.diagnosis.server_reading import (
    certificate_seen,
    claims_of,
    clock_ahead,
    folder_seen,
    items_seen,
    kind_of,
    server_version,
    smtp_of,
)
from ops_lib.errors import MailboxError, OpsError, SignInRefused
from ops_lib.mailbox.ews import failures, folder_rights, probes
from ops_lib.mailbox.ews.answers import Answer, child, children, messages, text_of
from ops_lib.mailbox.ews.folder_rights import BOTH
from ops_lib.mailbox.ews.requests import windows_zone
from ops_lib.mailbox.ews.transport import Transport, is_soap
from ops_lib.model import Account, Host, Kind
from ops_lib.workspace import Workspace

FOLDERS = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}


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
            return Sight(
                {"trusted_by": trusted, **(certificate_seen(shown) if shown is not None else {})}, failure=error
            )
        return Sight({"version": version, "trusted_by": trusted, **certificate_seen(certificate)})

    def _greeting(self) -> Probe:
        return self._looking.look("greeting", f"POST {self._host.url}, not signed in", self._greeted)

    def _greeted(self) -> Sight:
        """What answers to somebody who has not signed in: its kind, its headers, and its clock."""
        response = probes.greeted(self._host.url, self._host.ca_bundle, self._looking.patience_seconds)
        headers, status = response.headers, response.status_code
        seen: dict[str, Any] = {
            "status": status,
            "kind": kind_of(response.content, headers.get("Content-Type", "")),
            "offers": probes.offered_schemes(headers),
            "clock_ahead_seconds": clock_ahead(headers.get("Date", "")),
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
        seen["folders"] = {FOLDERS[kind]: folder_seen(kind, message) for kind, message in found.items()}
        errors = [message.error(self._account.mailbox) for message in found.values() if not message.is_success]
        codes = {error.response_code for error in errors}
        is_closed = len(errors) == len(BOTH) and len(codes) == 1
        return Sight(seen, headers, errors[0] if is_closed else None)

    def _as_itself(self, host: Host) -> Sight:
        """Does the sign-in hold, whoever's mailbox it is? Any answer of EWS says yes."""
        account = self._as_service(host)
        answer = self._post(folder_rights.folders(account.mailbox, (Kind.EVENT,)), host, account)
        seen = {"server_version": server_version(answer)}
        try:
            (message, *_) = messages(answer, account.mailbox)
        except SignInRefused as error:
            return Sight(seen, failures.diagnostic(answer.headers), error)
        except MailboxError as error:
            return Sight(seen | {"response_code": error.response_code}, failures.diagnostic(answer.headers))
        return Sight(seen | {"response_code": message.response_code}, failures.diagnostic(answer.headers))

    def _as_service(self, host: Host) -> Account:
        """The service account's own mailbox; the user's where its login is no address (``DOMAIN\\name``) and so names none."""
        return replace(self._account, mailbox=host.service_user if "@" in host.service_user else self._account.mailbox)

    def _whose(self, host: Host) -> Sight:
        """Whose address it is by the organisation's directory."""
        account = self._account if host is self._host else self._as_service(host)
        answer = self._post(probes.whose_address(self._account.mailbox, with_all_addresses=True), host, account)
        (message, *_) = messages(answer, self._account.mailbox)
        found = [
            {
                "address": text_of(child(each, "Mailbox", "EmailAddress")).lower(),
                "kind": text_of(child(each, "Mailbox", "MailboxType")),
                "also": sorted(
                    smtp_of(entry) for entry in children(each, "Contact", "EmailAddresses") if smtp_of(entry)
                ),
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
