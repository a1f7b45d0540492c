"""Why is my activity not on my calendar? Answered from the CRM, the settings and the ledger, for one activity (T4).

What both sides hold at this moment is `both_sides`' to see, what happened so far `timeline`'s to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from ops_lib.access.hosts import Hosts
from ops_lib.access.sign_ins import SignInStates
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.diagnosis.statuses import SYNCING, UNATTEMPTED, owner_and_next_step
from ops_lib.model import Account, Activity, ActivityStatus, AllDay, Host, Kind, Link, LinkState, Origin
from ops_lib.sync.cycle import policy_of
from ops_lib.sync.ledger import Ledger, Retry, Status
from ops_lib.sync.pauses import Pauses, is_over, keys_of
from ops_lib.sync.scope import SyncPolicy, is_current, is_gone, kind_of, why_not
from ops_lib.workspace import Workspace

Reasons = list[tuple[str, str]]
"""What stands against an entry, in words that follow "because", and what to do about it."""

LATE_AFTER = timedelta(minutes=45)
"""A change is to be in Outlook by then (C7); an account without a cycle for longer has nobody who runs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether both sides hold the activity, since it was last looked at, and everything that stands against it, worst first, with what to do.

    ``notes`` explain what is as it should be and still surprises: a task is not in the calendar, a private event has no title.
    ``where`` is the account and host that keep the activity in step, ``link`` its pairing, where there are any.
    """

    activity_id: str
    in_step: bool
    item_id: str
    reasons: Reasons
    notes: Reasons
    where: tuple[Account, Host] | None = None
    link: Link | None = None
    status: str = ""


def explain(
    workspace: Workspace, connection: Connection, activity: Activity, accounts: Sequence[tuple[Account, Host]]
) -> Explanation:
    """What is known of the activity. ``accounts`` are its user's, each with its host. Reads the database only."""
    where = next(((account, host) for account, host in accounts if account.calendar), None)
    reasons = [*_gone(workspace, connection, activity), *_unserved(connection, activity, accounts, where)]
    notes: Reasons = []
    link, status = None, ""
    if where is not None:
        account, host = where
        ledger = Ledger(connection)
        link = _link_of(ledger, account, activity)
        policy = policy_of(host, account, workspace.now())
        own = list(_out_of_scope(activity, link, host, account, policy)) if not is_gone(activity) else []
        tries = [
            (told(retry, account.mailbox), what_next(retry))
            for retry in ledger.retries(account.account_id)
            if retry.key in _keys_of(activity, link) and retry.attempts
        ]
        kept = ledger.status(account.account_id, "calendar")
        status = kept.status if kept is not None else UNATTEMPTED
        reasons += [*own, *tries, *account_troubles(workspace, connection, account, host, kept)]
        if not reasons:
            reasons = list(_not_yet(workspace, ledger, activity, account, link, kept))
        notes = list(_notes(activity, link, policy))
    item_id = link.item_id if link is not None else ""
    return Explanation(
        activity_id=activity.activity_id,
        in_step=bool(item_id) and not reasons,
        item_id=item_id,
        reasons=reasons,
        notes=notes,
        where=where,
        link=link,
        status=status,
    )


# ── the activity itself ──────────────────────────────────────────────────────────────────────────────────────────────
def _gone(workspace: Workspace, connection: Connection, activity: Activity) -> Iterator[tuple[str, str]]:
    if activity.is_deleted:
        later = list(SqlCrm(connection, workspace.now()).successors([activity.activity_id]).values())
        if later:
            successor = next((each for each in later if not each.is_deleted), later[-1])
            yield (
                f"it was rescheduled: activity {successor.activity_id} stands in its place",
                f"syncops explain {successor.activity_id} looks at that one.",
            )
        else:
            yield (
                "it was deleted: what is deleted in the CRM is removed from Outlook too",
                "add it again if it takes place.",
            )
    elif activity.status is ActivityStatus.CANCELLED:
        yield (
            "it is Cancelled: what is cancelled is removed from both calendars",
            "set it to Scheduled if it takes place.",
        )


def _out_of_scope(
    activity: Activity, link: Link | None, host: Host, account: Account, policy: SyncPolicy
) -> Iterator[tuple[str, str]]:
    excuse = why_not(activity, policy, link)
    if excuse:
        yield excuse, _mend(excuse, host, account)
    if is_current(activity.origin, activity.when, policy):
        return
    if activity.origin is Origin.CRM:
        yield (
            "its time is over: it ended more than 90 days ago, and is no longer kept in step",
            "nothing; nothing of it was removed either.",
        )
    else:
        yield (
            "it is an Outlook event outside the days that the CRM shows, from 2 days ago to 90 days ahead",
            "nothing: it comes back by itself when its day is near; what is past stays in Outlook.",
        )


def _mend(excuse: str, host: Host, account: Account) -> str:
    if "type" in excuse:
        return f"choose a type that is sent, or add its type to the host's: syncops host edit {host.name!r} --types TYPE,TYPE."
    if "start" in excuse:
        return "correct its times in the CRM: the start must be before the end."
    if "tasks are not enabled" in excuse:
        steps = []
        if not host.all_day_tasks:
            steps.append(f"syncops host edit {host.name!r} --all-day-tasks")
        if not account.all_day_tasks:
            steps.append(f"syncops account enable {account.user_email} --all-day-tasks")
        return f"give it a start and an end, if it is to stand in the calendar; or {' and '.join(steps)}, if a task will do."
    if "completed" in excuse:
        return "nothing: what is completed is not put on a to-do list."
    return "nothing to do."


def _notes(activity: Activity, link: Link | None, policy: SyncPolicy) -> Iterator[tuple[str, str]]:
    if is_gone(activity):
        return
    kind = link.kind if link is not None else kind_of(activity)
    if kind is Kind.TASK and policy.all_day_tasks:
        yield (
            "it is all-day: it stands in Outlook's Tasks (To Do), not in the calendar",
            "look there, or give it a start and an end.",
        )
    elif isinstance(activity.when, AllDay) and kind is Kind.EVENT:
        yield "it is an all-day event: look at the top of its day", "nothing to do."
    if activity.is_private:
        said = (
            "the CRM shows it as Busy, without title, place and people"
            if activity.origin is Origin.EXCHANGE
            else "only its time is kept in step, each side keeps its own title and place"
        )
        yield (
            f"it is marked private in Outlook: {said}",
            "open it in Outlook, and take the mark off if others may see it.",
        )
    if activity.origin is Origin.EXCHANGE:
        yield (
            "it was made in Outlook: it has the host's type for such entries and no one in For, and is left out of reports",
            "nothing to do.",
        )


# ── whose calendar ───────────────────────────────────────────────────────────────────────────────────────────────────
def _unserved(
    connection: Connection,
    activity: Activity,
    accounts: Sequence[tuple[Account, Host]],
    where: tuple[Account, Host] | None,
) -> Iterator[tuple[str, str]]:
    user = Directory(connection).user_by_id(activity.user_id)
    serving = Hosts(connection).serving(user.community_ids)
    if not accounts:
        if serving:
            hosts = " or ".join(f"--host {host.name!r}" for host in serving)
            yield (
                f"its user {user.email} has no account: no mailbox is kept in step",
                f"syncops account add --user {user.email} {hosts}.",
            )
        else:
            yield (
                f"its user {user.email} has no account, and no host serves the user's community",
                "add a host for the community or for all: syncops host add.",
            )
        return
    if where is None:
        account, host = accounts[0]
        if host.is_retired:
            yield (
                f"the host {host.name!r} is retired: its accounts rest",
                f"syncops host restore {host.name!r}, or an account on another host.",
            )
        else:
            yield (
                f"its user's account {account.mailbox} is switched off",
                f"syncops account enable {account.user_email}.",
            )
        return
    account, host = where
    if serving and host.host_id not in {each.host_id for each in serving}:
        names = ", ".join(repr(each.name) for each in serving)
        yield (
            f"its user's account is on the host {host.name!r}, but the user's community is served by {names}",
            f"have an administrator move the account: syncops account add --user {user.email} --host {serving[0].name!r}.",
        )


def account_troubles(
    workspace: Workspace, connection: Connection, account: Account, host: Host, kept: Status | None
) -> Iterator[tuple[str, str]]:
    """What stands against everything of this account."""
    now = workspace.now()
    if host.auth in {"oauth-code", "oauth-device"}:
        signs_in = SignInStates(connection).signer(host, account)
        state = SignInStates(connection).of(signs_in)
        if state.state != "signed-in":
            yield (
                f"{signs_in.mailbox} has to sign in first{f': {state.reason}' if state.reason else ''}",
                state.fix or f"syncops signin {signs_in.mailbox}.",
            )
    if kept is None:
        return
    standing = [
        pause for pause in Pauses(connection).all(keys_of(host, account).values()).values() if not is_over(pause, now)
    ]
    what, mend = parted(kept.sub_cause, account.mailbox)
    if kept.status not in {SYNCING, UNATTEMPTED}:
        owner, next_step = owner_and_next_step(kept.status, kept.response_code)
        yield (
            f"the account's status is {kept.status!r} since {moment(kept.since)}: {what or 'no more is known'}",
            f"{owner} has to act: {next_step}",
        )
    elif kept.attempts and not standing:
        many = "once" if kept.attempts == 1 else f"{kept.attempts} times in a row"
        first = mend if mend and not mend.startswith("nothing") else "nothing yet."
        yield (
            f"the account's last cycle failed, {many} so far: {what}",
            f"{first} The next cycle tries again; after the fourth failure the status says who has to act.",
        )
    for pause in standing:
        code = f" ({pause.response_code})" if pause.response_code else ""
        yield (
            f"the server wants nobody to ask until {moment(pause.until)}{code}",
            "nothing: the first cycle after that goes on.",
        )


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _link_of(ledger: Ledger, account: Account, activity: Activity) -> Link | None:
    return next(
        (
            each
            for each in ledger.links(account.account_id)
            if each.activity_id == activity.activity_id and each.state is not LinkState.REPLACED
        ),
        None,
    )


def _keys_of(activity: Activity, link: Link | None) -> set[str]:
    return {f"activity:{activity.activity_id}", *([f"item:{link.item_id}"] if link is not None else [])}


def _not_yet(
    workspace: Workspace, ledger: Ledger, activity: Activity, account: Account, link: Link | None, kept: Status | None
) -> Iterator[tuple[str, str]]:
    """What the next cycle is to do, and when it is overdue."""
    waits = [
        (
            f"the next cycle looks at it again: {parted(retry.reason, account.mailbox)[0]}",
            "syncops sync, or wait for it.",
        )
        for retry in ledger.retries(account.account_id)
        if retry.key in _keys_of(activity, link) and not retry.attempts
    ]
    if any(intent.activity_id == activity.activity_id for intent in ledger.open_intents(account.account_id)):
        waits.append(
            (
                "a cycle began to send it, and its end is not recorded: the next one looks whether it is there",
                "syncops sync, or wait for it.",
            )
        )
    if not waits and link is None and activity.origin is Origin.CRM:
        waits.append(
            (
                "it is not sent yet: no cycle has run since it was made or changed",
                "syncops sync, or wait for the next cycle (45 minutes at worst).",
            )
        )
    elif not waits and link is not None and activity.version > link.crm_version:
        waits.append(("its last change is not sent yet", "syncops sync, or wait for the next cycle."))
    elif not waits and link is None:
        waits.append(
            (
                "it came from Outlook, and its event is not paired with it any more",
                "syncops sync, then syncops check; if it is a leftover, delete it in the CRM.",
            )
        )
    last = kept.last_success if kept is not None else None
    if waits and workspace.now() - max(last or activity.updated_at, activity.updated_at) > LATE_AFTER:
        since = f"since {moment(last)}" if last is not None else "yet"
        late = f"no cycle has succeeded {since}, and changes reach Outlook within 45 minutes: nothing runs the cycles"
        waits.insert(0, (late, "see that the schedule or service that runs `syncops sync` is up (docs/running.md)."))
    return iter(waits)


def told(retry: Retry, mailbox: str = "") -> str:
    """Why an entry waits for another try, or has had them all."""
    tries = f"{retry.attempts} {'try' if retry.attempts == 1 else 'tries'}"
    last = f", the last at {moment(retry.failed_at)}" if retry.failed_at is not None else ""
    what, _ = parted(retry.reason, mailbox)
    code = f" ({retry.response_code})" if retry.response_code and retry.response_code not in what else ""
    return f"it could not be written or read ({tries}{last}): {what}{code}"


def what_next(retry: Retry) -> str:
    """What is to be done about it."""
    mend = parted(retry.reason)[1].rstrip(".")
    if retry.is_set_aside:
        first = mend or "mend what the reason names"
        return f"{first}; then syncops retry {retry.key}. An edit on either side is a new try too."
    again = f"it is tried again from {moment(retry.next_at)} on"
    return f"{mend}; {again}." if mend else f"nothing yet: {again}."


def moment(at: datetime) -> str:
    """``2026-11-23 09:15 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def parted(said: str, mailbox: str = "") -> tuple[str, str]:
    """A kept error as what happened and what mends it: its words without the mailbox that everything here is about."""
    what, _, mend = said.partition(" To mend it: ")
    return what.removeprefix(f"{mailbox}: ").rstrip(".") if mailbox else what.rstrip("."), mend


def with_live(explanation: Explanation, found: Reasons) -> Explanation:
    """The same with what a look at the server added; it comes first where nothing else was known to be wrong."""
    if not found:
        return explanation
    return replace(explanation, in_step=False, reasons=[*explanation.reasons, *found])
