"""What the plan needs besides the news: the other side of it, whom a stamp or a key names, whether an original still exists, bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from ops_lib.crm import Crm
from ops_lib.errors import ItemGone, MailboxError
from ops_lib.mailbox import Mailbox
from ops_lib.mailbox.occurrences import is_computed
from ops_lib.model import Account, Activity, Intent, Item, ItemType, Kind, Link, LinkState, Origin, Window
from ops_lib.sync.body import as_text
from ops_lib.sync.mapping import instants, overlaps
from ops_lib.sync.matching import match_items, suspects
from ops_lib.sync.news import Reading, Remembered
from ops_lib.sync.plan import successors
from ops_lib.sync.scope import SyncPolicy, is_current, is_gone, kind_of
from ops_lib.sync.stamps import key_of_item, named_by


class OtherSide:
    """Completes a reading. It writes nothing anywhere."""

    def __init__(
        self, *, account: Account, mailbox: Mailbox, policy: SyncPolicy, remembered: Remembered, crm: Callable[[], Crm]
    ) -> None:
        self._account = account
        self._mailbox = mailbox
        self._policy = policy
        self._remembered = remembered
        self._crm = crm

    def complete(self, reading: Reading, links: Sequence[Link], intents: Sequence[Intent] = ()) -> None:
        """Read what the plan also needs; ``links`` are those it will be handed."""
        self._look_for_occurrences(reading, links)
        self._look_where_they_were(reading, links)
        self._read_the_other_side(reading, links)
        self._look_up_suspects(reading, links)
        self._read_named_activities(reading, links, intents)
        self._read_successors(reading, links)
        self._read_rescheduled(reading, links)
        self._read_bodies(reading, links)

    def _look_for_occurrences(self, reading: Reading, links: Sequence[Link]) -> None:
        """Occurrences that a series which goes on no longer shows in the window: moved out of it, or deleted. Their ids tell which.

        The series' body, of which the others will be in need, comes with the same request. Where occurrences are computed, one that is moved out
        of the window is not asked for: it would cost a request of its own. What is left of a visit of the CRM's that became a series is always.
        """
        masters = {master.uid: master_id for master_id, master in reading.masters.items()}
        going_on = reading.whole_series & masters.keys()
        if not going_on:
            return
        matched = match_items(reading.news(), links).of_link
        missing = {
            link.item_id: link.uid
            for link in links
            if link.original_start is not None
            and link.uid in going_on
            and link.state is LinkState.ACTIVE
            and link.link_id not in matched
            and self._is_asked_for(link)
        }
        theirs = {masters[uid] for uid in missing.values()}
        reading.fetch(self._mailbox, Kind.EVENT, [*missing, *sorted(theirs)])
        reading.gone -= theirs  # they were just listed

    def _is_asked_for(self, link: Link) -> bool:
        """Whether it matters to the CRM if this occurrence still exists, no reading of the window having shown it."""
        if overlaps(link.agreed.when, self._policy.window, self._policy.zone):
            return not is_computed(link.item_id)
        return link.origin is Origin.CRM and is_current(link.origin, link.agreed.when, self._policy)

    def _look_where_they_were(self, reading: Reading, links: Sequence[Link]) -> None:
        """Occurrences outside the window that are not found by their ids: where the mailbox moved they have others, and what is read of the window
        shows none of them."""
        matched = match_items(reading.news(), links).of_link
        lost = [
            link
            for link in links
            if link.original_start is not None
            and link.item_id in reading.gone
            and link.link_id not in matched
            and not overlaps(link.agreed.when, self._policy.window, self._policy.zone)
        ]
        for link in lost:
            for item in self._occurrences_around(link, reading):
                if (item.uid, item.original_start) == (link.uid, link.original_start):
                    reading.items[item.item_id] = item
                    if item.body is not None:
                        reading.texts[item.item_id] = as_text(item.body, is_html=item.body_is_html)

    def _occurrences_around(self, link: Link, reading: Reading) -> list[Item]:
        """The occurrences on the day that a link was agreed on and the days beside it; computed, of its own series, where the server shows none."""
        took_place = instants(link.agreed.when, self._policy.zone)
        days = Window(took_place.start - timedelta(days=1), took_place.end + timedelta(days=1))
        shown = [item for item in self._mailbox.view(days).items if item.original_start is not None]
        known = self._remembered.series | {master_id: master.uid for master_id, master in reading.masters.items()}
        masters = [master_id for master_id, uid in known.items() if uid == link.uid and master_id not in reading.gone]
        if shown or not masters:
            return shown
        for found in self._mailbox.expand(masters, days):
            if isinstance(found, list):
                shown += found
            elif not isinstance(found, ItemGone):
                reading.gone.discard(link.item_id)
                reading.unread[link.item_id] = found
        return shown

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
            reading.fetch(self._mailbox, kind, asleep, believes_gone=False)

    def _look_up_suspects(self, reading: Reading, links: Sequence[Link]) -> None:
        """Whether the items still exist that unknown ones resemble. That one is not found once is no proof: both wait for the next cycle."""
        in_doubt = suspects(reading.news(), links)
        looked_for = {retry.key for retry in self._remembered.retries}
        second = {link.item_id for link in links if f"activity:{link.activity_id}" in looked_for}
        for kind in Kind:
            ids = [link.item_id for link in links if link.kind is kind and link.item_id in in_doubt]
            for item_id, found in zip(ids, self._mailbox.read(kind, ids) if ids else (), strict=True):
                reading.existing.add(item_id)  # or not known to be gone
                if isinstance(found, ItemGone) and item_id in second:
                    reading.existing.discard(item_id)
                    reading.gone.add(item_id)
                elif isinstance(found, ItemGone):
                    reading.unread[item_id] = found
                    reading.unread |= dict.fromkeys(in_doubt[item_id], found)

    def _read_named_activities(self, reading: Reading, links: Sequence[Link], intents: Sequence[Intent]) -> None:
        """The activities that unknown items' stamps and own keys name, and those whose create was begun."""
        strangers = [item for item in match_items(reading.news(), links).strangers if not item.is_cancelled]
        named = {each.activity_id for item in strangers if (each := named_by(item.stamp, self._remembered.crm_id))}
        named |= {intent.activity_id for intent in intents}
        self._keep(reading, self._crm().get(named - reading.activities.keys()))
        keys = {key_of_item(self._account.mailbox, item): item.item_id for item in strangers if self._is_shown(item)}
        for key, activity in self._crm().made_with(keys).items() if keys else ():
            self._keep(reading, {activity.activity_id: activity})
            reading.known[keys[key]] = activity.activity_id

    def _read_successors(self, reading: Reading, links: Sequence[Link]) -> None:
        """What stands for activities that were rescheduled, also where that is no news."""
        wanted = {link.activity_id for link in links} | set(reading.known.values())
        wanted |= {
            named.activity_id
            for item in reading.items.values()
            if (named := named_by(item.stamp, self._remembered.crm_id))
        }
        gone = [a.activity_id for a in reading.activities.values() if a.is_deleted and a.activity_id in wanted]
        if gone:
            found = self._crm().successors(gone)
            self._keep(reading, {a: activity for a, activity in found.items() if a not in reading.activities})

    def _keep(self, reading: Reading, found: dict[str, Activity]) -> None:
        reading.activities |= {a: each for a, each in found.items() if each.user_id == self._account.user_id}

    def _read_rescheduled(self, reading: Reading, links: Sequence[Link]) -> None:
        """The items that a reschedule in the CRM, or a switch to all-day there, would make anew: what the user put on them decides whether they are
        changed in place instead."""
        rescheduled: set[str | None] = set()
        if self._policy.reschedule == "replace":
            rescheduled = {a.rescheduled_from for a in reading.activities.values()}
        standing = reading.activities | successors(reading.activities)
        matched = match_items(reading.news(), links).of_link
        for kind in Kind:
            wanted = [
                matched[link.link_id].item_id if link.link_id in matched else link.item_id
                for link in links
                if link.kind is kind
                and (link.activity_id in rescheduled or _is_switched(standing.get(link.activity_id), link))
                and link.state in (LinkState.ACTIVE, LinkState.RESTING)
                and link.origin is Origin.CRM
            ]
            again = [item_id for item_id in wanted if item_id in reading.items and reading.items[item_id].body is None]
            for item_id in again:
                del reading.items[item_id]  # a list does not say everything
            reading.fetch(self._mailbox, kind, wanted, believes_gone=False)

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
            if self._is_shown(item):
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
        bodies: dict[str, Item | MailboxError] = {
            item_id: series for item_id in ids if (series := reading.masters.get(item_id)) and series.body is not None
        }
        unread = [item_id for item_id in ids if item_id not in bodies]
        bodies |= zip(unread, self._mailbox.read(Kind.EVENT, unread) if unread else (), strict=True)
        for item in open_items:
            found = bodies[inherits.get(item.item_id, item.item_id)]
            if isinstance(
                found, MailboxError
            ):  # not there either: it was just listed, so only a second look is believed
                reading.unread[item.item_id] = found
            else:
                self._keep_body(item, found, reading)

    def _is_shown(self, item: Item) -> bool:
        """Whether it is an event in the days that the CRM shows."""
        policy = self._policy
        return item.kind is Kind.EVENT and item.when is not None and overlaps(item.when, policy.window, policy.zone)

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


def _is_switched(activity: Activity | None, link: Link) -> bool:
    """Whether the CRM switched all-day, so that event and task would change places."""
    return activity is not None and not is_gone(activity) and kind_of(activity, link) is not link.kind
