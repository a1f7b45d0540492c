"""The invariants of SYNC.md over the ledger and both sides, read-only: what `syncops check` says.

A link whose item or activity has changed since the last cycle is news, not a fault: it is reported as ``waiting``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ops_lib.crm.store import SqlCrm
from ops_lib.errors import ItemGone, MailboxError
from ops_lib.mailbox import Mailbox
from ops_lib.model import Account, Host, Item, ItemType, Kind, Link, LinkState, Origin
from ops_lib.sync.body import as_text
from ops_lib.sync.cycle import policy_of, zone_notes
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import differing, entry_of_activity, entry_of_item, overlaps, shared_fields
from ops_lib.sync.pair import HIDDEN
from ops_lib.sync.scope import is_current, is_gone, why_not
from ops_lib.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something the check saw: a ``fault`` breaks an invariant, ``waiting`` is what the next cycle will do, ``unknown`` could not be seen."""

    account: str
    verdict: Literal["fault", "waiting", "unknown"]
    activity_id: str
    item_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One account's check: how many links were compared, and what was remarkable about them."""

    account: str
    links: int
    equal: int
    remarks: list[Remark]


def audit(workspace: Workspace, host: Host, account: Account, mailbox: Mailbox) -> Audit:
    """Compare what the ledger says with what both sides hold now. Writes nothing."""
    now = workspace.now()
    with workspace.database.read() as connection:
        ledger = Ledger(connection)
        links = ledger.links(account.account_id)
        intents = ledger.open_intents(account.account_id)
        activities = SqlCrm(connection, now).get([link.activity_id for link in links])
    policy = policy_of(host, account, now)
    remarks: list[Remark] = []

    def remark(link: Link, verdict: Literal["fault", "waiting", "unknown"], reason: str) -> None:
        remarks.append(
            Remark(
                account=account.mailbox,
                verdict=verdict,
                activity_id=link.activity_id,
                item_id=link.item_id,
                reason=reason,
            )
        )

    for note in zone_notes(policy, account):
        remarks.append(Remark(account=account.mailbox, verdict="unknown", activity_id="", item_id="", reason=note))
    items = _items(mailbox, links)
    equal = 0
    for link in links:
        found, activity = items[link.item_id], activities.get(link.activity_id)
        if link.state is LinkState.REPLACED:
            remark(link, "waiting", "it was replaced and is still to be removed")
            continue
        if activity is None:
            remark(link, "fault", "the activity does not exist")
        elif isinstance(found, ItemGone):
            if is_current(link.origin, link.agreed.when, policy) and not why_not(activity, policy, link):
                remark(link, "waiting", "the item is gone from Exchange")
            else:
                equal += 1  # it rests, or its time is over
        elif isinstance(found, MailboxError):
            remark(link, "unknown", f"the item could not be read: {found}")
        elif is_gone(activity) and is_current(link.origin, link.agreed.when, policy):
            remark(link, "waiting", "the activity is gone from the CRM")
        elif not is_current(link.origin, link.agreed.when, policy) or why_not(activity, policy, link):
            equal += 1  # it rests
        elif found.item_type is ItemType.MASTER and not overlaps(link.agreed.when, policy.window, policy.zone):
            equal += 1  # a single event that became a series: where it stood is no longer shown
        elif found.when is None:
            remark(link, "unknown", "Exchange gives no time for it")
        else:
            crm = entry_of_activity(activity, link.kind)
            text = as_text(found.body, is_html=found.body_is_html)
            outlook = entry_of_item(found, link.agreed, text if link.origin is Origin.EXCHANGE else None)
            fields = set(shared_fields(link.agreed))
            if found.is_private and link.origin is Origin.CRM:
                fields -= HIDDEN  # the CRM's title and the user's may differ
            if not differing(crm, outlook, fields):
                equal += 1
            elif differing(crm, link.agreed, fields) or differing(outlook, link.agreed, fields):
                remark(
                    link,
                    "waiting",
                    f"{', '.join(sorted(differing(crm, outlook, fields)))} changed since the last cycle",
                )
            else:
                remark(
                    link,
                    "fault",
                    f"{', '.join(sorted(differing(crm, outlook, fields)))} differ though both sides agreed",
                )
    remarks.extend(
        Remark(
            account=account.mailbox,
            verdict="waiting",
            activity_id=intent.activity_id,
            item_id="",
            reason="a create was begun and its end is not recorded; the next cycle looks it up",
        )
        for intent in intents
    )
    return Audit(account=account.mailbox, links=len(links), equal=equal, remarks=remarks)


def _items(mailbox: Mailbox, links: list[Link]) -> dict[str, Item | MailboxError]:
    found: dict[str, Item | MailboxError] = {}
    for kind in Kind:
        ids = [link.item_id for link in links if link.kind is kind]
        if ids:
            found |= dict(zip(ids, mailbox.read(kind, ids), strict=True))
    return found
