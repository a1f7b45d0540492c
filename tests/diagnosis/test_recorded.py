"""The diagnosis from traffic that a real server sent (grommunio gromox): what Exchange's own words would say, said in another server's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.diagnosis.checks import judge, leading
from ops_lib.diagnosis.facts import collect
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Finding
from ops_lib.workspace import Workspace
from tests.mailbox.cassettes import Interaction, load
from tests.mailbox.stub import Asked, Reply, Stub
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, SERVICE

Diagnose = Callable[..., list[Finding]]
GRANTED = ("impersonate_alice_granted", 0)
RECORDED: dict[str, tuple[str, int]] = {
    "GetFolder": GRANTED,
    "ResolveNames": ("resolve_names_known_and_unknown", 0),
    "GetServerTimeZones": ("call_unknown_operation", 0),
    "FindItem": ("find_events_paged", 0),
}
"""What the server answers where nothing else is said: it has no GetServerTimeZones."""


def recorded(name: str, place: int) -> Interaction:
    return load(name)[place]


@pytest.fixture
def diagnose(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Diagnose]:
    """``diagnose(GetFolder=("impersonate_carol_denied", 0))``: the findings where the server answers an operation so."""
    monkeypatch.setenv("THE_PASSWORD", "secret")
    workspace = Workspace.open(run.workspace)

    def one(access: str = "impersonation", **instead: tuple[str, int]) -> list[Finding]:
        answers = {name: recorded(*where) for name, where in (RECORDED | instead).items()}

        def answer(asked: Asked, number: int) -> Reply:
            if "Authorization" not in asked.headers:
                return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="gromox"'})
            operation = re.search(rb":Body[^>]*>\s*<(?:\w+:)?(\w+)", asked.body)
            found = answers[operation.group(1).decode() if operation else "?"]
            kept = {
                name: value
                for name, value in found.headers.items()
                if name.lower() in ("content-type", "www-authenticate")
            }
            return Reply(body=found.body, status=found.status, headers=kept)

        with Stub(answer) as server:
            with workspace.database.begin() as connection:
                Directory(connection).add_user(ALICE, "Alice")
                entered: dict[str, Any] = {"url": f"{server.url}", "auth": "basic", "access": access, "version": "2016"}
                Hosts(connection).add("gromox", HostInput(**entered, service_user=SERVICE, secret="env:THE_PASSWORD"))
                account = Accounts(connection).add(ALICE, host="gromox")
            return judge(collect(workspace, account, probe_seconds=5))

    yield one
    workspace.close()
    close_connections()


@pytest.mark.req("T3", "T1")
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (("get_calendar_wrong_password", 0), ("sign_in", "wrong_password")),
        (("impersonate_carol_denied", 0), ("impersonation", "impersonation_missing")),
        (("impersonate_unknown_address", 0), ("mailbox", "no_mailbox")),
        (("read_folders_delegate_no_rights", 0), ("folders", "folder_closed")),
        (("post_malformed_xml", 0), ("server", "server_error")),
    ],
)
def test_a_recorded_failure_comes_to_its_cause(
    where: tuple[str, int], expected: tuple[str, str], diagnose: Diagnose
) -> None:
    """The recorded answer leads to the same check and sub-cause as Exchange's does."""
    nobody = (
        {"ResolveNames": ("resolve_names_known_and_unknown", 4)} if where[0] == "impersonate_unknown_address" else {}
    )
    first = leading(diagnose(GetFolder=where, **nobody))
    assert first is not None
    assert (first.verdict, first.check, first.sub_cause) == ("fail", *expected)


def test_an_operation_that_a_server_does_not_have_is_no_fault_of_its(diagnose: Diagnose) -> None:
    """gromox has no GetServerTimeZones: whether it knows the zone is unknown, and nothing is wrong."""
    findings = {each.check: each for each in diagnose()}
    assert findings["time_zone"].verdict == "unknown"
    assert findings["server"].verdict == "ok"
    assert "fail" not in {each.verdict for each in findings.values()}
