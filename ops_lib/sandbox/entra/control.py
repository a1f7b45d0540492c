"""Control endpoints of the directory: its apps, its users' standing, its policy, and who tried to sign in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from ops_lib.errors import InputError, NotThere
from ops_lib.sandbox.attempts import Attempts

from .apps import App, Certificate, addresses, permissions
from .directory import Directory
from .members import BLOCKS, EVERYBODY, SECOND_FACTORS, Member, Members, Policy

Change = Callable[[Any], Any]


def _refused(subject: str, reason: str) -> InputError:
    return InputError(reason, subject=subject, fix="See docs/sandbox.md for examples.")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def _seconds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**9:
        raise ValueError("must be a whole number, from 0")
    return value


def _block(value: Any) -> int:
    if value not in (0, None, *BLOCKS):
        raise ValueError(f"must be 0 or one of {', '.join(map(str, BLOCKS))}")
    return int(value or 0)


def _factor(value: Any) -> str:
    if value not in SECOND_FACTORS:
        raise ValueError(f"must be one of: {', '.join(SECOND_FACTORS)}")
    return str(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text")
    return value


_APP: dict[str, Change] = {
    "name": _name,
    "enabled": _flag,
    "multi_tenant": _flag,
    "public_flows": _flag,
    "assignment_required": _flag,
    "assigned": lambda value: frozenset(one.lower() for one in _texts(value)),
    "roles": _texts,
    "delegated": lambda value: permissions(_texts(value)),
    "redirect_uris": lambda value: addresses(_texts(value), "app, redirect_uris"),
    "public_redirect_uris": lambda value: addresses(_texts(value), "app, public_redirect_uris"),
}
_MEMBER: dict[str, Change] = {
    "enabled": _flag,
    "password_expired": _flag,
    "second_factor": _factor,
    "blocked_by": _block,
    "is_admin": _flag,
}
_POLICY: dict[str, Change] = {
    **{each.name: _seconds for each in fields(Policy) if each.name.endswith("_seconds")},
    "user_consent": _flag,
    "security_defaults": _flag,
    "blocked_by": _block,
}


def _read(document: Mapping[str, Any], allowed: Mapping[str, Change], what: str) -> dict[str, Any]:
    """Reads the values a document gives, without changing anything yet. Raises InputError for one that cannot be."""
    values = {}
    for name, value in document.items():
        if name not in allowed:
            raise _refused(f"{what}, {name}", f"is not known; there are {', '.join(allowed)}")
        try:
            values[name] = allowed[name](value)
        except ValueError as problem:
            raise _refused(f"{what}, {name}", f"{problem} (it is {value!r})") from None
    return values


def _set(target: object, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(target, name, value)


class EntraControl:
    """What the control endpoints do to the directory. Documents in, documents out; refusals are InputError and NotThere.

    ``may_act`` lets a new app act for every mailbox, as ``full_access_as_app`` does.
    """

    def __init__(self, directory: Directory, attempts: Attempts, may_act: Callable[[str], None]) -> None:
        self._directory = directory
        self._attempts = attempts
        self._may_act = may_act

    # -- apps ----------------------------------------------------------------------------------------------------------

    def apps(self) -> list[dict[str, Any]]:
        """Every registration, secrets included: this is a sandbox."""
        return [self.app_document(app) for app in self._directory.apps]

    def app_document(self, app: App) -> dict[str, Any]:
        """One registration as JSON."""
        return {
            "client_id": app.client_id,
            "tenant_id": self._directory.tenant_id,
            "client_secret": app.secret,
            **{name: _plain(getattr(app, name)) for name in _APP},
            "secrets": [
                {"secret_id": one.secret_id, "value": one.value, "expires": one.expires.isoformat()}
                for one in app.secrets
            ],
            "certificates": [one.thumbprint for one in app.certificates],
            "consents": self._directory.members.consents(app),
        }

    def add_app(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Registers an app. ``secret_days``: how long its secret is good; null: without one."""
        rest = {name: value for name, value in document.items() if name != "secret_days"}
        days = document.get("secret_days", 180)
        if isinstance(days, bool) or not isinstance(days, int | float | None):
            raise _refused("app, secret_days", "must be a number of days or null")
        values = {"name": "app", **_read(rest, _APP, "app")}
        app = self._directory.register(**values, secret_days=days)
        self._may_act(app.client_id)
        return self.app_document(app)

    def change_app(self, client_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Changes what the document names. ``consent``: a user's address or ``*`` (an administrator, for everybody), ``revoke``: true."""
        app, members = self._directory.apps.find(client_id), self._directory.members
        rest = dict(document)
        consent, withdraw = (_whose(members, rest.pop(name, None)) for name in ("consent", "withdraw_consent"))
        revoke = rest.pop("revoke", False)
        _set(app, _read(rest, _APP, "app"))
        if consent:
            members.consent(app, app.delegated, consent)
        if withdraw:
            members.withdraw_consent(app, "" if withdraw == EVERYBODY else withdraw)
        if revoke:
            app.generation += 1
        return self.app_document(app)

    def add_secret(self, client_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an app another secret beside those it has."""
        days = document.get("days", 180)
        if isinstance(days, bool) or not isinstance(days, int | float) or set(document) - {"days"}:
            raise _refused("secret, days", "must be a number of days, negative for an expired one")
        secret = self._directory.apps.add_secret(self._directory.apps.find(client_id), days)
        return {"secret_id": secret.secret_id, "value": secret.value, "expires": secret.expires.isoformat()}

    def remove_secret(self, client_id: str, secret_id: str) -> dict[str, Any]:
        """Takes a secret away."""
        app = self._directory.apps.find(client_id)
        kept = [one for one in app.secrets if one.secret_id != secret_id]
        if len(kept) == len(app.secrets):
            raise NotThere("the app has no such secret", subject=secret_id, fix="GET /apps lists them.")
        app.secrets[:] = kept
        return self.app_document(app)

    def add_certificate(self, client_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Registers a certificate the app may sign with."""
        app = self._directory.apps.find(client_id)
        certificate = Certificate.read(str(document.get("pem", "")))
        app.certificates.append(certificate)
        return {"thumbprint": certificate.thumbprint}

    def remove_certificates(self, client_id: str) -> dict[str, Any]:
        """Takes all certificates away."""
        app = self._directory.apps.find(client_id)
        app.certificates.clear()
        return self.app_document(app)

    # -- users and policy ----------------------------------------------------------------------------------------------

    def user(self, address: str) -> dict[str, Any]:
        """A user's standing, the code of their second factor, and how they tried to sign in."""
        member = self._directory.members.member(address)
        return {**asdict(member), "attempts": self._attempts.document().get(member.address, {})}

    def change_user(self, address: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Changes a user's standing. ``revoke``: end every sign-in; ``locked``: lock or unlock the account."""
        member: Member = self._directory.members.member(address)
        rest = dict(document)
        revoke, locked = rest.pop("revoke", False), rest.pop("locked", None)
        _set(member, _read(rest, _MEMBER, "user"))
        if revoke:
            self._directory.grants.revoke(member.address)
        if locked is not None:
            (self._attempts.lock if locked else self._attempts.unlock)(member.address)
        return self.user(address)

    def policy(self) -> dict[str, Any]:
        """The tenant's policy, and after how many wrong passwords an account is locked."""
        attempts = self._attempts
        limits = {"lock_after": attempts.lock_after, "lock_seconds": attempts.lock_seconds}
        return {**asdict(self._directory.members.policy), **limits}

    def change_policy(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Changes what the document names."""
        limits = {"lock_after": _seconds, "lock_seconds": _seconds}
        values = _read(document, {**_POLICY, **limits}, "policy")
        _set(self._attempts, {name: value for name, value in values.items() if name in limits})
        _set(self._directory.members.policy, {name: value for name, value in values.items() if name not in limits})
        return self.policy()


def _whose(members: Members, value: Any) -> str:
    """Whose consent is meant: a user's address, ``*`` for everybody, "" where nobody is named. Raises InputError."""
    if value in (None, "", EVERYBODY):
        return str(value or "")
    return members.member(str(value)).address


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value
