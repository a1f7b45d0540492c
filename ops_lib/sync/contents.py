"""What is written: an entry as the properties of an Exchange item, or as the fields of an activity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ops_lib.crm import ActivityContent
from ops_lib.mailbox import ItemContent
from ops_lib.model import Account, ActivityStatus, AllDay, Change, Entry, Item, Kind, Origin, Timed, When
from ops_lib.sync.body import as_html, crm_block, with_block
from ops_lib.sync.mapping import FLOWS, differing

_FIELDS = tuple(flow.field for flow in FLOWS)
_IN_BODY = frozenset({"notes", "individual_id", "individual_name"})


@dataclass(frozen=True, slots=True)
class Contents:
    """Makes contents for one account at one moment; only fields that change are set."""

    account: Account
    crm_url: str
    now: datetime

    def new_item(self, after: Entry, activity_id: str, stamp: str, replaced: Item | None = None) -> ItemContent:
        """A new item; what the user wrote around the block in the item it replaces goes over to it."""
        body, is_html = (replaced.body, replaced.body_is_html) if replaced is not None else (None, True)
        return ItemContent(
            subject=after.description,
            when=after.when,
            location=after.location or None,
            body_html=with_block(body, crm_block(after, activity_id, self.crm_url), is_html=is_html)
            if after.origin is Origin.CRM
            else as_html(after.notes),
            is_complete=after.is_complete if after.kind is Kind.TASK else None,
            has_reminder=self.reminds(after),
            stamp=stamp,
            time_zone=self.account.time_zone,
        )

    def changed_item(self, change: Change, item: Item) -> ItemContent:
        assert change.after is not None
        assert change.link is not None
        after, link = change.after, change.link
        changed = differing(after, change.before or link.agreed, _FIELDS)
        content = ItemContent(
            subject=after.description if "description" in changed else None,
            when=after.when if "when" in changed else None,
            location=after.location if "location" in changed else None,
            is_complete=after.is_complete if "is_complete" in changed and after.kind is Kind.TASK else None,
            time_zone=self.account.time_zone,
        )
        if after.origin is not Origin.CRM:
            return content
        if changed & {"when", "is_complete"}:
            content = replace(content, has_reminder=self.reminds(after))
        activity_id = activity_id_of(change)
        if changed & _IN_BODY or activity_id != link.activity_id:
            body = with_block(item.body, crm_block(after, activity_id, self.crm_url), is_html=item.body_is_html)
            content = replace(content, body_html=body)
        return content

    def reminds(self, entry: Entry) -> bool:
        """Row C8: nothing reminds of what is past or completed; tasks have no hour to remind at."""
        return isinstance(entry.when, Timed) and entry.when.start > self.now and not entry.is_complete

    def activity(self, change: Change) -> ActivityContent:
        """The fields in which the activity differs from what it shall be; for a new one, all."""
        assert change.after is not None
        after = change.after
        changed = differing(after, change.before, _FIELDS) if change.before is not None else frozenset(_FIELDS)
        status = None
        if "is_complete" in changed and after.kind is Kind.TASK:
            status = ActivityStatus.COMPLETED if after.is_complete else ActivityStatus.SCHEDULED
        return ActivityContent(
            description=after.description if "description" in changed else None,
            when=self.when_in_crm(change) if "when" in changed else None,
            location=after.location if "location" in changed else None,
            notes=after.notes if "notes" in changed and after.origin is Origin.EXCHANGE else None,
            is_private=after.is_private if "is_private" in changed else None,
            organizer=after.organizer if "organizer" in changed else None,
            attendees=after.attendees if "attendees" in changed else None,
            status=status,
        )

    def when_in_crm(self, change: Change) -> When:
        """When the activity takes place now; one over several days keeps its length, of which a task shows the first day."""
        assert change.after is not None
        when, before = change.after.when, change.activity.when if change.activity is not None else None
        if change.after.kind is Kind.TASK and isinstance(when, AllDay) and isinstance(before, AllDay):
            return AllDay(when.start, when.start + (before.end - before.start))
        return when


def activity_id_of(change: Change) -> str:
    """The activity that a change is about."""
    if change.activity is not None:
        return change.activity.activity_id
    assert change.link is not None
    return change.link.activity_id
