"""What both sides hold of one entry at this moment: a read-only look at the server, with an end.

The look asks for one item by its id, or for a create whose end nobody recorded by its stamp; to find an event that is known by its title, it reads the
calendar of one day or of the days that the CRM shows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ops_lib.errors import AnswerLost, ItemGone, MailboxError, OpsError
from ops_lib.mailbox import Mailbox
from ops_lib.model import Account, Activity, Entry, Host, Intent, Item, ItemType, Kind, Link, Origin, Window
from ops_lib.sync.body import as_text
from ops_lib.sync.cycle import policy_of
from ops_lib.sync.explain import Reasons, parted
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import differing, entry_of_activity, entry_of_item, shared_fields
from ops_lib.sync.pauses import Pauses, is_over, keys_of
from ops_lib.sync.scope import is_current, is_gone, why_not
from ops_lib.workspace import Workspace

T = TypeVar("T")

LOOK_SECONDS = 20.0
"""So long a person waits for a look at the server. It goes on no longer: what is then not seen is said to be unknown."""

MailboxFactory = Callable[[Host, Account], Mailbox]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What Exchange holds of an entry now: the item, nothing, or (``error``) nobody could see. ``asked`` says what was asked."""

    asked: str
    item: Item | None = None
    error: OpsError | None = None

    @property
    def verdict(self) -> str:
        """``there``, ``gone`` or ``unknown``."""
        if self.item is not None:
            return "there"
        return "gone" if self.error is None or isinstance(self.error, ItemGone) else "unknown"


def within(seconds: float, look: Callable[[], T], subject: str) -> T:
    """What a look gives, if it gives it in time. **Raises** `AnswerLost` where it does not; the thread that still waits dies with the process."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(look())
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            failed.append(error)

    thread = threading.Thread(target=run, name="look at Exchange", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise AnswerLost(
            f"the server did not answer within {seconds:g} seconds",
            subject=subject,
            fix="try again later, or leave the server out with --offline.",
        )
    return found[0]


def look(
    workspace: Workspace,
    where: tuple[Account, Host],
    link: Link | None,
    intents: Sequence[Intent] = (),
    *,
    mailboxes: MailboxFactory | None = None,
    seconds: float = LOOK_SECONDS,
) -> Seen:
    """The item of a link as it is now, or the one that an unfinished create may have made. Writes nothing, raises nothing."""
    account, host = where
    kind = link.kind if link is not None else intents[0].entry.kind if intents else Kind.EVENT
    asked = f"{kind.value} by its id" if link is not None else f"{kind.value} by our stamp"

    def ask() -> Item | MailboxError | None:
        mailbox = (mailboxes or workspace.open_mailbox)(host, account)
        if link is not None:
            return mailbox.read(kind, [link.item_id])[0]
        found = mailbox.find_stamps(kind, [intent.stamp for intent in intents])
        return next((items[0] for items in found.values() if items), None)

    try:
        refuse_while_paused(workspace, host, account)
        found = within(seconds, ask, account.mailbox)
    except OpsError as error:
        return Seen(asked=asked, error=error)
    return Seen(asked=asked, error=found) if isinstance(found, MailboxError) else Seen(asked=asked, item=found)


def find_event(
    workspace: Workspace,
    where: tuple[Account, Host],
    name: str,
    start: datetime | None,
    *,
    mailboxes: MailboxFactory | None = None,
    seconds: float = LOOK_SECONDS,
) -> list[Item]:
    """The events of a mailbox now that have this item id, or whose subject holds these words and that begin at ``start`` (if given).

    Without a start the days are looked at that the CRM shows. **Raises** `OpsError` where the server cannot be asked.
    """
    account, host = where
    policy = policy_of(host, account, workspace.now())
    window = policy.window if start is None else Window(start - timedelta(minutes=1), start + timedelta(days=1))

    def ask() -> list[Item]:
        mailbox = (mailboxes or workspace.open_mailbox)(host, account)
        if is_item_id(name):
            (found,) = mailbox.read(Kind.EVENT, [name])
            if isinstance(found, ItemGone):
                return []
            if isinstance(found, MailboxError):
                raise found
            return [found]
        wanted = name.casefold()
        return [
            item
            for item in mailbox.view(window).items
            if wanted in item.subject.casefold()
            and (start is None or (item.when is not None and getattr(item.when.start, "tzinfo", None) and item.when.start == start))
        ]  # fmt: skip

    refuse_while_paused(workspace, host, account)
    return within(seconds, ask, account.mailbox)


def is_item_id(name: str) -> bool:
    """Whether somebody gave an item's id and not its subject: one long word."""
    return len(name) >= 40 and not any(each.isspace() for each in name)


def refuse_while_paused(workspace: Workspace, host: Host, account: Account) -> None:
    """**Raises** `AnswerLost` where the server wants nobody to ask yet."""
    now = workspace.now()
    with workspace.database.read() as connection:
        standing = Pauses(connection).all(keys_of(host, account).values())
    for pause in standing.values():
        if not is_over(pause, now):
            raise AnswerLost(
                f"not asked: the server wants a pause until {pause.until:%Y-%m-%d %H:%M:%S} UTC",
                subject=account.mailbox,
                response_code=pause.response_code,
                fix="nothing: ask again after that.",
            )


def entries(activity: Activity, link: Link | None, item: Item | None) -> tuple[Entry, Entry | None]:
    """Both sides in the same words: the activity's entry, and the item's."""
    kind = link.kind if link is not None else item.kind if item is not None else Kind.EVENT
    crm = entry_of_activity(activity, kind)
    if item is None:
        return crm, None
    text = as_text(item.body, is_html=item.body_is_html) if item.body is not None else None
    agreed = link.agreed if link is not None else crm
    return crm, entry_of_item(item, agreed, text if activity.origin is Origin.EXCHANGE else None)


def compared(
    workspace: Workspace, where: tuple[Account, Host], activity: Activity, link: Link | None, seen: Seen
) -> Reasons:
    """What a look at both sides shows to be apart, and what will become of it."""
    account, host = where
    policy = policy_of(host, account, workspace.now())
    if seen.verdict == "unknown":
        what, mend = parted(str(seen.error), account.mailbox)
        then = mend if mend and not mend.startswith("nothing") else "look again later."
        return [(f"what Outlook holds now could not be seen: {what}", f"{then} The rest is as of the last cycle.")]
    is_kept = is_current(activity.origin, activity.when, policy) and not why_not(activity, policy, link)
    if link is None or is_gone(activity) or not is_kept:
        return []
    if seen.item is None:
        becomes = (
            "the activity becomes Cancelled"
            if activity.origin is Origin.CRM
            else "the activity leaves the CRM's calendar"
        )
        return [
            (
                f"its {link.kind.value} is not in Outlook any more: somebody deleted it since the last cycle, or it was moved out of the folder",
                f"if that was a mistake, take it out of Deleted Items before the next cycle; otherwise {becomes}.",
            )
        ]
    if seen.item.item_type is ItemType.MASTER or seen.item.when is None:
        return []
    crm, outlook = entries(activity, link, seen.item)
    apart = sorted(differing(crm, outlook, shared_fields(link.agreed))) if outlook is not None else []
    if not apart:
        return []
    return [
        (
            f"the two sides differ in {', '.join(apart)}: one of them was changed since the last cycle",
            "syncops sync, or wait for the next cycle; if both were changed, the host's rule decides and the other version is kept on record.",
        )
    ]


def open_intents(workspace: Workspace, account: Account, activity_id: str) -> list[Intent]:
    """Creates of this activity that were begun and whose end nobody recorded."""
    with workspace.database.read() as connection:
        return [each for each in Ledger(connection).open_intents(account.account_id) if each.activity_id == activity_id]
