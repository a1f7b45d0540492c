"""What the workspace itself knows of an account: settings, how it stands, what failed, who else has the mailbox. Read from the database only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.access.sign_ins import BY_PERSON, SignInStates
from ops_lib.crm.directory import Directory
from ops_lib.crm.rows import number
from ops_lib.database import tables as t
from ops_lib.diagnosis.looking import Looking, Sight
from ops_lib.mailbox.ews.requests import knows_zone, windows_zone
from ops_lib.model import Account, Host
from ops_lib.sync.failures import failures
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import instant_text
from ops_lib.workspace import Workspace

LAST_RUNS = 10
DAYS_BACK, DAYS_AHEAD = 2, 90
CODES_SHOWN = 20


def look_at_records(looking: Looking, workspace: Workspace, host: Host, account: Account) -> None:
    """Every probe that needs the workspace alone."""

    def read(question: Callable[[Connection], dict[str, Any]]) -> Callable[[], Sight]:
        def asked() -> Sight:
            with workspace.database.read() as connection:
                return Sight(question(connection))

        return asked

    now = workspace.now()
    looking.look("account", "the account's settings", lambda: Sight(_settings(account)), is_bounded=False)
    looking.look("host", "the host's settings", lambda: Sight(_settings(host)), is_bounded=False)
    looking.look("secret", "the host's secret", lambda: _secret(workspace, host, account), is_bounded=False)
    for name, asked, question in (
        ("status", "account_statuses", lambda c: _statuses(c, account)),
        ("sign_in", "sign_ins", lambda c: _sign_in(c, host, account)),
        ("failures", "retries", lambda c: _failures(c, account, now)),
        ("progress", "links, intents and reading positions", lambda c: _progress(c, account)),
        ("runs", "run_accounts", lambda c: _runs(c, account)),
        ("lease", "leases", lambda c: _lease(c, account)),
        ("neighbours", "the host's other accounts", lambda c: _neighbours(c, host, account)),
        ("crm", "activity types and activities", lambda c: _crm(c, host, account, now)),
    ):
        looking.look(name, asked, read(question), is_bounded=False)


def look_at_claims(looking: Looking, workspace: Workspace, account: Account, addresses: Collection[str]) -> None:
    """Which other accounts have this mailbox, under any of its addresses."""
    wanted = sorted({account.mailbox.lower(), *(each.lower() for each in addresses)})

    def question() -> Sight:
        with workspace.database.read() as connection:
            query = (
                select(t.accounts.c.id, t.accounts.c.mailbox, t.accounts.c.calendar, t.users.c.email, t.hosts.c.name)
                .join(t.users, t.users.c.id == t.accounts.c.user_id)
                .join(t.hosts, t.hosts.c.id == t.accounts.c.host_id)
                .where(t.accounts.c.mailbox.in_(wanted), t.accounts.c.id != number(account.account_id))
                .order_by(t.accounts.c.id)
            )
            rows = connection.execute(query).all()
        others = [
            {"mailbox": row.mailbox, "user": row.email, "host": row.name, "calendar": bool(row.calendar)}
            for row in rows
        ]
        return Sight({"addresses": wanted, "others": others})

    looking.look("claims", "accounts with the same mailbox", question, is_bounded=False)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _settings(values: Host | Account) -> dict[str, Any]:
    """The settings as plain JSON; of a secret only whether there is one and where it is kept."""
    plain = {name: _plain(value) for name, value in asdict(values).items() if name not in ("secret", "ca_bundle")}
    if isinstance(values, Host):
        plain["has_ca_bundle"] = bool(values.ca_bundle)
    plain["secret_kind"] = values.secret.partition(":")[0]
    if isinstance(values, Account):
        plain["windows_zone"] = windows_zone(values.time_zone)[0] if knows_zone(values.time_zone) else ""
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset | set | tuple | list):
        return sorted(value) if isinstance(value, frozenset | set) else list(value)
    return value


def _secret(workspace: Workspace, host: Host, account: Account) -> Sight:
    """Whether the secret that signs in is there, and whether it looks like a secret's ID. **Raises** what reading it raises."""
    from ops_lib.access.checks import looks_like_guid

    reference = account.secret if host.access == "direct" and host.auth in ("basic", "ntlm") else host.secret
    if not reference:
        return Sight({"is_set": False})
    value = workspace.access.secrets(reference)
    return Sight({"is_set": True, "kind": reference.partition(":")[0], "looks_like_an_id": looks_like_guid(value)})


# ── how it stands ────────────────────────────────────────────────────────────────────────────────────────────────────
def _statuses(connection: Connection, account: Account) -> dict[str, Any]:
    ledger = Ledger(connection)
    found: dict[str, Any] = {}
    for process in ("calendar", "email"):
        kept = ledger.status(account.account_id, process)
        if kept is not None:
            found[process] = {
                name: instant_text(value) if isinstance(value, datetime) else value
                for name, value in asdict(kept).items()
                if name not in ("account_id", "process")
            }
    return found


def _sign_in(connection: Connection, host: Host, account: Account) -> dict[str, Any]:
    if host.auth not in BY_PERSON:
        return {"by_person": False}
    states = SignInStates(connection)
    signer = states.signer(host, account)
    state = states.of(signer)
    return {
        "by_person": True,
        "signer": signer.mailbox,
        **{name: _plain(value) for name, value in asdict(state).items()},
    }


def _failures(connection: Connection, account: Account, now: datetime) -> dict[str, Any]:
    """What waits for another try or was set aside, by response code and reason. No titles: they are people's."""
    groups: dict[tuple[str, bool], dict[str, Any]] = defaultdict(
        lambda: {"count": 0, "reason": "", "oldest": "", "keys": []}
    )
    found = failures(connection, account, now)
    for failure in found:
        retry = failure.retry
        group = groups[retry.response_code, retry.is_set_aside]
        failed_at = instant_text(retry.failed_at) if retry.failed_at is not None else ""
        group["count"] += 1
        group["reason"] = group["reason"] or retry.reason
        group["oldest"] = min(filter(None, (group["oldest"], failed_at)), default="")
        if len(group["keys"]) < CODES_SHOWN:
            group["keys"].append(retry.key)
    rows = [{"response_code": code, "is_set_aside": aside, **group} for (code, aside), group in groups.items()]
    rows.sort(key=lambda row: (not row["is_set_aside"], -row["count"], row["response_code"]))
    aside = sum(failure.retry.is_set_aside for failure in found)
    return {"waiting": len(found) - aside, "set_aside": aside, "groups": rows[:CODES_SHOWN]}


def _progress(connection: Connection, account: Account) -> dict[str, Any]:
    ledger = Ledger(connection)
    c = t.intents.c
    query = select(func.count(), func.min(c.created_at)).where(
        c.account_id == number(account.account_id), c.state == "open"
    )
    count, oldest = connection.execute(query).one()
    position = ledger.position(account.account_id)
    return {
        "links": ledger.count_links(account.account_id),
        "open_intents": int(count),
        "oldest_intent": instant_text(oldest) if oldest is not None else "",
        "has_calendar_state": bool(position.calendar_state),
        "has_tasks_state": bool(position.tasks_state),
    }


def _runs(connection: Connection, account: Account) -> dict[str, Any]:
    c = t.run_accounts.c
    rows = connection.execute(
        select(t.run_accounts)
        .where(c.account_id == number(account.account_id))
        .order_by(c.run_id.desc())
        .limit(LAST_RUNS)
    )
    return {
        "last": [
            {
                "run": str(row.run_id),
                "started_at": instant_text(row.started_at),
                "outcome": row.outcome,
                "response_code": row.response_code,
                "requests": row.requests,
                "seconds": round(row.seconds, 1),
            }
            for row in rows
        ]
    }


def _lease(connection: Connection, account: Account) -> dict[str, Any]:
    row = connection.execute(select(t.leases).where(t.leases.c.account_id == number(account.account_id))).one_or_none()
    if row is None:
        return {"held": False}
    return {"held": row.until > datetime.now(UTC), "until": instant_text(row.until)}


def _neighbours(connection: Connection, host: Host, account: Account) -> dict[str, Any]:
    """How the other accounts of the host stand: what all share is the host's, what one has is its own."""
    a, s = t.accounts.c, t.account_statuses.c
    rows = connection.execute(
        select(s.status, s.response_code, func.count(), func.max(s.last_success))
        .select_from(t.accounts.join(t.account_statuses, a.id == s.account_id))
        .where(a.host_id == number(host.host_id), a.id != number(account.account_id), s.process == "calendar")
        .group_by(s.status, s.response_code)
        .order_by(s.status, s.response_code)
    ).all()
    total = select(func.count()).where(a.host_id == number(host.host_id), a.id != number(account.account_id))
    successes = [row[3] for row in rows if row[3] is not None]
    return {
        "accounts": int(connection.execute(total).scalar_one()),
        "last_success": instant_text(max(successes)) if successes else "",
        "statuses": [{"status": row[0], "response_code": row[1], "count": int(row[2])} for row in rows],
    }


def _crm(connection: Connection, host: Host, account: Account, now: datetime) -> dict[str, Any]:
    """What the CRM has to send: the types chosen, and how many activities of the window are of them."""
    names = {each.type_id: each.name for each in Directory(connection).activity_types()}
    c = t.activities.c
    start, end = now - timedelta(days=DAYS_BACK), now + timedelta(days=DAYS_AHEAD)
    in_window = [
        c.user_id == number(account.user_id),
        c.is_deleted.is_(False),
        c.status == "Scheduled",
        c.origin == "crm",
        or_(c.starts_at.between(start, end), c.first_day.between(start.date(), end.date())),
    ]
    chosen = [number(each) for each in host.type_ids]
    is_backwards = (c.starts_at.is_not(None)) & (c.starts_at >= c.ends_at)

    def count(*conditions: Any) -> int:
        return int(
            connection.execute(
                select(func.count()).select_from(t.activities).where(*in_window, *conditions)
            ).scalar_one()
        )

    return {
        "types": sorted(names.get(each, each) for each in host.type_ids),
        "inbound_type": names.get(host.inbound_type_id, ""),
        "scheduled": count(),
        "of_chosen_types": count(c.type_id.in_(chosen)),
        "all_day_of_chosen_types": count(c.type_id.in_(chosen), c.is_all_day.is_(True)),
        "end_not_after_start": count(c.type_id.in_(chosen), is_backwards),
        "hosts": [each.name for each in Hosts(connection).all() if not each.is_retired],
        "accounts_of_user": len(Accounts(connection).of_user(account.user_id)),
    }
