"""Creates that were begun and whose end nobody recorded: the answer was lost, or the worker died. By their stamps it is known what became of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from ops_lib.mailbox import Mailbox
from ops_lib.model import Intent, Item, Kind, Link, LinkState, Written
from ops_lib.sync.activities import Unit
from ops_lib.sync.mapping import differing, entry_of_item, shared_fields
from ops_lib.sync.news import Reading


class Recovery:
    """Settles one account's open intents. A dry run only says what it would find."""

    def __init__(
        self,
        account_id: str,
        mailbox: Mailbox,
        unit: Callable[[], AbstractContextManager[Unit]],
        *,
        is_dry_run: bool,
    ) -> None:
        self._account_id = account_id
        self._mailbox = mailbox
        self._unit = unit
        self._is_dry_run = is_dry_run

    def follow_masters(self, reading: Reading, links: Sequence[Link]) -> list[Link]:
        """The links, those of single events that became series while the mailbox moved where their master is now: by its UID, or its stamp."""
        if Kind.EVENT not in reading.complete:
            return list(links)
        seen = reading.items.keys() | reading.masters.keys()
        alone = [item for item in reading.items.values() if item.original_start is None]
        singles = {item.uid for item in alone} | {item.stamp for item in alone}
        by_uid = {master.uid: master for master in reading.masters.values() if master.uid}
        by_stamp = {master.stamp: master for master in reading.masters.values() if master.stamp}
        moved = {
            link.link_id: master
            for link in links
            if link.kind is Kind.EVENT and link.state is not LinkState.REPLACED
            if link.original_start is None and link.item_id not in seen
            if not singles & ({link.uid, link.stamp} - {""})  # its own item is there, a single event still
            if (master := by_uid.get(link.uid) or by_stamp.get(link.stamp)) is not None
        }
        if moved and not self._is_dry_run:
            with self._unit() as unit:
                for link in links:
                    if link.link_id in moved:
                        unit.ledger.found_at(link, moved[link.link_id])
        return [replace(link, item_id=moved[link.link_id].item_id) if link.link_id in moved else link for link in links]

    def recover(self, reading: Reading, intents: Sequence[Intent], links: Sequence[Link]) -> list[Link]:
        """Settle creates whose answer never came: found by stamp, they are linked; certainly not there, they are abandoned.

        Raises `MailboxError` when it could not be looked: then nothing may be created, and the cycle waits.
        """
        if not intents:
            return list(links)
        linked = {link.stamp: link for link in links if link.stamp}
        found = self._find(reading, intents, linked.keys())
        own = {
            intent.stamp: linked[intent.stamp].item_id
            if intent.stamp in linked
            else _own(intent, found[intent.stamp]).item_id
            for intent in intents
            if intent.stamp in linked or intent.stamp in found
        }
        moved = {
            intent.stamp: _own(intent, found[intent.stamp])
            for intent in intents
            if intent.stamp in linked and intent.stamp in found and intent.entry.kind in reading.complete
            if own[intent.stamp] not in {item.item_id for item in found[intent.stamp]} | reading.items.keys()
        }
        own |= {stamp: item.item_id for stamp, item in moved.items()}
        if self._is_dry_run:
            return [
                *links,
                *(
                    _provisional(number, intent, item)
                    for number, intent in enumerate(intents, 1)
                    if intent.stamp not in linked
                    for item in found.get(intent.stamp, ())
                    if item.item_id == own[intent.stamp]
                ),
            ]
        by_activity = {link.activity_id: link for link in links}
        with self._unit() as unit:
            for stamp, item in moved.items():
                unit.ledger.found_at(linked[stamp], item)
            for intent in intents:
                if intent.stamp not in own:
                    unit.ledger.settle_intents([intent.stamp], "abandoned")
                if intent.stamp in linked or intent.stamp not in own:
                    continue
                item = next(item for item in found[intent.stamp] if item.item_id == own[intent.stamp])
                replaced = by_activity.get(intent.activity_id)
                if replaced is not None and replaced.state is not LinkState.REPLACED:
                    unit.ledger.set_link_state([replaced.link_id], LinkState.REPLACED)
                unit.ledger.add_link(
                    self._account_id,
                    intent.activity_id,
                    intent.entry,
                    Written(item.item_id, item.change_key),
                    crm_version=0,
                    uid=item.uid,
                    stamp=intent.stamp,
                )
            recovered = unit.ledger.links(self._account_id)
        self._remove_doubles(reading, [intent for intent in intents if intent.stamp in own], found, own)
        return recovered

    def _find(self, reading: Reading, intents: Sequence[Intent], linked: Collection[str]) -> dict[str, list[Item]]:
        """The items that carry the stamps of these intents: among those that were read, else in the mailbox; of what is ``linked`` already
        all there are, for one of them may be no news."""
        found: dict[str, list[Item]] = {}
        stamps = {intent.stamp for intent in intents} - set(linked)
        for item in reading.items.values():
            if item.stamp in stamps:
                found.setdefault(item.stamp, []).append(item)
        for kind in Kind:
            wanted = [intent.stamp for intent in intents if intent.entry.kind is kind and intent.stamp not in found]
            if wanted:
                found |= {stamp: items for stamp, items in self._mailbox.find_stamps(kind, wanted).items() if items}
        return found

    def _remove_doubles(
        self, reading: Reading, intents: Sequence[Intent], found: dict[str, list[Item]], own: dict[str, str]
    ) -> None:
        """Finish creates whose end was not recorded: what else carries their stamp and is as it was made is the server's double, no copy of a user.

        Where their own item is not among those that carry the stamp, it is not known which is the double: nothing is removed, and it is looked
        for again.
        """
        settled: list[str] = []
        for kind in Kind:
            of_kind = [
                intent
                for intent in intents
                if intent.entry.kind is kind
                and (
                    intent.stamp not in found or any(item.item_id == own[intent.stamp] for item in found[intent.stamp])
                )
            ]
            doubles = {
                item.item_id: intent.stamp
                for intent in of_kind
                for item in found.get(intent.stamp, ())
                if item.item_id != own[intent.stamp] and not _is_edited(item, intent)
            }
            for item_id in doubles:
                reading.items.pop(item_id, None)
            outcomes = self._mailbox.delete(kind, list(doubles)) if doubles else []
            left = {stamp for stamp, failure in zip(doubles.values(), outcomes, strict=True) if failure is not None}
            settled += [intent.stamp for intent in of_kind if intent.stamp not in left]
        with self._unit() as unit:
            unit.ledger.settle_intents(settled, "done")


def _own(intent: Intent, items: Sequence[Item]) -> Item:
    """Which of the items with an intent's stamp is its own: one that is as it was made, for an edited one beside it may be a user's copy."""
    return next((item for item in items if not _is_edited(item, intent)), items[0])


def _is_edited(item: Item, intent: Intent) -> bool:
    """Whether an item is no longer what the intent made."""
    made = intent.entry
    return item.when is None or bool(differing(entry_of_item(item, made), made, shared_fields(made)))


def _provisional(number: int, intent: Intent, item: Item) -> Link:
    """The link that a real cycle would record for a create that was found; a dry run records nothing."""
    return Link(
        link_id=-number,
        account_id=intent.account_id,
        activity_id=intent.activity_id,
        origin=intent.entry.origin,
        kind=intent.entry.kind,
        item_id=item.item_id,
        change_key=item.change_key,
        uid=item.uid,
        original_start=None,
        stamp=intent.stamp,
        agreed=intent.entry,
        crm_version=0,
    )
