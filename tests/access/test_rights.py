"""The matrix of users and rights: what a host needs, how what was seen is judged, both sources, drift, and least privilege."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from ops_lib.access.powershell_evidence import Evidence, Grant, Organisation
from ops_lib.access.rights import (
    Cell,
    Holds,
    Matrix,
    Need,
    Observation,
    Right,
    Source,
    drift,
    judge,
    judge_one,
    matrix_of_json,
    needs,
    verdict_of,
)
from ops_lib.access.rights_findings import findings
from ops_lib.errors import InputError
from ops_lib.model import Access, Account, Host

ANNA = "anna@example.test"
TODAY = date(2026, 11, 22)


def host_of(access: Access = "delegate", **more: object) -> Host:
    plain = Host(
        host_id="1",
        name="Main Street",
        url="https://mail.example.test/EWS/Exchange.asmx",
        auth="ntlm",
        access=access,
        version="2019",
        service_user="svc@example.test",
        all_day_tasks=True,
        send_email=True,
    )
    return replace(plain, **more)


def account_of(mailbox: str = ANNA, **more: object) -> Account:
    plain = Account(
        account_id=mailbox,
        host_id="1",
        user_id=mailbox,
        user_email=mailbox,
        mailbox=mailbox,
        time_zone="UTC",
        calendar=True,
        send_email=True,
        all_day_tasks=True,
    )
    return replace(plain, **more)


def seen(right: Right, holds: Holds, source: Source = "ews", user: str = ANNA) -> Observation:
    return Observation(user=user, right=right, holds=holds, observed=str(holds), evidence="GetFolder", source=source)


def matrix_of(*cells: Cell, access: Access = "delegate") -> Matrix:
    return Matrix(host="Main Street", access=access, service_user="svc@example.test", cells=cells)


def cell(right: Right, holds: Holds, source: Source = "ews", user: str = ANNA, need: Need = Need.NEEDED) -> Cell:
    return judge_one(need, seen(right, holds, source, user))


# ── what is needed ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P5")
def test_needs_follow_from_access_and_what_is_enabled() -> None:
    """A delegate host needs calendar, tasks and Send As as far as they are on; an impersonating one needs the role; a direct one neither."""
    delegate = needs(host_of(), account_of())
    assert delegate[Right.IMPERSONATION] is Need.UNNEEDED
    assert {right for right, need in delegate.items() if need is Need.NEEDED} == {
        Right.MAILBOX,
        Right.EWS_ENABLED,
        Right.CALENDAR_READ,
        Right.CALENDAR_WRITE,
        Right.TASKS_READ,
        Right.TASKS_WRITE,
        Right.SEND_AS,
    }
    assert delegate[Right.PRIVATE_ITEMS] is Need.WANTED
    acting = needs(host_of("impersonation"), account_of())
    assert acting[Right.IMPERSONATION] is Need.NEEDED
    assert acting[Right.PRIVATE_ITEMS] is Need.ALLOWED
    assert needs(host_of("direct"), account_of())[Right.IMPERSONATION] is Need.UNNEEDED


@pytest.mark.parametrize(
    ("host", "account", "right"),
    [
        ({}, {"calendar": False}, Right.CALENDAR_WRITE),
        ({}, {"all_day_tasks": False}, Right.TASKS_WRITE),
        ({"all_day_tasks": False}, {}, Right.TASKS_READ),
        ({}, {"send_email": False}, Right.SEND_AS),
        ({"send_email": False}, {}, Right.SEND_AS),
    ],
)
def test_what_is_switched_off_is_not_needed(host: dict[str, bool], account: dict[str, bool], right: Right) -> None:
    """Tasks and mail need to be on for host and account; what is off is more than needed for a delegate, and no matter for who acts as the owner."""
    assert needs(host_of(**host), account_of(**account))[right] is Need.UNNEEDED
    assert needs(host_of("impersonation", **host), account_of(**account))[right] is Need.ALLOWED


@pytest.mark.parametrize("access", ["delegate", "impersonation"])
def test_of_a_disabled_account_nothing_is_needed(access: Access) -> None:
    """Where neither calendar nor mail is in use nothing can be missing, and what the service account may still do is more than needed."""
    off = account_of(calendar=False, send_email=False)
    asked = needs(host_of(access), off)
    assert not {Need.NEEDED, Need.WANTED} & {*asked.values()}
    assert verdict_of(asked[Right.IMPERSONATION], Holds.YES) == "more"
    assert verdict_of(asked[Right.CALENDAR_WRITE], Holds.YES) == ("more" if access == "delegate" else "ok")
    assert verdict_of(asked[Right.MAILBOX], Holds.NO) == "ok"
    assert needs(host_of(access), account_of(calendar=False))[Right.TASKS_WRITE] is not Need.NEEDED


def test_the_impersonation_account_itself_needs_only_its_mailbox() -> None:
    """Of the account that acts for others, only that it can be reached is judged."""
    asked = needs(host_of("impersonation"), account_of(is_impersonation_account=True))
    assert {right for right, need in asked.items() if need is Need.NEEDED} >= {Right.MAILBOX, Right.EWS_ENABLED}
    assert asked[Right.IMPERSONATION] is Need.ALLOWED
    assert asked[Right.SEND_AS] is Need.ALLOWED


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P5")
@pytest.mark.parametrize("need", list(Need))
def test_the_unknown_is_never_ok(need: Need) -> None:
    """Whatever is needed, what could not be seen is unknown."""
    assert verdict_of(need, Holds.UNKNOWN) == "unknown"


@pytest.mark.parametrize(
    ("need", "holds", "verdict", "red"),
    [
        (Need.NEEDED, Holds.YES, "ok", False),
        (Need.NEEDED, Holds.NO, "missing", True),
        (Need.NEEDED, Holds.EXCESS, "more", False),
        (Need.WANTED, Holds.NO, "missing", False),
        (Need.WANTED, Holds.YES, "ok", False),
        (Need.ALLOWED, Holds.YES, "ok", False),
        (Need.ALLOWED, Holds.NO, "ok", False),
        (Need.ALLOWED, Holds.EXCESS, "ok", False),
        (Need.UNNEEDED, Holds.YES, "more", False),
        (Need.UNNEEDED, Holds.NO, "ok", False),
    ],
)
def test_a_verdict_sets_what_is_held_beside_what_is_needed(need: Need, holds: Holds, verdict: str, red: bool) -> None:
    """Needed and held is ok, needed and not held missing (red only where the sync cannot do without), held and not needed more."""
    judged = cell(Right.CALENDAR_WRITE, holds, need=need)
    assert (judged.verdict, judged.is_red) == (verdict, red)
    assert judged.why or verdict == "ok"


def test_what_nobody_saw_is_unknown_with_its_reason() -> None:
    """Every right of every account is a cell, also where no source spoke of it."""
    cells = judge(host_of(), [account_of()], [seen(Right.MAILBOX, Holds.YES)], "ews")
    assert [c.right for c in cells] == list(needs(host_of(), account_of()))
    assert {c.verdict for c in cells if c.right is not Right.MAILBOX} == {"unknown"}
    assert all(c.why for c in cells if c.verdict == "unknown")


def test_contradictions_are_unknown_and_addresses_have_no_case() -> None:
    """Yes and no from one source are unknown; a yes beside an unknown is a yes; ANNA@ and anna@ are one mailbox."""
    both = [seen(Right.SEND_AS, Holds.YES), seen(Right.SEND_AS, Holds.NO)]
    judged = {c.right: c for c in judge(host_of(), [account_of(ANNA.upper())], both, "ews")}
    assert judged[Right.SEND_AS].verdict == "unknown"
    assert "contradicts" in judged[Right.SEND_AS].why
    some = [seen(Right.SEND_AS, Holds.UNKNOWN), seen(Right.SEND_AS, Holds.YES)]
    assert {c.right: c.verdict for c in judge(host_of(), [account_of()], some, "ews")}[Right.SEND_AS] == "ok"


@pytest.mark.req("P5")
def test_both_sources_stand_side_by_side() -> None:
    """Where one source knows, its verdict counts; where both know and differ, the worse one counts and the row says that they disagree."""
    rows = matrix_of(
        cell(Right.SEND_AS, Holds.YES, "powershell"),
        cell(Right.SEND_AS, Holds.NO, "ews"),
        cell(Right.CALENDAR_READ, Holds.UNKNOWN, "powershell"),
        cell(Right.CALENDAR_READ, Holds.YES, "ews"),
        cell(Right.TASKS_READ, Holds.YES, "powershell"),
        cell(Right.TASKS_READ, Holds.EXCESS, "ews"),
    ).rows()
    by_right = {row.right: row for row in rows}
    assert by_right[Right.SEND_AS].verdict == "missing"
    assert "over EWS: no; from PowerShell: yes" in by_right[Right.SEND_AS].disagreement
    assert (by_right[Right.CALENDAR_READ].verdict, by_right[Right.CALENDAR_READ].disagreement) == ("ok", "")
    assert by_right[Right.TASKS_READ].disagreement == ""
    assert rows[0].right is Right.SEND_AS, "the worst row is not first"


def test_the_matrix_is_kept_as_json() -> None:
    """A matrix written as JSON and read again is the same; what is no matrix is an error that says what to do."""
    matrix = matrix_of(cell(Right.SEND_AS, Holds.NO), cell(Right.MAILBOX, Holds.YES, "powershell"))
    assert matrix_of_json(json.loads(json.dumps(matrix.as_json()))) == matrix
    with pytest.raises(InputError, match="run the check again"):
        matrix_of_json({"cells": [{"right": "flying"}]})


# ── drift ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P6")
def test_drift_names_what_came_and_went() -> None:
    """Rights lost come first, then users gone, what is no longer known, users added, rights gained and rights narrowed; what is as it was is not named."""
    before = matrix_of(
        cell(Right.SEND_AS, Holds.YES),
        cell(Right.CALENDAR_READ, Holds.YES),
        cell(Right.TASKS_READ, Holds.NO),
        cell(Right.TASKS_WRITE, Holds.UNKNOWN),
        cell(Right.CALENDAR_WRITE, Holds.EXCESS),
        cell(Right.MAILBOX, Holds.YES),
        cell(Right.MAILBOX, Holds.YES, user="bob@example.test"),
    )
    after = matrix_of(
        cell(Right.SEND_AS, Holds.NO),
        cell(Right.CALENDAR_READ, Holds.UNKNOWN),
        cell(Right.TASKS_READ, Holds.YES),
        cell(Right.TASKS_WRITE, Holds.YES),
        cell(Right.CALENDAR_WRITE, Holds.YES),
        cell(Right.MAILBOX, Holds.YES),
        cell(Right.MAILBOX, Holds.YES, user="carol@example.test"),
    )
    assert [(each.change, each.user.partition("@")[0], each.right) for each in drift(before, after)] == [
        ("lost", "anna", Right.SEND_AS),
        ("user gone", "bob", None),
        ("no longer known", "anna", Right.CALENDAR_READ),
        ("user added", "carol", None),
        ("gained", "anna", Right.TASKS_READ),
        ("narrowed", "anna", Right.CALENDAR_WRITE),
    ]
    assert drift(after, after) == ()


@pytest.mark.req("P6")
def test_of_a_user_added_since_it_is_said_what_is_lacking() -> None:
    """A user who was added since the last check is named with what of the needed rights is missing and what could not be seen."""
    bob = "bob@example.test"
    before, there = matrix_of(cell(Right.MAILBOX, Holds.YES)), cell(Right.MAILBOX, Holds.YES)
    lacking = matrix_of(
        there,
        cell(Right.MAILBOX, Holds.YES, user=bob),
        cell(Right.CALENDAR_WRITE, Holds.NO, user=bob),
        cell(Right.SEND_AS, Holds.UNKNOWN, user=bob),
        cell(Right.PRIVATE_ITEMS, Holds.NO, user=bob, need=Need.WANTED),
    )
    assert [each.after for each in drift(before, lacking)] == ["missing: calendar write; not seen: send as"]
    whole = matrix_of(there, cell(Right.MAILBOX, Holds.YES, user=bob))
    assert [each.after for each in drift(before, whole)] == ["has all that is needed"]


# ── least privilege ──────────────────────────────────────────────────────────────────────────────────────────────────
def grant_of(is_whole: bool | None) -> Grant:
    return Grant(
        name="impersonation",
        role="ApplicationImpersonation",
        assignee="svc",
        scope="",
        is_whole_organisation=is_whole,
        evidence="Get-ManagementRoleAssignment",
    )


def checks(host: Host, evidence: Evidence | None = None, today: date = TODAY, *cells: Cell) -> dict[str, str]:
    found = findings(host, matrix_of(*cells, access=host.access), evidence, today)
    assert all(each.next_step and each.cause and each.evidence for each in found)
    return {each.check: each.verdict for each in found}


@pytest.mark.req("P7")
def test_an_impersonation_over_the_whole_organisation_is_warned_of() -> None:
    """The role without a scope is a warning that names the scoped set-up; with one there is nothing to say; unseen it is unknown; unused it is to go."""
    host = host_of("impersonation")
    assert checks(host, Evidence(grants=[grant_of(True)])) == {"impersonation_scope": "warn"}
    assert "--setup" in findings(host, matrix_of(), Evidence(grants=[grant_of(True)]), TODAY)[0].next_step
    assert checks(host, Evidence(grants=[grant_of(False)])) == {}
    assert checks(host, Evidence(grants=[grant_of(None)])) == {"impersonation_scope": "unknown"}
    assert checks(host_of("delegate"), Evidence(grants=[grant_of(False)])) == {"impersonation_unused": "warn"}


@pytest.mark.req("P7")
def test_what_is_withdrawn_is_said_with_its_day() -> None:
    """In Exchange Online the end of EWS and the end of the role are said, the first as a failure from its day on; on premises nothing is."""
    online = host_of("impersonation", version="Office 365", auth="oauth-code")
    assert checks(online) == {"role_withdrawn": "fail", "ews_retirement": "warn"}
    assert checks(replace(online, auth="oauth-app")) == {"ews_retirement": "warn"}
    assert checks(replace(online, auth="oauth-app"), None, date(2027, 4, 1)) == {"ews_retirement": "fail"}
    assert checks(host_of("impersonation")) == {}


@pytest.mark.req("P7")
def test_the_organisations_switch_is_judged_by_the_calendar() -> None:
    """In Exchange Online an empty list of applications blocks all of them, and a switch that nobody set will be set to off."""
    online = host_of("direct", version="Office 365", auth="oauth-code", client_id="app")
    empty = Evidence(
        organisation=Organisation(ews_enabled="true", allowed_app_ids=(), evidence="Get-OrganizationConfig")
    )
    unset = Evidence(organisation=Organisation(ews_enabled="", allowed_app_ids=None, evidence="Get-OrganizationConfig"))
    assert checks(online, empty)["ews_allowed_applications"] == "fail"
    assert checks(online, unset)["ews_not_set"] == "warn"
    assert checks(host_of("direct"), unset) == {}


@pytest.mark.req("P7")
def test_grants_that_are_left_over_or_too_large_are_warned_of() -> None:
    """Rights in the service account's own name are left over where it acts as the owner; a cell with more than is needed is a warning of its own."""
    left = Evidence(direct_grants={ANNA: "Editor of a folder (Get-MailboxFolderPermission)"})
    assert checks(host_of("impersonation"), left) == {"left_over_grant": "warn"}
    assert checks(host_of("delegate"), left) == {}
    owner = cell(Right.CALENDAR_WRITE, Holds.EXCESS)
    assert checks(host_of("delegate"), None, TODAY, owner) == {"more_than_needed": "warn"}
