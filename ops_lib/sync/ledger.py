"""What both sides agreed last time: links, intents, reading positions. All of it in the workspace's database.

A `Ledger` is bound to one connection, so that what belongs together is written in one transaction, the CRM's row included.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, bindparam, cast, delete, exists, func, insert, select, text, update

from ops_lib.database import tables as t
from ops_lib.database.engine import insert_unless_there
from ops_lib.model import Entry, Intent, Item, Kind, Link, LinkState, Origin, Written
from ops_lib.sync.mapping import entry_as_json, entry_from_json
from ops_lib.sync.records import MAX_ATTEMPTS, PAUSES, Outcome, Records, Retry, Status

__all__ = ["MAX_ATTEMPTS", "PAUSES", "Ledger", "Outcome", "Position", "Retry", "Status", "StoredLink"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far an account has been read on both sides. Links up to ``last_link_id`` are older than the stored sync states."""

    crm_version: int = 0
    calendar_state: str = ""
    tasks_state: str = ""
    window_start: datetime | None = None
    window_end: datetime | None = None
    policy: str = ""
    last_link_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Whose stamps are ours, and of which kinds there is anything of an account."""

    crm_id: str
    has_unrecorded_links: bool
    has_open_intents: bool
    has_retries: bool
    has_series: bool


class Ledger(Records):
    """The ledger over one connection, with the records beside it."""

    # ── whose stamps are ours ────────────────────────────────────────────────────────────────────────────────────────
    def crm_id(self) -> str:
        """Twelve hexadecimal digits that tell this CRM's stamps from another's; made once per database."""
        value = self._connection.execute(_PROPERTY, {"property": "crm_id"}).scalar()
        if value is not None:
            return str(value)
        self._connection.execute(
            insert_unless_there(self._connection, t.properties).values(name="crm_id", value=uuid.uuid4().hex[:12])
        )
        return str(self._connection.execute(_PROPERTY, {"property": "crm_id"}).scalar_one())

    # ── what a cycle asks first ──────────────────────────────────────────────────────────────────────────────────────
    def holds_of(self, account_id: str) -> Holdings:
        """Of which kinds the ledger holds anything of an account, in one question: most accounts have nothing open."""
        values = {"account": int(account_id), "unrecorded": _unrecorded(account_id)}
        row = self._connection.execute(_HOLDINGS, values).one()
        return Holdings(
            crm_id=row.crm_id or self.crm_id(),
            has_unrecorded_links=row.has_unrecorded_links,
            has_open_intents=row.has_open_intents,
            has_retries=row.has_retries,
            has_series=row.has_series,
        )

    # ── links of a cycle that is not recorded ────────────────────────────────────────────────────────────────────────
    def begin_links(self, account_id: str, last_link_id: int) -> None:
        """Remember after which link those begin that a cycle makes, until its position is stored. Of cycles that broke off, the first counts."""
        row = {"name": _unrecorded(account_id), "value": str(last_link_id)}
        self._connection.execute(insert_unless_there(self._connection, t.properties).values(row))

    def unrecorded_links(self, account_id: str) -> int | None:
        """After which link those begin that were made by cycles that broke off; None: all are recorded."""
        value = self._connection.execute(_PROPERTY, {"property": _unrecorded(account_id)}).scalar()
        return None if value is None else int(value)

    def end_links(self, account_id: str) -> None:
        self._connection.execute(delete(t.properties).where(t.properties.c.name == _unrecorded(account_id)))

    # ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def links(
        self, account_id: str, states: Collection[LinkState] = (LinkState.ACTIVE, LinkState.RESTING, LinkState.REPLACED)
    ) -> list[Link]:
        """The account's links that are not history, oldest first."""
        rows = self._connection.execute(
            _LINKS, {"account": int(account_id), "states": [state.value for state in states]}
        )
        return [StoredLink.of(row) for row in rows]

    def formerly_linked(self, account_id: str, activity_ids: Collection[str]) -> frozenset[str]:
        """Which of these activities had a link in this account that has ended."""
        c = t.links.c
        ids = [int(activity_id) for activity_id in activity_ids]
        query = select(c.activity_id).where(
            c.account_id == int(account_id), c.activity_id.in_(ids), c.state == LinkState.ENDED.value
        )
        return frozenset(str(found) for found in self._connection.execute(query).scalars()) if ids else frozenset()

    def is_linked(self, activity_id: str) -> bool:
        """Whether the activity has a link, in any account. The condition is the unique index's own, so that it is found by it."""
        query = select(t.links.c.id).where(t.links.c.activity_id == int(activity_id), text(t.LINK_STANDS))
        return self._connection.execute(query).first() is not None

    def count_links(self, account_id: str) -> int:
        """How many links the account has that are not history."""
        c = t.links.c
        query = select(func.count()).where(c.account_id == int(account_id), c.state != LinkState.ENDED.value)
        return int(self._connection.execute(query).scalar_one())

    def add_link(
        self,
        account_id: str,
        activity_id: str,
        agreed: Entry,
        written: Written,
        *,
        crm_version: int,
        uid: str = "",
        original_start: datetime | None = None,
        stamp: str = "",
    ) -> None:
        """Pair an activity with an item, both holding ``agreed``."""
        row = {
            "account_id": int(account_id),
            "activity_id": int(activity_id),
            "origin": agreed.origin.value,
            "kind": agreed.kind.value,
            "item_id": written.item_id,
            "change_key": written.change_key,
            "uid": uid,
            "original_start": original_start,
            "stamp": stamp,
            "agreed": entry_as_json(agreed),
            "crm_version": crm_version,
            "state": LinkState.ACTIVE.value,
        }
        self._connection.execute(insert(t.links), row)

    def agree(
        self,
        link: Link,
        agreed: Entry,
        *,
        written: Written | None = None,
        item: Item | None = None,
        activity_id: str | None = None,
        crm_version: int | None = None,
    ) -> None:
        """Record what both sides hold now, and where the item and its activity are."""
        values: dict[str, Any] = {
            "agreed": entry_as_json(agreed),
            "kind": agreed.kind.value,
            "state": LinkState.ACTIVE.value,
        }
        if item is not None:
            values |= {"item_id": item.item_id, "change_key": item.change_key}
            if item.uid:
                values |= {"uid": item.uid, "original_start": item.original_start}
        if written is not None:
            values |= {"item_id": written.item_id, "change_key": written.change_key}
        if activity_id is not None:
            values["activity_id"] = int(activity_id)
        if crm_version is not None:
            values["crm_version"] = crm_version
        self._connection.execute(update(t.links).where(t.links.c.id == link.link_id).values(values))

    def found_at(self, link: Link, item: Item) -> None:
        """Where a link's item is now, without a word about what both sides agree on."""
        values = {"item_id": item.item_id, "uid": item.uid or link.uid}
        self._connection.execute(update(t.links).where(t.links.c.id == link.link_id).values(values))

    def follow(self, link: Link, activity_id: str) -> None:
        """Let a link that rests stand for the activity that its own was rescheduled to."""
        query = update(t.links).where(t.links.c.id == link.link_id)
        self._connection.execute(query.values(activity_id=int(activity_id)))

    def set_link_state(self, link_ids: Iterable[int], state: LinkState) -> None:
        ids = list(link_ids)
        if ids:
            self._connection.execute(update(t.links).where(t.links.c.id.in_(ids)).values(state=state.value))

    # ── intents ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def intend(self, account_id: str, creates: Sequence[tuple[str, str, Entry]], now: datetime) -> None:
        """Write down creates before they are sent: activity id, stamp, and what is made. An earlier open intent of an activity is abandoned."""
        if not creates:
            return
        activity_ids = [int(activity_id) for activity_id, _, _ in creates]
        self._connection.execute(
            update(t.intents)
            .where(t.intents.c.activity_id.in_(activity_ids), t.intents.c.state == "open")
            .values(state="abandoned")
        )
        self._connection.execute(
            insert(t.intents),
            [
                {
                    "account_id": int(account_id),
                    "activity_id": int(activity_id),
                    "stamp": stamp,
                    "entry": entry_as_json(entry),
                    "state": "open",
                    "created_at": now,
                }
                for activity_id, stamp, entry in creates
            ],
        )

    def open_intents(self, account_id: str) -> list[Intent]:
        """Creates that were begun and whose end nobody recorded."""
        rows = self._connection.execute(_OPEN_INTENTS, {"account": int(account_id)})
        return [_intent(row._mapping) for row in rows]

    def intents_with(self, stamps: Collection[str]) -> list[Intent]:
        """The intents that made these stamps, whatever became of them."""
        if not stamps:
            return []
        rows = self._connection.execute(
            select(t.intents).where(t.intents.c.stamp.in_(list(stamps))).order_by(t.intents.c.id)
        )
        return [_intent(row._mapping) for row in rows]

    def settle_intents(self, stamps: Iterable[str], state: str) -> None:
        """Record what became of creates: ``done`` or ``abandoned``."""
        wanted = list(stamps)
        if wanted:
            self._connection.execute(update(t.intents).where(t.intents.c.stamp.in_(wanted)).values(state=state))

    # ── how far was read ─────────────────────────────────────────────────────────────────────────────────────────────
    def position(self, account_id: str) -> Position:
        row = self._connection.execute(_POSITION, {"account": int(account_id)}).one_or_none()
        if row is None:
            return Position()
        m = row._mapping
        return Position(
            crm_version=m["crm_version"],
            calendar_state=m["calendar_state"],
            tasks_state=m["tasks_state"],
            window_start=m["window_start"],
            window_end=m["window_end"],
            policy=m["policy"],
            last_link_id=m["last_link_id"],
        )

    def set_position(self, account_id: str, position: Position) -> None:
        values = {
            "crm_version": position.crm_version,
            "calendar_state": position.calendar_state,
            "tasks_state": position.tasks_state,
            "window_start": position.window_start,
            "window_end": position.window_end,
            "policy": position.policy,
            "last_link_id": position.last_link_id,
        }
        self._upsert(t.reading_positions, {"account_id": int(account_id)}, values)

    # ── series ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def series(self, account_id: str) -> dict[str, str]:
        """The masters that were seen: item id → UID."""
        rows = self._connection.execute(_SERIES, {"account": int(account_id)})
        return {row.item_id: row.uid for row in rows}

    def set_series(self, account_id: str, masters: Iterable[Item]) -> None:
        for master in masters:
            self._upsert(
                t.series,
                {"account_id": int(account_id), "item_id": master.item_id},
                {"uid": master.uid, "change_key": master.change_key},
            )

    def forget_series(self, account_id: str, item_ids: Collection[str]) -> None:
        if item_ids:
            self._connection.execute(
                delete(t.series).where(t.series.c.account_id == int(account_id), t.series.c.item_id.in_(list(item_ids)))
            )


_LINK_COLUMNS = (
    *(column for column in t.links.c if column.name != "agreed"),
    cast(t.links.c.agreed, Text).label("agreed"),
)

# What every cycle asks, built once: to build a statement takes longer than to carry it out.
_PROPERTY = select(t.properties.c.value).where(t.properties.c.name == bindparam("property"))
_LINKS = (
    select(*_LINK_COLUMNS)
    .where(t.links.c.account_id == bindparam("account"), t.links.c.state.in_(bindparam("states", expanding=True)))
    .order_by(t.links.c.id)
)
_OPEN_INTENTS = (
    select(t.intents)
    .where(t.intents.c.account_id == bindparam("account"), t.intents.c.state == "open")
    .order_by(t.intents.c.id)
)
_POSITION = select(t.reading_positions).where(t.reading_positions.c.account_id == bindparam("account"))
_SERIES = select(t.series.c.item_id, t.series.c.uid).where(t.series.c.account_id == bindparam("account"))
_HOLDINGS = select(
    select(t.properties.c.value).where(t.properties.c.name == "crm_id").scalar_subquery().label("crm_id"),
    exists().where(t.properties.c.name == bindparam("unrecorded")).label("has_unrecorded_links"),
    exists()
    .where(t.intents.c.account_id == bindparam("account"), t.intents.c.state == "open")
    .label("has_open_intents"),
    exists().where(t.retries.c.account_id == bindparam("account")).label("has_retries"),
    exists().where(t.series.c.account_id == bindparam("account")).label("has_series"),
)


def _unrecorded(account_id: str) -> str:
    """The property's name."""
    return f"unrecorded_links.{account_id}"


class StoredLink(Link):
    """A link as the database holds it: what was agreed is read from its text when somebody asks.

    A cycle holds all links of its account, years of them, and looks into those few of which there is news.
    """

    __slots__ = ("_text",)

    @staticmethod
    def of(row: Row[Any]) -> StoredLink:
        """The link in a row of `_LINK_COLUMNS`."""
        link = object.__new__(StoredLink)
        values = {
            "link_id": row.id,
            "account_id": str(row.account_id),
            "activity_id": str(row.activity_id),
            "origin": Origin(row.origin),
            "kind": Kind(row.kind),
            "item_id": row.item_id,
            "change_key": row.change_key,
            "uid": row.uid,
            "original_start": row.original_start,
            "stamp": row.stamp,
            "crm_version": row.crm_version,
            "state": LinkState(row.state),
            "_text": row.agreed,
        }
        for name, value in values.items():
            object.__setattr__(link, name, value)  # frozen for everybody else
        return link

    def __getattr__(self, name: str) -> Any:
        if name != "agreed":
            raise AttributeError(name)
        agreed = entry_from_json(json.loads(self._text))
        object.__setattr__(self, "agreed", agreed)
        return agreed


def _intent(m: Any) -> Intent:
    return Intent(
        intent_id=m["id"],
        account_id=str(m["account_id"]),
        activity_id=str(m["activity_id"]),
        stamp=m["stamp"],
        entry=entry_from_json(m["entry"]),
        state=m["state"],
    )
