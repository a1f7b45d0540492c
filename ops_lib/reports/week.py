"""One user's week, CRM and Outlook beside each other: what is really there on either side, and where the two part.

The Outlook half is read from the server, not from the ledger: a report that shows what was agreed would always show agreement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.calendar import calendar
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.errors import ItemGone, OpsError
from ops_lib.mailbox import Mailbox
from ops_lib.model import (
    Account,
    Activity,
    AllDay,
    Entry,
    Host,
    Item,
    ItemType,
    Kind,
    Link,
    LinkState,
    Origin,
    Timed,
    User,
    When,
    Window,
)
from ops_lib.reports.frames import frame
from ops_lib.reports.words import when_words
from ops_lib.sync.cycle import policy_of
from ops_lib.sync.ledger import Ledger, Retry
from ops_lib.sync.mapping import (
    PRIVATE_DESCRIPTION,
    differing,
    entry_of_activity,
    entry_of_item,
    instants,
    midnight,
    overlaps,
    shared_fields,
)
from ops_lib.sync.scope import SyncPolicy, is_current, is_gone, kind_of, why_not
from ops_lib.workspace import Workspace

STATES = ("both", "crm only", "exchange only", "differs", "unknown")

WEEK = {
    "entry": "int64",
    "side": "str",
    "kind": "str",
    "title": "str",
    "start": "datetime64[us, UTC]",
    "end": "datetime64[us, UTC]",
    "all_day": "bool",
    "state": "str",
    "expected": "bool",
    "why": "str",
    "type": "str",
    "status": "str",
    "activity_id": "str",
}

MailboxFactory = Callable[[Host, Account], Mailbox]


@dataclass(frozen=True)
class Week:
    """A user's week and its entries.

    ``entries``: one row an entry and side, by start and title, the CRM's first. ``entry`` numbers what belongs together; ``start`` and
    ``end`` are instants (of an all-day entry the midnights in the user's zone). ``state`` is one of `STATES`; ``expected`` says that a
    rule of the sync makes it so; ``why`` names the rule or the fault. ``unread`` says why Outlook's half could not be read.
    """

    user: User
    zone: ZoneInfo
    first_day: date
    entries: pd.DataFrame
    unread: str = ""
    notes: tuple[str, ...] = ()

    @property
    def parted(self) -> int:
        """How many entries are known not to be as they should be."""
        known = self.entries[self.entries["state"] != "unknown"]
        return int(known.loc[~known["expected"], "entry"].nunique())

    @property
    def together(self) -> int:
        """How many entries are the same on both sides."""
        return int(self.entries.loc[self.entries["state"] == "both", "entry"].nunique())

    def by_entry(self) -> pd.DataFrame:
        """One row an entry, in words: title, its time in the CRM and in Outlook, state, why; what should not be as it is comes first."""
        rows: dict[int, dict[str, Any]] = {}
        for each in self.entries.to_dict("records"):
            row = rows.setdefault(
                each["entry"],
                {**{name: each[name] for name in ("title", "state", "why", "expected")}, "crm": "–", "exchange": "–"},
            )
            start, end = (each[edge].tz_convert(self.zone) for edge in ("start", "end"))
            when = AllDay(start.date(), end.date()) if each["all_day"] else Timed(start, end)
            row[each["side"]] = when_words(when, self.zone)
        ordered = sorted(rows.values(), key=lambda row: bool(row["expected"]))
        return frame(ordered, dict.fromkeys(("title", "crm", "exchange", "state", "why"), "str"))


def read_week(
    workspace: Workspace, user_email: str, day: date | None = None, *, mailboxes: MailboxFactory | None = None
) -> Week:
    """The week (Monday to Sunday) that holds ``day``, today unless given, of one user. **Raises** `NotThere` for an unknown user.

    A mailbox that cannot be read does not fail the report: its half is *unknown*, and ``unread`` says why.
    """
    with workspace.database.read() as connection:
        user = Directory(connection).user(user_email)
        account = next((each for each in Accounts(connection).of_user(user.user_id) if each.calendar), None)
        host = Hosts(connection).by_id(account.host_id) if account is not None else None
        zone = ZoneInfo(account.time_zone if account is not None else user.time_zone)
        today = day or workspace.now().astimezone(zone).date()
        monday = today - timedelta(days=today.weekday())
        shown = calendar(
            connection,
            now=workspace.now(),
            zone=zone,
            user_id=user.user_id,
            start=monday,
            end=monday + timedelta(days=7),
        )
        activities = {entry.activity.activity_id: entry.activity for entry in shown}
        links, retries = [], []
        if account is not None:
            ledger = Ledger(connection)
            links, retries = ledger.links(account.account_id), ledger.retries(account.account_id)
    comparison = _Comparison(workspace, zone, monday, activities, links, {retry.key: retry for retry in retries})
    if account is None or host is None:
        comparison.unread = "the user has no account whose calendar is kept in step"
    else:
        comparison.policy = policy_of(host, account, workspace.now())
        try:
            open_one = mailboxes or _opener(workspace)
            comparison.read(open_one(host, account))
        except OpsError as error:
            comparison.items, comparison.unread = {}, str(error)
    return Week(user, zone, monday, comparison.table(), comparison.unread, tuple(comparison.notes))


def _opener(workspace: Workspace) -> MailboxFactory:
    def open_one(host: Host, account: Account) -> Mailbox:
        return workspace.open_mailbox(host, account)

    return open_one


@dataclass
class _Comparison:
    """Both halves of a week, and what is said of each pair."""

    workspace: Workspace
    zone: ZoneInfo
    monday: date
    activities: dict[str, Activity]
    links: list[Link]
    retries: dict[str, Retry]
    policy: SyncPolicy | None = None
    items: dict[str, Item] = field(default_factory=dict)
    unread: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def window(self) -> Window:
        return Window(midnight(self.monday, self.zone), midnight(self.monday + timedelta(days=7), self.zone))

    def read(self, mailbox: Mailbox) -> None:
        """Read Outlook's half: the calendar's week, the tasks due in it, and what is linked to the week's activities wherever it is now."""
        view = mailbox.view(self.window)
        if not view.is_expanded:
            self.notes.append("this server lists a series as one: its occurrences are not in the drawing")
        tasks = mailbox.changes(Kind.TASK).items
        for item in (*view.items, *(item for item in tasks if self._in_week(item.when))):
            if item.when is not None and item.item_type is not ItemType.MASTER and not item.is_cancelled:
                self.items[item.item_id] = item
        by_stamp = {item.stamp: item for item in self.items.values() if item.stamp}
        for kind in Kind:
            missing = [
                link
                for link in self.links
                if link.kind is kind and link.activity_id in self.activities and self._item(link, by_stamp) is None
            ]
            for link, answer in zip(missing, mailbox.read(kind, [link.item_id for link in missing]), strict=True):
                if isinstance(answer, Item):
                    if answer.when is not None and not answer.is_cancelled:
                        self.items[link.item_id] = answer
                elif not isinstance(answer, ItemGone):
                    self.notes.append(f"an entry could not be read in Outlook: {answer}")

    def table(self) -> pd.DataFrame:
        """The rows of `Week.entries`."""
        pairs = [*self._linked(), *self._unlinked()]
        pairs.sort(key=lambda pair: (pair.start, pair.title, pair.activity_id))
        rows = [row for number, pair in enumerate(pairs, 1) for row in pair.rows(number, self.zone)]
        return frame(rows, WEEK)

    # ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _linked(self) -> list[_Pair]:
        by_stamp = {item.stamp: item for item in self.items.values() if item.stamp}
        pairs = []
        elsewhere = [
            link.activity_id
            for link in self.links
            if link.activity_id not in self.activities and self._item(link, by_stamp) is not None
        ]
        with self.workspace.database.read() as connection:
            others = SqlCrm(connection, self.workspace.now()).get(elsewhere)
        for link in self.links:
            activity = self.activities.pop(link.activity_id, None) or others.get(link.activity_id)
            item = self._item(link, by_stamp)
            if item is not None:
                self.items.pop(item.item_id, None)
            if activity is None or (activity.is_deleted and item is None):
                continue
            pairs.append(self._pair(link, activity, item))
        return pairs

    def _pair(self, link: Link, activity: Activity, item: Item | None) -> _Pair:
        ours = entry_of_activity(activity, link.kind)
        gone = is_gone(activity)
        if self.unread:
            return _Pair(link.kind, activity, ours, None, "unknown", False, f"Outlook was not read: {self.unread}")
        if item is None:
            if gone:
                return _Pair(
                    link.kind, activity, ours, None, "crm only", True, f"it is {activity.status.value} in the CRM"
                )
            why = self._trouble(link.activity_id, link.item_id) or "it is not in Outlook any more"
            return _Pair(link.kind, activity, ours, None, "crm only", False, why + "; the next cycle settles it")
        theirs = entry_of_item(item, link.agreed)
        excuse = why_not(activity, self.policy, link) if self.policy is not None else ""
        if gone:
            word = "removed" if activity.is_deleted else activity.status.value
            why = excuse or f"it is {word} in the CRM; the next cycle takes it out of Outlook"
            half = None if activity.is_deleted else ours
            return _Pair(
                link.kind, activity, half, theirs, "exchange only" if half is None else "differs", bool(excuse), why
            )
        parting = differing(ours, theirs, shared_fields(link.agreed))
        if not parting:
            return _Pair(link.kind, activity, ours, theirs, "both", True, "")
        why = "; ".join(self._difference(name, ours, theirs) for name in sorted(parting))
        rests = bool(excuse) and link.state is LinkState.RESTING
        trouble = excuse if rests else self._trouble(link.activity_id, link.item_id)
        return _Pair(
            link.kind, activity, ours, theirs, "differs", rests, "; ".join(part for part in (why, trouble) if part)
        )

    def _unlinked(self) -> list[_Pair]:
        pairs = []
        for activity in self.activities.values():
            kind = kind_of(activity)
            ours = entry_of_activity(activity, kind)
            if self.policy is None or self.unread:
                pairs.append(
                    _Pair(kind, activity, ours, None, "unknown", False, f"Outlook was not read: {self.unread}")
                )
                continue
            rule, fault = self._why_crm_only(activity, self.policy)
            pairs.append(_Pair(kind, activity, ours, None, "crm only", bool(rule), rule or fault))
        for item in self.items.values():
            rule, fault = self._why_exchange_only(item)
            theirs = entry_of_item(item, None)
            pairs.append(_Pair(item.kind, None, None, theirs, "exchange only", bool(rule), rule or fault))
        return pairs

    def _why_crm_only(self, activity: Activity, policy: SyncPolicy) -> tuple[str, str]:
        """The rule, or else the fault."""
        if is_gone(activity):
            return f"it is {activity.status.value}: not shown in Outlook", ""
        excuse = why_not(activity, policy)
        if excuse:
            return excuse, ""
        if not is_current(activity.origin, activity.when, policy):
            return "it lies outside the days that are kept in step", ""
        if activity.origin is Origin.EXCHANGE:
            return "", "it came from Outlook and is not there any more; the next cycle settles it"
        return "", self._trouble(activity.activity_id, "") or "no cycle has sent it to Outlook yet"

    def _why_exchange_only(self, item: Item) -> tuple[str, str]:
        if item.kind is Kind.TASK and not item.stamp:
            return "a task that was made in Outlook stays there", ""
        if self.policy is not None and item.when is not None and not overlaps(item.when, self.policy.window, self.zone):
            return "it lies outside the days that are kept in step", ""
        return "", self._trouble("", item.item_id) or "no cycle has brought it into the CRM yet"

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _item(self, link: Link, by_stamp: dict[str, Item]) -> Item | None:
        return self.items.get(link.item_id) or (by_stamp.get(link.stamp) if link.stamp else None)

    def _in_week(self, when: When | None) -> bool:
        return when is not None and overlaps(when, self.window, self.zone)

    def _trouble(self, activity_id: str, item_id: str) -> str:
        """What the ledger says went wrong with it."""
        retry = self.retries.get(f"activity:{activity_id}") or self.retries.get(f"item:{item_id}")
        if retry is None:
            return ""
        tried = "set aside after four tries" if retry.is_set_aside else "is tried again"
        code = f" ({retry.response_code})" if retry.response_code and retry.response_code not in retry.reason else ""
        return f"{tried}: {retry.reason}{code}"

    def _difference(self, name: str, ours: Entry, theirs: Entry) -> str:
        if name == "when":
            return f"CRM {when_words(ours.when, self.zone)}, Outlook {when_words(theirs.when, self.zone)}"
        if name == "is_complete":
            return f"{'completed' if ours.is_complete else 'open'} in the CRM, {'completed' if theirs.is_complete else 'open'} in Outlook"
        word = {"description": "title"}.get(name, name)
        return f"{word}: CRM “{getattr(ours, name)}”, Outlook “{getattr(theirs, name)}”"


@dataclass(frozen=True)
class _Pair:
    kind: Kind
    activity: Activity | None
    ours: Entry | None
    theirs: Entry | None
    state: str
    expected: bool
    why: str

    @property
    def _first(self) -> Entry:
        shown = self.ours or self.theirs
        assert shown is not None
        return shown

    @property
    def title(self) -> str:
        return self._first.description

    @property
    def activity_id(self) -> str:
        return self.activity.activity_id if self.activity is not None else ""

    @property
    def start(self) -> Any:
        return instants(self._first.when, ZoneInfo("UTC")).start

    def rows(self, number: int, zone: ZoneInfo) -> list[dict[str, Any]]:
        rows = []
        for side, entry in (("crm", self.ours), ("exchange", self.theirs)):
            if entry is None:
                continue
            span = instants(entry.when, zone)
            rows.append(
                {
                    "entry": number,
                    "side": side,
                    "kind": self.kind.value,
                    "title": PRIVATE_DESCRIPTION if entry.is_private else entry.description,
                    "start": span.start,
                    "end": span.end,
                    "all_day": isinstance(entry.when, AllDay),
                    "state": self.state,
                    "expected": self.expected,
                    "why": self.why,
                    "type": self.activity.type_name if self.activity is not None else "",
                    "status": self.activity.status.value if self.activity is not None else "",
                    "activity_id": self.activity_id,
                }
            )
        return rows
