"""The items' layer: entries that fail, creates that are open, and what is odd about the calendar's items. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ops_lib.diagnosis.judging import Case, Check, Told, moment, rows, whole
from ops_lib.diagnosis.sub_causes import of_failure

MOST_SERIES = 1300
"""So many recurring events a calendar may hold; beyond, Exchange refuses more."""
LARGE_BYTES = 25 * 1024 * 1024
OPEN_FOR = timedelta(hours=1)


def entries(case: Case) -> Iterator[Told]:
    """Which entries fail again and again?"""
    probe = case.probe("failures")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
        return
    groups = rows(probe.get("groups"))
    if not groups:
        yield Told(verdict="ok", observed="no entry fails", evidence=probe.evidence, source="records")
    for group in groups:
        code, reason = (
            str(group.get("response_code") or ""),
            str(group.get("reason") or "").partition(" To mend it:")[0],
        )
        is_aside = bool(group.get("is_set_aside"))
        count = whole(group.get("count"))
        keys = group.get("keys")
        shown = ", ".join(map(str, keys[:5])) if isinstance(keys, list) else ""
        key = of_failure(code, reason, "", case.circumstances) if code else "entries_refused"
        is_named = f" ({code})" if code and code not in reason else ""
        yield Told(
            verdict="fail" if is_aside else "warn",
            observed=f"{count} {'entry is' if count == 1 else 'entries are'} {'set aside' if is_aside else 'tried again'}: {reason}{is_named}",
            sub_cause=key if key not in ("unknown", "folder_closed") else "entries_refused",
            next_step="" if key not in ("unknown", "folder_closed") else f"act on {code}, then syncops retry.",
            evidence=f"{code or 'no code'}, first at {group.get('oldest')}: {shown}",
            source="records",
        )


def creates(case: Case) -> Iterator[Told]:
    """Are there creates whose answer was lost, and that nobody has looked up since?"""
    probe = case.probe("progress")
    if not probe.is_seen:
        yield case.not_seen(probe, source="records")
        return
    count, oldest = whole(probe.get("open_intents")), moment(probe.get("oldest_intent"))
    links = whole(probe.get("links"))
    is_old = bool(count) and oldest is not None and case.now - oldest > OPEN_FOR
    yield Told(
        verdict="warn" if is_old else "ok",
        observed=f"{links} links; {count} creates are open"
        + (f", the oldest since {probe.get('oldest_intent')}" if count else ""),
        sub_cause="answer_lost" if is_old else "",
        cause="a create whose answer was lost; the next cycle looks it up by its stamp before anything is sent again"
        if is_old
        else "",
        next_step=f"syncops sync --account {case.facts.account}." if is_old else "",
        evidence=probe.evidence,
        source="records",
    )


def calendar_items(case: Case) -> Iterator[Told]:
    """Is anything wrong with the items of the calendar itself?"""
    probe = case.probe("items")
    if not probe.is_seen:
        yield case.not_seen(probe, source="server")
        return
    total, looked_at = whole(probe.get("total")), whole(probe.get("looked_at"))
    said = f"{looked_at} of {total} items looked at, the largest {whole(probe.get('largest_bytes')) // 1024} KB"
    damaged = {
        "end before they start": whole(probe.get("end_before_start")),
        "have no times": whole(probe.get("without_times")),
        "lie before 1990 or after 2100": whole(probe.get("far_off")),
        "share a UID": whole(probe.get("same_uid")),
        "are of another class": whole(probe.get("other_class")),
    }
    odd = [f"{count} {words}" for words, count in damaged.items() if count]
    if whole(probe.get("series")) > MOST_SERIES:
        odd.append(f"{probe.get('series')} series, more than {MOST_SERIES}")
    if whole(probe.get("largest_bytes")) > LARGE_BYTES:
        odd.append("an item of over 25 MB")
    yield Told(
        verdict="warn" if odd else "ok",
        observed=f"{said}: {', '.join(odd)}" if odd else f"{said}: none is odd",
        sub_cause="corrupt_items" if odd else "",
        evidence=probe.evidence,
        source="server",
    )


_MAILBOX = (
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
    "mailbox",
    "impersonation",
    "folders",
)

CHECKS = (
    Check("entries", "item", "entries that are written and read", entries),
    Check("creates", "item", "no create left open", creates),
    Check("calendar_items", "item", "items that can be read", calendar_items, _MAILBOX),
)  # fmt: skip
