"""Hosts: the connections to Exchange organisations, and which one serves a community.

The parts that belong together are checked together: what a way of signing in needs, what an access type needs. Nothing here
talks to a server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, get_args

from sqlalchemy import Connection, Row, delete, insert, select, update

from ops_lib.access import checks
from ops_lib.access.host_notes import HostNotes
from ops_lib.crm.directory import Directory, choice, text_of
from ops_lib.crm.rows import number
from ops_lib.database.tables import host_activity_types, hosts
from ops_lib.errors import InputError, NotThere
from ops_lib.model import Host, Policy, Reschedule

ALL_COMMUNITIES = "all"
INBOUND_TYPE = "Appointment"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInput:
    """What a person enters for a host; ``None`` is the default (adding) or what it was (editing). Names, not ids."""

    url: str | None = None
    auth: str | None = None
    access: str | None = None
    version: str | None = None
    community: str | None = None  # "all", or a community's name
    service_user: str | None = None
    secret: str | None = None  # a reference: `secrets.env_reference`, `secrets.file_reference`
    tenant_id: str | None = None
    client_id: str | None = None
    authority: str | None = None
    types: Sequence[str] | None = None  # default: the face-to-face types
    inbound_type: str | None = None  # made when it is missing
    all_day_tasks: bool | None = None
    send_email: bool | None = None
    ca_bundle: str | None = None
    reschedule: str | None = None
    conflict: str | None = None
    secret_expires: str | None = None  # a day, ISO 8601
    redirect_uri: str | None = None


class Hosts:
    """The hosts within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._directory = Directory(connection)
        self._notes = HostNotes(connection)

    def all(self) -> list[Host]:
        """All hosts, by name."""
        types: dict[int, set[str]] = {}
        for row in self._connection.execute(select(host_activity_types)):
            types.setdefault(row.host_id, set()).add(str(row.type_id))
        rows = self._connection.execute(select(hosts).order_by(hosts.c.name)).all()
        expiries, retired = self._notes.secret_expiries(), self._notes.retired()
        return [
            replace(
                _host(row, types.get(row.id, set())),
                secret_expires=expiries.get(str(row.id)),
                is_retired=str(row.id) in retired,
            )
            for row in rows
        ]

    def find(self, name: str) -> Host | None:
        """The host of that name, compared without case."""
        wanted = name.strip().casefold()
        return next((host for host in self.all() if host.name.casefold() == wanted), None)

    def get(self, name: str) -> Host:
        """The host of that name. **Raises** `NotThere` that lists those there are."""
        found = self.find(name)
        if found is None:
            known = ", ".join(host.name for host in self.all()) or "none"
            raise NotThere(f"there is no host {name} (known: {known})", fix="syncops host add makes one.")
        return found

    def by_id(self, host_id: str) -> Host:
        """The host with that id. **Raises** `NotThere`."""
        for host in self.all():
            if host.host_id == host_id:
                return host
        raise NotThere(f"there is no host {host_id}")

    def serving(self, community_ids: Collection[str]) -> list[Host]:
        """The hosts for somebody of these communities: their communities' own, and where there is none the company's (H2).

        A retired host serves nobody.
        """
        known = [host for host in self.all() if not host.is_retired]
        own = [host for host in known if host.community_id in community_ids]
        return own or [host for host in known if host.community_id is None]

    def add(self, name: str, entered: HostInput, *, today: date | None = None) -> Host:
        """Add a host; one that exists and is just so is returned. With ``today`` a secret that has ended is refused.

        **Raises** `InputError` for another of that name, or what cannot be.
        """
        name = text_of(name, "a host's name")
        existing = self.find(name)
        if existing is not None:
            if self._is_just_so(existing, entered):
                return existing
            raise InputError(
                "there is a host of that name already, and it is another",
                subject=name,
                fix=f"syncops host edit {name!r} changes it.",
            )
        auth = choice(entered.auth or "basic", checks.AUTHS, "a way of signing in")
        is_office_365 = auth.startswith("oauth") or checks.version(entered.version or "2016") == "Office 365"
        url = entered.url or (checks.OFFICE_365_URL if is_office_365 else None)
        if url is None:
            raise InputError("a host on premises needs its URL", subject=name, fix="give --url; it ends in .asmx.")
        url = checks.ews_url(url)
        columns = {
            "version": "Office 365" if checks.is_exchange_online(url) else "2016",
            "access": "impersonation",
            "inbound_type_id": self._inbound_type(entered.inbound_type or INBOUND_TYPE),
        } | self._columns(entered)
        columns |= {"name": name, "protocol": "ews", "auth": auth, "url": url}
        unset = dict.fromkeys(("service_user", "secret", "tenant_id", "client_id"), "")
        checks.together(unset | columns)
        type_ids = self._type_ids(entered.types)
        expires = checks.last_day(entered.secret_expires, today) if entered.secret_expires else None
        host_id = self._connection.execute(insert(hosts).values(columns).returning(hosts.c.id)).scalar_one()
        self._set_types(host_id, type_ids)
        self._notes.set_secret_expires(str(host_id), expires)
        return self.get(name)

    def edit(self, name: str, entered: HostInput, *, today: date | None = None) -> Host:
        """Change what is given and keep the rest, the accounts too (H3). With ``today`` a secret that has ended is refused.

        A new secret takes the old one's last day with it. **Raises** `NotThere`, `InputError`.
        """
        host = self.get(name)
        expires = checks.last_day(entered.secret_expires, today) if entered.secret_expires else None
        columns = self._columns(entered)
        held = self._connection.execute(select(hosts).where(hosts.c.id == number(host.host_id))).one()._asdict()
        checks.together(held | columns)
        type_ids = None if entered.types is None else self._type_ids(entered.types)
        if columns:
            self._connection.execute(update(hosts).where(hosts.c.id == held["id"]).values(columns))
        if type_ids is not None:
            self._set_types(held["id"], type_ids)
        if entered.secret_expires is not None or entered.secret not in (None, host.secret):
            self._notes.set_secret_expires(host.host_id, expires)
        return self.get(name)

    def set_retired(self, host: Host, at: datetime | None) -> Host:
        """Have a host retired since ``at``, or (``None``) in use again. `Accounts.retire` and `restore` look at the accounts too."""
        self._notes.set_retired(host.host_id, at)
        return self.by_id(host.host_id)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _is_just_so(self, host: Host, entered: HostInput) -> bool:
        held = self._connection.execute(select(hosts).where(hosts.c.id == number(host.host_id))).one()._asdict()
        types = host.type_ids if entered.types is None else {str(each) for each in self._type_ids(entered.types)}
        return types == host.type_ids and all(held[name] == value for name, value in self._columns(entered).items())

    def _columns(self, entered: HostInput) -> dict[str, Any]:
        """The columns of what was entered, each checked by itself."""
        columns: dict[str, Any] = {}
        if entered.url is not None:
            columns["url"] = checks.ews_url(entered.url)
        if entered.auth is not None:
            columns["auth"] = choice(entered.auth, checks.AUTHS, "a way of signing in")
        if entered.access is not None:
            columns["access"] = choice(entered.access, checks.ACCESSES, "an access type")
        if entered.version is not None:
            columns["version"] = checks.version(entered.version)
        if entered.community is not None:
            columns["community_id"] = self._community_id(entered.community)
        if entered.service_user is not None:
            name = entered.service_user
            columns["service_user"] = text_of(name, "the service account's name", longest=320) if name.strip() else ""
        if entered.secret is not None:
            columns["secret"] = entered.secret
        if entered.tenant_id is not None:
            columns["tenant_id"] = checks.guid(entered.tenant_id, "tenant id") if entered.tenant_id else ""
        if entered.client_id is not None:
            columns["client_id"] = checks.guid(entered.client_id, "client id") if entered.client_id else ""
        if entered.authority is not None:
            columns["authority"] = checks.authority_url(entered.authority) if entered.authority else ""
        if entered.redirect_uri is not None:
            columns["redirect_uri"] = checks.redirect_uri(entered.redirect_uri) if entered.redirect_uri else ""
        if entered.inbound_type is not None:
            columns["inbound_type_id"] = self._inbound_type(entered.inbound_type)
        if entered.ca_bundle is not None:
            columns["ca_bundle"] = checks.ca_bundle(entered.ca_bundle) if entered.ca_bundle else ""
        if entered.reschedule is not None:
            columns["reschedule"] = choice(entered.reschedule, get_args(Reschedule), "a rule for rescheduling")
        if entered.conflict is not None:
            columns["conflict"] = choice(entered.conflict, get_args(Policy), "a rule for conflicts")
        for name in ("all_day_tasks", "send_email"):
            if getattr(entered, name) is not None:
                columns[name] = getattr(entered, name)
        return columns

    def _community_id(self, name: str) -> int | None:
        if name.strip().casefold() in (ALL_COMMUNITIES, "all communities"):
            return None
        return int(self._directory.community(name).community_id)

    def _inbound_type(self, name: str) -> int:
        return int(self._directory.add_activity_type(name).type_id)

    def _type_ids(self, names: Sequence[str] | None) -> set[int]:
        if names is None:
            return {int(each.type_id) for each in self._directory.activity_types() if each.is_face_to_face}
        return {int(self._directory.activity_type(name).type_id) for name in names if name.strip()}

    def _set_types(self, host_id: int, type_ids: Collection[int]) -> None:
        self._connection.execute(delete(host_activity_types).where(host_activity_types.c.host_id == host_id))
        rows = [{"host_id": host_id, "type_id": type_id} for type_id in sorted(type_ids)]
        if rows:
            self._connection.execute(insert(host_activity_types), rows)


def _host(row: Row[Any], type_ids: Collection[str]) -> Host:
    return Host(
        host_id=str(row.id),
        name=row.name,
        url=row.url,
        auth=row.auth,
        access=row.access,
        version=row.version,
        community_id=None if row.community_id is None else str(row.community_id),
        service_user=row.service_user,
        secret=row.secret,
        tenant_id=row.tenant_id,
        client_id=row.client_id,
        authority=row.authority,
        type_ids=frozenset(type_ids),
        inbound_type_id=str(row.inbound_type_id),
        all_day_tasks=row.all_day_tasks,
        send_email=row.send_email,
        ca_bundle=row.ca_bundle,
        reschedule=row.reschedule,
        conflict=row.conflict,
        protocol=row.protocol,
        redirect_uri=row.redirect_uri,
    )
