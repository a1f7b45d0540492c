"""What the workspace knows of an account: what there is to send, how the last cycles ended, when one succeeded, and how the host's others fare. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ops_lib.diagnosis.judging import (
    FOLDER_CODES,
    IMPERSONATION_CODES,
    MAILBOX_CODES,
    Case,
    Told,
    ago,
    moment,
    owner_of_status,
    rows,
    whole,
)
from ops_lib.diagnosis.statuses import FRESH, MEANINGS, NOT_ENABLED, SYNCING, UNATTEMPTED
from ops_lib.diagnosis.sub_causes import of_failure

MANY_NEIGHBOURS = 2


def crm(case: Case) -> Iterator[Told]:
    """Has the CRM anything to send, of a type that the host sends?"""
    probe = case.probe("crm")
    if not probe.is_seen:
        yield case.not_seen(probe, source="crm")
        return
    types = probe.get("types")
    chosen = ", ".join(map(str, types)) if isinstance(types, list) else ""
    scheduled, of_types = whole(probe.get("scheduled")), whole(probe.get("of_chosen_types"))
    said = f"{of_types} of {scheduled} scheduled activities of the next 90 days are of a chosen type ({chosen or 'none chosen'})"
    backwards = whole(probe.get("end_not_after_start"))
    all_day = whole(probe.get("all_day_of_chosen_types"))
    tasks_off = all_day and not (case.probe("account").get("all_day_tasks") and case.probe("host").get("all_day_tasks"))
    remarks = [f"{backwards} do not start before they end"] if backwards else []
    remarks += [f"{all_day} are all-day, and all-day tasks are off"] if tasks_off else []
    is_odd = not chosen or (scheduled and not of_types) or backwards
    step = (
        "choose the host's activity types: syncops host edit HOST --types."
        if not chosen or (scheduled and not of_types)
        else "syncops explain ACTIVITY says which."
    )
    yield Told(
        verdict="warn" if is_odd else "ok",
        observed="; ".join([said, *remarks]),
        cause="what is not of a chosen type, or does not start before it ends, does not go to Outlook"
        if is_odd
        else "",
        next_step=step if is_odd else "",
        owner="a CRM administrator" if is_odd else "",
        evidence=probe.evidence,
        source="crm",
    )


def status(case: Case) -> Iterator[Told]:
    """How did the last cycles end?"""
    probe, runs = case.probe("status"), case.probe("runs")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
        return
    kept = probe.get("calendar")
    if not isinstance(kept, dict):
        yield Told(
            verdict="warn",
            observed="Unattempted: no cycle has run yet",
            sub_cause="never_run",
            stands_alone=True,
            evidence=probe.evidence,
            source="records",
        )
        return
    name, code = str(kept.get("status")), str(kept.get("response_code") or "")
    since, attempts = str(kept.get("since") or ""), whole(kept.get("attempts"))
    last = rows(runs.get("last"))
    ran = f"run {last[0].get('run')} at {last[0].get('started_at')}" if last else "no run in the record"
    evidence = f"{kept.get('evidence') or probe.evidence}; {ran}"
    if name == UNATTEMPTED and not attempts:
        ran_well = kept.get("last_success")
        yield Told(
            verdict="ok" if ran_well else "warn",
            observed=f"{name} since {since}: {'the last cycle found nothing to keep in step' if ran_well else 'the first cycle is still to come'}",
            sub_cause="nothing_to_sync" if ran_well else "never_run",
            stands_alone=True,
            evidence=evidence,
            source="records",
        )
        return
    if name in (SYNCING, UNATTEMPTED, NOT_ENABLED) and not attempts:
        yield Told(verdict="ok", observed=f"{name} since {since}", evidence=evidence, source="records")
        return
    error = str(kept.get("evidence") or "").partition(",")[0].partition(" ")[0]
    said = str(kept.get("sub_cause") or "").partition(" To mend it:")[0]
    tries = f" after {attempts} {'try' if attempts == 1 else 'tries'}" if attempts else ""
    is_pending = name in (SYNCING, UNATTEMPTED)
    key = of_failure(code, said, error, case.circumstances)
    lacks_rights = code in FOLDER_CODES and any(
        each.get("holds") == "no" for each in rows(case.probe("rights").get("observations"))
    )
    works_now = case.probe("mailbox").is_seen and code and _is_of_opening(code) and not lacks_rights
    yield Told(
        verdict="warn" if is_pending or works_now else "fail",
        observed=f"{name} since {since}{tries}: {said.rstrip('.')}" + ("; the mailbox opens now" if works_now else ""),
        sub_cause=key,
        cause="what it failed with is over: the mailbox opens now" if works_now else "",
        next_step=f"syncops sync --account {case.facts.account}; the status follows." if works_now else "",
        owner="support" if works_now else owner_of_status(name) if key == "unknown" else "",
        evidence=f"{evidence}{f', {code}' if code and code not in evidence else ''}",
        source="records",
    )


def sending(case: Case) -> Iterator[Told]:
    """Was the last message that the CRM sent as this user accepted?"""
    account, probe = case.probe("account"), case.probe("status")
    if account.is_seen and not (account.get("send_email") and case.probe("host").get("send_email")):
        return
    if not probe.is_seen or not account.is_seen:
        yield case.not_seen(probe if account.is_seen else account, source="records")
        return
    kept = probe.get("email")
    if not isinstance(kept, dict) or not (whole(kept.get("attempts")) or kept.get("response_code")):
        said = (
            f"{kept.get('status')} since {kept.get('since')}" if isinstance(kept, dict) else "no message was sent yet"
        )
        yield Told(verdict="ok", observed=said, evidence=probe.evidence, source="records")
        return
    code, said = str(kept.get("response_code") or ""), str(kept.get("sub_cause") or "").partition(" To mend it:")[0]
    is_pending = kept.get("status") in (SYNCING, UNATTEMPTED)
    yield Told(
        verdict="warn" if is_pending else "fail",
        observed=f"{kept.get('status')} since {kept.get('since')}: {said}",
        sub_cause=of_failure(
            code, said, str(kept.get("evidence") or "").partition(",")[0].partition(" ")[0], case.circumstances
        ),
        evidence=f"{kept.get('evidence') or probe.evidence}{f', {code}' if code else ''}",
        source="records",
    )


def _is_of_opening(code: str) -> bool:
    """Whether a failure with this code would show when the mailbox is opened."""
    return code in (
        *MAILBOX_CODES,
        *FOLDER_CODES,
        *IMPERSONATION_CODES,
        "HTTP 401",
        "HTTP 403",
        "DNS",
        "TCP",
        "TLS",
    ) or code.startswith("AADSTS")


def freshness(case: Case) -> Iterator[Told]:
    """When was the last success? "Syncing" needs a recent one."""
    probe = case.probe("status")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
        return
    if not case.probe("account").get("calendar"):
        yield Told(
            verdict="ok", observed="the account is switched off: none is due", evidence=probe.evidence, source="records"
        )
        return
    last = moment(probe.get("calendar", "last_success"))
    if last is None:
        yield Told(
            verdict="warn",
            observed="no cycle has succeeded yet",
            sub_cause="never_run",
            stands_alone=True,
            evidence=probe.evidence,
            source="records",
        )
        return
    is_stale = case.now - last > FRESH
    yield Told(
        verdict="fail" if is_stale else "ok",
        observed=f"the last success was {ago(case.now, last)}, at {probe.get('calendar', 'last_success')}",
        sub_cause="stale_success" if is_stale else "",
        evidence=probe.evidence,
        source="records",
    )


def lease(case: Case) -> Iterator[Told]:
    """Is a worker at the account, or did one leave it locked?"""
    probe = case.probe("lease")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
    elif not probe.get("held"):
        yield Told(verdict="ok", observed="no worker is at the account", evidence=probe.evidence, source="records")
    else:
        until = moment(probe.get("until"))
        is_long = until is not None and until - case.now > timedelta(hours=1)
        yield Told(
            verdict="warn" if is_long else "ok",
            observed=f"a worker is at the account until {probe.get('until')}",
            cause="a lease so far ahead was taken by a machine whose clock is wrong" if is_long else "",
            next_step="set that machine's clock; the lease ends by itself." if is_long else "",
            evidence=probe.evidence,
            source="records",
        )


def neighbours(case: Case) -> Iterator[Told]:
    """Is it this account alone, or the host's others as well?"""
    probe = case.probe("neighbours")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
        return
    total = whole(probe.get("accounts"))
    wrong = dict.fromkeys(MEANINGS, 0)
    for row in rows(probe.get("statuses")):
        name = str(row.get("status"))
        if name not in (SYNCING, UNATTEMPTED, NOT_ENABLED) and name in wrong:
            wrong[name] += whole(row.get("count"))
    shown = ", ".join(f"{count} {name}" for name, count in wrong.items() if count)
    failing = sum(wrong.values())
    is_shared = failing >= MANY_NEIGHBOURS and failing * 2 >= total
    yield Told(
        verdict="warn" if is_shared else "ok",
        observed=f"{failing} of {total} other accounts of this host fail{f': {shown}' if shown else ''}"
        if total
        else "it is the only account of its host",
        cause="what most of a host's accounts have is the host's, not the mailbox'" if is_shared else "",
        next_step=f"syncops host check {case.facts.host!r}." if is_shared else "",
        owner="a CRM administrator" if is_shared else "",
        evidence=probe.evidence,
        source="records",
    )
