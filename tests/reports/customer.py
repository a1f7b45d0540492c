"""A small customer on the sandbox, for the report's tests: two users in two communities, a week of entries, and fixed time.

Alice's week from Monday 23 November 2026 in New York, after one cycle; `at` names its hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.model import Activity, ActivityStatus, AllDay, Origin, Timed, When
from ops_lib.sync.fleet import Fleet, RunResult
from ops_lib.workspace import Workspace

if TYPE_CHECKING:
    from ops_lib.sandbox.server import Sandbox

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ALICE, BOB, SERVICE = "alice@example.test", "bob@example.test", "svc@example.test"
PRIVATE = "Interview at another company"


def at(day: int, hour: float, minutes: int = 60) -> Timed:
    """A time of November 2026 in New York."""
    start = datetime(2026, 11, day, 5, tzinfo=UTC) + timedelta(hours=hour)
    return Timed(start, start + timedelta(minutes=minutes))


class Customer:
    """The workspace over a running sandbox, and hands at both sides."""

    def __init__(self, folder: Path, sandbox: Sandbox, database_url: str | None = None) -> None:
        self.sandbox = sandbox
        self.now = NOW
        sandbox.clock.set(NOW)
        self.workspace = Workspace.create(folder / "workspace", database_url)
        self.workspace.clock = lambda: self.now
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(sandbox.passwords[SERVICE])
        with self.workspace.database.begin() as connection:
            directory = Directory(connection)
            for community, email in (("Elm Court", ALICE), ("Oak Hill", BOB)):
                directory.add_community(community, time_zone="America/New_York")
                directory.add_user(email, email.split("@")[0].title(), community_names=[community])
            entered = HostInput(
                url=sandbox.ews_url, service_user=SERVICE, secret=f"file:{secret}", all_day_tasks=True, send_email=True
            )
            Hosts(connection).add("company", entered)
            for email in (ALICE, BOB):
                Accounts(connection).add(email, all_day_tasks=True)

    def cycle(self) -> RunResult:
        with self.workspace.database.read() as connection:
            accounts = Accounts(connection).accounts()
        return Fleet(self.workspace, sleep=lambda seconds: None).run(accounts)

    def activity(self, description: str, when: When, type_name: str = "Tour", **more: Any) -> Activity:
        """Somebody adds an activity to Alice's calendar in the CRM."""
        with self.workspace.database.begin() as connection:
            directory = Directory(connection)
            type_id = directory.activity_type(type_name).type_id
            content = ActivityContent(type_id=type_id, description=description, when=when, **more)
            user = directory.user(ALICE).user_id
            return SqlCrm(connection, self.now).create(user, content, origin=Origin.CRM, key=f"{description} {when}")

    def update(self, activity: Activity, **fields: Any) -> None:
        with self.workspace.database.begin() as connection:
            SqlCrm(connection, self.now).update(activity.activity_id, ActivityContent(**fields))

    def event(self, subject: str, when: Timed, **values: Any) -> Any:
        """Alice adds an event in Outlook."""
        given = {"item:Subject": subject, "calendar:Start": when.start, "calendar:End": when.end}
        named = {name.replace("__", ":"): value for name, value in values.items()}
        return self.sandbox.organisation.create_item(ALICE, "calendar", given | named)

    def item(self, subject: str) -> Any:
        """The event or task of that subject in Alice's mailbox."""
        mailbox = self.sandbox.organisation.mailbox(ALICE)
        return next(item for item in mailbox.items.values() if item.values.get("item:Subject") == subject)


def usual_week(folder: Path, sandbox: Sandbox, database_url: str | None = None) -> Customer:
    """Alice's week after one cycle: of every kind something."""
    customer = Customer(folder, sandbox, database_url)
    customer.activity("Tour with Alma Reed", at(23, 10))
    customer.activity("Call Mrs. Lang", at(25, 9, 15), "Call Out")
    customer.activity("Cancelled tour", at(26, 9), status=ActivityStatus.CANCELLED)
    customer.activity("Backwards", Timed(at(26, 13).start, at(26, 12).start))
    customer.activity("Prepare open house", AllDay(date(2026, 11, 27), date(2026, 11, 28)))
    customer.event("Dentist", at(23, 16))
    customer.event("Night shift", at(25, 22, 240))
    customer.event(PRIVATE, at(26, 10), item__Sensitivity="Private")
    run = customer.cycle()
    assert run.all_well, [str(result.error) for result in run.results]
    return customer
