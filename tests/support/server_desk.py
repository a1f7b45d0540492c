"""A `Desk` whose Outlook is a mailbox of the sandbox, seen by the real client over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ops_lib.database.engine import Database
from ops_lib.mailbox import Mailbox, open_mailbox
from ops_lib.model import AllDay, Host, Kind, LinkState
from ops_lib.sandbox.items import Item as StoredItem
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.mapping import entry_of_activity, entry_of_item, shared_fields
from tests.support.sandbox import ALICE, SERVICE
from tests.sync.desk import Desk


@dataclass
class ServerDesk(Desk):
    """Alice's account, through the service account's impersonation."""

    sandbox: Sandbox = None  # type: ignore[assignment]
    database: Database

    @property
    def host(self) -> Host:
        return replace(super().host, url=self.sandbox.ews_url, service_user=SERVICE, secret="env:UNUSED")

    def mailbox(self) -> Mailbox:
        return open_mailbox(self.host, self.account, lambda reference: self.sandbox.passwords[SERVICE], 20.0)

    def stored(self, folder: str = "calendar") -> list[StoredItem]:
        """What really lies in a folder of alice's mailbox."""
        mailbox = self.sandbox.organisation.mailbox(ALICE)
        return list(mailbox.folder(folder).items.values())

    def check(self) -> None:
        """Both sides equal, as the server says it now."""
        links = self.links()
        assert len({link.activity_id for link in links}) == len(links)
        assert len({link.item_id for link in links}) == len(links)
        mailbox = self.mailbox()
        for kind in Kind:
            chosen = [link for link in links if link.kind is kind and link.state is LinkState.ACTIVE]
            for link, item in zip(
                chosen, mailbox.read(kind, [link.item_id for link in chosen]) if chosen else [], strict=True
            ):
                assert not isinstance(item, Exception), (link, item)
                activity = self.get(link.activity_id)
                assert not activity.is_deleted
                crm = entry_of_activity(activity, link.kind)
                outlook = entry_of_item(item, crm, None)
                fields = shared_fields(link.agreed)
                assert {f: getattr(crm, f) for f in fields} == {f: getattr(outlook, f) for f in fields}

    def shown(self) -> list[tuple[Any, ...]]:
        """The CRM's calendar as comparable rows: start, end, all-day, title."""
        rows = []
        for activity in self.activities():
            when = activity.when
            rows.append((when.start, when.end, isinstance(when, AllDay), activity.description))
        return sorted(rows, key=str)
