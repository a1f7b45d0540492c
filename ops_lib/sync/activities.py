"""A change on the CRM's side: the activity and its link, in one transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from ops_lib.crm import Crm
from ops_lib.model import Account, Change, LinkState, Origin, Written
from ops_lib.sync.contents import Contents, activity_id_of
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.stamps import key_of_item


@dataclass(slots=True)
class Unit:
    """The ledger and the CRM in one transaction."""

    ledger: Ledger
    crm: Crm


@dataclass(frozen=True, slots=True)
class Activities:
    """Writes activities of one account at one moment. Raises `StaleWrite` for what changed since it was read, `NotThere` for what is gone."""

    account: Account
    contents: Contents
    inbound_type_id: str
    now: datetime

    def write(self, unit: Unit, change: Change) -> None:
        link = change.link
        if link is None:
            if change.action == "restore":
                self._take_back(unit, change)
            else:
                self._create(unit, change)
            return
        activity_id = activity_id_of(change)
        version = change.activity.version if change.activity is not None else link.crm_version
        match change.action:
            case "delete":
                unit.crm.remove(activity_id, version=version)
                unit.ledger.set_link_state([link.link_id], LinkState.ENDED)
            case "cancel":
                unit.crm.cancel(
                    activity_id,
                    f"{change.reason[:1].upper()}{change.reason[1:]} on {self.now:%Y-%m-%d %H:%M} UTC.",
                    version=version,
                )
                unit.ledger.set_link_state([link.link_id], LinkState.ENDED)
            case "reschedule":
                assert change.after is not None
                key = f"rescheduled|{link.link_id}|{activity_id}|{change.item.change_key if change.item else ''}"
                activity = unit.crm.reschedule(
                    activity_id,
                    self.contents.when_in_crm(change),
                    key=key,
                    content=self.contents.activity(change),
                    version=version,
                )
                unit.ledger.agree(
                    link, change.after, item=change.item, activity_id=activity.activity_id, crm_version=activity.version
                )
            case "restore":
                assert change.after is not None
                activity = unit.crm.restore(activity_id, self.contents.activity(change), version=version)
                unit.ledger.agree(
                    link, change.after, item=change.item, activity_id=activity.activity_id, crm_version=activity.version
                )
            case _:
                assert change.after is not None
                activity = unit.crm.update(activity_id, self.contents.activity(change), version=version)
                unit.ledger.agree(
                    link, change.after, item=change.item, activity_id=activity.activity_id, crm_version=activity.version
                )

    def _create(self, unit: Unit, change: Change) -> None:
        """A new activity for an Outlook event, by the event's own key: the same event never makes two, a second event with its UID makes its own."""
        assert change.item is not None
        assert change.after is not None
        item, after = change.item, change.after
        content = replace(
            self.contents.activity(change),
            type_id=self.inbound_type_id,
            description=after.description,
            when=after.when,
        )
        base = key_of_item(self.account.mailbox, item)
        for key in (base, f"{base}|{item.item_id}", f"{base}|{item.item_id}|{item.change_key}", uuid.uuid4().hex):
            activity = unit.crm.create(self.account.user_id, content, origin=Origin.EXCHANGE, key=key)
            if not activity.is_deleted and not unit.ledger.is_linked(activity.activity_id):
                break
        unit.ledger.add_link(
            self.account.account_id,
            activity.activity_id,
            after,
            Written(item.item_id, item.change_key),
            crm_version=activity.version,
            uid=item.uid,
            original_start=item.original_start,
        )

    def _take_back(self, unit: Unit, change: Change) -> None:
        """An activity whose item is back after both had ended."""
        assert change.activity is not None
        assert change.item is not None
        assert change.after is not None
        item, before = change.item, change.activity
        activity = unit.crm.restore(before.activity_id, self.contents.activity(change), version=before.version)
        unit.ledger.add_link(
            self.account.account_id,
            activity.activity_id,
            change.after,
            Written(item.item_id, item.change_key),
            crm_version=activity.version,
            uid=item.uid,
            original_start=item.original_start,
            stamp=item.stamp,
        )
