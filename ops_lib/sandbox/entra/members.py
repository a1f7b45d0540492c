"""The users as Entra sees them: may they sign in, what stands in their way, what have they or an administrator agreed to."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ops_lib.errors import InputError
from ops_lib.sandbox.attempts import Attempts, Verdict

from .apps import App
from .refusals import Refused

# What a policy of the tenant may refuse a sign-in with, whatever the password.
BLOCKS = (53000, 53001, 53003, 530032)
SECOND_FACTORS = ("off", "required", "not registered")
EVERYBODY = "*"


class Named(Protocol):
    """What has a display name: a mailbox."""

    name: str


class Accounts(Protocol):
    """Where passwords and names are kept: the organisation."""

    def account(self, login: str) -> str:
        """The address behind a login, "" if nobody's."""

    def authenticate(self, address: str, password: str) -> bool:
        """Whether this is the account's password."""

    def find_mailbox(self, address: str) -> Named | None:
        """The mailbox with this address, if there is one."""


@dataclass(slots=True)
class Member:
    """One user's standing. ``second_factor``: "off", "required", "not registered"; ``blocked_by``: an AADSTS code of a policy, or 0."""

    address: str
    enabled: bool = True
    password_expired: bool = False
    second_factor: str = "off"
    second_factor_code: str = field(default_factory=lambda: f"{secrets.randbelow(10**6):06d}", repr=False)
    blocked_by: int = 0
    is_admin: bool = False


@dataclass(slots=True)
class Policy:
    """What holds for the whole tenant. Seconds are of the organisation's clock, except ``device_interval_seconds``."""

    access_token_seconds: int = 3599
    refresh_token_seconds: int = 90 * 86400
    code_seconds: int = 600
    device_code_seconds: int = 900
    device_interval_seconds: int = 5
    sign_in_frequency_seconds: int = 0  # 0: never asked again
    user_consent: bool = True
    security_defaults: bool = False
    blocked_by: int = 0


class Members:
    """The users of one tenant with their standing, consents and the tenant's policy."""

    def __init__(self, accounts: Callable[[], Accounts | None], attempts: Attempts, tenant_id: str) -> None:
        self._accounts = accounts
        self._attempts = attempts
        self._tenant = uuid.UUID(tenant_id)
        self._members: dict[str, Member] = {}
        self._consents: set[tuple[str, str, str]] = set()
        self.policy = Policy()

    def clear(self) -> None:
        """Everybody is in good standing again, nobody has consented to anything, and the policy is the usual one."""
        self._members.clear()
        self._consents.clear()
        self.policy = Policy()

    def member(self, address: str) -> Member:
        """The standing of the user with this address or login. Raises InputError when there is no such user."""
        found = self.find(address)
        if found is None:
            raise InputError("no user has this address", subject=address, fix="Give one of the first line's users.")
        return found

    def find(self, login: str) -> Member | None:
        """The user behind a login, if there is one."""
        accounts = self._accounts()
        address = accounts.account(login) if accounts else ""
        if not address:
            return None
        return self._members.setdefault(address, Member(address))

    def name_of(self, address: str) -> str:
        """The display name."""
        accounts = self._accounts()
        mailbox = accounts.find_mailbox(address) if accounts else None
        return mailbox.name if mailbox else address

    def object_id(self, address: str) -> str:
        """The user's object id: the same for the same address."""
        return str(uuid.uuid5(self._tenant, address))

    def is_password(self, address: str, password: str) -> bool:
        """Whether this is the user's password of now."""
        accounts = self._accounts()
        return accounts is not None and accounts.authenticate(address, password)

    # -- may they come in ----------------------------------------------------------------------------------------------

    def sign_in(self, login: str, password: str, tenant: str) -> Member:
        """The user whose password this is. Raises Refused: unknown, wrong, locked, disabled, expired, in Entra's order."""
        member = self.find(login)
        if member is None:
            self._attempts.judge(login.strip() or "(nobody)", False, "entra")
            raise Refused(50034, user=login, tenant=tenant)
        correct = self.is_password(member.address, password)
        verdict = self._attempts.judge(member.address, correct, "entra")
        if verdict is Verdict.LOCKED:
            raise Refused(50053)
        if verdict is Verdict.REFUSED:
            raise Refused(50126)
        if not member.enabled:
            raise Refused(50057)
        if member.password_expired:
            raise Refused(50055)
        return member

    def admit(self, member: Member, app: App, resource: str, *, has_second_factor: bool) -> None:
        """Whether this user may have tokens for the app now. Raises Refused with the first thing that stands in the way."""
        if not member.enabled:
            raise Refused(50057)
        if app.assignment_required and member.address not in app.assigned:
            raise Refused(50105, name=app.name, client_id=app.client_id, user=member.address)
        blocked_by = member.blocked_by or self.policy.blocked_by
        if blocked_by:
            raise Refused(blocked_by, device_state="unregistered")
        if not has_second_factor and member.second_factor != "off":
            raise Refused(50076 if member.second_factor == "required" else 50079, resource=resource)

    # -- what was agreed to --------------------------------------------------------------------------------------------

    def consent(self, app: App, permissions: Iterable[str], user: str = EVERYBODY) -> None:
        """Notes that a user, or an administrator for everybody, agreed to the app having these permissions."""
        self._consents.update((app.client_id, user, name) for name in permissions)

    def withdraw_consent(self, app: App, user: str = "") -> None:
        """Takes back what was agreed for the app: by one user, or (without one) by all, administrators included."""
        gone = {each for each in self._consents if each[0] == app.client_id and user in ("", each[1])}
        self._consents -= gone

    def has_consented(self, app: App, permissions: Iterable[str], user: str) -> bool:
        """Whether everything asked for was agreed to, by the user or for everybody."""
        return all(
            (app.client_id, user, name) in self._consents or (app.client_id, EVERYBODY, name) in self._consents
            for name in permissions
        )

    def consents(self, app: App) -> dict[str, list[str]]:
        """Lists what was agreed to for the app, by user; ``*`` is everybody."""
        listed: dict[str, list[str]] = {}
        for client_id, user, name in sorted(self._consents):
            if client_id == app.client_id:
                listed.setdefault(user, []).append(name)
        return listed
