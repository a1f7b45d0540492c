"""A client that only ever reads SyncFolderItems knows what is in the folder, whatever happens between its pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from .client import ALICE, Client, M, T, organisation, schema, sync


class Synchronising(RuleBasedStateMachine):
    """Items come, change, move and go; the client reads a page now and then."""

    items = Bundle("items")

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(organisation())
        self.box = self.client.organisation.mailbox(ALICE)
        self.state = ""
        self.done = True
        self.known: dict[str, str] = {}

    @rule(target=items, subject=st.sampled_from("abc"))
    def create(self, subject: str) -> Any:
        return self.client.organisation.create_item(ALICE, "tasks", {"item:Subject": subject})

    @rule(item=items, subject=st.sampled_from("abc"))
    def change(self, item: Any, subject: str) -> None:
        self.client.organisation.update_item(item, {"item:Subject": subject})

    @rule(item=consumes(items), how=st.sampled_from(["HardDelete", "SoftDelete", "MoveToDeletedItems"]))
    def delete(self, item: Any, how: str) -> None:
        self.client.organisation.delete_item(item, how)

    @rule(target=items, item=consumes(items))
    def move_away_and_back(self, item: Any) -> Any:
        organisation = self.client.organisation
        return organisation.move_item(organisation.move_item(item, "drafts"), "tasks")

    @rule(most=st.integers(1, 4))
    def read_a_page(self, most: int) -> None:
        message = self.client.one(
            sync(self.state, "item:Subject", folder='<t:DistinguishedFolderId Id="tasks"/>', most=most)
        )
        for change in message.find(f"{M}Changes"):
            kind = change.tag.partition("}")[2]
            item_id = next(change.iter(f"{T}ItemId")).get("Id")
            if kind == "Delete":
                self.known.pop(item_id, None)
                continue
            assert (item_id in self.known) == (kind == "Update"), kind
            self.known[item_id] = change[0].findtext(f"{T}Subject")
        self.state = message.findtext(f"{M}SyncState")
        self.done = message.findtext(f"{M}IncludesLastItemInRange") == "true"

    @rule()
    def read_everything(self) -> None:
        self.read_a_page(512)
        while not self.done:
            self.read_a_page(512)
        self.read_a_page(512)
        there = {item.id: item.values["item:Subject"] for item in self.box.folder("tasks").items.values()}
        assert self.known == there


Synchronising.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.mark.skipif(schema() is None, reason="the EWS schema (../shared/ews-schema) is not here")
class TestSynchronising(Synchronising.TestCase):  # type: ignore[name-defined, misc]
    """After any number of pages among any changes, a full read leaves the client knowing exactly what is there."""
