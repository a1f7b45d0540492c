"""A population from a YAML file, for ``--people FILE``.

    communities:    [{name, time_zone}]
    users:          [{email, name, community, time_zone, admin}]
    individuals:    [{id, name, kind, community, email}]
    activity_types: [{id, name, master_type, face_to_face}]
    activities:     [{id, user, type, description, start, end | all_day, status, individual, location, notes}]
    mailboxes:      [{address, name, time_zone, password, ics: FILE or [FILE, …]}]
    service:        {address, password}
    sign_in:        [negotiate, ntlm, basic, bearer]          the ways EWS offers, in this order

Every part may be missing. Times are ISO 8601 with an offset, days ``YYYY-MM-DD``; ``ics`` files are named relative to the
YAML file. A mailbox or service without a password gets one made just now.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ops_lib.errors import InputError
from ops_lib.sandbox import zones
from ops_lib.sandbox.ical import parse
from ops_lib.sandbox.people import (
    Activity,
    ActivityType,
    Community,
    Content,
    Individual,
    Mailbox,
    Population,
    Service,
    User,
)
from ops_lib.sandbox.ways_in import USUAL, read_ways

T = TypeVar("T")

_PARTS = ("communities", "users", "individuals", "activity_types", "activities", "mailboxes", "service", "sign_in")
_STATUSES = ("Scheduled", "Completed", "Cancelled")
_KINDS = ("prospect", "resident", "contact", "referral source")


def read_people(path: Path) -> Population:
    """The population of a file.

    Raises:
        InputError: it cannot be read, or an entry says something that cannot be.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(
            f"it cannot be read ({problem.strerror})", subject=str(path), fix="name a YAML file that exists."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise InputError(f"it is not YAML: {problem}", subject=str(path), fix="correct the place named.") from None
    if not isinstance(document, Mapping):
        raise InputError(
            "it holds no parts", subject=str(path), fix=f"give it one or more of the keys {', '.join(_PARTS)}."
        )
    return _Reader(path, document).read()


class _Entry:
    """One entry of one part: its fields are asked for by name, and what is wrong is said with its place."""

    def __init__(self, path: Path, place: str, fields: Any, allowed: Iterable[str]) -> None:
        self.place = f"{path}: {place}"
        if not isinstance(fields, Mapping):
            raise InputError("it is not a list of fields", subject=self.place, fix="write it as key: value.")
        self.fields = fields
        names = list(allowed)
        for key in fields:
            if key not in names:
                raise self.wrong(f"there is no field {key!r}", f"use {', '.join(names)}.")

    def wrong(self, reason: str, fix: str) -> InputError:
        return InputError(reason, subject=self.place, fix=fix)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.fields.get(name, default)
        if value is None or (default is None and not str(value).strip()):
            raise self.wrong(f"{name} is missing", f"add {name}.")
        if isinstance(value, Mapping | list):
            raise self.wrong(f"{name} is not a text", f"give {name} one value.")
        return str(value).strip()

    def flag(self, name: str) -> bool:
        value = self.fields.get(name, False)
        if not isinstance(value, bool):
            raise self.wrong(f"{name} is neither true nor false: {value!r}", f"write {name}: true or {name}: false.")
        return value

    def address(self, name: str) -> str:
        value = self.text(name)
        local, _, domain = value.partition("@")
        if not local or "." not in domain or " " in value:
            raise self.wrong(f"{name} is no email address: {value!r}", "write it like ana@sunrise.example.")
        return value

    def zone(self, name: str, default: str | None) -> str:
        value = self.text(name, default)
        try:
            zones.zone(value)
        except zones.UnknownZone:
            raise self.wrong(f"{name} is no time zone: {value!r}", "write one like America/New_York.") from None
        return value

    def one_of(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        value = self.text(name, default)
        choices = list(known)
        if value not in choices and value != default:
            raise self.wrong(
                f"there is no {name} {value!r}", f"use one of: {', '.join(choices[:20]) or '(none given)'}."
            )
        return value

    def moment(self, name: str) -> datetime | None:
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise self.wrong(f"{name} is no time: {value!r}", "write it like 2026-11-23T09:00:00-05:00.") from None
        if moment.tzinfo is None:
            raise self.wrong(f"{name} has no offset from UTC: {value!r}", "end it with Z or an offset like -05:00.")
        return moment.astimezone(UTC)

    def day(self, name: str) -> date | None:
        value = self.fields.get(name)
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise self.wrong(f"{name} is no day: {value!r}", "write it like 2026-11-23.") from None


class _Reader:
    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self.path = path
        self.document = document
        self.skipped: list[str] = []
        for key in document:
            if key not in _PARTS:
                raise InputError(f"there is no part {key!r}", subject=str(path), fix=f"use {', '.join(_PARTS)}.")

    def read(self) -> Population:
        communities = self._each("communities", self._community, ("name", "time_zone"))
        self.communities = self._names("communities", [community.name for community in communities])
        users = self._each("users", self._user, ("email", "name", "community", "time_zone", "admin"))
        self.users = self._names("users", [user.email for user in users])
        self.zones = {user.email: user.time_zone for user in users}
        individuals = self._each("individuals", self._individual, ("id", "name", "kind", "community", "email"))
        self.individuals = self._names("individuals", [individual.individual_id for individual in individuals])
        types = self._each("activity_types", self._type, ("id", "name", "master_type", "face_to_face"))
        self.types = self._names("activity_types", [each.name for each in types])
        fields = "id user type description start end all_day status individual location notes"
        activities = self._each("activities", self._activity, fields.split())
        self._names("activities", [activity.activity_id for activity in activities])
        mailboxes = self._each("mailboxes", self._mailbox, ("address", "name", "time_zone", "password", "ics"))
        service = self._service(mailboxes)
        self._names("mailboxes", [mailbox.address for mailbox in mailboxes] + [service.address])
        return Population(
            communities,
            users,
            individuals,
            types,
            activities,
            mailboxes,
            service,
            skipped=tuple(self.skipped),
            sign_in=self._sign_in(),
        )

    def _each(self, part: str, read: Callable[[_Entry, int], T], allowed: Iterable[str]) -> tuple[T, ...]:
        entries = self.document.get(part) or []
        if not isinstance(entries, list):
            raise InputError("it is not a list", subject=f"{self.path}: {part}", fix="begin each entry with a dash.")
        return tuple(
            read(_Entry(self.path, f"{part}, entry {number}", entry, allowed), number)
            for number, entry in enumerate(entries, 1)
        )

    def _names(self, part: str, names: list[str]) -> list[str]:
        seen: set[str] = set()
        for name in names:
            if name.lower() in seen:
                raise InputError(
                    f"{name!r} stands there twice",
                    subject=f"{self.path}: {part}",
                    fix="give each entry a name of its own.",
                )
            seen.add(name.lower())
        return names

    def _community(self, entry: _Entry, number: int) -> Community:
        return Community(entry.text("name"), entry.zone("time_zone", "America/New_York"))

    def _user(self, entry: _Entry, number: int) -> User:
        email = entry.address("email")
        community = entry.one_of("community", self.communities, "" if not self.communities else None)
        return User(
            email,
            entry.text("name", email),
            community,
            entry.zone("time_zone", "America/New_York"),
            entry.flag("admin"),
        )

    def _individual(self, entry: _Entry, number: int) -> Individual:
        return Individual(
            entry.text("id"),
            entry.text("name"),
            entry.one_of("kind", _KINDS, "prospect"),
            entry.one_of("community", self.communities, ""),
            entry.address("email") if entry.fields.get("email") else "",
        )

    def _type(self, entry: _Entry, number: int) -> ActivityType:
        name = entry.text("name")
        return ActivityType(
            entry.text("id", str(number)), name, entry.text("master_type", ""), entry.flag("face_to_face")
        )

    def _activity(self, entry: _Entry, number: int) -> Activity:
        start, end, day = entry.moment("start"), entry.moment("end"), entry.day("all_day")
        if (day is None) == (start is None and end is None) or (day is None and (start is None or end is None)):
            raise entry.wrong("it is neither timed nor of a day", "give it start and end, or all_day.")
        return Activity(
            entry.text("id", f"activity-{number:04d}"),
            entry.one_of("user", self.users),
            entry.one_of("type", self.types),
            entry.text("description"),
            start,
            end,
            day,
            entry.one_of("status", _STATUSES, "Scheduled"),
            entry.one_of("individual", self.individuals, ""),
            entry.text("location", ""),
            entry.text("notes", ""),
        )

    def _mailbox(self, entry: _Entry, number: int) -> Mailbox:
        address = entry.address("address")
        zone = entry.zone("time_zone", self.zones.get(address, "America/New_York"))
        password = entry.text("password", "") or secrets.token_urlsafe(18)
        named = entry.fields.get("ics") or []
        contents = [
            content
            for name in ([named] if isinstance(named, str) else named)
            for content in self._events(entry, name, zone)
        ]
        return Mailbox(address, entry.text("name", address), zone, password, tuple(contents))

    def _events(self, entry: _Entry, name: Any, zone: str) -> Iterable[Content]:
        file = self.path.parent / str(name)
        try:
            text = file.read_bytes()
        except OSError as problem:
            raise entry.wrong(
                f"ics file {name} cannot be read ({problem.strerror})", "name it relative to the YAML file."
            ) from None
        parsed, refused = parse(text, zone)
        if not parsed and any(not problem.uid for problem in refused):
            raise entry.wrong(f"ics file {name} is refused: {refused[0].reason}", "give an iCalendar file.")
        self.skipped += [f"{name}, {problem.subject}: {problem.reason}" for problem in refused]
        for event in parsed:
            yield Content("calendar", event.values, event.exceptions, frozenset(event.deleted))

    def _sign_in(self) -> tuple[str, ...]:
        if "sign_in" not in self.document:
            return USUAL
        try:
            return read_ways(self.document["sign_in"])
        except InputError as problem:
            raise InputError(problem.message, subject=f"{self.path}: sign_in", fix=problem.fix) from None

    def _service(self, mailboxes: tuple[Mailbox, ...]) -> Service:
        entry = _Entry(self.path, "service", self.document.get("service") or {}, ("address", "password"))
        domain = mailboxes[0].address.partition("@")[2] if mailboxes else "example.test"
        address = entry.address("address") if entry.fields.get("address") else f"svc@{domain}"
        return Service(address, entry.text("password", "") or secrets.token_urlsafe(18))
