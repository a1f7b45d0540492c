"""`syncops capture` and `syncops diagnose --cassette`: a customer's failure in one file, with nobody in it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.sandbox import people
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.mailbox.traffic.planted_texts import found_in
from tests.support.carrying import enter_host
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, SERVICE


@pytest.fixture
def command(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line on a workspace with alice's account on the sandbox, which svc may not impersonate any more."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    workspace = Workspace.open(run.workspace)
    enter_host(workspace, sandbox.ews_url)
    workspace.close()
    sandbox.organisation.revoke_impersonation(SERVICE)
    return run


@pytest.mark.req("T5")
def test_a_failure_is_captured_and_judged_elsewhere(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says what it holds; on a machine without the workspace it gives the diagnosis that the customer's gave."""
    file = tmp_path / "alice.yaml"
    at_home = command("diagnose", ALICE, "--json", exit_code=1).json
    told = command("capture", ALICE, "-o", str(file), "--json").json
    assert told["account"] == ALICE
    assert (told["file"], told["requests"], told["unanswered"]) == (str(file), 4, 0)
    assert told["replaced"]["address"] > 5
    assert told["account_in_file"] in file.read_text()
    assert f"sha256: {told['sha256']}" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.delenv("SVC_PASSWORD")
    monkeypatch.delenv(KEY_VARIABLE)
    elsewhere = CommandLine(tmp_path / "no workspace")("diagnose", "--cassette", str(file), "--json", exit_code=1).json
    assert elsewhere["begin_with"] == at_home["begin_with"] == "impersonation"
    assert (elsewhere["status"], elsewhere["sub_cause"]) == (at_home["status"], at_home["sub_cause"])
    assert [(each["check"], each["verdict"]) for each in elsewhere["findings"]] == [
        (each["check"], each["verdict"]) for each in at_home["findings"]
    ]
    assert ALICE not in str(elsewhere)
    assert elsewhere["account"] == told["account_in_file"]


def test_what_a_person_reads(command: CommandLine, tmp_path: Path) -> None:
    """One line each: the file and what is in it, what was replaced, the digest, and how to judge it."""
    said = command("capture", ALICE, "-o", str(tmp_path / "a.yaml")).stdout.splitlines()
    assert said[0].endswith("a.yaml: alice@example.test on host exchange, 4 requests")
    assert [line.split()[0] for line in said[1:]] == ["in", "replaced", "stand-ins", "sha256", "to"]
    again = command("diagnose", "--cassette", str(tmp_path / "a.yaml"), exit_code=1).stdout
    assert "WRONG: impersonation" in again


def test_what_cannot_be_captured_is_refused_before_anything_is_sent(
    command: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A file that is there, a folder that is not, an account nobody knows: one line with the reason, nothing sent, nothing written."""
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    assert "there is a file of that name" in command("capture", ALICE, "-o", str(there), exit_code=2).stderr
    assert "no such folder" in command("capture", ALICE, "-o", str(tmp_path / "no" / "x.yaml"), exit_code=2).stderr
    assert "nobody@" in command("capture", "nobody@example.test", "-o", str(tmp_path / "x.yaml"), exit_code=2).stderr
    assert sandbox.requests.total("GetFolder") == 0
    assert there.read_text() == "mine"
    command("capture", ALICE, "-o", str(there), "--force")
    assert "syncops cassette" in there.read_text()


def test_a_cassette_says_itself_whose_it_is(command: CommandLine, tmp_path: Path) -> None:
    """`--cassette` beside an account or facts, and a file that is none, are refused with the reason."""
    file = tmp_path / "none.yaml"
    assert "leave the others out" in command("diagnose", ALICE, "--cassette", str(file), exit_code=2).stderr
    assert "cannot be read" in command("diagnose", "--cassette", str(file), exit_code=2).stderr
    file.write_text("rubbish: [")
    assert "this is no YAML" in command("diagnose", "--cassette", str(file), exit_code=2).stderr


@pytest.mark.slow
@pytest.mark.req("T5", "R9")
def test_a_whole_customers_people_are_in_no_capture(
    run: CommandLine, customer_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a customer's users, individuals, subjects, places and addresses none is in the capture of a full mailbox, in any encoding."""
    from ops_lib.runbook.demo import load_crm

    population = people.population()
    service = customer_sandbox.residents.service
    monkeypatch.setenv("SVC_PASSWORD", service.password)
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    workspace = Workspace.open(run.workspace)
    load_crm(workspace, population)
    user = population.users[0]
    enter_host(workspace, customer_sandbox.ews_url, mailbox=user.email, service_user=service.address)
    workspace.close()
    file = tmp_path / "customer.yaml"
    told = run("capture", user.email, "-o", str(file), "--json").json
    assert told["requests"] > 4
    content = file.read_bytes()
    planted = {each.email for each in population.users} | {each.name for each in population.users}
    planted |= {each.name for each in population.individuals} | {
        each.email for each in population.individuals if each.email
    }
    planted |= {each.description for each in population.activities} | {
        each.location for each in population.activities if each.location
    }
    planted |= {service.password, service.address, "example.test"}
    planted |= {
        part for name in planted if "@" not in name for part in name.split() if len(part) > 6 and part[0].isupper()
    }
    assert len(planted) > 100
    from ops_lib.mailbox.traffic import own_words

    left = {text: found_in(content, text) for text in planted if len(text) > 4 and not own_words.is_own(text)}
    assert {text: forms for text, forms in left.items() if forms} == {}
