"""Judge facts: every check is asked, in the order in which one thing needs another, and what an earlier failure explains says so. Pure.

"Now" is the moment the facts were collected at, so that an old file is judged as of then, by today's checks.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops_lib.diagnosis import checks_account, checks_connection, checks_items
from ops_lib.diagnosis.judging import Case, Check, Told, moment, whole
from ops_lib.diagnosis.seen import Facts
from ops_lib.diagnosis.standing import Kept, Standing, error_of, standing
from ops_lib.diagnosis.sub_causes import SUB_CAUSES, named
from ops_lib.model import Finding

CHECKS: tuple[Check, ...] = (
    *checks_account.FIRST,
    *checks_connection.CHECKS,
    *checks_account.CHECKS,
    *checks_items.CHECKS,
)
"""In the order in which one needs another: causes before their consequences."""

FOLLOWS = "follows from "
"""How the cause of a finding begins that an earlier one explains."""

_FIRST = {"fail": 0, "warn": 2, "unknown": 3, "ok": 4}


def judge(facts: Facts) -> list[Finding]:
    """What the facts mean: causes first, then what follows from them, warnings, what could not be seen, and what is well."""
    case = Case(facts)
    told = [(check, each) for check in CHECKS for each in _looked(check, case)]
    failed = [check.name for check in CHECKS if any(who is check and each.verdict == "fail" for who, each in told)]
    ranked: list[tuple[int, Finding]] = []
    for check, each in told:
        earlier = _earlier(check, each, failed)
        rank = _FIRST[each.verdict] + (1 if earlier and each.verdict == "fail" else 0)
        ranked.append((rank, _finding(check, each, facts, earlier)))
    ranked.sort(key=lambda each: each[0])
    return [finding for _, finding in ranked]


def _looked(check: Check, case: Case) -> list[Told]:
    """What a check says. Facts that somebody edited may hold anything: what cannot be judged is unknown."""
    try:
        return list(check.look(case))
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        return [Told(verdict="unknown", observed=f"these facts cannot be judged: {type(error).__name__}")]


def _earlier(check: Check, told: Told, failed: Sequence[str]) -> str:
    """The failed check that explains what this one says; of failures only one that comes before it."""
    if told.verdict == "ok" or told.stands_alone:
        return ""
    if told.follows in failed:
        return told.follows
    before = failed[: failed.index(check.name)] if check.name in failed else failed
    among = before if told.verdict == "fail" else failed
    return next((name for name in among if name in check.after and name != check.name), "")


def leading(findings: Sequence[Finding]) -> Finding | None:
    """The finding to begin with: the first failure, else the first warning, else the first that could not be seen; None where all is well."""
    for verdict in ("fail", "warn", "unknown"):
        found = next((each for each in findings if each.verdict == verdict), None)
        if found is not None:
            return found
    return None


def standing_of(facts: Facts) -> Standing | None:
    """How the account's calendar stands by these facts; None where they do not hold it."""
    case = Case(facts)
    probe, account = case.probe("status"), case.probe("account")
    if not probe.is_seen or not account.is_seen:
        return None
    found = probe.get("calendar")
    since = moment(probe.get("calendar", "since"))
    kept = None
    if isinstance(found, dict) and since is not None:
        kept = Kept(
            status=str(found.get("status") or ""),
            since=since,
            last_success=moment(found.get("last_success")),
            attempts=whole(found.get("attempts")),
            response_code=str(found.get("response_code") or ""),
            said=str(found.get("sub_cause") or ""),
            error=error_of(str(found.get("evidence") or "")),
        )
    return standing(
        kept,
        is_enabled=bool(account.get("calendar")),
        is_retired=bool(case.probe("host").get("is_retired")),
        about=case.circumstances,
        now=facts.at,
        set_aside=whole(case.probe("failures").get("set_aside")),
    )


def _finding(check: Check, told: Told, facts: Facts, earlier: str) -> Finding:
    known = SUB_CAUSES.get(told.sub_cause)
    cause = told.cause or (f"{known.title}: {known.meaning}" if known is not None else "")
    next_step = told.next_step or (known.next_step if known is not None else "")
    owner = told.owner or (known.owner if known is not None else "")
    next_step = named(next_step, facts.host, facts.account)
    if earlier:
        owner = ""
        cause = (
            f"follows from '{earlier}'"
            if told.verdict == "unknown" or not told.cause
            else f"{told.cause}; {FOLLOWS}'{earlier}'"
        )
        next_step = f"mend '{earlier}' first."
    return Finding(
        check=check.name,
        layer=check.layer,
        subject=told.subject or (facts.host if check.layer == "connection" else facts.account),
        verdict=told.verdict,
        observed=told.observed,
        expected=told.expected or check.expected,
        cause=cause,
        next_step=next_step,
        evidence=told.evidence,
        source=told.source,
        owner="" if told.verdict == "ok" else owner,
        sub_cause="" if told.verdict == "ok" else told.sub_cause,
    )
