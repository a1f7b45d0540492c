"""Must show 4 of permissions: the script that mends, applied to the sandbox, turns the matrix green; its undo turns it back.

The administrator's organisation is a model of what her cmdlets see; after each script its state is the sandbox's. Everything else is
the command line's own: it collects, checks both ways, and writes the scripts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import CommandLine
from tests.support.exchange_cmdlets import SERVICE_NAME, Organization
from tests.support.population import addresses_of, enter, settle
from tests.support.powershell import Shell
from tests.support.sandbox import SERVICE

ADDRESSES = addresses_of(6)


@pytest.fixture
def office(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """A workspace whose service account's password lies in the environment; the organisation has six mailboxes more."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    settle(sandbox, ADDRESSES)
    yield run
    close_connections()


def administrators_view() -> Organization:
    """What the administrator has: no right at all for four, too little for one, and all for the last."""
    made = Organization(online=False)
    made.add(SERVICE, SERVICE_NAME)
    for address in ADDRESSES:
        made.add(address, address.partition("@")[0], "Kalender", "Aufgaben")
    made.mailboxes[ADDRESSES[4]].folders["Calendar"].entries[SERVICE] = (["Reviewer"], [])
    for folder in made.mailboxes[ADDRESSES[5]].folders.values():
        folder.entries[SERVICE] = (["Editor"], [])
    made.mailboxes[ADDRESSES[5]].send_as.add(SERVICE)
    return made


def carry_over(view: Organization, sandbox: Sandbox) -> None:
    """Makes the sandbox's rights what the administrator's organisation has."""
    organisation = sandbox.organisation
    for address in ADDRESSES:
        mailbox = view.mailboxes[address]
        for kind, folder in mailbox.folders.items():
            entry = folder.entries.get(SERVICE)
            if entry is None:
                organisation.remove_permission(address, kind.lower(), SERVICE)
            else:
                organisation.set_permission(address, kind.lower(), SERVICE, entry[0][0])
        if SERVICE in mailbox.send_as:
            organisation.grant_sending(address, SERVICE)
        else:
            organisation.revoke_sending(address, SERVICE)
    reached = {a for a in ADDRESSES if any(view.reaches(each, a) for each in view.assignments.values())}
    organisation.revoke_impersonation(SERVICE)
    organisation.grant_impersonation(SERVICE, reached)


def run_script(office: CommandLine, view: Organization, sandbox: Sandbox, files: dict[str, str], *which: str) -> None:
    """Has the command line write a script, and the administrator run it."""
    shell = Shell(view.cmdlets(), files)
    shell.run(office("rights", "script", "--host", "exchange", *which).stdout)
    assert shell.warnings == []
    carry_over(view, sandbox)


def check(
    office: CommandLine, view: Organization, sandbox: Sandbox, folder: Path, exit_code: int = 1
) -> list[dict[str, Any]]:
    """The matrix from both sources."""
    files: dict[str, str] = {}
    run_script(office, view, sandbox, files, "--collect")
    collected = folder / "syncops-rights.json"
    collected.write_text(files["syncops-rights.json"], encoding="utf-8")
    command = ("rights", "check", "--host", "exchange", "--from-csv", str(collected), "--json")
    (host,) = office(*command, exit_code=exit_code).json["hosts"]
    matrix: list[dict[str, Any]] = host["matrix"]
    return matrix


def red(matrix: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["user"], row["right"]) for row in matrix if row["red"]}


@pytest.mark.req("P2", "P5")
@pytest.mark.parametrize("access", ["delegate", "impersonation"])
def test_the_script_turns_the_matrix_green_and_its_undo_turns_it_back(
    office: CommandLine, sandbox: Sandbox, tmp_path: Path, access: str
) -> None:
    """What the check finds red, over EWS and from the cmdlets alike, is green after the script, and red again after its undo."""
    enter(office.workspace, sandbox, ADDRESSES, access=access)
    view, files = administrators_view(), {}
    carry_over(view, sandbox)
    before, found = view.state(), check(office, view, sandbox, tmp_path)
    assert {user for user, _ in red(found)} == set(ADDRESSES if access == "impersonation" else ADDRESSES[:5])
    run_script(office, view, sandbox, files)
    mended = check(office, view, sandbox, tmp_path, exit_code=0)
    assert red(mended) == set()
    assert {row["verdict"] for row in mended if row["expected"] == "needed" and row["powershell"]} == {"ok"}
    assert [row["disagreement"] for row in mended if row["disagreement"]] == []
    run_script(office, view, sandbox, files, "--undo")
    assert view.state() == before
    assert red(check(office, view, sandbox, tmp_path)) == red(found)


@pytest.mark.req("P3")
def test_the_articles_own_commands_are_judged_as_pasted(office: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    """The two commands that the article verifies with, pasted from the console, give Send As by the users' names and the calendar by its folder."""
    enter(office.workspace, sandbox, ADDRESSES, access="delegate")
    pasted = tmp_path / "console.txt"
    pasted.write_text(
        f'PS C:\\> Get-RecipientPermission -Trustee "{SERVICE}"\n\n'
        "Identity Trustee          AccessControlType AccessRights Inherited\n"
        "-------- -------          ----------------- ------------ ---------\n"
        f"user000  {SERVICE} Allow             {{SendAs}}     False\n"
        f"user001  {SERVICE} Allow             {{SendAs}}     False\n\n"
        f"PS C:\\> Get-MailboxFolderPermission -Identity {ADDRESSES[0]}:\\Calendar -User {SERVICE}\n\n"
        "FolderName User         AccessRights\n"
        "---------- ----         ------------\n"
        "Calendar   Sync Service {Editor}\n",
        encoding="utf-16",
    )
    command = ("rights", "check", "--no-ews", "--from-csv", str(pasted), "--json")
    (host,) = office(*command, exit_code=1).json["hosts"]
    verdicts = {(row["user"], row["right"]): row["verdict"] for row in host["matrix"]}
    assert [verdicts[address, "send_as"] for address in ADDRESSES] == ["ok", "ok", *["missing"] * 4]
    assert verdicts[ADDRESSES[0], "calendar_write"] == "ok"
    assert verdicts[ADDRESSES[1], "calendar_write"] == "unknown"
