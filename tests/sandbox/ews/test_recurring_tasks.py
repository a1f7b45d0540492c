"""Tasks that recur: completing or deleting one occurrence lets the task go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ops_lib.sandbox.items import ExtendedName, Item
from ops_lib.sandbox.recurrence import DailyRegeneration, NoEnd, Numbered, Recurrence, Weekly

from .client import ALICE, Client, delete, set_field, update

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
KEY = ExtendedName("String", "c11ff724-aa03-4555-9952-8fa248a11c3e", "K")


def weekly(client: Client, count: int = 3) -> Item:
    """A task due on so many Mondays, with a key of somebody's."""
    rule = Recurrence(Weekly(1, ("Monday",), "Monday"), Numbered(MONDAY.date(), count))
    values = {"item:Subject": "Order linen", "task:DueDate": MONDAY, "task:StartDate": MONDAY, "task:Recurrence": rule}
    return client.organisation.create_item(ALICE, "tasks", values, extended={KEY: "one"})


def finish(client: Client, item: Item) -> None:
    """Tick it off."""
    named = f'<t:ItemId Id="{item.id}" ChangeKey="{item.change_key}"/>'
    done = set_field("task:PercentComplete", "<t:PercentComplete>100</t:PercentComplete>", "Task")
    client.one(update(named, done, send=""))


def tasks(client: Client) -> list[tuple[int, str, bool]]:
    """Day due, status, whether it recurs: of every task."""
    items = client.organisation.mailbox(ALICE).folder("tasks").items.values()
    return [
        (one.values["task:DueDate"].day, one.values["task:Status"], "task:Recurrence" in one.values) for one in items
    ]


def test_a_completed_occurrence_stays_and_the_task_goes_on(client: Client) -> None:
    """The completed one is a task of its own; the recurring one, under its old id, is due a week later; the last one ends it."""
    item = weekly(client)
    finish(client, item)
    assert tasks(client) == [(30, "NotStarted", True), (23, "Completed", False)]
    finish(client, item)
    finish(client, item)
    assert tasks(client) == [(7, "Completed", True), (23, "Completed", False), (30, "Completed", False)]


@pytest.mark.parametrize(
    ("affected", "left"), [("SpecifiedOccurrenceOnly", [(30, "NotStarted", True)]), ("AllOccurrences", [])]
)
def test_one_occurrence_or_all_are_deleted(client: Client, affected: str, left: list[tuple[int, str, bool]]) -> None:
    """SpecifiedOccurrenceOnly passes one date over; AllOccurrences deletes the task."""
    item = weekly(client)
    client.one(delete(f'<t:ItemId Id="{item.id}"/>', more=f' AffectedTaskOccurrences="{affected}"'))
    assert tasks(client) == left


def test_the_last_occurrence_deleted_is_the_end(client: Client) -> None:
    """A recurring task without a further date is deleted either way."""
    item = weekly(client, 1)
    client.one(delete(f'<t:ItemId Id="{item.id}"/>', more=' AffectedTaskOccurrences="SpecifiedOccurrenceOnly"'))
    assert tasks(client) == []


def test_a_task_that_regenerates_counts_from_its_completion(client: Client) -> None:
    """Ten days after it was completed, whenever it was due."""
    rule = Recurrence(DailyRegeneration(10), NoEnd(MONDAY.date()))
    item = client.organisation.create_item(ALICE, "tasks", {"task:DueDate": MONDAY, "task:Recurrence": rule})
    client.organisation.now.now = datetime(2026, 11, 20, 9, tzinfo=UTC)  # type: ignore[attr-defined]
    finish(client, item)
    assert tasks(client) == [(30, "NotStarted", True), (23, "Completed", False)]
