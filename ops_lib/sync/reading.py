"""Reading both sides: what the plan is handed.

Of Exchange, a cycle reads what happened in the two folders since the stored state. The calendar between two instants is read only where
that cannot say it: for series (their occurrences are not items of the folder) and, once a day, for the days that entered the window.
Bodies are read only of what becomes or is an activity in the CRM that came from Outlook.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from ops_lib.crm import Crm
from ops_lib.errors import ItemGone, SyncStateInvalid
from ops_lib.mailbox import FolderChanges, Mailbox
from ops_lib.model import Account, Intent, ItemType, Kind, Link, Window
from ops_lib.sync.ledger import Position, Retry
from ops_lib.sync.news import Reading, Remembered
from ops_lib.sync.other_side import OtherSide
from ops_lib.sync.scope import SyncPolicy
from ops_lib.sync.series import SeriesReader

A_DAY = timedelta(days=1)


class Reader:
    """Reads one account's two sides. It writes nothing anywhere."""

    def __init__(
        self, *, account: Account, mailbox: Mailbox, policy: SyncPolicy, remembered: Remembered, crm: Callable[[], Crm]
    ) -> None:
        self._account = account
        self._mailbox = mailbox
        self._policy = policy
        self._remembered = remembered
        self._crm = crm
        self._other_side = OtherSide(account=account, mailbox=mailbox, policy=policy, remembered=remembered, crm=crm)

    def read(self) -> Reading:
        """Everything that may have changed since the stored position. Raises `MailboxError` when a folder cannot be read."""
        position, policy = self._remembered.position, self._policy
        if position.policy != policy.fingerprint():
            position = replace(
                position, crm_version=0, calendar_state="", tasks_state="", window_start=None, window_end=None
            )
        if position.window_start is not None and position.window_start - policy.window.start > A_DAY:
            # The clock was wrong: what was read by then lay outside the days that count, and was passed over.
            position = replace(position, crm_version=0, calendar_state="", tasks_state="")
        reading = Reading()
        calendar_state = self._read_folder(Kind.EVENT, position.calendar_state, reading)
        tasks_state = position.tasks_state
        if self._reads_tasks():
            # A mailbox that moved has forgotten both folders; the one that holds nothing that is known would not show it.
            tasks_state = self._read_folder(Kind.TASK, "" if Kind.EVENT in reading.complete else tasks_state, reading)
            if position.calendar_state and reading.complete == {Kind.TASK}:
                calendar_state = self._read_folder(Kind.EVENT, "", reading)
        changes = self._crm().changes(self._account.user_id, position.crm_version)
        reading.activities = {activity.activity_id: activity for activity in changes.activities}
        self._look_for_own(position, reading)
        due = self._due(reading)
        self._look_again(due, reading)
        series = SeriesReader(self._mailbox, policy, self._remembered, [retry.key for retry in due])
        series.read(_window_of(position), reading)
        reading.position = Position(
            crm_version=changes.version,
            calendar_state=calendar_state,
            tasks_state=tasks_state,
            window_start=policy.window.start,
            window_end=policy.window.end,
            policy=policy.fingerprint(),
            last_link_id=max(
                [link.link_id for link in self._remembered.links], default=self._remembered.position.last_link_id
            ),
        )
        return reading

    def complete(self, reading: Reading, links: Sequence[Link], intents: Sequence[Intent] = ()) -> None:
        """Read what the plan also needs: the other side of what changed, copies' originals, bodies."""
        self._other_side.complete(reading, links, intents)

    def read_again(self, reading: Reading, links: Collection[Link], activity_ids: Collection[str]) -> Reading:
        """A fresh reading of just these, for what changed under the cycle's hands."""
        again = Reading(position=reading.position, masters=reading.masters)
        for kind in Kind:
            ids = [link.item_id for link in links if link.kind is kind]
            # What was there a moment ago and is not found may have moved with the whole mailbox: the next cycle's reading tells.
            again.fetch(self._mailbox, kind, ids, believes_gone=False)
        again.activities = self._crm().get({*activity_ids, *(link.activity_id for link in links)})
        return again

    # ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _reads_tasks(self) -> bool:
        return self._policy.all_day_tasks or any(link.kind is Kind.TASK for link in self._remembered.links)

    def _read_folder(self, kind: Kind, state: str, reading: Reading) -> str:
        try:
            changes = self._mailbox.changes(kind, state)
        except SyncStateInvalid:
            if not state:
                raise
            state = ""
            changes = self._mailbox.changes(kind, "")
        if state and self._was_forgotten(kind, changes):
            state = ""  # what is deleted is not among its answers: only a whole reading tells what is no longer there
            changes = self._mailbox.changes(kind, "")
        if not state:
            reading.complete.add(kind)
        for item in changes.items:
            if item.item_type is ItemType.MASTER:
                reading.masters[item.item_id] = item
            elif item.kind is kind:
                reading.items[item.item_id] = item
        reading.gone.update(
            item_id for item_id in changes.deleted if item_id not in reading.items and item_id not in reading.masters
        )
        for error in changes.unreadable:
            reading.unread[error.subject] = error
        return changes.sync_state

    def _was_forgotten(self, kind: Kind, changes: FolderChanges) -> bool:
        """Whether the server began from nothing without saying so: it calls something new that the ledger has known for longer than the state,
        by its id (also of one that could not be read yet), or (the mailbox being on another server) by its UID while nothing is said of the id it had."""
        older = [
            link
            for link in self._remembered.links
            if link.kind is kind and (not link.stamp or link.link_id <= self._remembered.position.last_link_id)
        ]
        known = {link.item_id for link in older}
        known |= {retry.key.partition(":")[2] for retry in self._remembered.retries if retry.key.startswith("item:")}
        id_of_uid = {link.uid: link.item_id for link in older if link.original_start is None}
        if kind is Kind.EVENT:
            known |= self._remembered.series.keys()
            id_of_uid |= {uid: item_id for item_id, uid in self._remembered.series.items()}
        moved = {
            item.item_id
            for item in changes.items
            if item.uid and (before := id_of_uid.get(item.uid)) is not None and before not in changes.deleted
        }
        return not (known | moved).isdisjoint(changes.created)

    def _look_for_own(self, position: Position, reading: Reading) -> None:
        """What we made after the stored state, and what a cycle that broke off had linked, must now be listed as created. What is not was
        deleted meanwhile, and no server mentions an item that came and went since a state: it is asked for by its id."""
        broken_off = self._remembered.unrecorded_links
        seen = reading.items.keys() | reading.gone | reading.masters.keys()
        for kind in Kind:
            if kind not in reading.complete:
                own = [
                    link.item_id
                    for link in self._remembered.links
                    if link.kind is kind
                    and (
                        (link.stamp and link.link_id > position.last_link_id)
                        or (broken_off is not None and link.link_id > broken_off)
                    )
                    and link.item_id not in seen
                ]
                reading.fetch(self._mailbox, kind, own)

    # ── what failed before ───────────────────────────────────────────────────────────────────────────────────────────
    def _due(self, reading: Reading) -> list[Retry]:
        """What is to be looked at again: because it is time, or because either side of it has changed."""
        links = {f"activity:{link.activity_id}": link.item_id for link in self._remembered.links}
        seen = reading.items.keys() | reading.masters.keys() | reading.gone
        seen_keys = {f"activity:{activity_id}" for activity_id in reading.activities} | {f"item:{i}" for i in seen}
        return [
            retry
            for retry in self._remembered.retries
            if (not retry.is_set_aside and retry.next_at <= self._policy.now)
            or retry.key in seen_keys
            or links.get(retry.key) in seen
            # Not listed any more where everything was: it is gone, or has moved.
            or (retry.key.startswith("item:") and retry.kind in reading.complete)
        ]

    def _look_again(self, due: Sequence[Retry], reading: Reading) -> None:
        """Read both sides of it, and of a reschedule all activities."""
        by_activity = {link.activity_id: link for link in self._remembered.links}
        activity_ids = {retry.key.partition(":")[2] for retry in due if retry.key.startswith("activity:")}
        if activity_ids:
            reading.activities |= self._crm().get(activity_ids) | self._crm().predecessors(activity_ids)
        wanted_ids: set[str] = set()
        for kind in Kind:
            wanted = [
                retry.key.partition(":")[2] for retry in due if retry.kind is kind and retry.key.startswith("item:")
            ]
            wanted += [by_activity[a].item_id for a in activity_ids if a in by_activity and by_activity[a].kind is kind]
            reading.fetch(self._mailbox, kind, wanted, believes_gone=False)
            wanted_ids.update(wanted)
        reading.retried = {retry.key for retry in due}
        self._believe_gone(wanted_ids, reading)

    def _believe_gone(self, item_ids: Collection[str], reading: Reading) -> None:
        """What is not found at a second look is gone, unless it may be one of those that cannot be read: where the mailbox moved, such an item has
        an id that nobody knows, and until it can be read nobody can say whose it is."""
        not_found = {i for i in item_ids if isinstance(reading.unread.get(i), ItemGone)}
        known = {link.item_id for link in self._remembered.links} | self._remembered.series.keys()
        waiting = {retry.key.partition(":")[2] for retry in self._remembered.retries if retry.key.startswith("item:")}
        unreadable = (waiting | reading.unread.keys()) - known - not_found - reading.gone - reading.items.keys()
        unreadable -= reading.masters.keys()
        for item_id in not_found:
            if not unreadable or item_id not in known:
                del reading.unread[item_id]
                reading.gone.add(item_id)


def _window_of(position: Position) -> Window | None:
    """The days that were read last."""
    if position.window_start is None or position.window_end is None:
        return None
    return Window(position.window_start, position.window_end)
