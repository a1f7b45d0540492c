"""The account's layer: switched on, the mailbox and who has it, folders and rights, time zone, sync state, and whether cycles succeed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ops_lib.diagnosis.checks_records import crm, freshness, lease, neighbours, sending, status
from ops_lib.diagnosis.judging import (
    FOLDER_CODES,
    IMPERSONATION_CODES,
    MAILBOX_CODES,
    Case,
    Check,
    Told,
    rows,
    whole,
)
from ops_lib.diagnosis.sub_causes import of_failure
from ops_lib.model import FindingVerdict

RIGHTS = {"read": "read", "create": "create", "modify": "change", "delete": "delete"}


def enabled(case: Case) -> Iterator[Told]:
    """Is the account kept in step at all?"""
    account = case.probe("account")
    if not account.is_seen:
        yield case.not_seen(account, source="settings")
        return
    evidence = f"account and host settings, {account.at}"
    if case.probe("host").get("is_retired"):
        yield Told(
            verdict="fail",
            observed="the host is retired",
            sub_cause="host_retired",
            evidence=evidence,
            source="settings",
        )
    elif not account.get("calendar"):
        yield Told(
            verdict="fail",
            observed="the account's calendar is switched off",
            sub_cause="switched_off",
            evidence=evidence,
            source="settings",
        )
    else:
        tasks = account.get("all_day_tasks") and case.probe("host").get("all_day_tasks")
        sends = account.get("send_email") and case.probe("host").get("send_email")
        yield Told(
            verdict="ok",
            observed=f"calendar on, all-day tasks {'on' if tasks else 'off'}, email {'on' if sends else 'off'}",
            evidence=evidence,
            source="settings",
        )


# ── the mailbox ──────────────────────────────────────────────────────────────────────────────────────────────────────
def mailbox(case: Case) -> Iterator[Told]:
    """Is there a mailbox at this address, on this server?"""
    probe = case.probe("mailbox")
    if probe.code in MAILBOX_CODES:
        yield case.failed(probe, source="server")
    elif probe.is_seen:
        yield Told(
            verdict="ok", observed=f"the server opens {case.facts.account}", evidence=probe.evidence, source="server"
        )
    elif probe.code in FOLDER_CODES:
        yield Told(
            verdict="ok", observed="the server answers for this mailbox", evidence=probe.evidence, source="server"
        )
    else:
        yield case.not_seen(probe, source="server")


def impersonation(case: Case) -> Iterator[Told]:
    """May the account act for this user?"""
    if case.probe("host").is_seen and case.host("access") != "impersonation":
        return
    probe = case.probe("mailbox")
    if probe.code in IMPERSONATION_CODES:
        told = case.failed(probe, source="server")
        others = case.probe("neighbours")
        if others.is_seen and whole(others.get("accounts")) and not case.circumstances.others_work:
            observed = f"{told.observed}; no other account of this host works either"
        elif told.sub_cause == "out_of_scope":
            observed = f"{told.observed}; others of this host work, the last at {others.get('last_success')}"
        else:
            observed = told.observed
        yield Told(verdict="fail", observed=observed, sub_cause=told.sub_cause, evidence=told.evidence, source="server")
    elif probe.is_seen:
        acts = "acts as this user" if probe.get("impersonates") else "its own mailbox, which it opens as itself"
        yield Told(verdict="ok", observed=acts, evidence=probe.evidence, source="server")
    elif probe.code in FOLDER_CODES:
        yield Told(verdict="ok", observed="acts as this user", evidence=probe.evidence, source="server")
    else:
        yield case.not_seen(probe, source="server")


def address(case: Case) -> Iterator[Told]:
    """Is it the mailbox's primary address?"""
    probe = case.probe("address")
    if not probe.is_seen:
        yield case.not_seen(probe, source="server")
        return
    found = [str(each.get("address")) for each in rows(probe.get("found")) if each.get("address")]
    mine = case.facts.account.lower()
    if mine in found:
        yield Told(verdict="ok", observed=f"{mine} is the primary address", evidence=probe.evidence, source="server")
    elif len(found) == 1:
        yield Told(
            verdict="warn",
            observed=f"{mine} is an alias of {found[0]}",
            sub_cause="alias_address",
            next_step=f"make the account for {found[0]}: syncops account add --email {found[0]}.",
            evidence=probe.evidence,
            source="server",
        )
    else:
        code = str(probe.get("response_code") or "")
        yield Told(
            verdict="unknown",
            observed=f"the directory does not say whose address it is ({code})",
            evidence=f"{probe.evidence}, {code}",
            source="server",
        )


def claims(case: Case) -> Iterator[Told]:
    """Has another account this mailbox as well?"""
    probe = case.probe("claims")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
        return
    others = [each for each in rows(probe.get("others")) if each.get("calendar")]
    if not others:
        also = "" if case.probe("address").is_seen else "; aliases could not be compared"
        yield Told(verdict="ok", observed=f"no other account has it{also}", evidence=probe.evidence, source="records")
        return
    said = ", ".join(f"{each.get('user')} on host {each.get('host')} (as {each.get('mailbox')})" for each in others)
    yield Told(
        verdict="fail",
        observed=f"it is also the mailbox of {said}",
        sub_cause="claimed_twice",
        evidence=probe.evidence,
        source="records",
    )


def folders(case: Case) -> Iterator[Told]:
    """Do the default calendar and tasks folders open, and may we do in them what the sync does?"""
    probe = case.probe("mailbox")
    if probe.code in FOLDER_CODES:
        yield case.failed(
            probe, source="server", sub_cause="folder_closed", subject=f"{case.facts.account}, calendar and tasks"
        )
        return
    if not probe.is_seen:
        yield case.not_seen(probe, source="server")
        return
    needs_tasks = bool(case.probe("account").get("all_day_tasks") and case.probe("host").get("all_day_tasks"))
    told_by_rights = {str(each.get("right")): each for each in rows(case.probe("rights").get("observations"))}
    for name, is_needed in (("calendar", True), ("tasks", needs_tasks)):
        yield _folder(case, name, is_needed, told_by_rights)


def _folder(case: Case, name: str, is_needed: bool, by_rights: dict[str, dict[str, object]]) -> Told:
    probe = case.probe("mailbox")
    subject = f"{case.facts.account}, {name}"
    verdict: FindingVerdict = "fail" if is_needed else "warn"
    found = probe.get("folders", name)
    if not isinstance(found, dict):
        return Told(
            verdict="unknown",
            observed=f"the server says nothing of {name}",
            subject=subject,
            evidence=probe.evidence,
            source="server",
        )
    code = str(found.get("response_code") or "")
    if not found.get("opens"):
        key = of_failure(code, "", "", case.circumstances)
        unneeded = "" if is_needed else "; all-day tasks are off, so nothing of it is needed"
        return Told(
            verdict="fail" if is_needed else "ok",
            observed=f"the {name} folder does not open ({code}){unneeded}",
            sub_cause=key,
            subject=subject,
            evidence=f"{probe.evidence}, {code}",
            source="server",
        )
    label = f"'{found.get('name')}'"
    if not found.get("is_right_kind"):
        return Told(verdict=verdict, observed=f"{label} is no {name} folder", sub_cause="wrong_folder", subject=subject, evidence=probe.evidence, source="server")  # fmt: skip
    seen = [by_rights[f"{name}_{what}"] for what in ("read", "write") if f"{name}_{what}" in by_rights]
    if seen:
        missing = [each for each in seen if each.get("holds") == "no"]
        unsure = [each for each in seen if each.get("holds") == "unknown"]
        worst = (missing or unsure or seen)[0]
        return Told(
            verdict=verdict if missing else "unknown" if unsure else "ok",
            observed=str(worst.get("observed")),
            sub_cause="rights_missing" if missing else "",
            subject=subject,
            cause=str(worst.get("why") or "") if unsure and not missing else "",
            evidence=str(worst.get("evidence")),
            source="server",
        )
    if case.host("access") == "delegate" and case.probe("rights").failure is not None:
        return case.not_seen(case.probe("rights"), source="server", subject=subject)
    rights = found.get("rights")
    if not isinstance(rights, dict):
        return Told(verdict="unknown", observed=f"{label} opens; the server does not say what may be done in it", subject=subject, evidence=probe.evidence, source="server")  # fmt: skip
    lacking = [word for key, word in RIGHTS.items() if not rights.get(key)]
    if lacking:
        return Told(verdict=verdict, observed=f"{label} opens; missing: {', '.join(lacking)}", sub_cause="rights_missing", subject=subject, evidence=f"{probe.evidence}, EffectiveRights", source="server")  # fmt: skip
    return Told(verdict="ok", observed=f"{label}: may read, create, change and delete", subject=subject, evidence=f"{probe.evidence}, EffectiveRights", source="server")  # fmt: skip


def private_items(case: Case) -> Iterator[Told]:
    """Are private items seen?"""
    rights, probe = case.probe("rights"), case.probe("mailbox")
    told = next((each for each in rows(rights.get("observations")) if each.get("right") == "private_items"), None)
    if told is not None:
        holds = told.get("holds")
        yield Told(
            verdict="warn" if holds == "no" else "ok" if holds == "yes" else "unknown",
            observed=str(told.get("observed")),
            sub_cause="private_hidden" if holds == "no" else "",
            evidence=str(told.get("evidence")),
            source="server",
        )
    elif probe.is_seen and rights.outcome == "not asked":
        shows = probe.get("folders", "calendar", "rights", "private")
        if shows is False:
            yield Told(verdict="warn", observed="the server says that private items are hidden", sub_cause="private_hidden", evidence=f"{probe.evidence}, ViewPrivateItems", source="server")  # fmt: skip
        else:
            yield Told(
                verdict="ok",
                observed="acts as the mailbox's own user, who sees them",
                evidence=probe.evidence,
                source="server",
            )
    else:
        yield case.not_seen(rights if rights.failure is not None else probe, source="server")


def time_zone(case: Case) -> Iterator[Told]:
    """Does Exchange know the user's time zone?"""
    account, probe = case.probe("account"), case.probe("time_zone")
    zone = case.account("time_zone")
    if account.is_seen and not account.get("windows_zone"):
        yield Told(
            verdict="warn",
            observed=f"{zone} has no name in Exchange: events are written in UTC",
            sub_cause="time_zone_unknown",
            evidence=f"account settings, {account.at}",
            source="settings",
        )
        return
    if not probe.is_seen:
        yield case.not_seen(probe, source="server")
    elif probe.get("is_known"):
        yield Told(
            verdict="ok",
            observed=f"{zone} is {probe.get('windows_zone')}, which the server knows",
            evidence=probe.evidence,
            source="server",
        )
    else:
        yield Told(
            verdict="fail",
            observed=f"{zone} is {probe.get('windows_zone')}, which this server does not know",
            sub_cause="time_zone_unknown",
            evidence=probe.evidence,
            source="server",
        )


def sync_state(case: Case) -> Iterator[Told]:
    """Does the server still take the sync states that are stored?"""
    for name in ("calendar", "tasks"):
        probe = case.probe(f"{name}_state")
        subject = f"{case.facts.account}, {name}"
        if probe.code == "ErrorInvalidSyncStateData":
            yield case.failed(probe, source="server", verdict="warn", subject=subject)
        elif probe.is_seen:
            yield Told(
                verdict="ok",
                observed="the server takes the stored state",
                subject=subject,
                evidence=probe.evidence,
                source="server",
            )
        elif probe.outcome == "failed":
            yield case.failed(probe, source="server", subject=subject)
        elif probe.why == "no cycle has stored a state yet":
            if name == "calendar":
                yield Told(verdict="ok", observed="none is stored yet: the next cycle reads everything", subject=subject, evidence="reading positions", source="records")  # fmt: skip
        elif name == "calendar":
            yield case.not_seen(probe, source="server", subject=subject)


_WAY = (
    "name",
    "connection",
    "certificate",
    "ews",
    "secret",
    "token",
    "sign_in",
    "policy",
    "throttling",
    "server",
    "version",
    "settings",
)

FIRST = (Check("enabled", "account", "Sync Calendar on, on a host that is in use", enabled),)
"""Before all others: what is switched off explains everything."""

CHECKS = (
    Check("mailbox", "account", "a mailbox at this address, on this server", mailbox, (*_WAY, "impersonation")),
    Check("impersonation", "account", "may act for this user", impersonation, (*_WAY, "mailbox")),
    Check("address", "account", "the primary address", address, (*_WAY, "mailbox")),
    Check("claims", "account", "one account for one mailbox", claims),
    Check("folders", "account", "default folders that may be read and written", folders, (*_WAY, "mailbox", "impersonation")),
    Check("private_items", "account", "private items are seen, as busy time", private_items, (*_WAY, "mailbox", "impersonation", "folders")),
    Check("time_zone", "account", "a time zone that the server knows", time_zone, (*_WAY, "mailbox", "impersonation", "folders")),
    Check("sync_state", "account", "a sync state that the server takes", sync_state, (*_WAY, "mailbox", "impersonation", "folders")),
    Check("crm", "account", "activities of chosen types", crm),
    Check("lease", "account", "one worker at a time", lease),
    Check("status", "account", "Syncing", status, ("enabled", *_WAY, "retirement", "mailbox", "impersonation", "folders", "time_zone", "sync_state")),
    Check("freshness", "account", "a success within 45 minutes", freshness, ("enabled", *_WAY, "retirement", "mailbox", "impersonation", "folders", "status")),
    Check("sending", "account", "the last message accepted", sending, ("enabled", *_WAY, "mailbox", "impersonation")),
    Check("neighbours", "account", "most others of the host work", neighbours, (*_WAY, "retirement")),
)  # fmt: skip
