"""Judging is pure: the same facts, the same findings; what is missing is unknown; what an earlier failure explains says so."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_lib.diagnosis.checks import CHECKS, FOLLOWS, judge, leading, standing_of
from ops_lib.diagnosis.seen import FORMAT, VERSION, Facts, as_document, from_document
from ops_lib.diagnosis.sub_causes import SUB_CAUSES, Circumstances, of_failure
from ops_lib.errors import InputError
from ops_lib.mailbox.ews.failures import MEANINGS as CODES
from ops_lib.model import Finding

AT = "2026-11-23T09:00:00Z"
ONLINE = "https://outlook.office365.com/EWS/Exchange.asmx"
RIGHTS = {"create": True, "delete": True, "modify": True, "read": True, "create_folders": True, "private": True}


def seen(**values: Any) -> dict[str, Any]:
    return {"outcome": "seen", "asked": "a request", "at": AT, "seen": values}


def failed(error: str, code: str, message: str = "it failed", http_status: int = 0, **more: Any) -> dict[str, Any]:
    failure = {"error": error, "response_code": code, "message": message, "http_status": http_status} | more
    return {"outcome": "failed", "asked": "a request", "at": AT, "failure": failure}


def document(**probes: Any) -> dict[str, Any]:
    """Facts of an account where all is well, with some probes in the place of its own."""
    folder = {"response_code": "NoError", "opens": True, "name": "Kalender", "is_right_kind": True, "rights": RIGHTS}
    well: dict[str, Any] = {
        "account": seen(calendar=True, send_email=False, all_day_tasks=True, time_zone="Europe/Berlin", windows_zone="W. Europe Standard Time"),
        "host": seen(url="https://mail.customer.example/EWS/Exchange.asmx", auth="basic", access="impersonation", version="2016", all_day_tasks=True, is_retired=False),
        "secret": seen(is_set=True, kind="env", looks_like_an_id=False),
        "status": seen(calendar={"status": "Syncing", "since": "2026-11-20T09:00:00Z", "last_success": "2026-11-23T08:50:00Z", "attempts": 0, "response_code": "", "sub_cause": "", "evidence": ""}),
        "sign_in": seen(by_person=False),
        "failures": seen(waiting=0, set_aside=0, groups=[]),
        "progress": seen(links=3, open_intents=0, oldest_intent=""),
        "runs": seen(last=[]),
        "lease": seen(held=False),
        "neighbours": seen(accounts=0, last_success="", statuses=[]),
        "crm": seen(types=["Tour"], scheduled=3, of_chosen_types=2, all_day_of_chosen_types=0, end_not_after_start=0),
        "name": seen(host="mail.customer.example", addresses=["192.0.2.7"]),
        "connection": seen(host="mail.customer.example", port=443, proxy=""),
        "certificate": seen(version="TLSv1.3", subject="CN=mail", issuer="CN=ca", ends="2027-11-23T09:00:00Z", trusted_by="the public authorities"),
        "greeting": seen(status=401, kind="page", offers=["NTLM", "Basic"], clock_ahead_seconds=0),
        "token": {"outcome": "not asked", "why": "this host signs in with basic"},
        "mailbox": seen(impersonates=True, server_version="15.1.2507.39", folders={"calendar": folder, "tasks": folder}),
        "service": {"outcome": "not asked", "why": "the mailbox opens"},
        "address": seen(response_code="NoError", found=[{"address": "ann@customer.example", "kind": "Mailbox", "also": []}]),
        "rights": {"outcome": "not asked", "why": "who signs in acts as the mailbox's own user"},
        "time_zone": seen(windows_zone="W. Europe Standard Time", is_known=True),
        "calendar_state": seen(is_taken=True),
        "tasks_state": {"outcome": "not asked", "why": "no cycle has stored a state yet"},
        "items": seen(total=3, looked_at=3, largest_bytes=2048),
        "claims": seen(addresses=["ann@customer.example"], others=[]),
    }  # fmt: skip
    return {
        "format": FORMAT, "version": VERSION, "account": "ann@customer.example", "host": "exchange", "at": AT, "probes": well | probes,
    }  # fmt: skip


def judged(**probes: Any) -> list[Finding]:
    return judge(from_document(document(**probes)))


def host(**values: Any) -> dict[str, Any]:
    return seen(**(document()["probes"]["host"]["seen"] | values))


def first_of(**probes: Any) -> tuple[str, str, str]:
    """Check, verdict and sub-cause of the leading finding."""
    found = leading(judged(**probes))
    return (found.check, found.verdict, found.sub_cause) if found is not None else ("", "", "")


def test_where_all_is_well_nothing_is_found() -> None:
    """Every check says ok of a healthy account, and nothing leads."""
    findings = judged()
    assert {each.verdict for each in findings} == {"ok"}
    assert leading(findings) is None
    assert {each.check for each in findings} == {each.name for each in CHECKS} - {"token", "sending"}
    assert all(each.evidence and each.source and each.expected for each in findings)


@pytest.mark.req("G1")
@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-09-30T12:00:00Z", ("", "", "")),
        ("2026-10-01T12:00:00Z", ("retirement", "warn", "ews_ending")),
        ("2026-11-23T12:00:00Z", ("retirement", "warn", "ews_ending")),
        ("2027-03-31T12:00:00Z", ("retirement", "warn", "ews_ending")),
        ("2027-04-01T00:00:00Z", ("retirement", "fail", "ews_retired")),
    ],
)
def test_exchange_online_loses_ews_and_a_server_of_ones_own_does_not(at: str, expected: tuple[str, str, str]) -> None:
    """From 1 October 2026 Exchange Online is being switched off, from 1 April 2027 it is off; one's own server keeps EWS."""
    online = document(host=host(url=ONLINE, auth="oauth-app", version="2016"), token=seen(is_readable=False)) | {
        "at": at
    }
    online["probes"]["greeting"]["seen"]["offers"] = ["Bearer"]
    online["probes"]["status"]["seen"]["calendar"]["last_success"] = at
    found = leading(judge(from_document(online)))
    assert ((found.check, found.verdict, found.sub_cause) if found is not None else ("", "", "")) == expected
    own = document() | {"at": at}
    assert next(each for each in judge(from_document(own)) if each.check == "retirement").verdict == "ok"


@pytest.mark.req("G1")
def test_a_403_of_exchange_online_after_its_end_is_the_end() -> None:
    """After April 2027 a 403 of Exchange Online means that EWS is gone, whatever its header says."""
    about = Circumstances(is_online=True, today=datetime(2027, 4, 2, tzinfo=UTC).date())
    assert of_failure("HTTP 403", "the server forbids the request", "AccessRefused", about) == "ews_retired"
    assert of_failure("HTTP 403", "EWS is closed to us: EWS is disabled", "AccessRefused") == "ews_disabled"


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ({"host": host(url=ONLINE, auth="oauth-code")}, ("settings", "fail", "impersonation_withdrawn")),
        ({"certificate": seen(version="TLSv1.2", subject="s", issuer="i", ends="2026-12-01T00:00:00Z", trusted_by="x")}, ("certificate", "warn", "certificate_expiring")),
        ({"greeting": seen(status=401, offers=["Basic"], clock_ahead_seconds=-900)}, ("clock", "warn", "clock_off")),
        ({"failures": seen(groups=[{"response_code": "ErrorItemCorrupt", "is_set_aside": True, "count": 2, "reason": "damaged", "keys": ["item:1"]}])}, ("entries", "fail", "corrupt_items")),
        ({"items": seen(total=900, looked_at=500, end_before_start=2, same_uid=4)}, ("calendar_items", "warn", "corrupt_items")),
        ({"crm": seen(types=["Tour"], scheduled=9, of_chosen_types=0)}, ("crm", "warn", "")),
        ({"neighbours": seen(accounts=4, statuses=[{"status": "Unauthorized", "count": 3}])}, ("neighbours", "warn", "")),
        ({"progress": seen(links=3, open_intents=2, oldest_intent="2026-11-22T09:00:00Z")}, ("creates", "warn", "answer_lost")),
        ({"lease": seen(held=True, until="2026-11-24T09:00:00Z")}, ("lease", "warn", "")),
        ({"mailbox": failed("AccessRefused", "ErrorImpersonateUserDenied", http_status=500), "host": host(url=ONLINE, auth="basic")}, ("impersonation", "fail", "impersonation_withdrawn")),
        ({"mailbox": failed("SignInRefused", "ErrorPasswordExpired")}, ("sign_in", "fail", "password_expired")),
        ({"sign_in": seen(by_person=True, state="refused", signer="svc@x.example", reason="withdrawn", response_code="AADSTS50173", fix="sign in")}, ("sign_in", "fail", "sign_in_over")),
    ],
)  # fmt: skip
def test_what_a_fact_means(probes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    """Each fact leads to its own check, verdict and sub-cause."""
    assert first_of(**probes) == expected


@pytest.mark.req("T3")
@pytest.mark.parametrize(
    ("message", "code", "sub_cause"),
    [
        ("the server's certificate is not trusted: certificate has expired", "TLS", "certificate_refused"),
        ("the TLS handshake was not finished: no answer in time", "TLS", "not_reachable"),
        ("what answers there does not speak TLS", "TLS WRONG_VERSION_NUMBER", "not_reachable"),
    ],
)
def test_a_certificate_that_nobody_saw_is_not_blamed(message: str, code: str, sub_cause: str) -> None:
    """A handshake that hangs, or is none, is no connection; only a certificate that was shown is not trusted. The status says the same."""
    assert first_of(certificate=failed("Unreachable", code, message)) == ("certificate", "fail", sub_cause)
    assert of_failure(code, message, "Unreachable") == sub_cause


@pytest.mark.req("T3")
def test_what_was_not_seen_is_unknown_and_never_ok() -> None:
    """Without any probe, every check that says something says unknown; none says ok."""
    empty = document()
    empty["probes"] = {}
    findings = judge(from_document(empty))
    assert {each.verdict for each in findings} == {"unknown"}
    assert standing_of(from_document(empty)) is None


@pytest.mark.req("T3")
@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, each in document()["probes"].items()
        if each["outcome"] == "seen" and name not in ("runs", "sign_in")
    ),
)
def test_a_probe_that_failed_or_is_gone_makes_no_check_ok_that_needs_it(name: str) -> None:
    """Taking one probe away, or letting it fail, turns something from ok to unknown or worse."""
    for probe in ({"outcome": "not asked", "why": "gone"}, failed("Defect", "")):
        assert {each.verdict for each in judged(**{name: probe})} - {"ok"}


@pytest.mark.req("T3")
def test_a_server_that_says_nothing_does_not_say_that_it_does_not_throttle() -> None:
    """Where the only request got no answer, whether the server throttles is unknown."""
    nothing = {"outcome": "not asked", "why": "the server left the mailbox's request without an answer"}
    others = dict.fromkeys(("address", "time_zone", "calendar_state", "items"), nothing)
    verdicts = {each.check: each.verdict for each in judged(mailbox=failed("AnswerLost", ""), **others)}
    assert verdicts["server"] == "fail"
    asked = (
        "sign_in",
        "policy",
        "throttling",
        "version",
        "mailbox",
        "impersonation",
        "address",
        "folders",
        "time_zone",
        "calendar_items",
    )
    assert {verdicts[name] for name in asked} == {"unknown"}


@pytest.mark.req("T3")
def test_an_unknown_failure_says_so_with_its_code() -> None:
    """A response code that nobody knows stands verbatim, and the finding says that it is unknown."""
    code = "ErrorThatNobodyHasHeardOf"
    found = leading(judged(mailbox=failed("ServerFailed", code)))
    assert found is not None
    assert (found.check, found.sub_cause) == ("server", "unknown")
    assert code in found.observed
    assert code in found.evidence
    assert found.cause.startswith(SUB_CAUSES["unknown"].title)


@pytest.mark.req("T3")
def test_what_follows_names_what_it_follows_from() -> None:
    """Of a name that has no address everything after it is unknown, and says because of what; the secret that ends is named beside it."""
    nothing = {"outcome": "not asked", "why": "the name has no address"}
    later = ("connection", "certificate", "greeting", "mailbox", "address", "time_zone", "calendar_state", "items")
    findings = judged(
        name=failed("Unreachable", "DNS", "the name is not known"),
        host=host(secret_expires="2026-11-22"),
        **dict.fromkeys(later, nothing),
    )
    assert [each.check for each in findings if each.verdict == "fail"] == ["secret", "name"]
    unknown = [each for each in findings if each.verdict == "unknown"]
    assert unknown
    assert all(each.cause in (f"{FOLLOWS}'name'", f"{FOLLOWS}'secret'") for each in unknown)
    assert not [
        each.check
        for each in findings
        if each.verdict == "ok" and each.layer == "item" and each.check == "calendar_items"
    ]


def test_a_stale_success_is_not_syncing_and_says_since_when() -> None:
    """Syncing needs a success of the last 45 minutes; an older one is Error - Not Syncing since then."""
    old = document()
    old["probes"]["status"]["seen"]["calendar"]["last_success"] = "2026-11-23T06:00:00Z"
    stands = standing_of(from_document(old))
    assert stands is not None
    assert (stands.status, stands.sub_cause) == ("Error - Not Syncing", "stale_success")
    assert stands.since == datetime(2026, 11, 23, 6, 45, tzinfo=UTC)
    assert "2026-11-23 06:00 UTC" in stands.said
    fresh = standing_of(from_document(document()))
    assert fresh is not None
    assert fresh.status == "Syncing"


def test_a_message_that_was_refused_is_told_where_sending_is_on() -> None:
    """With email on, the last refusal is a failure of its own beside a calendar in step; without email nothing is said of it."""
    kept = document()["probes"]["status"]["seen"]["calendar"]
    refused = kept | {"status": "Denied Access (Forbidden)", "attempts": 1, "response_code": "ErrorSendAsDenied", "sub_cause": "may not send", "evidence": "AccessRefused at x"}  # fmt: skip
    status = seen(calendar=kept, email=refused)
    assert first_of(status=status) == ("", "", "")
    on = {
        "account": seen(calendar=True, send_email=True, windows_zone="UTC", time_zone="UTC"),
        "host": host(send_email=True),
    }
    assert first_of(status=status, **on) == ("sending", "fail", "send_as_missing")
    assert first_of(**on) == ("", "", "")


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_facts_are_the_same_after_a_file() -> None:
    """To JSON and back nothing is lost."""
    facts = from_document(document())
    assert Facts.from_json(facts.to_json()) == facts
    assert from_document(as_document(facts)) == facts


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "other"}, "no file of facts"),
        ({"version": VERSION + 1}, "newer syncops"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"at": "yesterday"}, "when"),
        ({"at": "2026-11-23T09:00:00"}, "when"),
        ({"probes": []}, "no probes"),
        ({"probes": {"name": {"outcome": "perhaps"}}}, "'name'"),
        ({"probes": {"name": {"outcome": "seen", "seen": [1]}}}, "'name'"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_the_reason(change: dict[str, Any], word: str) -> None:
    """What is no file of facts, or a newer one, is an error that says so and what to do."""
    with pytest.raises(InputError) as refused:
        Facts.from_json(json.dumps(document() | change), where="facts.json")
    assert word in str(refused.value)
    assert "facts.json" in str(refused.value)
    assert refused.value.fix
    with pytest.raises(InputError, match="no JSON"):
        Facts.from_json("{", where="facts.json")


def test_an_older_file_is_judged_by_todays_checks() -> None:
    """Probes that an older file does not hold are unknown, keys that it has no more are passed over."""
    older = document()
    del older["probes"]["claims"], older["probes"]["items"]
    older["probes"]["weather"] = {"outcome": "seen", "seen": {"rain": True}, "colour": "grey"}
    verdicts = {each.check: each.verdict for each in judge(from_document(older))}
    assert (verdicts["claims"], verdicts["calendar_items"], verdicts["mailbox"]) == ("unknown", "unknown", "ok")


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_probes = sorted(document()["probes"])


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(_probes), path=st.integers(0, 9), value=_plain)
def test_facts_that_somebody_edited_are_judged_without_a_crash(name: str, path: int, value: Any) -> None:
    """Whatever stands in a probe, judging gives findings with known verdicts, the same each time."""
    edited = copy.deepcopy(document())
    keys = sorted(edited["probes"][name].get("seen", {}))
    if keys:
        edited["probes"][name]["seen"][keys[path % len(keys)]] = value
    facts = from_document(edited)
    findings = judge(facts)
    assert {each.verdict for each in findings} <= {"ok", "warn", "fail", "unknown"}
    assert findings == judge(facts)
    standing_of(facts)


@pytest.mark.req("T3")
def test_every_code_has_a_sub_cause_that_exists() -> None:
    """Each response code of the table of failures comes to a sub-cause of the list; those that lock a mailbox out to none that is unknown."""
    for code, meaning in CODES.items():
        found = of_failure(code, meaning.reason, meaning.error.__name__)
        assert found in SUB_CAUSES, code
    known = [code for code in CODES if of_failure(code, "", CODES[code].error.__name__) != "unknown"]
    assert len(known) > 50
