"""How every account stands, as `syncops status` shows it: what the ledger keeps, judged now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from ops_lib.access.checks import is_exchange_online
from ops_lib.access.hosts import Hosts
from ops_lib.database import tables as t
from ops_lib.diagnosis.judging import others_work
from ops_lib.diagnosis.standing import Kept, Standing, error_of, standing
from ops_lib.diagnosis.sub_causes import Circumstances, named
from ops_lib.model import Account, Host, Process
from ops_lib.sync.ledger import Ledger
from ops_lib.workspace import Workspace


def standings(
    workspace: Workspace, connection: Connection, accounts: Sequence[Account]
) -> list[tuple[Account, Host, Process, Standing]]:
    """Each account's processes, in the accounts' order."""
    ledger, now = Ledger(connection), workspace.now()
    hosts = {each.host_id: each for each in Hosts(connection).all()}
    successes, aside = _successes(connection), _set_aside(connection)
    found: list[tuple[Account, Host, Process, Standing]] = []
    for account in accounts:
        host = hosts[account.host_id]
        of_calendar = ledger.status(account.account_id, "calendar")
        newest = [when for who, when in successes.get(host.host_id, ()) if who != account.account_id]
        about = Circumstances(
            auth=host.auth,
            access=host.access,
            is_online=is_exchange_online(host.url),
            others_work=others_work(
                max(newest, default=None), of_calendar.last_success if of_calendar is not None else None, now
            ),
            today=now.date(),
        )
        enabled: dict[Process, bool] = {
            "calendar": account.calendar,
            "email": account.send_email and host.send_email,
        }
        for process, is_enabled in enabled.items():
            status = of_calendar if process == "calendar" else ledger.status(account.account_id, process)
            kept = (
                Kept(
                    status=status.status,
                    since=status.since,
                    last_success=status.last_success,
                    attempts=status.attempts,
                    response_code=status.response_code,
                    said=status.sub_cause,
                    error=error_of(status.evidence),
                )
                if status is not None
                else None
            )
            shown = standing(
                kept,
                is_enabled=is_enabled,
                is_retired=host.is_retired,
                about=about,
                now=now,
                is_due=process == "calendar",
                set_aside=aside.get(account.account_id, 0) if process == "calendar" else 0,
            )
            step = named(shown.next_step, host.name, account.mailbox)
            found.append((account, host, process, replace(shown, next_step=step)))
    return found


def _successes(connection: Connection) -> dict[str, list[tuple[str, datetime]]]:
    """By host, the two accounts whose calendars succeeded last: one of them is another one than whichever is asked about."""
    a, s = t.accounts.c, t.account_statuses.c
    rows: Any = connection.execute(
        select(a.host_id, a.id, s.last_success)
        .select_from(t.accounts.join(t.account_statuses, a.id == s.account_id))
        .where(s.process == "calendar", s.last_success.is_not(None))
        .order_by(s.last_success.desc())
    )
    found: dict[str, list[tuple[str, datetime]]] = {}
    for host_id, account_id, when in rows:
        newest = found.setdefault(str(host_id), [])
        if len(newest) < 2:
            newest.append((str(account_id), when))
    return found


def _set_aside(connection: Connection) -> dict[str, int]:
    """How many entries each account has that are not tried any more."""
    c = t.retries.c
    rows = connection.execute(select(c.account_id, func.count()).where(c.is_set_aside.is_(True)).group_by(c.account_id))
    return {str(account_id): int(count) for account_id, count in rows}
