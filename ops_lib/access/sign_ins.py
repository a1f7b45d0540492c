"""Who signs in for an account, how that stands, and the banner that asks for it.

The one who signs in is the host's impersonation account, or, with access direct and where there is no such account, each account itself.
What is kept here is why and since when; tokens and passwords are in the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from ops_lib.access import password_tries
from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.rows import number
from ops_lib.database.engine import insert_unless_there
from ops_lib.database.tables import account_statuses, banner_closings, sign_ins
from ops_lib.diagnosis import sign_in_errors
from ops_lib.diagnosis.statuses import UNATTEMPTED, UNAUTHORIZED
from ops_lib.errors import InputError, SignInRefused
from ops_lib.model import Account, Host, User

State = Literal["needed", "signed-in", "refused"]
BY_PERSON = ("oauth-code", "oauth-device")
"""The ways of signing in that need a person, once."""

_GONE = "not signed in"
_GONE_REASON = "the sign-in is not in the vault any more, or was for another app registration"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInState:
    """How one account's sign-in stands. ``asked_at``: an administrator asked for it, whatever the state."""

    state: State
    since: datetime | None = None
    asked_at: datetime | None = None
    response_code: str = ""
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One line of the banner. ``serves``: how many accounts cannot be kept in step until then."""

    account: Account
    host: Host
    state: SignInState
    serves: int

    @property
    def is_for_admins(self) -> bool:
        """One that acts for others concerns every administrator."""
        return self.account.is_impersonation_account

    @property
    def shows_since(self) -> datetime | None:
        """The moment a closing must be later than to keep it closed."""
        moments = [each for each in (self.state.since, self.state.asked_at) if each is not None]
        return max(moments, default=None)


class SignInStates:
    """The sign-ins within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._signers: dict[str, Account | None] = {}

    def signer(self, host: Host, account: Account) -> Account:
        """The account that signs in for this one."""
        if host.access == "direct":
            return account
        if host.host_id not in self._signers:
            known = [
                each for each in Accounts(self._connection).accounts(host=host.name) if each.is_impersonation_account
            ]
            self._signers[host.host_id] = min(known, key=lambda each: int(each.account_id), default=None)
        return self._signers[host.host_id] or account

    def of(self, account: Account) -> SignInState:
        """How an account's own sign-in stands; needed, where nobody signed in yet."""
        row = self._connection.execute(
            select(sign_ins).where(sign_ins.c.account_id == number(account.account_id))
        ).one_or_none()
        if row is None:
            known = sign_in_errors.NEVER_SIGNED_IN
            return SignInState(
                state="needed", response_code="not signed in", reason=known.meaning, fix=f"syncops signin {account.mailbox}."
            )  # fmt: skip
        return SignInState(
            state=row.state,
            since=row.since,
            asked_at=row.asked_at,
            response_code=row.response_code,
            reason=row.reason,
            fix=row.fix,
        )

    def signed_in(self, host: Host, account: Account, now: datetime) -> list[Account]:
        """Note that an account signed in: whoever waited for it is due again. The accounts it serves."""
        self._set(account, state="signed-in", since=now, asked_at=None, response_code="", reason="", fix="")
        served = [
            each
            for each in Accounts(self._connection).accounts(host=host.name)
            if self.signer(host, each).account_id == account.account_id
        ]
        self._connection.execute(
            update(account_statuses)
            .where(
                account_statuses.c.account_id.in_([number(each.account_id) for each in served]),
                (account_statuses.c.status == UNAUTHORIZED) | account_statuses.c.response_code.startswith("AADSTS"),
            )
            .values(status=UNATTEMPTED, since=now, attempts=0, sub_cause="", response_code="", evidence="")
        )
        return served

    def refused(self, account: Account, error: SignInRefused, now: datetime) -> None:
        """Note that the signer's token was refused, or is not there any more; the banner asks from the first time on, not anew each time."""
        before = self.of(account)
        if error.response_code == _GONE:
            if before.state == "signed-in":
                self._set(
                    account, state="needed", since=now, response_code=_GONE, reason=_GONE_REASON,
                    fix=f"syncops signin {account.mailbox}.",
                )  # fmt: skip
            return
        if before.state == "refused" and before.response_code == error.response_code:
            return
        self._set(
            account,
            state="refused",
            since=now,
            response_code=error.response_code,
            reason=error.message,
            fix=error.fix,
        )

    def works(self, account: Account) -> None:
        """Note that a sign-in is accepted again: an administrator lifted what stood in its way, or the former app or vault is back."""
        self._connection.execute(
            update(sign_ins)
            .where(
                sign_ins.c.account_id == number(account.account_id),
                (sign_ins.c.state == "refused") | (sign_ins.c.response_code == _GONE),
            )
            .values(state="signed-in", response_code="", reason="", fix="")
        )

    def secret_changed(self, host: Host, now: datetime) -> list[Account]:
        """After a new secret (H3): a password that was refused may be tried again, and who signs in is asked to do so. Who is asked."""
        if host.auth not in BY_PERSON:
            password_tries.forget(self._connection, host, host.service_user)
            return []
        return self._ask_all(host, now, code="", reason="the host's client secret was changed")

    def app_changed(self, host: Host, now: datetime) -> list[Account]:
        """After another app, tenant, directory or way of signing in: what was kept was for the former one. Who is asked."""
        if host.auth not in BY_PERSON:
            return []
        return self._ask_all(host, now, code=_GONE, reason="the host's app registration was changed")

    # ── the banner ───────────────────────────────────────────────────────────────────────────────────────────────────
    def waiting(self) -> list[Waiting]:
        """Everything that waits for somebody to sign in, whoever closed it; accounts that are off do not."""
        hosts = {each.host_id: each for each in Hosts(self._connection).all()}
        accounts = Accounts(self._connection).accounts()
        found: dict[str, Waiting] = {}
        for each in accounts:
            host = hosts[each.host_id]
            is_used = each.calendar or each.send_email or each.is_impersonation_account
            if host.auth not in BY_PERSON or host.is_retired or not is_used:
                continue
            signer = self.signer(host, each)
            if signer.account_id in found:
                waiting = found[signer.account_id]
                found[signer.account_id] = Waiting(
                    account=signer, host=host, state=waiting.state, serves=waiting.serves + 1
                )
                continue
            state = self.of(signer)
            if state.state != "signed-in" or state.asked_at is not None:
                found[signer.account_id] = Waiting(account=signer, host=host, state=state, serves=1)
        return sorted(found.values(), key=lambda each: (not each.is_for_admins, each.account.mailbox))

    def banner(self, user: User) -> list[Waiting]:
        """What a CRM user is asked: their own sign-in, and of an administrator those that act for others; without what they closed."""
        closed = {
            str(row.account_id): row.closed_at
            for row in self._connection.execute(
                select(banner_closings).where(banner_closings.c.user_id == number(user.user_id))
            )
        }
        return [
            each
            for each in self.waiting()
            if (each.account.user_id == user.user_id or (user.is_admin and each.is_for_admins))
            and not _is_closed(closed.get(each.account.account_id), each.shows_since)
        ]

    def close(self, user: User, accounts: Sequence[Account], now: datetime) -> None:
        """Opt-out: close the banner for one user. It asks again for what happens later, and when an administrator asks."""
        for each in accounts:
            key = {"account_id": number(each.account_id), "user_id": number(user.user_id)}
            self._connection.execute(
                insert_unless_there(self._connection, banner_closings).values(key | {"closed_at": now})
            )
            self._connection.execute(
                update(banner_closings)
                .where(banner_closings.c.account_id == key["account_id"], banner_closings.c.user_id == key["user_id"])
                .values(closed_at=now)
            )

    def ask(self, account: Account, now: datetime) -> Account:
        """The key icon: show the banner for an account again, to whoever closed it too. The account that signs in.

        **Raises** `InputError` where nobody has to.
        """
        host = Hosts(self._connection).by_id(account.host_id)
        if host.auth not in BY_PERSON:
            raise InputError(
                f"nobody signs in on host {host.name}: it uses {host.auth}", subject=account.mailbox,
                fix=f"syncops host edit {host.name!r} changes its secret.",
            )  # fmt: skip
        signer = self.signer(host, account)
        state = self.of(signer)
        if state.since is None:
            self._set(
                signer, state="needed", since=now, response_code=state.response_code, reason=state.reason, fix=state.fix
            )
        self._set(signer, asked_at=now)
        self._connection.execute(
            delete(banner_closings).where(banner_closings.c.account_id == number(signer.account_id))
        )
        return signer

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_all(self, host: Host, now: datetime, *, code: str, reason: str) -> list[Account]:
        """Ask everybody who signed in on a host to do so again. Who that is."""
        known = Accounts(self._connection).accounts(host=host.name)
        signers = {each.account_id: each for each in (self.signer(host, account) for account in known)}
        asked = [each for each in signers.values() if self.of(each).since is not None]
        for each in asked:
            self._set(
                each, state="needed", since=now, response_code=code, reason=reason, fix=f"syncops signin {each.mailbox}."
            )  # fmt: skip
        return asked

    def _set(self, account: Account, **values: object) -> None:
        key = number(account.account_id)
        changed = self._connection.execute(update(sign_ins).where(sign_ins.c.account_id == key).values(**values))
        if not changed.rowcount:
            self._connection.execute(insert(sign_ins).values(account_id=key, **values))


def _is_closed(closed_at: datetime | None, shows_since: datetime | None) -> bool:
    return closed_at is not None and (shows_since is None or closed_at >= shows_since)
