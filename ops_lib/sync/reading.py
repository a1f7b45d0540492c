"""Reading both sides: what the plan is handed.

Of Exchange, a cycle reads what happened in the two folders since the stored state. The calendar between two instants is read only where
that cannot say it: for series (their occurrences are not items of the folder) and, once a day, for the days that entered the window.
Bodies are read only of what becomes or is an activity in the CRM that came from Outlook.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ops_lib.crm import Crm
from ops_lib.errors import ItemGone, MailboxError, SyncStateInvalid
from ops_lib.mailbox import Mailbox, View
from ops_lib.mailbox.occurrences import is_computed
from ops_lib.model import Account, Activity, Intent, Item, ItemType, Kind, Link, LinkState, Origin, Window
from ops_lib.sync.body import as_text
from ops_lib.sync.ledger import Position, Retry
from ops_lib.sync.mapping import overlaps
from ops_lib.sync.matching import ExchangeNews, match_items, suspects
from ops_lib.sync.scope import SyncPolicy
from ops_lib.sync.stamps import named_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the ledger says when a cycle begins."""

    position: Position
    links: list[Link]
    intents: list[Intent]
    retries: list[Retry]
    series: dict[str, str]
    crm_id: str


@dataclass(slots=True)
class Reading:
    """What was read of both sides so far, and how far that brings the account when everything of it is recorded."""

    activities: dict[str, Activity] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    existing: set[str] = field(default_factory=set)
    unread: dict[str, MailboxError] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    masters: dict[str, Item] = field(default_factory=dict)
    whole_series: set[str] = field(default_factory=set)
    forgotten_series: set[str] = field(default_factory=set)
    complete: set[Kind] = field(default_factory=set)
    retried: set[str] = field(default_factory=set)
    unexpanded: dict[str, tuple[Item, str]] = field(default_factory=dict)
    position: Position = field(default_factory=Position)

    def news(self) -> ExchangeNews:
        """As the plan takes it."""
        return ExchangeNews(
            items=self.items,
            gone=frozenset(self.gone),
            whole_series=frozenset(self.whole_series),
            masters={master.item_id: master.uid for master in self.masters.values()},
            unread={item_id: str(error) for item_id, error in self.unread.items()},
            texts=self.texts,
            existing=frozenset(self.existing),
            complete=frozenset(self.complete),
            unexpanded=self.unexpanded,
        )


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
        self._links_by_item = {link.item_id: link for link in remembered.links}

    def read(self) -> Reading:
        """Everything that may have changed since the stored position. Raises `MailboxError` when a folder cannot be read."""
        position, policy = self._remembered.position, self._policy
        if position.policy != policy.fingerprint():
            position = replace(
                position, crm_version=0, calendar_state="", tasks_state="", window_start=None, window_end=None
            )
        reading = Reading()
        calendar_state = self._read_folder(Kind.EVENT, position.calendar_state, reading)
        tasks_state = position.tasks_state
        if self._reads_tasks():
            tasks_state = self._read_folder(Kind.TASK, position.tasks_state, reading)
        self._read_series(position, reading)
        changes = self._crm().changes(self._account.user_id, position.crm_version)
        reading.activities = {activity.activity_id: activity for activity in changes.activities}
        self._look_for_own(position, reading)
        self._look_again(reading)
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
        self._read_the_other_side(reading, links)
        self._look_up_suspects(reading, links)
        self._read_named_activities(reading, links, intents)
        self._read_bodies(reading, links)

    def read_again(self, reading: Reading, links: Collection[Link], activity_ids: Collection[str]) -> Reading:
        """A fresh reading of just these, for what changed under the cycle's hands."""
        again = Reading(position=reading.position, masters=reading.masters)
        for kind in Kind:
            self._fetch(kind, [link.item_id for link in links if link.kind is kind], again)
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
        if state and self._was_forgotten(kind, changes.created):
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

    def _was_forgotten(self, kind: Kind, created: Collection[str]) -> bool:
        """Whether the server began from nothing without saying so: it calls something new that the ledger has known for longer than the state."""
        known = {
            link.item_id
            for link in self._remembered.links
            if link.kind is kind and link.link_id <= self._remembered.position.last_link_id
        }
        if kind is Kind.EVENT:
            known |= self._remembered.series.keys()
        return not known.isdisjoint(created)

    def _read_series(self, position: Position, reading: Reading) -> None:
        """Occurrences: of the series that changed, over the whole window; of all, for the days that entered it."""
        window, series = self._policy.window, self._remembered.series
        for item_id in reading.gone & series.keys():
            reading.whole_series.add(series[item_id])
            reading.forgotten_series.add(item_id)
        for item_id in series.keys() & reading.items.keys():  # a series that is a single event now
            reading.whole_series.add(series[item_id])
            reading.forgotten_series.add(item_id)
        entered = self._entered(position)
        unread = self._unread_series()
        wanted = window if reading.masters or unread else entered
        if wanted is None:
            return
        view = self._mailbox.view(wanted)
        changed = {master.uid for master in reading.masters.values()}
        if self._shows_occurrences(view, reading):
            if view.is_expanded:
                reading.whole_series |= changed
        else:
            known = series.keys() - reading.forgotten_series if entered is not None else unread
            masters = {item_id: series[item_id] for item_id in known}
            masters |= {master.item_id: master.uid for master in reading.masters.values()}
            is_sure = any(item.item_type is ItemType.MASTER for item in view.items) or self._has_computed()
            self._expand_series(masters, window if is_sure else wanted, reading)
        for item in view.items:
            if item.item_type is ItemType.MASTER or item.item_id in reading.items:
                continue
            is_entering = (
                entered is not None and item.when is not None and overlaps(item.when, entered, self._policy.zone)
            )
            if item.uid in changed or is_entering or (item.original_start is None and self._is_news(item)):
                reading.items[item.item_id] = item
                reading.gone.discard(item.item_id)

    def _shows_occurrences(self, view: View, reading: Reading) -> bool:
        """Whether the server's calendar view holds the occurrences of series. One in it says so, a master says it does not; an empty view says
        nothing: then the links tell what it did before, unless everything is read anew (the mailbox may be on another server)."""
        if any(item.item_type is ItemType.MASTER for item in view.items):
            return False
        if any(item.original_start is not None for item in view.items):
            return True
        has_linked = any(link.original_start is not None for link in self._remembered.links)
        return has_linked and not self._has_computed() and Kind.EVENT not in reading.complete

    def _has_computed(self) -> bool:
        return any(is_computed(link.item_id) for link in self._remembered.links)

    def _expand_series(self, masters: Mapping[str, str], window: Window, reading: Reading) -> None:
        """Let the occurrences of these series (master id → UID) be computed, for a server whose calendar view shows none.

        Over the whole window they are all there are. Once a day, when days enter the window, every series is computed: on such a server the
        change of one occurrence may not show among the folder's changes.
        """
        if not masters:
            return
        failed: set[str] = set()
        texts: dict[str | None, str] = {}
        for (master_id, uid), found in zip(masters.items(), self._mailbox.expand(list(masters), window), strict=True):
            if isinstance(found, ItemGone):
                continue  # the folder's next changes say so
            if isinstance(found, MailboxError):
                failed.add(uid)
                reason = f"not readable now: {found}" if found.transient else str(found)
                reading.unexpanded[master_id] = (
                    reading.masters.get(master_id) or _unread_master(master_id, uid),
                    reason,
                )
                continue
            for item in found:
                reading.gone.discard(item.item_id)
                if not self._is_news(item):
                    reading.items[item.item_id] = replace(item, body=None)  # its notes are as agreed
                    continue
                if item.body not in texts:
                    texts[item.body] = as_text(item.body, is_html=item.body_is_html)
                reading.items[item.item_id] = item
                reading.texts[item.item_id] = texts[item.body]
            if window == self._policy.window and uid:
                reading.whole_series.add(uid)
        reading.whole_series -= failed

    def _unread_series(self) -> set[str]:
        """Masters whose occurrences could not be read and that are due for another try."""
        due = {retry.key for retry in self._remembered.retries if self._is_due(retry)}
        return {item_id for item_id in self._remembered.series if f"item:{item_id}" in due}

    def _entered(self, position: Position) -> Window | None:
        """The days that are in the window now and were not when the account was last read."""
        window = self._policy.window
        if position.window_end is None or position.window_start is None:
            return (
                None  # everything is read for the first time: singles came with the folder, series with their masters
            )
        if window.end > position.window_end:
            return Window(max(position.window_end, window.start), window.end)
        if window.start < position.window_start:
            return Window(window.start, min(position.window_start, window.end))
        return None

    def _is_due(self, retry: Retry) -> bool:
        return not retry.is_set_aside and retry.next_at <= self._policy.now

    def _is_news(self, item: Item) -> bool:
        link = self._links_by_item.get(item.item_id)
        return link is None or link.change_key != item.change_key

    def _look_for_own(self, position: Position, reading: Reading) -> None:
        """What we made after the stored state must now be listed as created. What is not was deleted meanwhile, and no server mentions an item
        that came and went since a state: it is asked for by its id."""
        seen = reading.items.keys() | reading.gone | reading.masters.keys()
        for kind in Kind:
            if kind not in reading.complete:
                own = [
                    link.item_id
                    for link in self._remembered.links
                    if link.kind is kind
                    and link.stamp
                    and link.link_id > position.last_link_id
                    and link.item_id not in seen
                ]
                self._fetch(kind, own, reading)

    # ── what is looked at for other reasons ──────────────────────────────────────────────────────────────────────────
    def _look_again(self, reading: Reading) -> None:
        """What failed before and is due for another try."""
        due = [retry for retry in self._remembered.retries if self._is_due(retry)]
        by_activity = {link.activity_id: link for link in self._remembered.links}
        activity_ids = [retry.key.partition(":")[2] for retry in due if retry.key.startswith("activity:")]
        for activity_id, activity in self._crm().get([a for a in activity_ids if a not in reading.activities]).items():
            reading.activities[activity_id] = activity
        for kind in Kind:
            wanted = [
                retry.key.partition(":")[2] for retry in due if retry.kind is kind and retry.key.startswith("item:")
            ]
            wanted += [by_activity[a].item_id for a in activity_ids if a in by_activity and by_activity[a].kind is kind]
            self._fetch(kind, wanted, reading)
        reading.retried = {retry.key for retry in due}

    def _read_the_other_side(self, reading: Reading, links: Sequence[Link]) -> None:
        """The activities of items that changed; the items of resting links whose activity changed, for theirs was passed over while they rested."""
        matched = match_items(reading.news(), links).of_link
        touched = {link.activity_id for link in links if link.link_id in matched or link.item_id in reading.gone}
        touched |= {
            link.activity_id for link in links if link.uid in reading.whole_series and link.original_start is not None
        }
        missing = touched - reading.activities.keys()
        reading.activities.update(self._crm().get(missing))
        for kind in Kind:
            asleep = [
                link.item_id
                for link in links
                if link.kind is kind
                and link.state is LinkState.RESTING
                and link.activity_id in reading.activities
                and link.link_id not in matched
            ]
            self._fetch(kind, asleep, reading, believes_gone=False)

    def _look_up_suspects(self, reading: Reading, links: Sequence[Link]) -> None:
        wanted = suspects(reading.news(), links)
        for kind in Kind:
            ids = [link.item_id for link in links if link.kind is kind and link.item_id in wanted]
            for item_id, found in zip(ids, self._mailbox.read(kind, ids) if ids else (), strict=True):
                if isinstance(found, Item):
                    reading.existing.add(item_id)
                elif isinstance(found, ItemGone):
                    reading.gone.add(item_id)
                else:
                    reading.existing.add(item_id)  # not known to be gone

    def _read_named_activities(self, reading: Reading, links: Sequence[Link], intents: Sequence[Intent]) -> None:
        """The activities that stamps name, and those whose create was begun."""
        known = {link.item_id for link in links}
        named = [
            named_by(item.stamp, self._remembered.crm_id)
            for item in reading.items.values()
            if item.stamp and item.item_id not in known
        ]
        wanted = {each.activity_id for each in named if each is not None} | {intent.activity_id for intent in intents}
        missing = wanted - reading.activities.keys()
        own = {
            a: activity for a, activity in self._crm().get(missing).items() if activity.user_id == self._account.user_id
        }
        reading.activities.update(own)

    # ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def _read_bodies(self, reading: Reading, links: Sequence[Link]) -> None:
        """Bodies and attendees of Outlook-born events that are new or changed; an occurrence has its master's."""
        matches = match_items(reading.news(), links)
        by_link = {link.link_id: link for link in links}
        wanted: list[Item] = [
            item
            for link_id, item in matches.of_link.items()
            if by_link[link_id].origin is Origin.EXCHANGE and by_link[link_id].change_key != item.change_key
        ]
        for item in matches.strangers:
            if (
                item.kind is Kind.EVENT
                and item.when is not None
                and overlaps(item.when, self._policy.window, self._policy.zone)
            ):
                wanted.append(item)
        open_items = [
            item
            for item in wanted
            if item.body is None
            and not item.is_private
            and not item.is_cancelled
            and item.item_id not in reading.unread
        ]
        inherits = {
            item.item_id: master for item in open_items if (master := self._master_id(item, reading)) is not None
        }
        ids = list(dict.fromkeys([inherits.get(item.item_id, item.item_id) for item in open_items]))
        bodies: dict[str, Item | MailboxError] = dict(
            zip(ids, self._mailbox.read(Kind.EVENT, ids) if ids else (), strict=True)
        )
        for item in open_items:
            found = bodies[inherits.get(item.item_id, item.item_id)]
            if isinstance(
                found, MailboxError
            ):  # not there either: it was just listed, so only a second look is believed
                reading.unread[item.item_id] = found
            else:
                self._keep_body(item, found, reading)

    def _master_id(self, item: Item, reading: Reading) -> str | None:
        if item.item_type is not ItemType.OCCURRENCE:
            return None
        masters = {master.uid: master_id for master_id, master in reading.masters.items()}
        known = {uid: item_id for item_id, uid in self._remembered.series.items()}
        return masters.get(item.uid) or known.get(item.uid)

    def _keep_body(self, item: Item, found: Item, reading: Reading) -> None:
        fresh = found if found.item_id == item.item_id else item
        if fresh.when is None:
            fresh = replace(fresh, when=item.when)
        reading.items[item.item_id] = replace(
            fresh,
            body=found.body or "",
            body_is_html=found.body_is_html,
            organizer=found.organizer,
            attendees=found.attendees,
            original_start=fresh.original_start or item.original_start,
            uid=fresh.uid or item.uid,
            item_type=item.item_type,
        )
        reading.texts[item.item_id] = as_text(found.body, is_html=found.body_is_html)

    def _fetch(self, kind: Kind, item_ids: Iterable[str], reading: Reading, *, believes_gone: bool = True) -> None:
        """Read items by id, with their bodies. One that is not found is gone where this is a second look, else only not read."""
        ids = [
            item_id
            for item_id in dict.fromkeys(item_ids)
            if item_id not in reading.items and item_id not in reading.gone
        ]
        if not ids:
            return
        for item_id, found in zip(ids, self._mailbox.read(kind, ids), strict=True):
            if isinstance(found, ItemGone) and believes_gone:
                reading.gone.add(item_id)
            elif isinstance(found, MailboxError):
                reading.unread[item_id] = found
            elif found.item_type is ItemType.MASTER:
                reading.masters[item_id] = found
            else:
                reading.items[item_id] = found
                if found.body is not None:
                    reading.texts[item_id] = as_text(found.body, is_html=found.body_is_html)


def _unread_master(master_id: str, uid: str) -> Item:
    """All that is known of a series that was seen before and cannot be read now."""
    return Item(
        item_id=master_id, change_key="", kind=Kind.EVENT, subject="", when=None, item_type=ItemType.MASTER, uid=uid
    )
