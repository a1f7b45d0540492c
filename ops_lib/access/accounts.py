"""Accounts: whose mailbox on which host is kept in step, and with what enabled.

A CRM user has at most one account whose calendar is kept in step: an activity stands in one calendar. A mailbox belongs to one
user, on whatever host: otherwise the activities of two people would run into each other through it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from ops_lib.access.host_notes import retired_note
from ops_lib.access.hosts import Hosts
from ops_lib.access.roll import AccountInput, Place, Roll
from ops_lib.access.succession import take_over
from ops_lib.crm.directory import Directory, address
from ops_lib.crm.rows import number
from ops_lib.database.tables import account_statuses, accounts, properties, users
from ops_lib.diagnosis.statuses import UNATTEMPTED, UNAUTHORIZED
from ops_lib.errors import InputError, NotThere
from ops_lib.model import Account, Host, User

_FEW = 500
"""So many users are asked for by name; for more all accounts are read."""


class Accounts:
    """The accounts within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._hosts = Hosts(connection)
        self._directory = Directory(connection)

    def accounts(self, *, host: str | None = None, who: str | None = None, enabled_only: bool = False) -> list[Account]:
        """The accounts, by mailbox.

        ``host`` is a host's name, ``who`` a mailbox or a user's email; ``enabled_only`` leaves out those whose calendar is not
        kept in step. **Raises** `NotThere` for a host that does not exist, and when nobody is ``who``.
        """
        query = _query()
        if host is not None:
            query = query.where(accounts.c.host_id == number(self._hosts.get(host).host_id))
        if who is not None:
            wanted = who.strip().lower()
            query = query.where((accounts.c.mailbox == wanted) | (users.c.email == wanted))
        found = [_account(row) for row in self._connection.execute(query)]
        if who is not None and not found:
            raise NotThere(
                f"there is no account {who}" + (f" on host {host}" if host else ""),
                fix="syncops account list shows them; syncops account add makes one.",
            )
        return [account for account in found if account.calendar or not enabled_only]

    def one(self, who: str, *, host: str | None = None) -> Account:
        """The one account of a mailbox or user. **Raises** `NotThere`, and `InputError` when it could be several."""
        found = self.accounts(host=host, who=who)
        if len(found) > 1:
            exact = [account for account in found if account.mailbox == who.strip().lower()]
            if len(exact) != 1:
                names = ", ".join(f"{each.mailbox} on {self._hosts.by_id(each.host_id).name}" for each in found)
                raise InputError(f"{who} could be several accounts ({names})", fix="add --host.")
            found = exact
        return found[0]

    def by_id(self, account_id: str) -> Account:
        """The account with that id. **Raises** `NotThere`."""
        row = self._connection.execute(_query().where(accounts.c.id == number(account_id))).one_or_none()
        if row is None:
            raise NotThere(f"there is no account {account_id}")
        return _account(row)

    def of_user(self, user_id: str) -> list[Account]:
        """A user's accounts, the one whose calendar is kept in step first."""
        rows = self._connection.execute(_query().where(accounts.c.user_id == number(user_id)))
        return sorted((_account(row) for row in rows), key=lambda account: not account.calendar)

    def add(
        self,
        user_email: str,
        *,
        host: str | None = None,
        mailbox: str | None = None,
        is_impersonation_account: bool = False,
        calendar: bool = True,
        send_email: bool = False,
        all_day_tasks: bool = False,
        secret: str = "",
    ) -> Account:
        """Add a user's account; the one that exists on that host for that mailbox and user is returned unchanged.

        Without ``host`` it is the one that serves the user's community, else the company's (H2); without ``mailbox`` the user's
        email. It is due for its first cycle at once (`pending`). **Raises** `NotThere`, and `InputError` with the reason when this
        account cannot be.
        """
        wanted = AccountInput(
            user_email=user_email,
            host=host,
            mailbox=mailbox,
            is_impersonation_account=is_impersonation_account,
            calendar=calendar,
            send_email=send_email,
            all_day_tasks=all_day_tasks,
            secret=secret,
        )
        place = self._roll(self._directory.user(user_email), mailbox).place(wanted)
        if place.existing is not None:
            return place.existing
        self.insert([(place, wanted)])
        return self.one(place.mailbox, host=place.host.name)

    def insert(self, placed: Sequence[tuple[Place, AccountInput]]) -> None:
        """Write accounts that a `Roll` has placed, in one statement."""
        rows = [
            {
                "host_id": number(place.host.host_id),
                "user_id": number(place.user.user_id),
                "mailbox": place.mailbox,
                "is_impersonation_account": wanted.is_impersonation_account,
                "calendar": wanted.calendar,
                "send_email": wanted.send_email,
                "all_day_tasks": wanted.all_day_tasks,
                "secret": wanted.secret,
            }
            for place, wanted in placed
        ]
        if rows:
            self._connection.execute(insert(accounts), rows)
            self._succeed({place.user.user_id for place, wanted in placed if wanted.calendar})

    def roll(self) -> Roll:
        """Everything that is known, for judging many accounts at once."""
        return Roll(
            users=self._directory.users(),
            hosts=self._hosts.all(),
            communities=self._communities(),
            accounts=self.accounts(),
        )

    # ── a user's own ─────────────────────────────────────────────────────────────────────────────────────────────
    def offered(self, user_email: str) -> list[Host]:
        """The hosts a user may set up an account on themselves: those that serve their communities (A3)."""
        return self._hosts.serving(self._directory.user(user_email).community_ids)

    def set_up_own(
        self, user_email: str, *, host: str | None = None, mailbox: str | None = None, secret: str = ""
    ) -> Account:
        """A user's own account on a host that is offered to them, calendar and email on (A3); one they disabled is enabled again.

        It is the user's primary one: a user's calendar is kept in step through one account. **Raises** `NotThere`, `InputError`.
        """
        offered = {each.name.casefold(): each for each in self.offered(user_email)}
        if host is not None and host.strip().casefold() not in offered:
            names = " or ".join(each.name for each in offered.values()) or "none"
            raise InputError(
                f"host {self._hosts.get(host).name} is not offered to this user (offered: {names})",
                subject=user_email,
                fix="choose one that is offered, or ask a CRM administrator.",
            )
        account = self.add(user_email, host=host, mailbox=mailbox, send_email=True, secret=secret)
        return account if account.calendar and account.send_email else self.enable(account, send_email=True)

    # ── on and off ───────────────────────────────────────────────────────────────────────────────────────────────
    def enable(
        self,
        account: Account,
        *,
        calendar: bool = True,
        send_email: bool | None = None,
        all_day_tasks: bool | None = None,
    ) -> Account:
        """Keep the account in step (again): its calendar unless told otherwise, and what else is given.

        **Raises** `InputError` where the host is retired, or the user's calendar is kept in step through another account.
        """
        host = self._hosts.by_id(account.host_id)
        if host.is_retired:
            raise InputError(
                f"host {host.name} is retired, and its accounts rest",
                subject=account.mailbox,
                fix=f"syncops host restore {host.name!r} brings them back.",
            )
        if calendar and not account.calendar:
            user = self._directory.user_by_id(account.user_id)
            self._roll(user, None).refuse_second_calendar(user.user_id, user.email)
        changed = self._set(
            account,
            calendar=calendar,
            send_email=account.send_email if send_email is None else send_email,
            all_day_tasks=account.all_day_tasks if all_day_tasks is None else all_day_tasks,
        )
        if calendar and not account.calendar:
            self._succeed({account.user_id})
        return changed

    def disable(self, account: Account) -> Account:
        """Stop keeping the account in step; nothing is removed on either side, and its links rest until it is enabled."""
        return self._set(account, calendar=False, send_email=False)

    # ── a host's life ────────────────────────────────────────────────────────────────────────────────────────────
    def retire(self, host: Host, now: datetime) -> list[Account]:
        """Take a host out of use: it serves nobody, and its accounts rest. Nothing is removed on either side. The accounts that rest from now on."""
        resting = (
            []
            if host.is_retired
            else [each for each in self.accounts(host=host.name) if each.calendar or each.send_email]
        )
        self._hosts.set_retired(host, now)
        return resting

    def restore(self, host: Host) -> list[Account]:
        """Take a retired host into use again: its accounts are as they were when it was retired. Those that are kept in step again.

        **Raises** `InputError` where a user's calendar is kept in step through another account by now.
        """
        if not host.is_retired:
            return []
        self._hosts.set_retired(host, None)
        back = [each for each in self.accounts(host=host.name) if each.calendar or each.send_email]
        others = {each.user_id: each for each in self.accounts(enabled_only=True) if each.host_id != host.host_id}
        twice = [others[each.user_id].mailbox for each in back if each.calendar and each.user_id in others]
        if twice:
            raise InputError(
                f"{len(twice)} of its users are kept in step through another account by now ({', '.join(twice[:3])}"
                f"{', …' if len(twice) > 3 else ''}), and an activity can stand in one calendar only",
                subject=f"host {host.name}",
                fix="syncops account disable those accounts, or the ones of this host.",
            )
        self._succeed({each.user_id for each in back if each.calendar})
        return back

    def pending(self, accounts_of: Sequence[Account] | None = None) -> list[Account]:
        """The accounts that are due for their first cycle: added, enabled or given a new secret, and no cycle since (A5, A7)."""
        known = self.accounts() if accounts_of is None else accounts_of
        query = select(account_statuses).where(account_statuses.c.process == "calendar")
        rows = {str(row.account_id): row for row in self._connection.execute(query)}
        return [each for each in known if each.calendar and _is_unattempted(rows.get(each.account_id))]

    def ask_again(self, host: Host, now: datetime, changed: str = "the secret") -> list[Account]:
        """After a new secret (H3) or app registration: the accounts whose sign-in was refused are due at once. Which they are."""
        chosen = {each.account_id: each for each in self.accounts(host=host.name)}
        is_refused = (account_statuses.c.account_id.in_([number(each) for each in chosen])) & (
            account_statuses.c.status == UNAUTHORIZED
        )
        found = list(self._connection.execute(select(account_statuses.c.account_id).where(is_refused)).scalars())
        self._connection.execute(
            update(account_statuses)
            .where(is_refused)
            .values(
                status=UNATTEMPTED,
                since=now,
                attempts=0,
                response_code="",
                evidence="",
                sub_cause=f"{changed} was changed; the next cycle signs in with it",
            )
        )
        return [chosen[each] for each in sorted({str(each) for each in found})]

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _roll(self, user: User, mailbox: str | None) -> Roll:
        """What touches one user and one mailbox."""
        chosen = address(mailbox) if mailbox else user.email
        query = _query().where((accounts.c.mailbox == chosen) | (accounts.c.user_id == number(user.user_id)))
        return Roll(
            users=[user],
            hosts=self._hosts.all(),
            communities=self._communities(),
            accounts=[_account(row) for row in self._connection.execute(query)],
        )

    def _succeed(self, user_ids: Collection[str]) -> None:
        """Let the accounts that keep these users' calendars now go on where their other accounts ended."""
        query = _query()
        if len(user_ids) <= _FEW:
            query = query.where(accounts.c.user_id.in_([number(each) for each in user_ids]))
        theirs: dict[str, list[Account]] = {}
        for account in map(_account, self._connection.execute(query)):
            if account.user_id in user_ids:
                theirs.setdefault(account.user_id, []).append(account)
        for each in theirs.values():
            current = next((account for account in each if account.calendar), None)
            if current is not None:
                take_over(self._connection, current, [account for account in each if account is not current])

    def _communities(self) -> dict[str, str]:
        return {each.community_id: each.name for each in self._directory.communities()}

    def _set(self, account: Account, **columns: bool) -> Account:
        self._connection.execute(update(accounts).where(accounts.c.id == number(account.account_id)).values(columns))
        return self.by_id(account.account_id)


def _is_unattempted(row: Row[Any] | None) -> bool:
    if row is None:
        return True
    return (
        row.status == UNATTEMPTED and row.attempts == 0 and (row.last_success is None or row.since > row.last_success)
    )


def _query() -> Select[Any]:
    """The accounts with their users; those of a retired host rest, whatever is set on them."""
    is_in_use = properties.c.name.is_(None).label("host_is_in_use")
    return (
        select(accounts, users.c.email.label("user_email"), users.c.time_zone, is_in_use)
        .join(users, users.c.id == accounts.c.user_id)
        .outerjoin(properties, properties.c.name == retired_note(accounts.c.host_id))
        .order_by(accounts.c.mailbox, accounts.c.id)
    )


def _account(row: Row[Any]) -> Account:
    return Account(
        account_id=str(row.id),
        host_id=str(row.host_id),
        user_id=str(row.user_id),
        user_email=row.user_email,
        mailbox=row.mailbox,
        time_zone=row.time_zone,
        is_impersonation_account=row.is_impersonation_account,
        calendar=row.calendar and row.host_is_in_use,
        send_email=row.send_email and row.host_is_in_use,
        all_day_tasks=row.all_day_tasks,
        secret=row.secret,
    )
