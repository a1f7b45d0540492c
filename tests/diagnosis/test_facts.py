"""The collector: it ends in time whatever the server does, what it cannot see is a fact, and it holds no secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stamina

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database.tables import metadata
from ops_lib.diagnosis.checks import judge, leading
from ops_lib.diagnosis.facts import collect
from ops_lib.diagnosis.seen import Facts, Probe
from ops_lib.diagnosis.server_reading import claims_of
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.command_line import CommandLine
from tests.support.planted import PLANTED, Planted, Scene
from tests.support.rude_servers import RUDE, after_challenge, rude
from tests.support.sandbox import ALICE, SERVICE

PASSWORD = "correct horse battery staple"
DEADLINE_SECONDS = 6.0
SLACK_SECONDS = 6.0
"""What a busy machine may take beside the waiting."""

Collect = Callable[[str], Facts]
OWN = {
    "account",
    "host",
    "secret",
    "status",
    "sign_in",
    "failures",
    "progress",
    "runs",
    "lease",
    "neighbours",
    "crm",
    "claims",
}
THERE = {"name", "connection", "certificate", "greeting", "token", "mailbox", "service", "address", "rights", "time_zone", "calendar_state", "tasks_state", "items"}  # fmt: skip


@pytest.fixture
def collected(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collect]:
    """``collected(url)``: the facts of alice's account on a host at this URL; the whole may take six seconds."""
    monkeypatch.setenv("THE_PASSWORD", PASSWORD)
    workspace = Workspace.open(run.workspace)

    def one(url: str) -> Facts:
        with workspace.database.begin() as connection:
            Directory(connection).add_user(ALICE, "Alice")
            entered = HostInput(
                url=url, auth="basic", access="impersonation", version="2016", service_user=SERVICE, secret="env:THE_PASSWORD"
            )  # fmt: skip
            Hosts(connection).add("exchange", entered)
            account = Accounts(connection).add(ALICE, host="exchange")
        return collect(workspace, account, deadline_seconds=DEADLINE_SECONDS, probe_seconds=0.3)

    yield one
    workspace.close()
    close_connections()


def begin(facts: Facts) -> tuple[str, str]:
    """The check that the diagnosis begins with, and its sub-cause."""
    first = leading(judge(facts))
    assert first is not None
    assert first.verdict == "fail"
    return first.check, first.sub_cause


@pytest.mark.req("T3")
@pytest.mark.parametrize(
    ("how", "sub_cause"),
    [
        ("silent", "answer_lost"),
        ("drips", "answer_lost"),
        ("closes", "answer_lost"),
        ("page", "page_in_the_way"),
        ("nonsense", "not_ews"),
        ("empty", "not_ews"),
        ("redirects", "not_ews"),
        ("no http", "answer_lost"),
    ],
)
def test_a_server_that_does_not_behave_is_told_in_time(how: str, sub_cause: str, collected: Collect) -> None:
    """Silent, dripping, hanging up, a page, nonsense, a redirect: the looking ends in time, says so, and what was not seen is unknown."""
    began = time.monotonic()
    with rude(RUDE[how]) as url:
        facts = collected(url)
    assert time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS
    assert set(facts.probes) == OWN | THERE
    assert begin(facts) == ("ews", sub_cause)
    findings = judge(facts)
    assert not [
        each for each in findings if each.verdict == "ok" and each.check in ("sign_in", "mailbox", "folders", "policy")
    ]
    assert PASSWORD not in facts.to_json()
    assert "token=abc" not in facts.to_json()


@pytest.mark.req("T3")
@pytest.mark.parametrize(
    ("how", "sub_cause"),
    [
        ("silent", "answer_lost"),
        ("drips", "answer_lost"),
        ("closes", "answer_lost"),
        ("page", "page_in_the_way"),
        ("nonsense", "answer_lost"),
        ("empty", "answer_lost"),
    ],
)
def test_a_server_that_asks_to_sign_in_and_then_does_not_behave_is_told_in_time(
    how: str, sub_cause: str, collected: Collect
) -> None:
    """What begins well and fails at the mailbox ends in time too; the mailbox is asked once."""
    began = time.monotonic()
    with rude(after_challenge(RUDE[how])) as url:
        facts = collected(url)
    assert time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS
    assert facts.probe("greeting").is_seen
    assert begin(facts) == ("server", sub_cause)
    assert {name: facts.probe(name).outcome for name in ("address", "items")} == {
        "address": "not asked",
        "items": "not asked",
    }


def test_a_server_that_sends_elsewhere_gets_no_credentials(collected: Collect) -> None:
    """To what is no Exchange Web Service nobody's password is sent."""
    asked: list[bytes] = []
    page = RUDE["page"]
    with rude(lambda connection, request: (asked.append(request), page(connection, request))[1]) as url:
        facts = collected(url)
    assert not [each for each in asked if b"authorization" in each.lower()]
    assert "nobody's credentials" in facts.probe("mailbox").why


def test_a_known_probe_is_taken_as_it_is(run: CommandLine, collected: Collect) -> None:
    """What was seen elsewhere is not looked at again."""
    facts = collected("http://127.0.0.1:9/EWS/Exchange.asmx")
    assert begin(facts) == ("connection", "not_reachable")
    workspace = Workspace.open(run.workspace)
    with workspace.database.read() as connection:
        account = Accounts(connection).one(ALICE)
    known = {
        "connection": Probe(probe="connection", outcome="failed", why="elsewhere"),
        "lease": Probe(probe="lease", outcome="not asked"),
    }
    again = collect(workspace, account, known=known)
    workspace.close()
    assert {name: again.probes[name] for name in known} == known


@pytest.mark.req("T3", "R9")
@pytest.mark.parametrize("name", ["well", "token_refused", "throttled_account", "wrong_password"])
def test_facts_hold_no_secret_and_come_back_from_json(
    name: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts are equal after a file; password, client secret and token are nowhere in them."""
    planted = next(each for each in PLANTED if each.name == name)
    with stamina.set_testing(True, attempts=2), Scene(sandbox, tmp_path, planted, setenv=monkeypatch.setenv) as scene:
        scene.play()
        facts = scene.facts()
    text = facts.to_json()
    assert Facts.from_json(text) == facts
    for secret in (sandbox.app.secret, sandbox.passwords[SERVICE], "no such password", "eyJ"):
        assert secret not in text


def test_what_the_database_does_not_tell_is_a_fact_too(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a table gone the other probes are made all the same, and the check says unknown."""
    planted = Planted("well", lambda scene: None, "Syncing", "", "")
    with Scene(sandbox, tmp_path, planted, setenv=monkeypatch.setenv) as scene:
        scene.play()
        with scene.workspace.database.begin() as connection:
            metadata.tables["leases"].drop(connection)
        facts = scene.facts()
    assert facts.probe("lease").failure is not None
    assert facts.probe("mailbox").is_seen
    verdicts = {each.check: each.verdict for each in judge(facts)}
    assert verdicts["lease"] == "unknown"
    assert "fail" not in verdicts.values()


def test_a_token_tells_what_is_on_the_list_and_nothing_else() -> None:
    """Expiry, tenant, app, scopes and name are read from a token; what is no token says nothing, whatever it is."""
    import base64
    import json

    def token(claims: object) -> str:
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"eyJhbGciOiJub25lIn0.{body}.c2lnbmF0dXJl"

    told = claims_of(
        token(
            {
                "tid": "t",
                "scp": "EWS.AccessAsUser.All",
                "upn": ALICE,
                "exp": 1_800_000_000,
                "nonce": "secret",
                "roles": ["a"],
            }
        )
    )
    assert told == {
        "is_readable": True, "tid": "t", "scp": "EWS.AccessAsUser.All", "upn": ALICE, "roles": ["a"], "expires": "2027-01-15T08:00:00Z",
    }  # fmt: skip
    for broken in ("", "opaque", "a.b.c", "a.!!!.c", token([1]), token("x")):
        assert claims_of(broken) == {"is_readable": False}
    assert claims_of(token({"exp": 1e300, "tid": 7})) == {"is_readable": True}
