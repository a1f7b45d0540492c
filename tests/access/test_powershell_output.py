"""What administrators' cmdlets print, as they paste and save it, and what it proves."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ops_lib.access.folder_levels import reach_of
from ops_lib.access.powershell_evidence import Evidence, observe
from ops_lib.access.powershell_output import read_output
from ops_lib.access.rights import Holds, Right, judge
from ops_lib.errors import InputError
from ops_lib.model import Access, Account, Host

SERVICE = "svc@example.test"
ANNA, BOB, CAROL = "anna@example.test", "bob@example.test", "carol@example.test"
APPLICATION = "11111111-2222-4333-8444-555555555555"


def host_of(access: Access = "delegate", version: str = "2019") -> Host:
    return Host(
        host_id="1",
        name="Main Street",
        url="https://mail.example.test/EWS/Exchange.asmx",
        auth="ntlm",
        access=access,
        version=version,
        service_user=SERVICE,
        client_id=APPLICATION,
        all_day_tasks=True,
        send_email=True,
    )


def account_of(mailbox: str) -> Account:
    return Account(
        account_id=mailbox, host_id="1", user_id=mailbox, user_email=mailbox, mailbox=mailbox, time_zone="UTC",
        calendar=True, send_email=True, all_day_tasks=True,
    )  # fmt: skip


def seen(
    *texts: str | bytes,
    access: Access = "delegate",
    version: str = "2019",
    name: str = "output.txt",
    names: Sequence[str] = (),
    also: Sequence[tuple[str, str]] = (),
) -> Evidence:
    outputs = [each for text in texts for each in read_output(text, name)]
    accounts = [account_of(each) for each in (ANNA, BOB, CAROL)]
    known = [("Anna Baker", ANNA), ("Bob Carter", BOB), ("Carol Dean", CAROL), *also]
    return observe(outputs, host_of(access, version), accounts, service_names=names, mailbox_names=known)


def holds(evidence: Evidence, user: str, right: Right, access: Access = "delegate") -> str:
    """How one cell is judged."""
    cells = judge(host_of(access), [account_of(user)], evidence.observations, "powershell")
    return next(cell.verdict for cell in cells if cell.right is right)


ASKED = rf"PS C:\Users\admin> Get-MailboxFolderPermission -Identity {ANNA}:\Calendar -User {SERVICE}"


def table(level: str, folder: str = "Calendar", user: str = "Sync Service") -> str:
    return f"""{ASKED}

FolderName           User                 AccessRights
----------           ----                 ------------
{folder:<20} {user:<20} {level}


"""


# ── forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────
FOLDER = {"Mailbox": ANNA, "FolderName": "Calendar", "User": SERVICE, "AccessRights": "Editor"}
FORMS: dict[str, str | bytes] = {
    "csv": f'"Mailbox","FolderName","User","AccessRights"\n"{ANNA}","Calendar","{SERVICE}","Editor"\n',
    "csv with its type": f'#TYPE Selected.System.Management.Automation.PSCustomObject\n"Mailbox","FolderName","User","AccessRights"\n"{ANNA}","Calendar","{SERVICE}","Editor"\n',
    "csv with semicolons": f"Mailbox;FolderName;User;AccessRights\n{ANNA};Calendar;{SERVICE};{{Editor}}\n",
    "csv with tabs": f"Mailbox\tFolderName\tUser\tAccessRights\n{ANNA}\tCalendar\t{SERVICE}\tEditor\n",
    "one JSON object": json.dumps(FOLDER),
    "a JSON list": json.dumps([FOLDER]),
    "nested JSON": json.dumps(
        [{**FOLDER, "AccessRights": ["Editor"], "User": {"DisplayName": "Sync Service", "RecipientPrincipal": {"PrimarySmtpAddress": SERVICE}}}]
    ),
    "a table": table("{Editor}"),
    "a list": f"{ASKED} | fl\n\n\nRunspaceId   : 1\nFolderName   : Calendar\nUser         : Sync Service\nAccessRights : {{Editor}}\nIdentity     : Sync Service\n\n",
    "the management shell": table("{Editor}").replace("PS C:\\Users\\admin> ", "[PS] C:\\Windows\\system32>"),
    "no space between": table("{Editor}").replace("\n\nFolder", "\nFolder"),
    "Windows lines": table("{Editor}").replace("\n", "\r\n"),
    "UTF-8 with its mark": b"\xef\xbb\xbf" + table("{Editor}").encode(),
    "UTF-16": table("{Editor}").encode("utf-16"),
    "UTF-16 the other way": b"\xfe\xff" + table("{Editor}").encode("utf-16-be"),
    "UTF-16 without its mark": table("{Editor}").encode("utf-16-le"),
    "a broken command line": table("{Editor}").replace("-User svc@exam", "-User svc@exam\n"),
    "the newer cmdlet": table("{Editor}").replace("Get-Mail", "Get-EXOMail"),
}  # fmt: skip


@pytest.mark.req("P3")
@pytest.mark.parametrize("form", FORMS)
def test_the_same_entry_is_read_from_every_form(form: str) -> None:
    """Editor of Anna's calendar is found in CSV, JSON, tables and lists, in every encoding that PowerShell writes."""
    evidence = seen(FORMS[form])
    assert holds(evidence, ANNA, Right.CALENDAR_WRITE) == "ok"
    assert holds(evidence, ANNA, Right.CALENDAR_READ) == "ok"
    assert holds(evidence, ANNA, Right.TASKS_WRITE) == "unknown"
    assert holds(evidence, BOB, Right.CALENDAR_WRITE) == "unknown"


def test_a_table_that_the_window_broke_is_put_together() -> None:
    """Where every line of a table was broken at the window's edge, also in the middle of a column, its values are joined."""
    broken = f"""{ASKED}

FolderName           User                 Acces
sRights
----------           ----                 -----
-------
Calendar             {SERVICE:<20} {{Edit
or}}

"""
    assert holds(seen(broken), ANNA, Right.CALENDAR_WRITE) == "ok"


def test_wrapped_cells_are_joined() -> None:
    """Values that Format-Table -Wrap carried on below are one value."""
    text = f"""{ASKED} | ft -Wrap

FolderName User             AccessRights
---------- ----             ------------
Calendar   svc@example.test {{CreateItems, ReadItems,
                             FolderVisible,
                             EditAllItems, DeleteAllItems}}

"""
    assert holds(seen(text), ANNA, Right.CALENDAR_WRITE) == "ok"


CUT = {
    "the level, by an ellipsis": table("{Edit…"),
    "the level, by dots": table("{CreateItems, ReadItems, FolderVisible...}"),
    "a collection's type": f'"Mailbox","FolderName","User","AccessRights"\n"{ANNA}","Calendar","{SERVICE}","System.Collections.ArrayList"\n',
    "a number for the level": json.dumps({**FOLDER, "AccessRights": [2043]}),
    "a level of one's own": table("{Custom}"),
    "the user": "\n".join(
        (
            ASKED.split(" -User")[0],
            "",
            "FolderName User    AccessRights",
            "---------- ----    ------------",
            "Calendar   svc@e… {Editor}",
        )
    ),
    "what stands after the level": table("{Editor…}"),
    "a row that does not stand under its header": f"{ASKED}\n\nFolderName User    AccessRights\n---------- ----    ------------\nCalendar   svc-abcdEditor\n",
    "the list of rights, by the end of the copy": table("{CreateItems, ReadItems, FolderVisible").rstrip(),
    "rows that do not fit": f"{ASKED}\n\nFolderName User\nAccessRights\n---------- ----\n------------\nCalendar   svc\n{{Editor}}\nmore\n",
}


@pytest.mark.req("P3")
@pytest.mark.parametrize("what", CUT)
def test_what_was_cut_is_unknown_and_never_ok(what: str) -> None:
    """A value that is not whole, or not understood, proves nothing."""
    evidence = seen(CUT[what])
    for right in (Right.CALENDAR_READ, Right.CALENDAR_WRITE):
        assert holds(evidence, ANNA, right) == "unknown"


@pytest.mark.parametrize("form", ["a table", "a list", "csv", "one JSON object"])
def test_a_copy_that_ends_too_early_is_never_ok(form: str) -> None:
    """Whatever sign a copy ends at before the level is whole, nothing is ok; nothing but an input error is raised."""
    text = FORMS[form]
    assert isinstance(text, str)
    for end in range(text.index("Editor") + len("Editor")):
        try:
            evidence = seen(text[:end])
        except InputError:
            continue
        assert holds(evidence, ANNA, Right.CALENDAR_WRITE) != "ok", text[:end]


@pytest.mark.parametrize(
    ("said", "level", "reads", "writes"),
    [
        ("{Bearbeiter}", "Editor", True, True),
        ("Besitzer", "Owner", True, True),
        ("Prüfer", "Reviewer", True, False),
        ("Frei/Gebucht-Zeit, Betreff, Ort", "LimitedDetails", False, False),
        ("{Éditeur}", "Editor", True, True),
        ("Propriétaire", "Owner", True, True),
        ("Relecteur", "Reviewer", True, False),
        ("Aucun", "None", False, False),
        ("Editor", "Editor", True, True),
        ("Propietario", "Owner", True, True),
        ("Revisor", "Reviewer", True, False),
        ("Colaborador", "Contributor", False, False),
        ("Redacteur", "Editor", True, True),
        ("Eigenaar", "Owner", True, True),
        ("Auteur", "Author", True, False),
        ("Geen", "None", False, False),
        ("PublishingEditor", "PublishingEditor", True, True),
        ("{AvailabilityOnly}", "AvailabilityOnly", False, False),
        (
            "ReadItems, CreateItems, EditAllItems, DeleteAllItems",
            "ReadItems, CreateItems, EditAllItems, DeleteAllItems",
            True,
            True,
        ),
        ("ReadItems, CreateItems, EditAllItems", "ReadItems, CreateItems, EditAllItems", True, False),
    ],
)
def test_levels_are_known_in_five_languages(said: str, level: str, reads: bool, writes: bool) -> None:
    """A level is the same by its English, German, French, Spanish or Dutch name, and as single rights."""
    reach = reach_of(said)
    assert reach is not None
    assert (reach.level, reach.may_read, reach.may_write) == (level, reads, writes)


def test_a_folder_is_the_calendar_in_its_own_language() -> None:
    """Folders named Kalender and Tâches are the default calendar and tasks."""
    evidence = seen(
        table("{Bearbeiter}", "Kalender").replace(":\\Calendar", ":\\Kalender"),
        table("{Éditeur}", "Tâches").replace(":\\Calendar", ":\\Tâches"),
    )
    assert holds(evidence, ANNA, Right.CALENDAR_WRITE) == "ok"
    assert holds(evidence, ANNA, Right.TASKS_WRITE) == "ok"


# ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P3")
@pytest.mark.parametrize(
    "error",
    [
        "Get-MailboxFolderPermission: Ex6F9304|Microsoft.Exchange.Management.StoreTasks.UserNotFoundInPermissionEntryException|There is no existing permission entry found for user: svc.",
        "Es wurde kein Berechtigungseintrag gefunden.\n    + CategoryInfo          : NotSpecified: (:) [Get-MailboxFolderPermission], UserNotFoundInPermissionEntryException",
    ],
)
def test_no_entry_is_missing(error: str) -> None:
    """The cmdlet's answer that there is no entry, in any language, is a right that is missing."""
    assert holds(seen(f"{ASKED}\n{error}\n\nPS C:\\> "), ANNA, Right.CALENDAR_WRITE) == "missing"


def test_another_error_proves_nothing() -> None:
    """A cmdlet that failed for another reason says nothing of the right."""
    text = f"{ASKED}\nGet-MailboxFolderPermission: |System.TimeoutException|The operation has timed out.\n"
    found = seen(text)
    assert holds(found, ANNA, Right.CALENDAR_WRITE) == "unknown"
    (note,) = found.notes
    assert "Get-MailboxFolderPermission failed" in note
    assert "The operation has timed out" in note


def test_a_cmdlet_that_is_not_there_is_said() -> None:
    """The console's words for a cmdlet that this Exchange does not have become a note, without the place in the script; Send As stays unknown."""
    text = (
        f"PS C:\\> Get-RecipientPermission -Trustee {SERVICE}\n"
        "Get-RecipientPermission : The term 'Get-RecipientPermission' is not recognized as the name of a cmdlet.\n"
        "At line:1 char:1\n+ Get-RecipientPermission\n    + CategoryInfo          : ObjectNotFound: (:) [], CommandNotFoundException\n"
    )
    found = seen(text)
    assert holds(found, ANNA, Right.SEND_AS) == "unknown"
    (note,) = found.notes
    assert note.endswith("is not recognized as the name of a cmdlet.")
    assert "CategoryInfo" not in note


def test_a_report_may_name_the_folder_by_its_path() -> None:
    """A CSV that somebody made with the folder's path as Identity says by it whose folder it is."""
    text = f'"Identity";"FolderName";"User";"AccessRights"\n"{ANNA}:\\Kalender";"Kalender";"{SERVICE}";"Bearbeiter"\n'
    assert holds(seen(text), ANNA, Right.CALENDAR_WRITE) == "ok"


def test_a_mailbox_that_is_not_there_is_missing() -> None:
    """An object that the cmdlet cannot find is a mailbox that is missing."""
    text = f"{ASKED}\nGet-MailboxFolderPermission: |Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed because object '{ANNA}' couldn't be found.\n"
    assert holds(seen(text), ANNA, Right.MAILBOX) == "missing"


LISTED = rf"""PS> Get-MailboxFolderPermission {ANNA}:\Calendar

FolderName User           AccessRights       SharingPermissionFlags
---------- ----           ------------       ----------------------
Calendar   Default        {{@@DEFAULT@@}}
Calendar   Anonymous      {{None}}
Calendar   @@WHO@@ {{Editor}}           Delegate, CanViewPrivateItems

"""


def listed(who: str, default: str = "AvailabilityOnly") -> str:
    return LISTED.replace("@@WHO@@", f"{who:<14}").replace("{@@DEFAULT@@}", f"{{{default}}}")


def test_all_entries_of_a_folder_are_told_apart() -> None:
    """Of a folder's entries the service account's own counts; one under a name that could be its own makes the rest unknown, unless the name is given."""
    assert holds(seen(listed("Sync Service"), names=["Sync Service"]), ANNA, Right.CALENDAR_WRITE) == "ok"
    assert holds(seen(listed("Sync Service"), names=["Sync Service"]), ANNA, Right.PRIVATE_ITEMS) == "ok"
    assert holds(seen(listed("Sync Service")), ANNA, Right.CALENDAR_WRITE) == "unknown"
    assert holds(seen(listed("Bob Carter")), ANNA, Right.CALENDAR_WRITE) == "missing"
    assert holds(seen(listed("Bob Carter", "Editor")), ANNA, Right.CALENDAR_WRITE) == "ok"


def test_owner_is_more_than_needed() -> None:
    """Where Editor is enough, Owner is judged to be more."""
    assert holds(seen(table("{Owner}")), ANNA, Right.CALENDAR_WRITE) == "more"
    assert holds(seen(table("{Reviewer}")), ANNA, Right.CALENDAR_WRITE) == "missing"


def test_a_table_without_its_mailbox_is_said_and_not_used() -> None:
    """Folder permissions do not name their mailbox: without the command they prove nothing, unless the file is named after it."""
    text = table("{Editor}").removeprefix(ASKED).replace("Sync Service        ", f"{SERVICE:<20}")
    evidence = seen(text)
    assert holds(evidence, ANNA, Right.CALENDAR_WRITE) == "unknown"
    assert any("whose they are" in note for note in evidence.notes)
    assert holds(seen(text, name=f"{ANNA}-calendar.txt"), ANNA, Right.CALENDAR_WRITE) == "ok"


# ── Send As ──────────────────────────────────────────────────────────────────────────────────────────────────────────
SEND_AS = """PS> Get-RecipientPermission -Trustee "svc@example.test"

Identity             Trustee              AccessControlType  AccessRights  Inherited
--------             -------              -----------------  ------------  ---------
Anna Baker           svc@example.test     Allow              {SendAs}      False
Bob Carter           svc@example.test     Allow              {SendAs}      False

"""


@pytest.mark.req("P3")
def test_the_articles_list_of_send_as_is_judged() -> None:
    """In the list of all that the service account may send as, who is named has the right, and who is not lacks it."""
    evidence = seen(SEND_AS, version="Office 365")
    assert [holds(evidence, user, Right.SEND_AS) for user in (ANNA, BOB, CAROL)] == ["ok", "ok", "missing"]


def test_a_list_with_a_cut_name_leaves_the_others_unknown() -> None:
    """Where a name in the list was cut it may be anybody's: who is not in the list is unknown then, not missing."""
    evidence = seen(SEND_AS.replace("Bob Carter ", "Somebody W…"), version="Office 365")
    assert [holds(evidence, user, Right.SEND_AS) for user in (ANNA, BOB, CAROL)] == ["ok", "unknown", "unknown"]
    assert any("Somebody W…" in note for note in evidence.notes)


def test_a_name_that_two_people_have_is_nobodys() -> None:
    """Where two users of the CRM have one name, an entry under it proves nothing of either."""
    evidence = seen(SEND_AS, version="Office 365", also=[("Bob Carter", CAROL)])
    assert [holds(evidence, user, Right.SEND_AS) for user in (ANNA, BOB, CAROL)] == ["ok", "unknown", "unknown"]


@pytest.mark.parametrize(
    "written", ["Anna O\u2019Brien-Mu\u0308ller", "ANNA O'BRIEN-M\u00dcLLER", "Anna O`Brien-M\u00fcller"]
)
def test_a_name_is_the_same_with_whatever_apostrophe(written: str) -> None:
    """Exchange and the CRM write one name with different apostrophes, accents and case; it is one person's all the same."""
    text = f"PS> Get-RecipientPermission -Trustee {SERVICE} | fl\n\nIdentity : {written}\nTrustee : {SERVICE}\nAccessControlType : Allow\nAccessRights : {{SendAs}}\n"
    assert holds(seen(text, also=[("Anna O'Brien-M\u00fcller", ANNA)]), ANNA, Right.SEND_AS) == "ok"


def test_a_denied_send_as_is_missing() -> None:
    """An entry that denies Send As outweighs one that allows it."""
    evidence = seen(
        SEND_AS.replace(
            "Bob Carter           svc@example.test     Allow", "Anna Baker           svc@example.test     Deny "
        )
    )
    assert holds(evidence, ANNA, Right.SEND_AS) == "missing"


def test_send_as_on_premises_is_read_from_the_directory() -> None:
    """Get-ADPermission's rows by canonical name and login are the mailbox's and the service account's; a denial counts as one."""
    rows = [
        "example.test/Users/Anna Baker;EXAMPLE\\svc;False;{Send-As}",
        "example.test/Users/Bob Carter;NT AUTHORITY\\SELF;False;{Send-As}",
    ]
    text = "Identity;User;Deny;ExtendedRights\n" + "\n".join(rows) + "\n"
    evidence = seen(text)
    assert [holds(evidence, user, Right.SEND_AS) for user in (ANNA, BOB, CAROL)] == ["ok", "missing", "unknown"]
    assert holds(seen(text.replace("svc;False", "svc;True")), ANNA, Right.SEND_AS) == "missing"


# ── acting for others ────────────────────────────────────────────────────────────────────────────────────────────────
def assignment(**changed: str) -> str:
    row = {
        "Name": "impersonation", "Role": "ApplicationImpersonation", "RoleAssigneeName": "svc", "RoleAssigneeType": "User",
        "EffectiveUserName": SERVICE, "RecipientWriteScope": "Organization", "CustomRecipientWriteScope": "", "Enabled": "True",
    }  # fmt: skip
    return json.dumps([row | changed])


ASKED_FOR_BOB = {
    "send as, nothing": f"PS> Get-RecipientPermission -Identity {ANNA} -Trustee {BOB}\nPS> Get-RecipientPermission -Identity {CAROL} -Trustee {SERVICE}\n"
    f"\nIdentity Trustee AccessControlType AccessRights\n-------- ------- ----------------- ------------\n{CAROL} {SERVICE} Allow {{SendAs}}\n",
    "send as, bob's": f"PS> Get-RecipientPermission -Identity {ANNA} -Trustee {BOB}\n\nIdentity         Trustee         AccessControlType AccessRights\n"
    f"--------         -------         ----------------- ------------\n{ANNA} {BOB} Allow             {{SendAs}}\n",
    "folder, bob's": rf"PS> Get-MailboxFolderPermission -Identity {ANNA}:\Calendar -User {BOB}"
    "\n\nFolderName User       AccessRights\n---------- ----       ------------\nCalendar   Bob Carter Editor\n",
    "folder, no entry": rf"PS> Get-MailboxFolderPermission -Identity {ANNA}:\Calendar -User Someone"
    "\nThere is no existing permission entry found for user: Someone.\n"
    "    + FullyQualifiedErrorId : [Server=X] UserNotFoundInPermissionEntryException,Get-MailboxFolderPermission\n",
}


@pytest.mark.req("P3")
@pytest.mark.parametrize("text", ASKED_FOR_BOB.values(), ids=ASKED_FOR_BOB.keys())
def test_what_was_asked_for_somebody_else_is_no_proof(text: str) -> None:
    """An output that was asked for another user says nothing of the service account: no right counts as missing, and a note says whom to ask for."""
    evidence = seen(text)
    assert {cell for cell in Right if holds(evidence, ANNA, cell) == "missing"} == set()
    assert any("shows nothing of the service account" in note for note in evidence.notes)


@pytest.mark.req("P3")
def test_a_role_asked_for_somebody_else_is_no_proof() -> None:
    """The role assignments of another user do not say that the service account has none."""
    text = f"PS> Get-ManagementRoleAssignment -RoleAssignee {BOB}\n\nName : ApplicationImpersonation-Bob\nRole : ApplicationImpersonation\nRoleAssigneeName : {BOB}\n"
    evidence = seen(text, access="impersonation")
    assert holds(evidence, ANNA, Right.IMPERSONATION, "impersonation") == "unknown"


@pytest.mark.req("P3", "P7")
def test_a_role_over_the_organisation_reaches_everybody() -> None:
    """The role without a scope lets the service account act for all, with all that their owners may do, and is kept as a grant to warn of."""
    evidence = seen(assignment(), access="impersonation")
    for right in (Right.IMPERSONATION, Right.CALENDAR_WRITE, Right.SEND_AS):
        assert holds(evidence, CAROL, right, "impersonation") == "ok"
    assert [grant.is_whole_organisation for grant in evidence.grants] == [True]


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"RecipientWriteScope": "CustomRecipientScope", "CustomRecipientWriteScope": "Sales"}, "unknown"),
        (
            {
                "EffectiveUserName": "All Group Members",
                "RoleAssigneeType": "RoleGroup",
                "RoleAssigneeName": "Sync Group",
            },
            "unknown",
        ),
        ({"EffectiveUserName": BOB, "RoleAssigneeName": "Bob Carter"}, "missing"),
        ({"Enabled": "False"}, "missing"),
        ({"RoleAssignmentDelegationType": "DelegatingOrgWide"}, "missing"),
        ({"EffectiveUserName": "svc@exa…", "RoleAssigneeName": "sv…"}, "unknown"),
    ],
)
def test_a_role_that_may_not_reach_is_not_ok(changed: dict[str, str], verdict: str) -> None:
    """A scope of unknown members, a group of unknown members and a cut name are unknown; another's, a disabled or a delegating assignment gives nothing."""
    assert (
        holds(seen(assignment(**changed), access="impersonation"), ANNA, Right.IMPERSONATION, "impersonation")
        == verdict
    )


def test_asked_for_one_mailbox_a_scope_is_known() -> None:
    """-WritableRecipient says whether the scope holds that mailbox; for the others it stays unknown."""
    text = f"""PS> Get-ManagementRoleAssignment -Role ApplicationImpersonation -GetEffectiveUsers -WritableRecipient {ANNA} | fl

Name                      : impersonation
Role                      : ApplicationImpersonation
RoleAssigneeName          : svc
EffectiveUserName         : {SERVICE}
RecipientWriteScope       : CustomRecipientScope
CustomRecipientWriteScope : Sales

PS> Get-ManagementRoleAssignment -Role ApplicationImpersonation -GetEffectiveUsers -WritableRecipient {BOB}

PS>
"""
    evidence = seen(text, access="impersonation")
    assert [holds(evidence, user, Right.IMPERSONATION, "impersonation") for user in (ANNA, BOB, CAROL)] == [
        "ok",
        "missing",
        "unknown",
    ]


def test_the_withdrawn_role_gives_nothing_in_exchange_online() -> None:
    """An assignment of ApplicationImpersonation that is still listed in Exchange Online has no effect."""
    evidence = seen(assignment(), access="impersonation", version="Office 365")
    assert holds(evidence, ANNA, Right.IMPERSONATION, "impersonation") == "missing"


@pytest.mark.req("P3")
@pytest.mark.parametrize(("said", "verdict"), [("True", "ok"), ("False", "missing"), ("Not Run", "unknown")])
def test_an_applications_reach_is_what_the_test_says(said: str, verdict: str) -> None:
    """InScope of Test-ServicePrincipalAuthorization is the verdict; a test that was not run proves nothing."""
    text = f"""PS C:\\> Test-ServicePrincipalAuthorization -Identity {APPLICATION} -Resource {ANNA} | Format-Table

RoleName                       GrantedPermissions  AllowedResourceScope ScopeType            InScope
--------                       ------------------  -------------------- ---------            -------
Application Mail.Read          Mail.Read           Organization         Organization         True
Application EWS.AccessAsApp    EWS.AccessAsApp     4d819ce9-9257-44..   CustomRecipientScope {said}

"""
    evidence = seen(text, access="impersonation", version="Office 365")
    assert holds(evidence, ANNA, Right.IMPERSONATION, "impersonation") == verdict


# ── EWS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def cas(enabled: str) -> str:
    return json.dumps({"Name": "Anna Baker", "PrimarySmtpAddress": ANNA, "OWAEnabled": True, "EwsEnabled": enabled})


def organisation(enabled: str, **more: object) -> str:
    return json.dumps({"Cmdlet": "Get-OrganizationConfig", "EwsEnabled": enabled, **more})


@pytest.mark.req("P3")
@pytest.mark.parametrize(
    ("texts", "version", "verdict"),
    [
        ((cas("True"), organisation("")), "2019", "ok"),
        ((cas("False"), organisation("True")), "2019", "missing"),
        ((cas("True"), organisation("False")), "2019", "missing"),
        ((cas("True"),), "2019", "unknown"),
        ((organisation("True"),), "2019", "unknown"),
        ((cas("True"), organisation("True", EwsAllowedAppIDs=[APPLICATION])), "Office 365", "ok"),
        ((cas("True"), organisation("True", EwsAllowedAppIDs=["another"])), "Office 365", "missing"),
        ((cas("True"), organisation("True", EwsAllowedAppIDs=[])), "Office 365", "missing"),
        ((cas("True"), organisation("True")), "Office 365", "unknown"),
    ],
)
def test_ews_needs_the_mailbox_and_the_organisation(texts: tuple[str, ...], version: str, verdict: str) -> None:
    """EWS is allowed where mailbox and organisation both allow it and, in Exchange Online, the application is listed; one of them alone proves only a no."""
    assert holds(seen(*texts, version=version), ANNA, Right.EWS_ENABLED) == verdict


# ── what is no output ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is nothing in it"),
        ("[]", "holds no objects"),
        ('{"Mailbox": "anna', "breaks off"),
        ("hello", "nothing in it is a table"),
        ("Colour;Size\nred;2\n", "cannot be told which cmdlet"),
        ("Mailbox;FolderName;User;AccessRights\na;b\n", "line 2"),
        ('{"Cmdlet": "Get-Date", "Day": 1}', "Get-Date is no cmdlet"),
        ("EwsEnabled : True\n", "cannot be told what this is"),
        ("[" * 200_000, "nested without end"),
        ('Mailbox;FolderName;User;AccessRights\n"' + "a" * 200_000, "the CSV is broken"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_mend(text: str, says: str) -> None:
    """A file that is no output of these cmdlets is an error that names the file, the place and what to give instead."""
    with pytest.raises(InputError, match=says) as caught:
        read_output(text, "rights.txt")
    assert "rights.txt" in caught.value.subject
    assert caught.value.fix


def test_a_session_with_many_commands_is_read_through() -> None:
    """Commands that say nothing of rights are passed over, and all others are read, each with its own mailbox."""
    text = (
        table("{Editor}")
        + "PS> Get-Date\n\nSunday, 22 November\n\nPS> cls\n"
        + table("{Reviewer}").replace(ANNA, BOB)
        + SEND_AS
    )
    evidence = seen(text)
    assert holds(evidence, ANNA, Right.CALENDAR_WRITE) == "ok"
    assert holds(evidence, BOB, Right.CALENDAR_WRITE) == "missing"
    assert holds(evidence, ANNA, Right.SEND_AS) == "ok"
    assert {each.holds for each in evidence.observations if each.right is Right.SEND_AS and each.user == CAROL} == {
        Holds.NO
    }
