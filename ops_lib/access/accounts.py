"""Accounts: whose mailbox on which host is kept in step, and with what enabled.

A CRM user has at most one account whose calendar is kept in step: an activity stands in one calendar. A mailbox belongs to one
user, on whatever host: otherwise the activities of two people would run into each other through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from ops_lib.access.hosts import Hosts
from ops_lib.crm.directory import Directory, address
from ops_lib.crm.rows import number
from ops_lib.database.tables import accounts, users
from ops_lib.errors import InputError, NotThere
from ops_lib.model import Account, Host, User


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
        email. **Raises** `NotThere`, and `InputError` with the reason when this account cannot be.
        """
        user = self._directory.user(user_email)
        chosen = self._host_for(user, host)
        mailbox = address(mailbox) if mailbox else user.email
        for existing in map(_account, self._connection.execute(_query().where(accounts.c.mailbox == mailbox)).all()):
            if existing.user_id != user.user_id:
                raise InputError(
                    f"the mailbox belongs to the account of {existing.user_email} on host {self._hosts.by_id(existing.host_id).name}:"
                    " two CRM users cannot be kept in step with one calendar",
                    subject=mailbox,
                    fix="give this user's own mailbox with --email.",
                )
            if existing.host_id == chosen.host_id:
                return existing
        if not is_impersonation_account and chosen.community_id not in (None, *user.community_ids):
            community = next(
                each.name for each in self._directory.communities() if each.community_id == chosen.community_id
            )
            raise InputError(
                f"host {chosen.name} serves {community} only, and the user does not belong to it",
                subject=user.email,
                fix=f"use {self._names(self._hosts.serving(user.community_ids)) or 'another host'},"
                f" or syncops user add --email {user.email} --community {community!r}.",
            )
        if calendar:
            self._refuse_second_calendar(user)
        _check_secret(chosen, secret, subject=mailbox)
        query = insert(accounts).values(
            host_id=number(chosen.host_id),
            user_id=number(user.user_id),
            mailbox=mailbox,
            is_impersonation_account=is_impersonation_account,
            calendar=calendar,
            send_email=send_email,
            all_day_tasks=all_day_tasks,
            secret=secret,
        )
        return self.by_id(str(self._connection.execute(query.returning(accounts.c.id)).scalar_one()))

    def enable(
        self,
        account: Account,
        *,
        calendar: bool = True,
        send_email: bool | None = None,
        all_day_tasks: bool | None = None,
    ) -> Account:
        """Keep the account in step (again): its calendar unless told otherwise, and what else is given."""
        if calendar and not account.calendar:
            self._refuse_second_calendar(self._directory.user_by_id(account.user_id))
        return self._set(
            account,
            calendar=calendar,
            send_email=account.send_email if send_email is None else send_email,
            all_day_tasks=account.all_day_tasks if all_day_tasks is None else all_day_tasks,
        )

    def disable(self, account: Account) -> Account:
        """Stop keeping the account in step; nothing is removed on either side, and its links rest until it is enabled."""
        return self._set(account, calendar=False, send_email=False)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _host_for(self, user: User, name: str | None) -> Host:
        if name is not None:
            return self._hosts.get(name)
        serving = self._hosts.serving(user.community_ids)
        if not serving:
            raise NotThere(
                "no host serves this user's community", subject=user.email, fix="syncops host add makes one."
            )
        if len(serving) > 1:
            raise InputError(
                f"several hosts serve this user ({self._names(serving)})",
                subject=user.email,
                fix="choose one with --host.",
            )
        return serving[0]

    def _refuse_second_calendar(self, user: User) -> None:
        for other in self.of_user(user.user_id):
            if other.calendar:
                raise InputError(
                    f"the user's calendar is kept in step through {other.mailbox} on host {self._hosts.by_id(other.host_id).name}"
                    " already, and an activity can stand in one calendar only",
                    subject=user.email,
                    fix=f"syncops account disable {other.mailbox}, or add this one with --no-calendar.",
                )

    def _set(self, account: Account, **columns: bool) -> Account:
        self._connection.execute(update(accounts).where(accounts.c.id == number(account.account_id)).values(columns))
        return self.by_id(account.account_id)

    @staticmethod
    def _names(hosts: Sequence[Host]) -> str:
        return " or ".join(each.name for each in hosts)


def _check_secret(host: Host, secret: str, *, subject: str) -> None:
    if host.access == "direct" and host.auth in ("basic", "ntlm") and not secret:
        raise InputError(
            f"on host {host.name} every account signs in itself, and its password is missing",
            subject=subject,
            fix="give --password-env or --password-file.",
        )
    if host.access != "direct" and secret:
        raise InputError(
            f"on host {host.name} the service account signs in for every account: this one needs no password",
            subject=subject,
            fix="leave the password out, or make the host --access direct.",
        )


def _query() -> Select[Any]:
    return (
        select(accounts, users.c.email.label("user_email"), users.c.time_zone)
        .join(users, users.c.id == accounts.c.user_id)
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
        calendar=row.calendar,
        send_email=row.send_email,
        all_day_tasks=row.all_day_tasks,
        secret=row.secret,
    )
