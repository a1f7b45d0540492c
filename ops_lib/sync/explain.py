"""Why is my activity not on my calendar? Answered from the CRM, the settings and the ledger, for one activity (T4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from ops_lib.database import tables as t
from ops_lib.model import Account, Activity, ActivityStatus, Host, LinkState, Origin
from ops_lib.sync.cycle import policy_of
from ops_lib.sync.ledger import Ledger, Retry
from ops_lib.sync.mapping import instant_text
from ops_lib.sync.scope import is_current, why_not
from ops_lib.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether both sides hold the activity, since it was last looked at, and everything that stands against it, with what to do."""

    activity_id: str
    in_step: bool
    item_id: str
    reasons: list[tuple[str, str]]


def explain(
    workspace: Workspace, connection: Connection, activity: Activity, accounts: Sequence[tuple[Account, Host]]
) -> Explanation:
    """What is known of the activity. ``accounts`` are its user's, each with its host. Reads the database only."""
    reasons: list[tuple[str, str]] = []
    if activity.is_deleted:
        reasons.append(("it was deleted or rescheduled in the CRM", "look for the activity that stands in its place."))
    elif activity.status is ActivityStatus.CANCELLED:
        reasons.append(
            (
                "it is Cancelled: what is cancelled is removed from both calendars",
                "set it to Scheduled if it takes place.",
            )
        )
    enabled = [(account, host) for account, host in accounts if account.calendar]
    if not accounts:
        reasons.append(("its user has no account: no mailbox is kept in step", "syncops account add --user EMAIL."))
    elif not enabled:
        reasons.append(("its user's account is switched off", "syncops account enable EMAIL."))
    item_id = ""
    for account, host in enabled:
        ledger = Ledger(connection)
        link = next(
            (
                each
                for each in ledger.links(account.account_id)
                if each.activity_id == activity.activity_id and each.state is not LinkState.REPLACED
            ),
            None,
        )
        item_id = link.item_id if link is not None else ""
        policy = policy_of(host, account, workspace.now())
        if not reasons:
            excuse = why_not(activity, policy, link)
            if excuse:
                reasons.append((excuse, _mend(excuse, host)))
            elif not is_current(activity.origin, activity.when, policy):
                reasons.append(("its time is over: it is no longer kept in step", "nothing to do."))
        reasons += [
            (_told(retry), _what_next(retry))
            for retry in ledger.retries(account.account_id)
            if retry.key == f"activity:{activity.activity_id}" and retry.attempts
        ]
        status = ledger.status(account.account_id, "calendar")
        if status is not None and status.attempts:
            reasons.append(
                (
                    f"the account's last {status.attempts} cycle(s) failed: {status.sub_cause}",
                    "syncops status says who must act.",
                )
            )
        if link is None and not reasons and activity.origin is Origin.CRM:
            reasons.append(
                (
                    "it is not sent yet: no cycle has run since it was made or changed",
                    "syncops sync, or wait for the next cycle (45 minutes at worst).",
                )
            )
        elif link is not None and not reasons and activity.version > link.crm_version:
            reasons.append(("its last change is not sent yet", "syncops sync, or wait for the next cycle."))
    return Explanation(
        activity_id=activity.activity_id, in_step=bool(item_id) and not reasons, item_id=item_id, reasons=reasons
    )


def _told(retry: Retry) -> str:
    tries = f"{retry.attempts} {'try' if retry.attempts == 1 else 'tries'}"
    last = f", the last at {instant_text(retry.failed_at)}" if retry.failed_at is not None else ""
    code = f" ({retry.response_code})" if retry.response_code and retry.response_code not in retry.reason else ""
    return f"it could not be written or read ({tries}{last}): {retry.reason}{code}"


def _what_next(retry: Retry) -> str:
    if retry.is_set_aside:
        return f"mend what the reason names, then syncops retry {retry.key}; an edit on either side is a new try too."
    return f"nothing yet: it is tried again from {instant_text(retry.next_at)} on."


def last_outcomes(connection: Connection, activity_id: str, limit: int = 10) -> list[dict[str, Any]]:
    """What the last runs did with the activity, newest first; ``loser`` is the version that a conflict set aside."""
    c = t.run_items.c
    rows = connection.execute(
        select(c.at, c.run_id, c.action, c.side, c.outcome, c.reason, c.response_code, c.loser)
        .where(c.activity_id == int(activity_id))
        .order_by(c.id.desc())
        .limit(limit)
    )
    return [
        {
            "at": row.at.isoformat().replace("+00:00", "Z"),
            "run": str(row.run_id),
            "action": row.action,
            "side": row.side,
            "outcome": row.outcome,
            "reason": row.reason,
            "response_code": row.response_code,
            "loser": row.loser,
        }
        for row in rows
    ]


def _mend(excuse: str, host: Host) -> str:
    if "type" in excuse:
        return f"syncops host edit {host.name} --types …, with its type among them."
    if "start" in excuse:
        return "correct its times in the CRM."
    if "tasks are not enabled" in excuse:
        return (
            f"give it a start and an end; or syncops host edit {host.name} --all-day-tasks and the same on the account."
        )
    return "nothing to do."
