"""Each status and sub-cause, planted by its real cause: shown by the status and found by the diagnosis, and nothing else in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stamina

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis.checks import FOLLOWS, judge, leading, standing_of
from ops_lib.diagnosis.seen import Facts
from ops_lib.diagnosis.statuses import MEANINGS
from ops_lib.diagnosis.sub_causes import SUB_CAUSES
from ops_lib.model import Finding
from ops_lib.sandbox.server import Sandbox
from tests.support.planted import PLANTED, Planted, Scene
from tests.support.sandbox import SERVICE

BY_NAME = {each.name: each for each in PLANTED}
NOT_PLANTED = {
    "impersonation_withdrawn", "ews_ending", "ews_retired",  # Exchange Online's own addresses and days: tests/diagnosis/test_checks.py
    "certificate_expiring", "clock_off", "defect", "password_expired", "sign_in_over",
    "send_as_missing",  # of email: tests/e2e/test_mail.py
}  # fmt: skip
Play = Callable[[Planted], Scene]


@pytest.fixture
def play(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """``play(planted)``: a scene with the fault in it; pauses between tries take no time."""
    for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    offers = sandbox.gate.offers
    scenes: list[Scene] = []

    def played(planted: Planted) -> Scene:
        scene = Scene(sandbox, tmp_path, planted, setenv=monkeypatch.setenv)
        scenes.append(scene)
        scene.play()
        return scene

    with stamina.set_testing(True, attempts=2):
        yield played
    for each in scenes:
        each.__exit__(None, None, None)
    sandbox.gate.offers = offers


def diagnosed(scene: Scene) -> tuple[Facts, list[Finding]]:
    """The facts, after they went through a file, and what they mean."""
    facts = Facts.from_json(scene.facts(probe_seconds=5).to_json())
    return facts, judge(facts)


@pytest.mark.req("T1", "T3", "G1")
@pytest.mark.parametrize("name", list(BY_NAME))
def test_what_was_planted_is_found(name: str, play: Play) -> None:
    """The status is the planted one, the diagnosis begins with the check that saw it, and says its sub-cause, evidence and next step."""
    planted = BY_NAME[name]
    scene = play(planted)
    facts, findings = diagnosed(scene)
    row, first = scene.status(), leading(findings)
    assert row["status"] == planted.status
    stands = standing_of(facts)
    assert stands is not None
    assert stands.status == row["status"], "the facts say what the status says"
    assert stands.said == row["sub_cause"] or planted.status_says, "and why, unless only the server could tell"
    if not planted.leads:
        assert first is None, first
        return
    assert first is not None
    assert (first.check, first.sub_cause) == (planted.leads, planted.sub_cause)
    assert first.evidence
    assert first.next_step
    assert first.cause
    if first.verdict == "fail" and planted.status not in ("Syncing", "Unattempted", "Not Enabled"):
        assert row["sub_cause"].startswith(SUB_CAUSES[planted.status_says or planted.sub_cause].title)
    failed = [each for each in findings if each.verdict == "fail"]
    assert all(FOLLOWS in each.cause for each in failed[1:]), [each.check for each in failed[1:]]


@pytest.mark.req("T3")
def test_the_directory_is_asked_by_a_service_account_whose_login_is_no_address(play: Play) -> None:
    """A login like EXAMPLE\\svc names no mailbox; the directory is asked all the same whether it knows the user."""
    planted = replace(BY_NAME["mailbox_elsewhere"], entered={"service_user": "EXAMPLE\\svc"})
    _, findings = diagnosed(play(planted))
    first = leading(findings)
    assert first is not None
    assert (first.check, first.sub_cause) == ("mailbox", "mailbox_elsewhere")


def test_every_status_and_sub_cause_is_planted() -> None:
    """All 13 statuses are planted, and every sub-cause but those that another test has."""
    assert {each.status for each in PLANTED} == set(MEANINGS)
    assert {each.sub_cause for each in PLANTED if each.sub_cause} == set(SUB_CAUSES) - NOT_PLANTED
    assert len(BY_NAME) == len(PLANTED)


@pytest.mark.req("T3")
def test_two_faults_are_both_named_the_cause_before_its_consequence(play: Play, sandbox: Sandbox) -> None:
    """A withdrawn role and a secret that ends soon are both named; the status that follows from the role comes after it and says so."""

    def both(scene: Scene) -> None:
        sandbox.organisation.revoke_impersonation(SERVICE)
        scene.edit_host(secret_expires="2026-12-01")

    _, findings = diagnosed(
        play(Planted("two", both, "Impersonation Failed", "impersonation_missing", "impersonation"))
    )
    wrong = [(each.check, each.verdict) for each in findings if each.verdict in ("fail", "warn")]
    assert wrong == [("impersonation", "fail"), ("status", "fail"), ("secret", "warn")]
    status = next(each for each in findings if each.check == "status")
    assert status.cause == "follows from 'impersonation'"
    assert status.next_step == "mend 'impersonation' first."


@pytest.mark.req("T3")
def test_two_faults_that_have_nothing_to_do_with_each_other_both_lead(play: Play) -> None:
    """A mailbox claimed twice is named beside a server that throttles: neither follows from the other."""

    def both(scene: Scene) -> None:
        scene.claim()
        scene.fail("GetFolder", response_code="ErrorServerBusy")

    planted = Planted("two", both, "Syncing", "", "throttling", prepare=lambda scene: scene.have_dora(is_alias=False))
    _, findings = diagnosed(play(planted))
    failed = {each.check: each for each in findings if each.verdict == "fail"}
    assert "throttling" in failed
    assert "ErrorServerBusy" in failed["throttling"].observed
    assert failed["throttling"].cause.startswith(SUB_CAUSES["throttled_mailbox"].title)
    claims = next(each for each in findings if each.check == "claims")
    assert claims.verdict == "ok"
    assert "aliases could not be compared" in claims.observed, "what could not be seen is not said to be well"


@pytest.mark.req("T3")
def test_a_failure_that_is_over_says_so(play: Play, sandbox: Sandbox) -> None:
    """A status from before is no failure of now: the mailbox opens, and the next cycle is what is left to do."""
    scene = play(BY_NAME["impersonation_missing"])
    sandbox.organisation.grant_impersonation(SERVICE, None)
    _, findings = diagnosed(scene)
    assert [each.check for each in findings if each.verdict == "fail"] == []
    status = next(each for each in findings if each.check == "status")
    assert status.verdict == "warn"
    assert status.next_step == f"syncops sync --account {scene.address}; the status follows."
