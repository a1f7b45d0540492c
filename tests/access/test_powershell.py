"""The scripts that mend rights: what they hold, that they do it, once, and back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_lib.access import powershell
from ops_lib.access.powershell_evidence import observe
from ops_lib.access.powershell_output import read_output
from ops_lib.access.rights import Holds, Matrix, Observation, Right, judge
from ops_lib.errors import InputError
from ops_lib.model import Access, Account, Host
from tests.support import powershell as shell
from tests.support.exchange_cmdlets import SERVICE, SERVICE_NAME, Organization

APPLICATION = "11111111-2222-4333-8444-555555555555"
OBJECT = "99999999-8888-4777-8666-555555555555"
SCRIPTS = Path(__file__).parent / "scripts"
VERSIONS = ("2013", "2016", "2019", "SE", "Office 365")
USERS = ("anna@example.test", "bob@example.test", "o'brien@example.test")


def host_of(version: str, access: Access = "delegate") -> Host:
    return Host(
        host_id="1",
        name="Main Street",
        url="https://mail.example.test/EWS/Exchange.asmx",
        auth="oauth-app" if version == "Office 365" else "ntlm",
        access=access,
        version=version,
        service_user=SERVICE,
        client_id=APPLICATION if version == "Office 365" else "",
        all_day_tasks=True,
        send_email=True,
    )


def account_of(mailbox: str) -> Account:
    return Account(
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


def organization_of(version: str) -> Organization:
    """Three mailboxes: one German without any right, one where it may only read, one with a name that ends a text."""
    made = Organization(online=version == "Office 365")
    made.add(SERVICE, SERVICE_NAME)
    made.add("anna@example.test", "Anna Baker", "Kalender", "Aufgaben")
    bob = made.add("bob@example.test", "Bob Carter")
    bob.folders["Calendar"].entries[SERVICE] = (["Reviewer"], [])
    bob.folders["Tasks"].entries[SERVICE] = (["Editor"], [])
    bob.ews_enabled = False
    made.add("o'brien@example.test", "Pat O'Brien", "Calendar/2", "Tâches")
    return made


def run(organization: Organization, script: str, files: dict[str, str]) -> shell.Shell:
    made = shell.Shell(organization.cmdlets(), files, [OBJECT])
    made.run(script)
    return made


def check(organization: Organization, host: Host, users: tuple[str, ...] = USERS) -> Matrix:
    """What the collecting script's file is judged to be."""
    files: dict[str, str] = {}
    run(organization, powershell.collect_script(host, users), files)
    accounts = [account_of(each) for each in users]
    found = observe(read_output(files["syncops-rights.json"]), host, accounts)
    cells = judge(host, accounts, found.observations, "powershell")
    return Matrix(host=host.name, access=host.access, service_user=host.service_user, cells=cells)


def red(matrix: Matrix) -> list[str]:
    return [f"{row.user} {row.right}" for row in matrix.red()]


# ── what they do ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P2", "P5")
@pytest.mark.parametrize("version", VERSIONS)
def test_mending_turns_every_red_cell_green_and_undoing_turns_it_back(version: str) -> None:
    """After the script nothing is missing; run twice it changes nothing more; undone, everything stands as before, also when undone twice."""
    host, organization, files = host_of(version), organization_of(version), {}
    before, matrix = organization.state(), check(organization, host)
    assert red(matrix) == [
        "anna@example.test calendar_read",
        "anna@example.test calendar_write",
        "anna@example.test tasks_read",
        "anna@example.test tasks_write",
        "anna@example.test send_as",
        "bob@example.test ews_enabled",
        "bob@example.test calendar_write",
        "bob@example.test send_as",
        "o'brien@example.test calendar_read",
        "o'brien@example.test calendar_write",
        "o'brien@example.test tasks_read",
        "o'brien@example.test tasks_write",
        "o'brien@example.test send_as",
    ]
    script = powershell.mend_script(matrix, host)
    assert run(organization, script, files).warnings == []
    assert red(check(organization, host)) == []
    mended, written, kept = organization.state(), len(organization.writes), dict(files)
    run(organization, script, files)
    assert organization.state() == mended
    assert len(organization.writes) == written, "a second run writes"
    assert files == kept, "a second run forgets what there was before"
    undone = run(organization, powershell.undo_script(host), files)
    assert undone.warnings == []
    assert organization.state() == before
    assert red(check(organization, host)) == red(matrix)
    run(organization, powershell.undo_script(host), files)
    assert organization.state() == before


@pytest.mark.req("P1")
@pytest.mark.parametrize("version", VERSIONS)
def test_acting_for_others_is_given_by_a_scope_and_taken_back(version: str) -> None:
    """The set-up lets the service account act for the host's accounts and nobody else; a second run changes nothing; undone, nothing of it is left."""
    host, organization, files = host_of(version, "impersonation"), organization_of(version), {}
    organization.mailboxes["bob@example.test"].ews_enabled = True
    organization.add("director@example.test", "The Director")
    before, matrix = organization.state(), check(organization, host)
    assert {row.right for row in matrix.red()} >= {Right.IMPERSONATION, Right.CALENDAR_WRITE}
    script = powershell.mend_script(matrix, host, enterprise_object_id=OBJECT)
    assert run(organization, script, files).warnings == []
    assert red(check(organization, host)) == []
    assert red(check(organization, host, ("director@example.test",))) != [], "it reaches somebody else"
    mended, written = organization.state(), len(organization.writes)
    run(organization, script, files)
    assert (organization.state(), len(organization.writes)) == (mended, written)
    assert run(organization, powershell.undo_script(host), files).warnings == []
    assert organization.state() == before


@pytest.mark.req("P1")
def test_the_application_gets_the_role_in_exchange_online() -> None:
    """In Exchange Online the withdrawn role is not named in any command: the application gets RBAC for Applications, and its object id is asked for."""
    host, organization = host_of("Office 365", "impersonation"), organization_of("Office 365")
    script = powershell.impersonation_script(host, USERS)
    run(organization, script, {})
    assert organization.assignments == {
        "syncops Main Street impersonation": {
            "role": "Application EWS.AccessAsApp",
            "who": OBJECT,
            "scope": "syncops Main Street accounts",
        }
    }
    assert organization.applications == {OBJECT: APPLICATION}
    assert not re.search(r"^[^#]*ApplicationImpersonation", script, re.MULTILINE)


@pytest.mark.req("P1")
def test_the_articles_own_command_is_there_when_asked_for() -> None:
    """On premises, asked for the whole organisation, the script gives the role as the article does, and says what that opens."""
    host, organization = host_of("2019", "impersonation"), organization_of("2019")
    script = powershell.impersonation_script(host, USERS, whole_organisation=True)
    run(organization, script, {})
    assert organization.assignments[powershell.assignment_of(host)]["scope"] == ""
    assert "New-ManagementRoleAssignment -Name $Assignment -Role ApplicationImpersonation -User $Service" in script
    assert "opens every mailbox" in script


def test_two_hosts_of_one_organisation_do_not_share_names() -> None:
    """Group, assignment and the file of the undo are each host's own, whatever signs its name has, and short enough for Exchange."""
    hosts = [
        replace(host_of("2019"), name=name, host_id=str(number))
        for number, name in enumerate(("Zürich", "Z/rich", "Zuerich", "x" * 99))
    ]
    for name_of in (powershell.group_of, powershell.assignment_of, powershell.undo_file_of):
        names = [name_of(host) for host in hosts]
        assert len(set(names)) == len(hosts)
        assert max(map(len, names)) <= 64
        assert all(name.isascii() and "/" not in name for name in names)


def test_only_the_red_cells_are_mended() -> None:
    """A user who has everything is not named in the script, and of a user only what is missing."""
    host, organization = host_of("Office 365"), organization_of("Office 365")
    run(organization, powershell.mend_script(check(organization, host), host), {})
    del organization.mailboxes["bob@example.test"].folders["Tasks"].entries[SERVICE]
    script = powershell.mend_script(check(organization, host), host)
    assert [line for line in script.splitlines() if line.startswith("Step ")] == [
        "Step { Grant-Folder 'bob@example.test' 'Tasks' }"
    ]
    assert "anna@example.test" not in script
    assert "RecipientPermission" not in script


def test_nothing_red_is_a_script_that_does_nothing() -> None:
    """Where nothing is missing, the script says so and runs no command."""
    host, organization = host_of("SE"), organization_of("SE")
    run(organization, powershell.mend_script(check(organization, host), host), {})
    script = powershell.mend_script(check(organization, host), host)
    assert shell.commands(script) == {"Write-Output"}
    assert run(organization, script, {}).said == ["Nothing to mend."]


def test_what_somebody_changed_since_is_left_alone_by_the_undo() -> None:
    """An entry that was set to another level after the mending stays as it is when the mending is taken back."""
    host, organization, files = host_of("2016"), organization_of("2016"), {}
    run(organization, powershell.mend_script(check(organization, host), host), files)
    entries = organization.mailboxes["anna@example.test"].folders["Calendar"].entries
    entries[SERVICE] = (["Owner"], [])
    run(organization, powershell.undo_script(host), files)
    assert entries[SERVICE] == (["Owner"], [])


def test_one_mailbox_that_fails_does_not_stop_the_others() -> None:
    """A mailbox that went away between check and mending is warned of, and all others are mended."""
    host, organization = host_of("2016"), organization_of("2016")
    script = powershell.mend_script(check(organization, host), host)
    del organization.mailboxes["anna@example.test"]
    warned = run(organization, script, {}).warnings
    assert any("anna@example.test" in each for each in warned)
    assert "3 steps failed" in warned[-1]
    assert red(check(organization, host, USERS[1:])) == []


def test_the_sessions_preference_is_as_it_was_afterwards() -> None:
    """A cmdlet's error ends its step also where the administrator's session lets errors pass; afterwards the session is as before, also after an early end."""
    host, organization = host_of("2016"), organization_of("2016")
    script = powershell.mend_script(check(organization, host), host)
    organization.mailboxes.clear()
    for each in (script, powershell.undo_script(host), powershell.collect_script(host, USERS)):
        ran = run(organization, each, {})
        assert ran.session == {"erroractionpreference": "Continue"}
        assert ran.errors == [], "an error went by without ending its step"


def matrix_with(host: Host, *red_rights: Right, why: str = "") -> Matrix:
    """The matrix of one user, in whose mailbox these rights are missing."""
    rights = [
        Observation(
            user=USERS[0],
            right=right,
            holds=Holds.NO if right in red_rights else Holds.YES,
            observed="seen",
            evidence="GetFolder",
            source="ews",
            why=why if right in red_rights else "",
        )
        for right in Right
    ]
    cells = judge(host, [account_of(USERS[0])], rights, "ews")
    return Matrix(host=host.name, access=host.access, service_user=host.service_user, cells=cells)


@pytest.mark.req("P5")
@pytest.mark.parametrize(
    ("access", "why"),
    [("direct", ""), ("impersonation", ""), ("delegate", "the default calendar folder is of another kind; look at it")],
)
def test_what_no_right_mends_is_a_comment(access: Access, why: str) -> None:
    """A folder that its own user may not read, or that is no calendar, is said with who can mend it; no command is written for it."""
    host = host_of("2019", access)
    matrix = matrix_with(host, Right.CALENDAR_READ, Right.CALENDAR_WRITE, why=why)
    assert [row.right for row in matrix.red()] == [Right.CALENDAR_READ, Right.CALENDAR_WRITE]
    assert powershell.to_mend(matrix) == ()
    script = powershell.mend_script(matrix, host)
    assert "# anna@example.test: the calendar cannot be read" in script
    assert "look at it in Outlook" in script
    assert shell.commands(script) == {"Write-Output"}


@pytest.mark.req("P5")
def test_ews_of_a_user_who_signs_in_is_switched_on() -> None:
    """With direct access the one thing that the administrator's script gives is EWS itself, without a service account's name."""
    host = replace(host_of("2019", "direct"), service_user="")
    script = powershell.mend_script(matrix_with(host, Right.EWS_ENABLED), host)
    assert "Step { Enable-Ews 'anna@example.test' }" in script


@pytest.mark.req("P1")
@pytest.mark.parametrize(
    ("host", "more", "said"),
    [
        (host_of("2019", "delegate"), {}, "nobody acts for others"),
        (host_of("2019", "direct"), {}, "nobody acts for others"),
        (host_of("Office 365", "impersonation"), {"whole_organisation": True}, "withdrawn that role"),
        (host_of("Office 365", "impersonation"), {"enterprise_object_id": "my application"}, "no object id"),
    ],
)
def test_a_set_up_that_cannot_be_is_refused(host: Host, more: dict[str, object], said: str) -> None:
    """Where nobody acts for others, the role is withdrawn or the id is no id, the set-up is refused with the mend."""
    with pytest.raises(InputError, match=said) as refused:
        powershell.impersonation_script(host, USERS, **more)
    assert refused.value.fix


@pytest.mark.req("P3")
def test_without_a_service_account_its_rights_are_not_asked_for() -> None:
    """An application that acts alone has no folder permissions and no Send As: the collecting script asks for the application's reach only, without an error."""
    host, organization, files = host_of("Office 365", "impersonation"), organization_of("Office 365"), {}
    script = powershell.collect_script(replace(host, service_user=""), USERS)
    assert run(organization, script, files).errors == []
    assert not {"Get-MailboxFolderPermission", "Get-RecipientPermission", "Get-Mailbox"} & shell.commands(script)
    asked = {row["cmdlet"] for row in json.loads(files["syncops-rights.json"])}
    assert asked == {"Get-OrganizationConfig", "Get-CASMailbox", "Test-ServicePrincipalAuthorization"}


def test_a_denial_is_said_and_not_overridden() -> None:
    """Where an entry denies Send As, the script grants nothing and says that the denial stands."""
    host, organization = host_of("2019"), organization_of("2019")
    organization.mailboxes["anna@example.test"].denied.add(SERVICE)
    matrix = check(organization, host)
    assert "anna@example.test send_as" in red(matrix)
    warned = run(organization, powershell.mend_script(matrix, host), {}).warnings
    assert any("denied" in each for each in warned)
    assert organization.mailboxes["anna@example.test"].send_as == set()


def test_ews_that_is_off_for_all_is_left_to_the_administrator() -> None:
    """The organisation's own switch is never touched: the script names the command instead."""
    host, organization = host_of("2019"), organization_of("2019")
    organization.ews_enabled = False
    script = powershell.mend_script(check(organization, host), host)
    warned = run(organization, script, {}).warnings
    assert any("Set-OrganizationConfig -EwsEnabled $true" in each for each in warned)
    assert organization.ews_enabled is False
    assert "set-organizationconfig" not in {each.lower() for each in shell.commands(script)}


def test_private_items_are_given_when_asked_for_and_taken_back() -> None:
    """The wanted right is left out unless asked for; given in Exchange Online it makes a delegate, which the undo ends."""
    host, organization, files = host_of("Office 365"), organization_of("Office 365"), {}
    before, matrix = organization.state(), check(organization, host)
    assert "Grant-PrivateItems" not in powershell.mend_script(matrix, host)
    run(organization, powershell.mend_script(matrix, host, private_items=True), files)
    cells = {(row.user, row.right): row.verdict for row in check(organization, host).rows()}
    assert [cells[user, Right.PRIVATE_ITEMS] for user in USERS] == ["ok"] * 3
    run(organization, powershell.undo_script(host), files)
    assert organization.state() == before


def test_private_items_are_the_users_to_give_on_premises() -> None:
    """No cmdlet gives private items on premises: the script says who can, and runs nothing for it."""
    host, organization = host_of("2019"), organization_of("2019")
    script = powershell.mend_script(check(organization, host), host, private_items=True)
    assert "the user ticks it in Outlook" in script
    assert "SharingPermissionFlags" not in script


def test_a_mailbox_that_is_not_there_is_not_mended() -> None:
    """For an address without a mailbox there is a comment, and no command."""
    host, organization = host_of("2016"), organization_of("2016")
    matrix = check(organization, host, (*USERS, "nobody@example.test"))
    assert "nobody@example.test mailbox" in red(matrix)
    script = powershell.mend_script(matrix, host)
    assert "# nobody@example.test: no mailbox answers; correct the address in the CRM" in script
    assert "'nobody@example.test'" not in script


def test_without_a_service_account_there_is_no_script() -> None:
    """A host that names nobody to give rights to is refused, with how to name them."""
    host, organization = host_of("2016"), organization_of("2016")
    matrix = check(organization, host)
    nameless = replace(host, service_user="")
    with pytest.raises(InputError, match="--service-user"):
        powershell.mend_script(matrix, nameless)
    online = host_of("Office 365", "impersonation")
    with pytest.raises(InputError, match="--client-id"):
        powershell.impersonation_script(replace(online, client_id=""), USERS)


# ── what they are ────────────────────────────────────────────────────────────────────────────────────────────────────
def all_scripts(version: str) -> dict[str, str]:
    """Every kind of script for one version, from the same three mailboxes."""
    slug = version.lower().replace(" ", "_")
    delegate, acting = host_of(version), host_of(version, "impersonation")
    return {
        f"mend_{slug}": powershell.mend_script(check(organization_of(version), delegate), delegate),
        f"impersonation_{slug}": powershell.impersonation_script(acting, USERS, enterprise_object_id=OBJECT),
        f"undo_{slug}": powershell.undo_script(delegate),
        f"collect_{slug}": powershell.collect_script(delegate, USERS),
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_scripts_are_as_they_were_read_by_eye(version: str) -> None:
    """Each version's scripts are the reviewed ones, sign for sign."""
    for name, script in all_scripts(version).items():
        assert (SCRIPTS / f"{name}.ps1").read_text(encoding="utf-8") == script, name


@pytest.mark.parametrize("version", VERSIONS)
def test_scripts_are_powershell_and_run_known_cmdlets_only(version: str) -> None:
    """Every script parses, and runs none but the cmdlets that this kind of Exchange has and the language's own."""
    own = {
        "Step", "Save-Before", "Find-Folder", "Grant-Folder", "Grant-SendAs", "Grant-PrivateItems", "Enable-Ews", "Add-Account", "Add-Row", "Get-FolderRow",
        "Where-Object", "Select-Object", "ForEach-Object", "Out-Null", "Export-Csv", "Import-Csv", "Write-Warning", "Write-Output", "Read-Host",
        "Test-Path", "Move-Item", "New-Object", "ConvertTo-Json", "Out-File",
    }  # fmt: skip
    known = own | set(organization_of(version).cmdlets())
    for name, script in all_scripts(version).items():
        assert shell.commands(script) <= known, name


@pytest.mark.parametrize(
    "name",
    [
        "o'brien@example.test",
        "o\u2019brien@example.test",
        "\u2018\u2019\u201a\u201b'@example.test",
        "$(Remove-Mailbox bob)@example.test",
        "`$x`n@example.test",
        '"; Remove-Mailbox bob #@example.test',
        "' ; Remove-Mailbox bob ; '@example.test",
        "\u2019 ; Remove-Mailbox bob ; \u2019@example.test",
        "#>{}()|&<>@example.test",
        "@'\u00e4\u4e2d@example.test",
    ],
)
def test_a_name_is_never_run(name: str) -> None:
    """Whatever is in a name, it arrives at the cmdlet as it was, and nothing of it is a command."""
    host, organization = host_of("Office 365"), Organization(online=True)
    organization.add(SERVICE, SERVICE_NAME)
    organization.add(name, "Somebody")
    script = powershell.mend_script(check(organization, host, (name,)), host)
    assert "Remove-Mailbox" not in shell.commands(script)
    assert run(organization, script, {}).warnings == []
    assert organization.mailboxes[name].send_as == {SERVICE}


@pytest.mark.parametrize(
    "bad", ["a\nRemove-Mailbox bob@example.test", "a\r@example.test", "a\x00b", "a\u2028b", "a\u202eb"]
)
def test_a_name_with_a_line_break_is_refused(bad: str) -> None:
    """A control character in a name is an error that names it: no name has one, and in a comment it would begin a command."""
    with pytest.raises(InputError, match="control character"):
        powershell.quote(bad)
    with pytest.raises(InputError, match="control character"):
        powershell.collect_script(host_of("2016"), [bad])


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Zl", "Zp", "Cs")), max_size=30))
def test_a_quoted_text_is_read_back_as_itself(text: str) -> None:
    """PowerShell's own rule (five signs end a text, two of them stand for one) gives back any text that was quoted."""
    literal, position, read = powershell.quote(text), 1, ""
    while position < len(literal) - 1:
        if literal[position] in "'\u2018\u2019\u201a\u201b":
            assert literal[position + 1] in "'\u2018\u2019\u201a\u201b", "the text ends too early"
            position += 1
        read += literal[position]
        position += 1
    assert read == text


def test_the_file_is_one_that_old_powershell_reads_rightly() -> None:
    """A script's file begins with a byte order mark and has Windows line ends, so that names with accents survive."""
    content = powershell.file_bytes("# Zoë\nStep\n")
    assert content == b"\xef\xbb\xbf# Zo\xc3\xab\r\nStep\r\n"
