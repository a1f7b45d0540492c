"""Hands a plan its inputs one by one: activities, items, links and what a cycle read, each with a default that is in scope."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.model import (
    Activity,
    ActivityStatus,
    Change,
    Entry,
    Intent,
    Item,
    Kind,
    Link,
    LinkState,
    Origin,
    Timed,
)
from ops_lib.sync.mapping import entry_of_activity, window_around
from ops_lib.sync.matching import Agreement, ExchangeNews
from ops_lib.sync.plan import plan
from ops_lib.sync.scope import SyncPolicy
from ops_lib.sync.stamps import make_stamp

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CRM_ID, TOKEN = "0123456789ab", "00112233aabbccdd"
TEN = Timed(NOW + timedelta(hours=1), NOW + timedelta(hours=2))
NOON = Timed(NOW + timedelta(hours=3), NOW + timedelta(hours=4))


def policy(**more: Any) -> SyncPolicy:
    zone = ZoneInfo("UTC")
    values = {"all_day_tasks": True, "type_ids": frozenset({"tour"}), **more}
    return SyncPolicy(now=NOW, zone=zone, window=window_around(NOW, zone), **values)


def activity(activity_id: str = "1", **more: Any) -> Activity:
    values: dict[str, Any] = {
        "user_id": "u",
        "type_id": "tour",
        "type_name": "Tour",
        "status": ActivityStatus.SCHEDULED,
        "description": "Tour",
        "when": TEN,
        "updated_at": NOW - timedelta(days=1),
        "version": 1,
        "token": TOKEN,
    }
    return Activity(activity_id=activity_id, **{**values, **more})


def item(item_id: str = "I1", **more: Any) -> Item:
    values: dict[str, Any] = {"change_key": "c1", "kind": Kind.EVENT, "subject": "Tour", "when": TEN, "uid": "U1"}
    return Item(item_id=item_id, **{**values, **more})


def entry(**more: Any) -> Entry:
    origin = more.pop("origin", Origin.CRM)
    return replace(entry_of_activity(activity(origin=origin), Kind.EVENT), **more)


def link(link_id: int = 1, activity_id: str = "1", item_id: str = "I1", **more: Any) -> Link:
    agreed = more.pop("agreed", entry(origin=more.get("origin", Origin.CRM)))
    values: dict[str, Any] = {
        "account_id": "a",
        "origin": agreed.origin,
        "kind": agreed.kind,
        "change_key": "c1",
        "uid": "U1",
        "original_start": None,
        "stamp": "",
        "crm_version": 1,
        "state": LinkState.ACTIVE,
    }
    return Link(link_id=link_id, activity_id=activity_id, item_id=item_id, agreed=agreed, **{**values, **more})


def stamp(named: Activity, attempt: int = 1) -> str:
    return make_stamp(CRM_ID, named, f"{attempt:032x}")


def abandoned(of: Activity, attempt: int = 1) -> Intent:
    """An intent whose create was given up."""
    return Intent(
        intent_id=1,
        account_id="a",
        activity_id=of.activity_id,
        stamp=stamp(of, attempt),
        entry=entry(),
        state="abandoned",
    )


def decide(
    *given: Activity | Item | Link,
    rules: SyncPolicy | None = None,
    intents: tuple[Intent, ...] = (),
    formerly_linked: frozenset[str] = frozenset(),
    **news: Any,
) -> list[Change]:
    """The plan for what is given; what else was read of Exchange by its name in `ExchangeNews`."""
    links = [one for one in given if isinstance(one, Link)]
    return plan(
        {one.activity_id: one for one in given if isinstance(one, Activity)},
        ExchangeNews(items={one.item_id: one for one in given if isinstance(one, Item)}, **news),
        Agreement(links=links, crm_id=CRM_ID, intents=intents, formerly_linked=formerly_linked),
        rules or policy(),
    )


def told(changes: list[Change]) -> list[tuple[str, str, str]]:
    """What is done, where, to which entry."""
    return [(change.action, change.side, change.key) for change in changes]
