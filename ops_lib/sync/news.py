"""What a cycle knows when it begins, and what it has read so far of both sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ops_lib.errors import ItemGone, MailboxError
from ops_lib.mailbox import Mailbox
from ops_lib.model import Activity, Intent, Item, ItemType, Kind, Link
from ops_lib.sync.body import as_text
from ops_lib.sync.ledger import Ledger, Position, Retry
from ops_lib.sync.matching import ExchangeNews


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the ledger says when a cycle begins."""

    position: Position
    links: list[Link]
    intents: list[Intent]
    retries: list[Retry]
    series: dict[str, str]
    crm_id: str
    unrecorded_links: int | None = None

    @classmethod
    def of(cls, ledger: Ledger, account_id: str) -> Remembered:
        """What it says of an account now."""
        held = ledger.holds_of(account_id)
        return cls(
            position=ledger.position(account_id),
            links=ledger.links(account_id),
            intents=ledger.open_intents(account_id) if held.has_open_intents else [],
            retries=ledger.retries(account_id) if held.has_retries else [],
            series=ledger.series(account_id) if held.has_series else {},
            crm_id=held.crm_id,
            unrecorded_links=ledger.unrecorded_links(account_id) if held.has_unrecorded_links else None,
        )


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
    ended_series: set[str] = field(default_factory=set)
    forgotten_series: set[str] = field(default_factory=set)
    complete: set[Kind] = field(default_factory=set)
    retried: set[str] = field(default_factory=set)
    unexpanded: dict[str, tuple[Item, str]] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    position: Position = field(default_factory=Position)

    def news(self) -> ExchangeNews:
        """As the plan takes it."""
        return ExchangeNews(
            items=self.items,
            gone=frozenset(self.gone),
            whole_series=frozenset(self.whole_series),
            ended_series=frozenset(self.ended_series),
            masters={master.item_id: master.uid for master in self.masters.values()},
            unread={item_id: str(error) for item_id, error in self.unread.items()},
            texts=self.texts,
            existing=frozenset(self.existing),
            complete=frozenset(self.complete),
            unexpanded=self.unexpanded,
            known=self.known,
        )

    def fetch(self, mailbox: Mailbox, kind: Kind, item_ids: Iterable[str], *, believes_gone: bool = True) -> None:
        """Read items by id, with their bodies. One that is not found is gone where this is a second look, else only not read."""
        ids = [item_id for item_id in dict.fromkeys(item_ids) if item_id not in self.items and item_id not in self.gone]
        if not ids:
            return
        for item_id, found in zip(ids, mailbox.read(kind, ids), strict=True):
            if isinstance(found, ItemGone) and believes_gone:
                self.gone.add(item_id)
            elif isinstance(found, MailboxError):
                self.unread[item_id] = found
            elif found.item_type is ItemType.MASTER:
                self.masters[item_id] = found
            else:
                self.items[item_id] = found
                if found.body is not None:
                    self.texts[item_id] = as_text(found.body, is_html=found.body_is_html)
