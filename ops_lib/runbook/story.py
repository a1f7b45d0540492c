"""What happens at the made-up customer: people edit their calendars, in the CRM and in Outlook, as people do.

Outlook's part is done by another client, exchangelib signed in as the user: nothing of the sync's own code touches a mailbox here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.access.hosts import Hosts
from ops_lib.crm import ActivityContent
from ops_lib.crm.calendar import calendar
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.model import Account, ActivityStatus, Entry, Kind, Link, LinkState, Origin, Timed, When, Window
from ops_lib.runbook.demo import Demo, cycle
from ops_lib.sync.audit import Audit, audit
from ops_lib.sync.fleet import Progress
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import normal_when

WRITES = ("CreateItem", "UpdateItem", "DeleteItem", "MoveItem", "CopyItem")
"""The requests that change something in a mailbox."""


@dataclass(frozen=True)
class Edit:
    """One edit, in words, and what both sides must hold after the next cycles: an entry of this title at this time, or (None) none."""

    where: str
    words: str
    account: Account
    title: str
    expected: When | None


def monday_morning(demo: Demo) -> str:
    """What a notebook finds: everybody in step, but one mailbox that the service account may no longer enter, and edits of the last minutes.

    Returns the email of the user whose calendar was edited.
    """
    accounts = demo.accounts()
    cycle(demo).run(accounts)
    edited = protagonist(demo)
    edits(demo, edited)
    cycle(demo).run(accounts)
    cycle(demo).run(accounts)
    shut_out = next(each for each in reversed(accounts) if each.account_id != edited.account_id)
    demo.sandbox.organisation.grant_impersonation(
        demo.sandbox.residents.service.address,
        {each.mailbox for each in accounts if each.account_id != shut_out.account_id},
    )
    cycle(demo).run(accounts)
    demo.clock.advance(5)
    late_edits(demo, edited)
    return edited.user_email


def protagonist(demo: Demo) -> Account:
    """The account whose user has most to edit in the coming week; the first by mailbox of several."""
    soon = demo.clock() + timedelta(days=7)

    def to_edit(account: Account) -> int:
        ours, theirs = _upcoming(demo, account, Origin.CRM), _upcoming(demo, account, Origin.EXCHANGE)
        if len(ours) < 5 or len(theirs) < 2:
            return 0
        return sum(_start(link.agreed) < soon for link in (*ours, *theirs))

    return max(demo.accounts(), key=to_edit)


def edits(demo: Demo, account: Account) -> list[Edit]:
    """Eight edits of one user's calendar: four in the CRM, four in Outlook."""
    ours, theirs = _upcoming(demo, account, Origin.CRM), _upcoming(demo, account, Origin.EXCHANGE)
    zone = ZoneInfo(account.time_zone)
    tomorrow = (demo.clock().astimezone(zone) + timedelta(days=1)).replace(hour=16, minute=30)
    return [
        *_in_the_crm(demo, account, ours[:3], _span(tomorrow, 45)),
        *_in_outlook(
            demo, account, ours[3], theirs[:2], _span(tomorrow.replace(hour=12, minute=0) + timedelta(days=1), 60)
        ),
    ]


def late_edits(demo: Demo, account: Account) -> None:
    """Two edits that no cycle has seen: one event moved in Outlook, one activity added in the CRM."""
    zone = ZoneInfo(account.time_zone)
    moved = _upcoming(demo, account, Origin.CRM)[0]
    _move(demo, account, moved, _later(moved.agreed, hours=1))
    noon = (demo.clock().astimezone(zone) + timedelta(days=3)).replace(hour=12, minute=0)
    with demo.workspace.database.begin() as connection:
        _add(
            SqlCrm(connection, demo.clock()),
            account,
            _tour_type(demo),
            "Tour: asked for by phone just now",
            _span(noon, 45),
        )


def seen(demo: Demo, edit: Edit) -> bool:
    """Whether both sides hold what the edit was to lead to: each is asked anew."""
    return _in_crm(demo, edit) == edit.expected and _in_mailbox(demo, edit) == edit.expected


def check(demo: Demo) -> list[Audit]:
    """What `syncops check` says of every account."""
    found = []
    with demo.workspace.database.read() as connection:
        hosts = {host.host_id: host for host in Hosts(connection).all()}
    for account in demo.accounts():
        host = hosts[account.host_id]
        found.append(audit(demo.workspace, host, account, demo.workspace.open_mailbox(host, account)))
    return found


def writes(demo: Demo) -> int:
    """How many requests have changed something in a mailbox so far, by the sandbox's own log."""
    return sum(demo.sandbox.requests.total(operation) for operation in WRITES)


def run_cycle(demo: Demo, *, threads: int = 2, progress: Progress = lambda result: None) -> Any:
    """One cycle for every account, a quarter of an hour after the last one."""
    return cycle(demo).run(demo.accounts(), threads=threads, progress=progress)


# ── in the CRM ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _in_the_crm(demo: Demo, account: Account, chosen: list[Link], free: Timed) -> list[Edit]:
    moved, cancelled, renamed = chosen
    with demo.workspace.database.begin() as connection:
        crm = SqlCrm(connection, demo.clock())
        _add(crm, account, _tour_type(demo), "Tour: the Abernathys", free)
        later = _later(moved.agreed, days=1)
        crm.reschedule(moved.activity_id, later, key=f"demo:{moved.activity_id}")
        crm.cancel(cancelled.activity_id, "The family called it off.")
        title = f"{renamed.agreed.description} (with the director)"
        crm.update(renamed.activity_id, ActivityContent(description=title))
    return [
        Edit("CRM", "a tour was added", account, "Tour: the Abernathys", free),
        Edit("CRM", "an appointment was moved by a day", account, moved.agreed.description, later),
        Edit("CRM", "an appointment was cancelled", account, cancelled.agreed.description, None),
        Edit("CRM", "an appointment got another description", account, title, renamed.agreed.when),
    ]


def _add(crm: SqlCrm, account: Account, type_id: str, title: str, when: When) -> None:
    content = ActivityContent(type_id=type_id, description=title, when=when, location="Front desk")
    crm.create(account.user_id, content, origin=Origin.CRM, key=f"demo:{account.user_id}:{title}")


def _tour_type(demo: Demo) -> str:
    with demo.workspace.database.read() as connection:
        return Directory(connection).activity_type("Tour").type_id


# ── in Outlook ───────────────────────────────────────────────────────────────────────────────────────────────────────
def outlook(demo: Demo, account: Account) -> Any:
    """The mailbox as its owner's own client opens it: another program, another sign-in."""
    from exchangelib import BASIC, DELEGATE, Build, Configuration, Credentials, FailFast, Version
    from exchangelib import Account as OutlookAccount

    configuration = Configuration(
        service_endpoint=demo.sandbox.ews_url,
        credentials=Credentials(account.mailbox, demo.sandbox.passwords[account.mailbox]),
        auth_type=BASIC,
        version=Version(Build(15, 2, 1118, 7), api_version="Exchange2016"),
        retry_policy=FailFast(),
    )
    return OutlookAccount(account.mailbox, config=configuration, autodiscover=False, access_type=DELEGATE)


def _in_outlook(demo: Demo, account: Account, ours: Link, theirs: list[Link], free: Timed) -> list[Edit]:
    from exchangelib import CalendarItem

    client = outlook(demo, account)
    deleted, renamed = theirs
    event = CalendarItem(
        account=client, folder=client.calendar, subject="Lunch with Dr. Amin", start=free.start, end=free.end
    )
    event.save(send_meeting_invitations="SendToNone")
    later = _later(ours.agreed, hours=1)
    _move(demo, account, ours, later, client)
    _fetch(client, deleted).delete(send_meeting_cancellations="SendToNone")
    item = _fetch(client, renamed)
    item.subject = f"{renamed.agreed.description} – room 2"
    item.save(update_fields=["subject"], send_meeting_invitations="SendToNone")
    return [
        Edit("Outlook", "an event was added", account, "Lunch with Dr. Amin", free),
        Edit("Outlook", "a tour from the CRM was moved by an hour", account, ours.agreed.description, later),
        Edit("Outlook", "an event was deleted", account, deleted.agreed.description, None),
        Edit("Outlook", "an event got another subject", account, item.subject, renamed.agreed.when),
    ]


def _move(demo: Demo, account: Account, link: Link, when: Timed, client: Any = None) -> None:
    item = _fetch(client or outlook(demo, account), link)
    item.start, item.end = when.start, when.end
    item.save(update_fields=["start", "end"], send_meeting_invitations="SendToNone")


def _fetch(client: Any, link: Link) -> Any:
    return client.calendar.get(id=link.item_id)


# ── which entries, and what is seen of them ──────────────────────────────────────────────────────────────────────────
def _upcoming(demo: Demo, account: Account, origin: Origin) -> list[Link]:
    """Single timed events in step that begin after now, the earliest first; none whose title another entry of the account bears."""
    with demo.workspace.database.read() as connection:
        links = Ledger(connection).links(account.account_id, (LinkState.ACTIVE,))
    titles = [link.agreed.description for link in links]
    return sorted(
        (
            link
            for link in links
            if link.origin is origin
            and link.kind is Kind.EVENT
            and link.original_start is None
            and isinstance(link.agreed.when, Timed)
            and link.agreed.when.start > demo.clock() + timedelta(hours=2)
            and not link.agreed.is_private
            and not link.agreed.is_complete
            and titles.count(link.agreed.description) == 1
        ),
        key=lambda link: (_start(link.agreed), link.link_id),
    )


def _start(entry: Entry) -> datetime:
    return entry.when.start if isinstance(entry.when, Timed) else datetime.max.replace(tzinfo=UTC)


def _later(entry: Entry, **by: float) -> Timed:
    assert isinstance(entry.when, Timed)
    shift = timedelta(**by)
    return Timed(entry.when.start + shift, entry.when.end + shift)


def _span(start: datetime, minutes: int) -> Timed:
    begins = start.astimezone(UTC).replace(second=0, microsecond=0)
    return Timed(begins, begins + timedelta(minutes=minutes))


def _in_crm(demo: Demo, edit: Edit) -> When | None:
    with demo.workspace.database.read() as connection:
        standing = calendar(
            connection, now=demo.clock(), zone=ZoneInfo(edit.account.time_zone), user_id=edit.account.user_id
        )
    return _only(
        normal_when(entry.activity.when)
        for entry in standing
        if entry.activity.description == edit.title and entry.activity.status is not ActivityStatus.CANCELLED
    )


def _in_mailbox(demo: Demo, edit: Edit) -> When | None:
    with demo.workspace.database.read() as connection:
        host = Hosts(connection).by_id(edit.account.host_id)
    mailbox = demo.workspace.open_mailbox(host, edit.account)
    now = demo.clock()
    items = mailbox.view(Window(now - timedelta(days=2), now + timedelta(days=60))).items
    return _only(normal_when(item.when) for item in items if item.subject == edit.title and item.when is not None)


def _only(found: Any) -> When | None:
    """The one there is; of several, something that equals nothing expected."""
    several = list(found)
    return (
        several[0]
        if len(several) == 1
        else None
        if not several
        else Timed(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    )
