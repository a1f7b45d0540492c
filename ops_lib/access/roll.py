"""Who may have an account where: the rules, over what is known of users, hosts and accounts. Nothing is read or written here.

One account is judged against the few rows that touch it, an import of thousands against a roll of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ops_lib.crm.directory import address
from ops_lib.errors import InputError, NotThere
from ops_lib.model import Account, Host, User


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInput:
    """What a person enters for an account. Without ``host`` it is the one that serves the user's community; without ``mailbox`` the user's email."""

    user_email: str
    host: str | None = None
    mailbox: str | None = None
    is_impersonation_account: bool = False
    calendar: bool = True
    send_email: bool = False
    all_day_tasks: bool = False
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account belongs; ``existing`` is the user's account for that mailbox on that host, where there is one."""

    user: User
    host: Host
    mailbox: str
    existing: Account | None


class Roll:
    """What is known of users, hosts and accounts. ``communities`` are names by id."""

    def __init__(
        self,
        *,
        users: Iterable[User],
        hosts: Sequence[Host],
        communities: Mapping[str, str],
        accounts: Iterable[Account],
    ) -> None:
        self._users = {user.email: user for user in users}
        self._hosts = hosts
        self._by_name = {host.name.casefold(): host for host in hosts}
        self._names = {host.host_id: host.name for host in hosts}
        self._communities = communities
        self._claims: dict[str, list[Account]] = {}
        self._calendars: dict[str, Account] = {}
        for account in accounts:
            self.enter(account)

    def enter(self, account: Account) -> None:
        """Take note of an account, so that what comes later is judged by it too."""
        self._claims.setdefault(account.mailbox, []).append(account)
        if account.calendar:
            self._calendars[account.user_id] = account

    def place(self, wanted: AccountInput, *, reached: Callable[[str], None] = lambda field: None) -> Place:
        """Where the account belongs. ``reached`` is told which field is looked at next.

        **Raises** `NotThere`, and `InputError` with the reason when this account cannot be.
        """
        reached("user")
        user = self._user(wanted.user_email)
        reached("host")
        host = self._host(wanted.host, user)
        reached("mailbox")
        mailbox = address(wanted.mailbox) if wanted.mailbox else user.email
        existing = self._existing(mailbox, user, host)
        if existing is not None:
            return Place(user, host, mailbox, existing)
        reached("host")
        if host.is_retired:
            raise InputError(
                f"host {host.name} is retired", subject=user.email, fix=f"syncops host restore {host.name!r}."
            )
        if not wanted.is_impersonation_account:
            self._refuse_other_communities(user, host)
        reached("calendar")
        if wanted.calendar:
            self.refuse_second_calendar(user.user_id, user.email)
        reached("password")
        _check_secret(host, wanted.secret, subject=mailbox)
        return Place(user, host, mailbox, None)

    def serving(self, user: User) -> list[Host]:
        """The hosts for a user: their communities' own, and where there is none the company's (H2). A retired host serves nobody."""
        used = [host for host in self._hosts if not host.is_retired]
        own = [host for host in used if host.community_id in user.community_ids]
        return own or [host for host in used if host.community_id is None]

    def refuse_second_calendar(self, user_id: str, user_email: str) -> None:
        """An activity stands in one calendar only. **Raises** `InputError` where the user's is kept in step already."""
        other = self._calendars.get(user_id)
        if other is not None:
            raise InputError(
                f"the user's calendar is kept in step through {other.mailbox} on host {self._names[other.host_id]}"
                " already, and an activity can stand in one calendar only",
                subject=user_email,
                fix=f"syncops account disable {other.mailbox}, or add this one with --no-calendar.",
            )

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _user(self, email: str) -> User:
        found = self._users.get(email.strip().lower())
        if found is None:
            raise NotThere(
                f"there is no CRM user {email}", fix="syncops user list shows them; syncops user add makes one."
            )
        return found

    def _host(self, name: str | None, user: User) -> Host:
        if name is not None:
            found = self._by_name.get(name.strip().casefold())
            if found is None:
                known = ", ".join(host.name for host in self._hosts) or "none"
                raise NotThere(f"there is no host {name} (known: {known})", fix="syncops host add makes one.")
            return found
        serving = self.serving(user)
        if not serving:
            raise NotThere(
                "no host serves this user's community", subject=user.email, fix="syncops host add makes one."
            )
        if len(serving) > 1:
            raise InputError(
                f"several hosts serve this user ({_names(serving)})", subject=user.email, fix="choose one with --host."
            )
        return serving[0]

    def _existing(self, mailbox: str, user: User, host: Host) -> Account | None:
        """The user's account there. A mailbox belongs to one user, on whatever host."""
        for claim in self._claims.get(mailbox, ()):
            if claim.user_id != user.user_id:
                raise InputError(
                    f"the mailbox belongs to the account of {claim.user_email} on host {self._names[claim.host_id]}:"
                    " two CRM users cannot be kept in step with one calendar",
                    subject=mailbox,
                    fix="give this user's own mailbox with --email.",
                )
        return next((claim for claim in self._claims.get(mailbox, ()) if claim.host_id == host.host_id), None)

    def _refuse_other_communities(self, user: User, host: Host) -> None:
        if host.community_id is None or host.community_id in user.community_ids:
            return
        community = self._communities[host.community_id]
        raise InputError(
            f"host {host.name} serves {community} only, and the user does not belong to it",
            subject=user.email,
            fix=f"use {_names(self.serving(user)) or 'another host'},"
            f" or syncops user add --email {user.email} --community {community!r}.",
        )


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


def _names(hosts: Sequence[Host]) -> str:
    return " or ".join(each.name for each in hosts)
