"""Who lives in a sandbox: a customer's communities, users, individuals, activities and mailboxes as plain data.

The CRM's part (communities, users, individuals, activity types, activities) is data only: a CRM loads it. Activities name
their user by email, their individual by id and their type by name; all others name their community by name. The Outlook
part, the mailboxes, goes into an Organisation with ``fill``.

``population()`` is the customer that comes with the sandbox, ``load(path)`` one of a YAML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_lib.sandbox.ways_in import USUAL

if TYPE_CHECKING:
    from ops_lib.sandbox.store import Organisation

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Community:
    """A site of the customer. ``time_zone`` is an IANA id."""

    name: str
    time_zone: str


@dataclass(frozen=True)
class User:
    """Somebody who works with the CRM. ``time_zone`` is an IANA id."""

    email: str
    name: str
    community: str
    time_zone: str
    is_admin: bool = False


@dataclass(frozen=True)
class Individual:
    """Somebody activities are for; ``kind`` is prospect, resident, contact or referral source."""

    individual_id: str
    name: str
    kind: str
    community: str
    email: str = ""


@dataclass(frozen=True)
class ActivityType:
    """One of the customer's own activity types, and the vendor's master type it counts as."""

    type_id: str
    name: str
    master_type: str = ""
    is_face_to_face: bool = False


@dataclass(frozen=True)
class Activity:
    """A CRM calendar entry: timed (``start`` and ``end``, aware; people enter wrong ones, too) or of a day (``all_day``)."""

    activity_id: str
    user: str
    type: str
    description: str
    start: datetime | None = None
    end: datetime | None = None
    all_day: date | None = None
    status: str = "Scheduled"
    individual: str = ""
    location: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Content:
    """One item of a mailbox: its values by FieldURI and, of a series, what differs and what is deleted, by original start."""

    folder: str
    values: Mapping[str, Any]
    exceptions: Mapping[datetime, Mapping[str, Any]] = field(default_factory=dict)
    deleted: frozenset[datetime] = frozenset()


@dataclass(frozen=True)
class Mailbox:
    """A mailbox with what is in it. ``zone`` is the owner's, an IANA or Windows id."""

    address: str
    name: str
    zone: str
    password: str = field(repr=False)
    contents: tuple[Content, ...] = ()


@dataclass(frozen=True)
class Service:
    """The account a sync signs in with; it may impersonate every mailbox of the population."""

    address: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Population:
    """A whole customer. ``skipped`` says in words which events of its files Exchange cannot hold, and why; ``sign_in``: the ways in."""

    communities: tuple[Community, ...]
    users: tuple[User, ...]
    individuals: tuple[Individual, ...]
    activity_types: tuple[ActivityType, ...]
    activities: tuple[Activity, ...]
    mailboxes: tuple[Mailbox, ...]
    service: Service
    skipped: tuple[str, ...] = ()
    sign_in: tuple[str, ...] = USUAL


def population() -> Population:
    """The customer that comes with the sandbox, around ``NOW``: the same every time."""
    from ops_lib.sandbox.customer import customer

    return customer()


def load(path: Path) -> Population:
    """The population a YAML file describes; see ``people_file`` for what it may say.

    Raises:
        InputError: the file, or one it names, cannot be read or says something that cannot be; the entry is named.
    """
    from ops_lib.sandbox.people_file import read_people

    return read_people(path)


def fill(organisation: Organisation, population: Population) -> None:
    """Put the mailboxes and the service account of a population into an organisation that does not have them yet."""
    for mailbox in population.mailboxes:
        organisation.add_mailbox(mailbox.address, password=mailbox.password, name=mailbox.name, zone=mailbox.zone)
        for content in mailbox.contents:
            organisation.create_item(
                mailbox.address,
                content.folder,
                dict(content.values),
                {start: dict(changed) for start, changed in content.exceptions.items()},
                sorted(content.deleted),
            )
    service = population.service
    organisation.add_mailbox(service.address, password=service.password, name="Calendar Sync", zone="UTC")
    organisation.grant_impersonation(service.address, {mailbox.address for mailbox in population.mailboxes})
