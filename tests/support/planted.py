"""Everything that can be planted in the sandbox so that an account's diagnosis finds it: by its real cause, not by a recorded answer.

``PLANTED`` is the list. Each is planted into a `Scene`: alice's account in step with the sandbox, with one appointment on either side::

    with Scene(sandbox, tmp_path, planted, setenv=monkeypatch.setenv) as scene:
        scene.play()                         # a good cycle, the fault, and cycles until the status follows
        scene.status()                       # the row of `syncops status`
        judge(scene.facts())                 # the diagnosis
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.cli.sync import statuses
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.diagnosis.facts import collect
from ops_lib.diagnosis.seen import Facts
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Account, Origin, Timed
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet
from ops_lib.workspace import Workspace
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE, forget_tokens

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DORA, DORA_ALIAS = "dora@example.test", "d.dorn@example.test"
BERLIN = "W. Europe Standard Time"


@dataclass(frozen=True)
class Planted:
    """One fault. ``status`` and ``sub_cause`` are what `syncops status` and the diagnosis come to; ``leads`` the check it begins with.

    ``entered``: the host's settings that differ; ``cycles``: how many run after the planting, ``minutes`` apart; ``status_says``: the
    sub-cause of the status, where only a look at the server tells more.
    """

    name: str
    plant: Callable[[Scene], object]
    status: str
    sub_cause: str
    leads: str
    entered: dict[str, Any] = field(default_factory=dict)
    first_cycle: bool = True
    is_empty: bool = False
    cycles: int = 1
    minutes: float = 10
    prepare: Callable[[Scene], object] | None = None
    status_says: str = ""


class Scene:
    """A workspace whose one host is the sandbox, with alice's account (and bob's, for comparison)."""

    def __init__(
        self,
        sandbox: Sandbox,
        folder: Path,
        planted: Planted,
        *,
        setenv: Callable[[str, str], object] = os.environ.__setitem__,
    ) -> None:
        self.sandbox, self.planted, self.setenv = sandbox, planted, setenv
        self.now = NOW
        setenv("PLANTED_SECRET", sandbox.app.secret if self._auth.startswith("oauth") else sandbox.passwords[SERVICE])
        self.workspace = Workspace.create(folder / "planted")
        self.workspace.clock = lambda: self.now
        self.address = ALICE
        if planted.prepare is not None:
            planted.prepare(self)
        entered: dict[str, Any] = {
            "url": sandbox.ews_url_https, "auth": "basic", "access": "impersonation", "version": "2016", "service_user": SERVICE,
            "secret": "env:PLANTED_SECRET", "ca_bundle": str(sandbox.ca_file),
        }  # fmt: skip
        if self._auth.startswith("oauth"):
            entered |= {
                "tenant_id": sandbox.directory.tenant_id, "client_id": sandbox.app.client_id, "authority": sandbox.entra_url,
            }  # fmt: skip
        if self._auth == "oauth-app":
            sandbox.organisation.grant_impersonation(sandbox.app.client_id, None)
        with self.workspace.database.begin() as connection:
            directory = Directory(connection)
            for email in dict.fromkeys((ALICE, BOB, CAROL, self.address)):
                directory.add_user(email, email.partition("@")[0].title(), time_zone="Europe/Berlin")
            Hosts(connection).add("exchange", HostInput(**entered | planted.entered))
            for email in (self.address, BOB):
                Accounts(connection).add(email, host="exchange", mailbox=email)

    @property
    def _auth(self) -> str:
        return str(self.planted.entered.get("auth", "basic"))

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workspace.close()
        close_connections()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────
    def play(self) -> None:
        """A good cycle, the fault, the cycles after it."""
        if not self.planted.is_empty:
            self.add_activity("Tour")
            self.add_event("Dentist")
        if self.planted.first_cycle:
            self.cycle()
        close_connections()
        self.planted.plant(self)
        forget_tokens()
        for _ in range(self.planted.cycles):
            self.now += timedelta(minutes=self.planted.minutes)
            self.cycle()

    def cycle(self) -> None:
        with self.workspace.database.read() as connection:
            accounts = sorted(Accounts(connection).accounts(), key=lambda each: each.mailbox != BOB)
        Fleet(self.workspace, sleep=lambda seconds: None).run(accounts)

    @property
    def account(self) -> Account:
        with self.workspace.database.read() as connection:
            return Accounts(connection).one(self.address)

    def facts(self, **options: Any) -> Facts:
        return collect(self.workspace, self.account, **options)

    def status(self) -> dict[str, Any]:
        """The calendar's row of `syncops status --json`."""
        return next(row for row in statuses(self.workspace, [self.account]) if row["process"] == "calendar")

    # ── what is planted ──────────────────────────────────────────────────────────────────────────────────────────
    def add_activity(self, description: str) -> None:
        start = self.now + timedelta(days=1)
        with self.workspace.database.begin() as connection:
            user = Directory(connection).user(self.address)
            kind = Directory(connection).activity_type("Tour")
            content = ActivityContent(
                type_id=kind.type_id, description=description, when=Timed(start, start + timedelta(hours=1))
            )
            SqlCrm(connection, self.now).create(user.user_id, content, origin=Origin.CRM, key=description)

    def add_event(self, subject: str, days: float = 2) -> Any:
        start = self.now + timedelta(days=days)
        values = {"item:Subject": subject, "calendar:Start": start, "calendar:End": start + timedelta(hours=1)}
        return self.sandbox.organisation.create_item(self.address, "calendar", values)

    def edit_host(self, **entered: Any) -> None:
        with self.workspace.database.begin() as connection:
            Hosts(connection).edit("exchange", HostInput(**entered), today=self.now.date())

    def fail(self, operation: str = "*", **fault: Any) -> None:
        self.sandbox.faults.add(
            {"operation": operation, "mailbox": self.address if operation[0] != "T" else "*", "fault": fault}
        )

    def turn(self, **switches: Any) -> None:
        self.sandbox.organisation.administration.change(switches)

    def switch_off(self) -> None:
        with self.workspace.database.begin() as connection:
            Accounts(connection).disable(Accounts(connection).one(self.address))

    def retire(self) -> None:
        with self.workspace.database.begin() as connection:
            Accounts(connection).retire(Hosts(connection).get("exchange"), self.now)

    def have_dora(self, *, is_alias: bool = True) -> None:
        """The scene's user is dora, who has an alias."""
        self.sandbox.organisation.add_mailbox(
            DORA, password="x", name="Dora Dorn", zone="Europe/Berlin", aliases=(DORA_ALIAS,)
        )
        self.sandbox.organisation.grant_impersonation(SERVICE, {ALICE, BOB, DORA})
        self.address = DORA_ALIAS if is_alias else DORA

    def claim(self) -> None:
        """Carol's account is made for dora's alias."""
        with self.workspace.database.begin() as connection:
            Accounts(connection).add(CAROL, host="exchange", mailbox=DORA_ALIAS)

    def grant(self, level: str, *, sees_private: bool = True) -> None:
        """The service account is a delegate with this level."""
        for address in (self.address, BOB):
            for folder in ("calendar", "tasks"):
                self.sandbox.organisation.set_permission(address, folder, SERVICE, level)
            self.sandbox.organisation.set_private_viewer(address, SERVICE, allowed=sees_private)

    def empty_calendar(self) -> None:
        mailbox = self.sandbox.organisation.mailbox(self.address)
        for item in list(mailbox.folder("calendar").items.values()):
            self.sandbox.organisation.delete_item(item)


def delegate(scene: Scene) -> None:
    scene.grant("Editor")


DELEGATE = {"access": "delegate"}
APP = {"auth": "oauth-app"}
FOUR = {"cycles": 4}
GUID = "6d0f2f6e-6b0c-4b0e-9a53-1f3f0a3c8f11"
PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"

PLANTED: tuple[Planted, ...] = (
    Planted("well", lambda s: None, "Syncing", "", ""),
    Planted("never_run", lambda s: None, "Unattempted", "never_run", "status", first_cycle=False, cycles=0),
    Planted("nothing_to_sync", lambda s: None, "Unattempted", "nothing_to_sync", "", is_empty=True),
    Planted("switched_off", lambda s: s.switch_off(), "Not Enabled", "switched_off", "enabled"),
    Planted("host_retired", lambda s: s.retire(), "Not Enabled", "host_retired", "enabled"),
    # the way to the server
    Planted("name_unknown", lambda s: s.edit_host(url="https://mail.invalid/EWS/Exchange.asmx"), "Invalid Server URL", "name_unknown", "name", **FOUR),
    Planted("not_reachable", lambda s: s.edit_host(url="https://127.0.0.1:1/EWS/Exchange.asmx"), "Invalid Server URL", "not_reachable", "connection", **FOUR),
    Planted("certificate_refused", lambda s: s.edit_host(ca_bundle=""), "Invalid Server URL", "certificate_refused", "certificate", **FOUR),
    Planted("not_ews", lambda s: s.edit_host(url=s.sandbox.ews_url_https.replace("Exchange.asmx", "Nothing.asmx")), "Invalid Server URL", "not_ews", "ews"),
    Planted("page_in_the_way", lambda s: s.fail(status=200, body=PAGE), "Error - Not Syncing", "page_in_the_way", "server", **FOUR),
    Planted("answer_lost", lambda s: s.fail(drop="before"), "Error - Not Syncing", "answer_lost", "server", **FOUR),
    Planted("answer_cut", lambda s: s.fail(truncate="length"), "Error - Not Syncing", "answer_lost", "server", **FOUR),
    Planted("server_error", lambda s: s.fail(soap_fault="ErrorInternalServerError"), "EWS Server giving Internal Server Error", "server_error", "server", **FOUR),
    Planted("server_error_page", lambda s: s.fail(status=500), "EWS Server giving Internal Server Error", "server_error", "server", **FOUR),
    Planted("front_end_error", lambda s: s.fail(status=500, headers={"X-CasErrorCode": "ServerNotFound"}), "EWS Server giving Internal Server Error", "front_end_error", "server", **FOUR),
    Planted("backend_away", lambda s: s.fail(response_code="ErrorMailboxStoreUnavailable"), "Error - Not Syncing", "backend_away", "server", **FOUR),
    Planted("wrong_version", lambda s: s.turn(newest_version="Exchange2013_SP1"), "Exchange Version Not Supported", "wrong_version", "version"),
    Planted("throttled_mailbox", lambda s: s.fail(response_code="ErrorServerBusy", back_off_milliseconds=120_000), "Error - Not Syncing", "throttled_mailbox", "throttling", **FOUR),
    Planted("throttled_by_http", lambda s: s.fail(status=503, headers={"Retry-After": "120"}), "Error - Not Syncing", "throttled_mailbox", "throttling", **FOUR),
    Planted("throttled_account", lambda s: s.fail(response_code="ErrorExceededConnectionCount"), "Error - Not Syncing", "throttled_account", "throttling", DELEGATE, prepare=delegate, **FOUR),
    Planted("unknown", lambda s: s.fail(response_code="ErrorInvalidMailbox"), "Error - Not Syncing", "unknown", "server", **FOUR),
    # signing in
    Planted("wrong_password", lambda s: s.setenv("PLANTED_SECRET", "no such password"), "Unauthorized", "wrong_password", "sign_in"),
    Planted("sign_in_method_refused", lambda s: setattr(s.sandbox.gate, "offers", ("ntlm", "bearer")), "Unauthorized", "sign_in_method_refused", "ews"),
    Planted("secret_wrong", lambda s: s.setenv("PLANTED_SECRET", GUID), "Unauthorized", "secret_wrong", "secret", APP),
    Planted("secret_expired", lambda s: s.fail("Token", aadsts=7000222), "Unauthorized", "secret_expired", "token", APP),
    Planted("secret_missing", lambda s: s.edit_host(secret="env:PLANTED_NOWHERE"), "Error - Not Syncing", "secret_missing", "secret", **FOUR),
    Planted("secret_expiring", lambda s: s.edit_host(secret_expires="2026-12-01"), "Syncing", "secret_expiring", "secret"),
    Planted("account_locked", lambda s: s.fail("Token", aadsts=50053), "Unauthorized", "account_locked", "token", APP),
    Planted("consent_missing", lambda s: s.fail("Token", aadsts=65001), "Unauthorized", "consent_missing", "token", APP),
    Planted("policy_of_directory", lambda s: s.fail("Token", aadsts=53003), "Unauthorized", "policy_of_directory", "token", APP),
    Planted("app_refused", lambda s: s.edit_host(client_id=GUID), "Denied Access (Forbidden)", "app_refused", "token", APP),
    Planted("directory_refuses", lambda s: s.edit_host(tenant_id=GUID), "Unauthorized", "directory_refuses", "token", APP),
    Planted("directory_away", lambda s: s.fail("Token", status=502, body=PAGE), "Error - Not Syncing", "directory_away", "token", APP, **FOUR),
    Planted("token_refused", lambda s: setattr(s.sandbox.app, "roles", ()), "Unauthorized", "token_refused", "sign_in", APP),
    Planted("not_signed_in", lambda s: None, "Unauthorized", "not_signed_in", "token", {"auth": "oauth-code", "access": "direct", "redirect_uri": "http://localhost:8412", "service_user": ""}, first_cycle=False),
    # being let in
    Planted("ews_disabled", lambda s: s.turn(ews_enabled=False), "Denied Access (Forbidden)", "ews_disabled", "policy"),
    Planted("ews_disabled_for_one", lambda s: s.turn(ews_disabled_for=[s.address]), "Denied Access (Forbidden)", "ews_disabled", "policy"),
    Planted("ews_blocked_by_policy", lambda s: s.turn(allowed_apps=[]), "Denied Access (Forbidden)", "ews_blocked_by_policy", "policy", APP),
    Planted("user_agent_blocked", lambda s: s.turn(blocked_agents=["syncops"]), "Denied Access (Forbidden)", "ews_blocked_by_policy", "policy"),
    Planted("forbidden", lambda s: s.fail(status=403), "Denied Access (Forbidden)", "forbidden", "policy"),
    Planted("impersonation_missing", lambda s: s.sandbox.organisation.revoke_impersonation(SERVICE), "Impersonation Failed", "impersonation_missing", "impersonation"),
    Planted("app_scope_missing", lambda s: s.sandbox.organisation.revoke_impersonation(s.sandbox.app.client_id), "Impersonation Failed", "impersonation_missing", "impersonation", APP),
    Planted("out_of_scope", lambda s: s.sandbox.organisation.grant_impersonation(SERVICE, {BOB}), "Impersonation Failed", "out_of_scope", "impersonation"),
    # the mailbox
    Planted("no_mailbox", lambda s: s.sandbox.organisation.remove_mailbox(s.address), "Mailbox Not Setup on EWS", "no_mailbox", "mailbox"),
    Planted("mailbox_elsewhere", lambda s: (s.sandbox.organisation.remove_mailbox(s.address), s.turn(elsewhere=[s.address])), "Mailbox Not Setup on EWS", "mailbox_elsewhere", "mailbox", status_says="no_mailbox"),
    Planted("alias_address", lambda s: None, "Mailbox Not Setup on EWS", "alias_address", "mailbox", prepare=lambda s: s.have_dora(), is_empty=True, first_cycle=False),
    Planted("unlicensed", lambda s: s.turn(unlicensed=[s.address]), "Mailbox Not Setup on EWS", "unlicensed", "mailbox"),
    Planted("claimed_twice", lambda s: s.claim(), "Syncing", "claimed_twice", "claims", prepare=lambda s: s.have_dora(is_alias=False)),
    Planted("folder_closed", lambda s: s.grant("None"), "Access Denied Calendar/Task Folder", "folder_closed", "folders", DELEGATE, prepare=delegate),
    Planted("rights_missing", lambda s: (s.grant("Reviewer"), s.add_activity("Second tour")), "Syncing", "rights_missing", "folders", DELEGATE, prepare=delegate),
    Planted("private_hidden", lambda s: s.grant("Editor", sees_private=False), "Syncing", "private_hidden", "private_items", DELEGATE, prepare=delegate),
    Planted("wrong_folder", lambda s: s.fail("SyncFolderItems", response_code="ErrorItemPropertyRequestFailed"), "Invalid Calendar or Task folder", "wrong_folder", "sync_state", **FOUR),
    Planted("mailbox_full", lambda s: (s.fail("CreateItem", response_code="ErrorQuotaExceeded"), s.add_activity("Second tour")), "Syncing", "mailbox_full", "entries", cycles=4, minutes=70),
    Planted("time_zone_unknown", lambda s: (s.turn(missing_zones=[BERLIN]), s.add_activity("Second tour")), "Syncing", "time_zone_unknown", "time_zone"),
    Planted("sync_state_refused", lambda s: s.sandbox.organisation.move_mailbox(s.address), "Syncing", "sync_state_refused", "sync_state", cycles=0),
    # the entries, and our own side
    Planted("corrupt_items", lambda s: (s.fail("GetItem", response_code="ErrorItemCorrupt"), s.add_event("Broken")), "Syncing", "corrupt_items", "entries", cycles=4, minutes=70),
    Planted("entries_refused", lambda s: (s.fail("CreateItem", response_code="ErrorPropertyValidationFailure"), s.add_activity("Second tour")), "Syncing", "entries_refused", "entries", cycles=4, minutes=70),
    Planted("deletion_brake", lambda s: s.empty_calendar(), "Error - Not Syncing", "deletion_brake", "status", prepare=lambda s: [s.add_event(f"Event {n}", days=n) for n in range(3, 13)]),
    Planted("stale_success", lambda s: setattr(s, "now", s.now + timedelta(hours=3)), "Error - Not Syncing", "stale_success", "freshness", cycles=0),
)  # fmt: skip
