"""Why is my Outlook event not in the CRM? For an event known by its subject and start, or by its item id (T4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from ops_lib.crm.store import SqlCrm
from ops_lib.database import tables as t
from ops_lib.model import Account, Host, Item, ItemType, Link, LinkState
from ops_lib.sync.cycle import policy_of
from ops_lib.sync.explain import Reasons, account_troubles, told, what_next
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import instants, overlaps
from ops_lib.sync.stamps import named_by
from ops_lib.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFound:
    """One event that fits what was asked for: the activity that it is paired with, or why it has none.

    ``subject`` of a private event is not told; ``item`` is missing where only the ledger was looked at.
    """

    subject: str
    start: datetime | None
    item_id: str
    activity_id: str | None
    reasons: Reasons
    item: Item | None = None


def linked_events(
    connection: Connection, where: tuple[Account, Host], name: str, start: datetime | None, workspace: Workspace
) -> list[tuple[Link, datetime]]:
    """The pairs of an account whose item has this id, or whose title holds these words and that begin at ``start`` (if given), with their start."""
    account, host = where
    zone = policy_of(host, account, workspace.now()).zone
    wanted = name.casefold()
    found = []
    for link in Ledger(connection).links(account.account_id):
        begins = instants(link.agreed.when, zone).start
        if link.state is LinkState.REPLACED or (start is not None and begins != start):
            continue
        if link.item_id == name or wanted in link.agreed.description.casefold():
            found.append((link, begins))
    return found


def explain_events(
    workspace: Workspace,
    connection: Connection,
    where: tuple[Account, Host],
    name: str,
    start: datetime | None,
    items: Sequence[Item] | None,
) -> list[EventFound]:
    """What is known of the events that fit. ``items`` are those that the mailbox holds now; None: it was not looked into."""
    account, host = where
    zone = policy_of(host, account, workspace.now()).zone
    found: dict[str, EventFound] = {}
    for link, begins in linked_events(connection, where, name, start, workspace):
        found[link.item_id] = EventFound(
            subject=link.agreed.description,
            start=begins,
            item_id=link.item_id,
            activity_id=link.activity_id,
            reasons=[],
        )
    links = {link.item_id: link for link in Ledger(connection).links(account.account_id)}
    of_series = {
        (link.uid, link.original_start): link for link in links.values() if link.uid and link.state is LinkState.ACTIVE
    }
    for item in items or ():
        paired = links.get(item.item_id) or of_series.get((item.uid, item.original_start))
        subject = "(a private event)" if item.is_private else item.subject
        begins_at = instants(item.when, zone).start if item.when is not None else None
        found.pop(paired.item_id if paired is not None else "", None)
        found[item.item_id] = EventFound(
            subject=subject,
            start=begins_at,
            item_id=item.item_id,
            activity_id=paired.activity_id if paired is not None else None,
            reasons=[] if paired is not None else _unpaired(workspace, connection, where, item),
            item=item,
        )
    return sorted(found.values(), key=lambda each: (each.start is None, each.start, each.item_id))


def _unpaired(workspace: Workspace, connection: Connection, where: tuple[Account, Host], item: Item) -> Reasons:
    """Why an event of the mailbox has no activity, worst first."""
    account, host = where
    policy = policy_of(host, account, workspace.now())
    ledger = Ledger(connection)
    reasons: Reasons = []
    if item.is_cancelled:
        reasons.append(
            (
                "it is cancelled: a cancelled event is not shown in the CRM",
                "remove it from Outlook, if it is in the way.",
            )
        )
    if item.when is None:
        reasons.append(
            ("Exchange gives no time for it", "open and save it in Outlook; if that does not help, make it anew.")
        )
    elif not overlaps(item.when, policy.window, policy.zone):
        reasons.append(
            (
                "it is outside the days that the CRM shows, from 2 days ago to 90 days ahead",
                "nothing: it appears by itself when its day is near; what is past stays in Outlook alone.",
            )
        )
    reasons += [
        (told(retry, account.mailbox), what_next(retry))
        for retry in ledger.retries(account.account_id)
        if retry.key == f"item:{item.item_id}" and retry.attempts
    ]
    if not account.calendar:
        reasons.append(_switched_off(account, host))
    else:
        reasons += account_troubles(workspace, connection, account, host, ledger.status(account.account_id, "calendar"))
    if reasons:
        return reasons
    if item.item_type is ItemType.MASTER:
        return [
            (
                "it is a series: the CRM shows its occurrences, each by itself",
                "ask for an occurrence: add --start with its time.",
            )
        ]
    crm_id = connection.execute(select(t.properties.c.value).where(t.properties.c.name == "crm_id")).scalar()
    named = named_by(item.stamp, crm_id) if crm_id else None
    if named is not None:
        activity = SqlCrm(connection, workspace.now()).get([named.activity_id]).get(named.activity_id)
        is_known = activity is not None and named.is_of(activity)
        whose = (
            f"it was made for activity {named.activity_id}"
            if is_known
            else "the activity it was made for is not there any more"
        )
        return [
            (
                f"it carries our mark and is not paired: {whose}",
                "syncops sync: a cycle decides whose it is, and removes nothing that a user made.",
            )
        ]
    return [
        (
            "it is not in the CRM yet: no cycle has read it since it was made or changed",
            "syncops sync, or wait for the next cycle (45 minutes at worst).",
        )
    ]


def nowhere(where: tuple[Account, Host], name: str, start: datetime | None, *, was_looked_at: bool) -> tuple[str, str]:
    """What to say where no event fits."""
    account, _ = where
    when = f" that begins at {start:%Y-%m-%d %H:%M} UTC" if start is not None else ""
    if not was_looked_at:
        return (
            f"nothing that was synced for {account.mailbox} is called {name!r}{when}; Outlook itself was not looked into",
            "ask without --offline.",
        )
    return (
        f"{account.mailbox} has no event called {name!r}{when} in its default calendar"
        + ("" if start is not None else ", from 2 days ago to 90 days ahead"),
        "see in Outlook that it is in the default calendar and not in another one or a shared one; tasks and other calendars are not read. "
        "Beyond these days give --start.",
    )


def _switched_off(account: Account, host: Host) -> tuple[str, str]:
    if host.is_retired:
        return f"the host {host.name!r} is retired: its accounts rest", f"syncops host restore {host.name!r}."
    return f"the account {account.mailbox} is switched off", f"syncops account enable {account.user_email}."
