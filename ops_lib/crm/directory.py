"""The CRM's master data: communities, users, individuals, activity types, templates.

``add_…`` of what exists already changes nothing and returns it. Names are compared without case, and an id or name that is
unknown is answered with those that are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from unicodedata import category
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Row, Table, select

from ops_lib.crm.rows import number
from ops_lib.database.engine import insert_unless_there
from ops_lib.database.tables import activity_types, communities, individuals, templates, user_communities, users
from ops_lib.errors import InputError, NotThere
from ops_lib.model import ActivityType, Community, Individual, Template, User

_Named = TypeVar("_Named", Community, ActivityType, Template)

# What an individual of the CRM can be.
INDIVIDUAL_KINDS = ("prospect", "resident", "contact", "referral")

# (name, the vendor's master type, face to face). A tenant renames and adds types; reports count by master type.
USUAL_ACTIVITY_TYPES = (
    ("Appointment", "", False),
    ("Tour", "Tour", True),
    ("Home Visit", "Tour", True),
    ("Move In", "Move In", True),
    ("Outreach Visit", "Outreach", True),
    ("Inquiry", "Inquiry", False),
    ("Deposit", "Deposit", False),
    ("Move Out", "Move Out", False),
    ("Call In", "Call In", False),
    ("Call Out", "Call Out", False),
    ("Email In", "Email In", False),
    ("Email Out", "Email Out", False),
    ("Mail Out", "Mail Out", False),
)


class Directory:
    """The master data within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ── communities ──────────────────────────────────────────────────────────────────────────────────────────────
    def communities(self) -> list[Community]:
        """All communities, by name."""
        rows = self._connection.execute(select(communities).order_by(communities.c.name))
        return [Community(community_id=str(row.id), name=row.name, time_zone=row.time_zone) for row in rows]

    def community(self, name: str) -> Community:
        """The community of that name. **Raises** `NotThere`."""
        return _one(self.communities(), name, "community", "syncops community add NAME")

    def add_community(self, name: str, *, time_zone: str) -> Community:
        """Add a community; its users' times are shown in its zone unless they have their own."""
        name = text_of(name, "a community's name")
        for existing in self.communities():
            if _same(existing.name, name):
                return existing
        self._insert(communities, name=name, time_zone=zone_name(time_zone))
        return self.community(name)

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────────
    def users(self) -> list[User]:
        """All CRM users, by email."""
        memberships: dict[int, list[str]] = {}
        for row in self._connection.execute(select(user_communities).order_by(user_communities.c.community_id)):
            memberships.setdefault(row.user_id, []).append(str(row.community_id))
        rows = self._connection.execute(select(users).order_by(users.c.email))
        return [_user(row, memberships.get(row.id, [])) for row in rows]

    def user(self, email: str) -> User:
        """The user with that email. **Raises** `NotThere`."""
        found = self._user_where(users.c.email == email.strip().lower())
        if found is None:
            raise NotThere(
                f"there is no CRM user {email}", fix="syncops user list shows them; syncops user add makes one."
            )
        return found

    def user_by_id(self, user_id: str) -> User:
        """The user with that id. **Raises** `NotThere`."""
        found = self._user_where(users.c.id == number(user_id))
        if found is None:
            raise NotThere(f"there is no CRM user {user_id}")
        return found

    def add_user(
        self,
        email: str,
        name: str,
        *,
        community_names: Sequence[str] = (),
        time_zone: str = "",
        default_time_zone: str = "UTC",
        is_admin: bool = False,
    ) -> User:
        """Add a user; one that exists keeps everything and joins the communities that are new to them.

        Without ``time_zone``: the first community's, and without one of these ``default_time_zone``.
        """
        email = address(email)
        joined = [self.community(each) for each in community_names]
        if self._user_where(users.c.email == email) is None:
            zone = time_zone or (joined[0].time_zone if joined else default_time_zone)
            self._insert(
                users,
                email=email,
                name=text_of(name, "a user's name"),
                time_zone=zone_name(zone),
                is_admin=is_admin,
            )
        user = self.user(email)
        for community in joined:
            self._insert(user_communities, user_id=int(user.user_id), community_id=int(community.community_id))
        return self.user(email)

    # ── activity types ───────────────────────────────────────────────────────────────────────────────────────────
    def activity_types(self) -> list[ActivityType]:
        """All activity types, by name."""
        rows = self._connection.execute(select(activity_types).order_by(activity_types.c.name))
        return [
            ActivityType(
                type_id=str(row.id), name=row.name, master_type=row.master_type, is_face_to_face=row.is_face_to_face
            )
            for row in rows
        ]

    def activity_type(self, name: str) -> ActivityType:
        """The activity type of that name. **Raises** `NotThere`."""
        return _one(self.activity_types(), name, "activity type", "syncops activity-type add NAME")

    def add_activity_type(self, name: str, *, master_type: str = "", is_face_to_face: bool = False) -> ActivityType:
        """Add an activity type. Those that are face to face go to Outlook unless a host says otherwise."""
        name = text_of(name, "an activity type's name")
        for existing in self.activity_types():
            if _same(existing.name, name):
                return existing
        master_type = text_of(master_type, "a master type", longest=64) if master_type else ""
        self._insert(activity_types, name=name, master_type=master_type, is_face_to_face=is_face_to_face)
        return self.activity_type(name)

    def add_usual_activity_types(self) -> None:
        """Add the types that a new workspace starts with."""
        for name, master_type, is_face_to_face in USUAL_ACTIVITY_TYPES:
            self.add_activity_type(name, master_type=master_type, is_face_to_face=is_face_to_face)

    # ── individuals ──────────────────────────────────────────────────────────────────────────────────────────────
    def individuals(self) -> list[Individual]:
        """All individuals, by name."""
        rows = self._connection.execute(select(individuals).order_by(individuals.c.name, individuals.c.id))
        return [_individual(row) for row in rows]

    def individual(self, id_or_name: str) -> Individual:
        """The individual with that id or, where only one bears it, that name. **Raises** `NotThere`, `InputError`."""
        known = self.individuals()
        for each in known:
            if each.individual_id == id_or_name.strip():
                return each
        named = [each for each in known if _same(each.name, id_or_name)]
        if len(named) > 1:
            raise InputError(
                f"{len(named)} individuals are called {id_or_name} (ids {', '.join(each.individual_id for each in named)})",
                fix="name the one that is meant by its id.",
            )
        if not named:
            raise NotThere(f"there is no individual {id_or_name}", fix="syncops individual list shows them.")
        return named[0]

    def add_individual(
        self, name: str, *, kind: str = "prospect", email: str = "", community_name: str = ""
    ) -> Individual:
        """Add an individual; the one with the same name, kind, email and community counts as the same."""
        name = text_of(name, "an individual's name")
        kind = choice(kind, INDIVIDUAL_KINDS, "a kind of individual")
        email = address(email) if email else ""
        community_id = self.community(community_name).community_id if community_name else None
        for existing in self.individuals():
            if _same(existing.name, name) and (existing.kind, existing.email, existing.community_id) == (
                kind,
                email,
                community_id,
            ):
                return existing
        made = self._connection.execute(
            individuals.insert()
            .values(name=name, kind=kind, email=email, community_id=None if community_id is None else int(community_id))
            .returning(individuals)
        ).one()
        return _individual(made)

    # ── templates ────────────────────────────────────────────────────────────────────────────────────────────────
    def templates(self) -> list[Template]:
        """All email templates, by name."""
        rows = self._connection.execute(select(templates).order_by(templates.c.name))
        return [
            Template(
                template_id=str(row.id), name=row.name, subject=row.subject, body=row.body, is_html=bool(row.is_html)
            )
            for row in rows
        ]

    def template(self, name: str) -> Template:
        """The template of that name. **Raises** `NotThere`."""
        return _one(self.templates(), name, "template", "syncops template add NAME")

    def add_template(self, name: str, *, subject: str, body: str, is_html: bool = False) -> Template:
        """Add an email template; ``is_html``: its body is formatted."""
        name = text_of(name, "a template's name")
        for existing in self.templates():
            if _same(existing.name, name):
                return existing
        subject = text_of(subject, "a template's subject", longest=1000)
        self._insert(templates, name=name, subject=subject, body=body, is_html=is_html)
        return self.template(name)

    def remove_template(self, name: str) -> Template:
        """Take a template away. **Raises** `NotThere`."""
        found = self.template(name)
        self._connection.execute(templates.delete().where(templates.c.id == int(found.template_id)))
        return found

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _insert(self, table: Table, **values: Any) -> None:
        self._connection.execute(insert_unless_there(self._connection, table).values(values))

    def _user_where(self, condition: Any) -> User | None:
        row = self._connection.execute(select(users).where(condition)).one_or_none()
        if row is None:
            return None
        query = (
            select(user_communities.c.community_id)
            .where(user_communities.c.user_id == row.id)
            .order_by(user_communities.c.community_id)
        )
        return _user(row, [str(each) for each in self._connection.execute(query).scalars()])


# ── checks of what is entered ────────────────────────────────────────────────────────────────────────────────────────
def text_of(value: str, what: str, *, longest: int = 200) -> str:
    """The value without the white space around it. **Raises** `InputError` when nothing is left, or it is no single line."""
    value = value.strip()
    if not value:
        raise InputError(f"{what} cannot be empty")
    if len(value.splitlines()) > 1 or len(value) > longest:
        raise InputError(f"{what} is one line of at most {longest} characters", fix="shorten it.")
    if any(category(each) == "Cc" for each in value):
        raise InputError(f"{what} holds a control character", fix="write it without.")
    return value


def address(value: str) -> str:
    """An email address in lower case. **Raises** `InputError` for what is none."""
    value = value.strip().lower()
    local, at, domain = value.rpartition("@")
    if (
        not (local and at and domain)
        or any(each.isspace() or each in ',;<>"' or category(each) == "Cc" for each in value)
        or len(value) > 320
    ):
        shown = "".join(each for each in value if category(each) != "Cc")
        raise InputError(f"{shown or 'an empty text'} is no email address", fix="write it as name@domain.")
    return value


def zone_name(value: str) -> str:
    """The name of a time zone. **Raises** `InputError` for one that nobody knows."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"{value} is no time zone", fix="name it as the time zone database does, such as America/New_York."
        ) from None
    return value


def choice(value: str, known: Iterable[str], what: str) -> str:
    """The one of ``known`` that was meant, compared without case. **Raises** `InputError` that lists them."""
    known = list(known)
    for each in known:
        if _same(each, value):
            return each
    raise InputError(f"{value} is not {what}", fix=f"use one of: {', '.join(known)}.")


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _one(known: list[_Named], name: str, what: str, command: str) -> _Named:
    for each in known:
        if _same(each.name, name):
            return each
    names = ", ".join(each.name for each in known) or "none"
    raise NotThere(f"there is no {what} {name} (known: {names})", fix=f"use one of these, or {command}.")


def _user(row: Row[Any], community_ids: list[str]) -> User:
    return User(
        user_id=str(row.id),
        email=row.email,
        name=row.name,
        time_zone=row.time_zone,
        is_admin=row.is_admin,
        community_ids=tuple(community_ids),
    )


def _individual(row: Row[Any]) -> Individual:
    return Individual(
        individual_id=str(row.id),
        name=row.name,
        kind=row.kind,
        email=row.email,
        community_id=None if row.community_id is None else str(row.community_id),
    )
