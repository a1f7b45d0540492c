"""The values the suite speaks of. All frozen, all plain: they can be compared, shown, saved and passed between threads.

Ids are opaque strings: equality only. Instants are aware and in UTC; whole days are dates, their end exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

Side = Literal["crm", "exchange"]
Process = Literal["calendar", "email"]
Policy = Literal["latest", "crm", "exchange"]
Reschedule = Literal["replace", "update"]


class Origin(StrEnum):
    """Where an entry was first made. It never changes."""

    CRM = "crm"
    EXCHANGE = "exchange"


class Kind(StrEnum):
    """What an entry is in Exchange."""

    EVENT = "event"
    TASK = "task"


class ActivityStatus(StrEnum):
    """The CRM's statuses of an activity."""

    SCHEDULED = "Scheduled"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class Timed:
    """From one instant to another, both in UTC. The CRM may hold one whose start is not before its end."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class AllDay:
    """Whole days, in nobody's time zone. ``end`` is the first day that is no longer part of it."""

    start: date
    end: date


When = Timed | AllDay


# ── the CRM's side ───────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    community_id: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    user_id: str
    email: str
    name: str
    time_zone: str
    is_admin: bool = False
    community_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Individual:
    individual_id: str
    name: str
    kind: str = "prospect"
    email: str = ""
    community_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityType:
    type_id: str
    name: str
    master_type: str = ""
    is_face_to_face: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What pre-fills an email from the CRM. ``is_html``: its body is formatted."""

    template_id: str
    name: str
    subject: str
    body: str
    is_html: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One entry of the CRM's calendar, as the CRM holds it.

    ``token`` is random and made with the activity: ids may be given again after a database was restored, id and token together never.
    """

    activity_id: str
    user_id: str
    type_id: str
    type_name: str
    status: ActivityStatus
    description: str
    when: When
    origin: Origin = Origin.CRM
    location: str = ""
    notes: str = ""
    individual_id: str | None = None
    individual_name: str = ""
    is_private: bool = False
    organizer: str = ""
    attendees: tuple[str, ...] = ()
    rescheduled_from: str | None = None
    updated_at: datetime
    version: int
    is_deleted: bool = False
    token: str = ""


# ── the Exchange side ────────────────────────────────────────────────────────────────────────────────────────────────
class ItemType(StrEnum):
    """How a calendar item stands to a series."""

    SINGLE = "single"
    MASTER = "master"
    OCCURRENCE = "occurrence"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One Exchange item as the server gave it, read leniently. ``oddities`` says what had to be guessed."""

    item_id: str
    change_key: str
    kind: Kind
    subject: str
    when: When | None
    item_type: ItemType = ItemType.SINGLE
    uid: str = ""
    original_start: datetime | None = None
    location: str = ""
    body: str | None = None  # None: not read
    body_is_html: bool = False
    stamp: str = ""
    is_private: bool = False
    is_cancelled: bool = False
    is_complete: bool = False
    is_meeting: bool = False
    organizer: str = ""
    attendees: tuple[str, ...] = ()
    reminder_is_set: bool | None = None
    last_modified: datetime | None = None
    extras: tuple[str, ...] = ()  # what the user put there that cannot be carried over to another item, in words
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """Where a written item is, and its version now."""

    item_id: str
    change_key: str


# ── what both sides can hold ─────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One calendar entry in the words both sides share, normalised so that equal content compares equal."""

    kind: Kind
    origin: Origin
    description: str
    when: When
    location: str = ""
    notes: str = ""
    is_complete: bool = False
    is_private: bool = False
    organizer: str = ""
    attendees: tuple[str, ...] = ()
    individual_id: str | None = None
    individual_name: str = ""


class LinkState(StrEnum):
    """How a link stands.

    ``RESTING``: out of scope, news of either side was passed over. ``REPLACED``: the item was replaced by another (a reschedule, a task that
    became an event) and is still to be removed. ``ENDED``: history.
    """

    ACTIVE = "active"
    RESTING = "resting"
    REPLACED = "replaced"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The stored pairing of one activity with one Exchange item, and what both held at their last agreement."""

    link_id: int
    account_id: str
    activity_id: str
    origin: Origin
    kind: Kind
    item_id: str
    change_key: str
    uid: str
    original_start: datetime | None
    stamp: str
    agreed: Entry
    crm_version: int
    state: LinkState = LinkState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A create that was decided: its stamp is on the item, if the item was made; ``entry`` is what it was made with."""

    intent_id: int
    account_id: str
    activity_id: str
    stamp: str
    entry: Entry
    state: Literal["open", "done", "abandoned"]


# ── hosts and accounts ───────────────────────────────────────────────────────────────────────────────────────────────
Auth = Literal["oauth-code", "oauth-device", "oauth-app", "ntlm", "basic"]
Access = Literal["impersonation", "delegate", "direct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One connection to an Exchange organisation. ``community_id`` None: all communities. ``secret`` is a reference, never a value.

    The accounts of a retired one rest.
    """

    host_id: str
    name: str
    url: str
    auth: Auth
    access: Access
    version: str = "2016"
    community_id: str | None = None
    service_user: str = ""
    secret: str = field(default="", repr=False)
    tenant_id: str = ""
    client_id: str = ""
    authority: str = ""
    type_ids: frozenset[str] = frozenset()
    inbound_type_id: str = ""
    all_day_tasks: bool = False
    send_email: bool = False
    ca_bundle: str = ""
    reschedule: Reschedule = "replace"
    conflict: Policy = "latest"
    protocol: Literal["ews"] = "ews"
    secret_expires: date | None = None
    is_retired: bool = False
    redirect_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One CRM user's mailbox on one host, with what is enabled on it."""

    account_id: str
    host_id: str
    user_id: str
    user_email: str
    mailbox: str
    time_zone: str
    is_impersonation_account: bool = False
    calendar: bool = True
    send_email: bool = False
    all_day_tasks: bool = False
    secret: str = field(default="", repr=False)


# ── what a cycle decides ─────────────────────────────────────────────────────────────────────────────────────────────
Action = Literal["create", "update", "delete", "cancel", "reschedule", "restore", "link", "rest", "end", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One decision of a plan, as data: what happens, where, to what, and why in words.

    ``create``, ``update`` and ``delete`` write on ``side``. On the CRM's side there are also ``cancel`` (a CRM-born activity that was deleted in
    Outlook), ``reschedule`` (the activity is replaced by one at the new time) and ``restore`` (a removed activity stands again).
    ``link`` (the two belong together, or one's version is new), ``rest``, ``end`` and ``skip`` write only what is known of them.
    ``before`` is what the side holds now, ``after`` what both sides hold when it is done. ``loser`` is the version that a conflict sets aside.
    ``replaced_by`` is the activity, of whatever reschedule in a row, that stands for the one whose item is removed.
    """

    action: Action
    side: Side
    kind: Kind
    key: str
    reason: str
    before: Entry | None = None
    after: Entry | None = None
    activity: Activity | None = None
    item: Item | None = None
    link: Link | None = None
    loser: Entry | None = None
    replaced_by: str | None = None

    @property
    def writes(self) -> bool:
        """Whether it changes something outside the ledger."""
        return self.action not in {"link", "rest", "end", "skip"}

    @property
    def removes(self) -> bool:
        """Whether it takes something off a calendar that nothing replaces; the brake counts these."""
        return self.action in {"delete", "cancel"} and (self.link is None or self.link.state is not LinkState.REPLACED)


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days in one zone, as two instants: ``start`` inclusive, ``end`` exclusive."""

    start: datetime
    end: datetime


# ── what a diagnosis finds ───────────────────────────────────────────────────────────────────────────────────────────
Layer = Literal["connection", "account", "item"]
FindingVerdict = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found of one thing. What could not be read is ``unknown``, never ``ok``.

    ``observed`` and ``expected`` in words; ``cause`` the likely one; ``next_step`` what to do, by ``owner``; ``evidence`` the request, the response
    code as it came, and when; ``source`` where it was seen. ``sub_cause`` is a key of `ops_lib.diagnosis.sub_causes`, where it has one.
    """

    check: str
    layer: Layer
    subject: str
    verdict: FindingVerdict
    observed: str
    expected: str
    cause: str = ""
    next_step: str = ""
    evidence: str = ""
    source: str = ""
    owner: str = ""
    sub_cause: str = ""
