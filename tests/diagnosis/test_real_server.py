"""A diagnosis of what a real server (not Microsoft's) answered: found, captured and replayed to the same finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis.checks import judge, leading
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.workspace import Workspace
from tests.mailbox import cassettes as real
from tests.mailbox.stub import Asked, Reply, Stub
from tests.support.carrying import carried, enter_host
from tests.support.command_line import CommandLine
from tests.support.leaks import found_in


def _operation(body: bytes) -> str:
    found = re.search(rb":?Body[^>]*>\s*<(?:\w+:)?(\w+)", body)
    return found.group(1).decode() if found else "?"


def _reply(recorded: real.Interaction) -> Reply:
    headers = {name: value for name, value in recorded.headers.items() if name.lower() != "content-length"}
    return Reply(recorded.body, recorded.status, headers)


class Gromox:
    """Answers as the real server did: to nobody its 401, to everything of an operation what it said to the first of a scenario."""

    def __init__(self, scenario: str, *, is_known: bool) -> None:
        self._answer = next(each for each in real.load(scenario) if each.operation == "GetFolder")
        self._nobody = real.load("get_calendar_no_credentials")[0]
        code = b"NoError" if is_known else b"ErrorNameResolutionNoResults"
        self._names = next(each for each in real.load("resolve_names_known_and_unknown") if code in each.body)

    def __call__(self, asked: Asked, number: int) -> Reply:
        if "Authorization" not in asked.headers:
            return _reply(self._nobody)
        if self._answer.status == 401 or _operation(asked.body) == "GetFolder":
            return _reply(self._answer)
        return _reply(self._names)


@pytest.fixture
def workspace(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("SVC_PASSWORD", "correct horse battery staple")
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    opened = Workspace.open(run.workspace)
    yield opened
    opened.close()
    close_connections()


@pytest.mark.req("T1", "T3", "T5")
@pytest.mark.parametrize(
    ("scenario", "check", "sub_cause", "code"),
    [
        ("impersonate_carol_denied", "impersonation", "impersonation_missing", "ErrorImpersonateUserDenied"),
        ("impersonate_unknown_address", "mailbox", "no_mailbox", "ErrorCannotFindUser"),
        ("get_calendar_wrong_password", "sign_in", "wrong_password", "HTTP 401"),
        ("get_calendar_unknown_login", "sign_in", "wrong_password", "HTTP 401"),
    ],
)
def test_what_a_real_server_answered_is_found_and_carried_home(
    workspace: Workspace, tmp_path: Path, scenario: str, check: str, sub_cause: str, code: str
) -> None:
    """The finding is that of the recorded traffic, with its code; the capture of it replays to the same, and names nobody."""
    with Stub(Gromox(scenario, is_known=sub_cause != "no_mailbox")) as server:
        account = enter_host(workspace, server.url, mailbox="carol@example.test")
        got = carried(workspace, account, tmp_path)
    assert got.after == got.before
    for facts in (got.captured.facts, got.facts):
        first = leading(judge(facts))
        assert first is not None
        assert (first.check, first.sub_cause) == (check, sub_cause)
        assert code in first.observed
    assert (
        found_in(
            got.file.read_bytes(),
            ["carol@example.test", "svc@example.test", "Carol Example", "correct horse battery staple"],
        )
        == []
    )
