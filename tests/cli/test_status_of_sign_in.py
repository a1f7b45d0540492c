"""`status` and `host check` where the directory gives no token: the code it gave, who must act, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE
from tests.support.signing_in import Office

Make = Callable[..., Office]
ANOTHER_TENANT = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    offices: list[Office] = []

    def made(**entered: Any) -> Office:
        offices.append(Office(sandbox, tmp_path / "w", monkeypatch, **entered))
        offices[-1].add(ALICE)
        return offices[-1]

    yield made
    for office in offices:
        office.workspace.close()
    close_connections()


def calendar(run: CommandLine) -> dict[str, Any]:
    return next(row for row in run("status", "--json").json if row["process"] == "calendar")


@pytest.mark.req("A9", "T1")
def test_an_account_that_nobody_signed_in_for_is_told_to_sign_in(make: Make) -> None:
    """Unauthorized for want of a sign-in asks for one, and for no password."""
    run = CommandLine(make().workspace.path)
    run("sync", exit_code=1)
    row = calendar(run)
    assert (row["status"], row["owner"]) == ("Unauthorized", "who signs in")
    assert row["next_step"] == "not signed in: who signs in signs in (syncops signin)."
    assert "not signed in" in run("status").stdout


@pytest.mark.req("A9", "T1")
def test_a_wrong_tenant_shows_the_directorys_code(make: Make) -> None:
    """A tenant that the directory does not know is AADSTS90002 in the check of the host, in the sync and in the status."""
    office = make(auth="oauth-app", access="impersonation", redirect_uri=None, tenant_id=ANOTHER_TENANT)
    run = CommandLine(office.workspace.path)
    assert "AADSTS90002" in run("host", "check", "cloud", exit_code=1).stdout
    assert "AADSTS90002" in run("sync", exit_code=1).stderr
    row = calendar(run)
    assert (row["status"], row["owner"]) == ("Unauthorized", "a CRM administrator")
    assert row["next_step"] == "AADSTS90002: a CRM administrator checks the host's tenant id and authority."
