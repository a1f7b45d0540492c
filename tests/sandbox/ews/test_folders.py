"""Folders over EWS."""

from __future__ import annotations

from typing import Any

import pytest

from ops_lib.sandbox.mailboxes import WELL_KNOWN

from .client import ALICE, BOB, KEY, Client, M, T

ALL = [
    "folder:ChildFolderCount",
    "folder:DisplayName",
    "folder:DistinguishedFolderId",
    "folder:EffectiveRights",
    "folder:FolderClass",
    "folder:FolderId",
    "folder:ParentFolderId",
    "folder:TotalCount",
    "folder:UnreadCount",
    "folder:PermissionSet",
    "folder:SharingEffectiveRights",
]


def shape(*uris: str, base: str = "IdOnly", more: str = "") -> str:
    paths = "".join(f'<t:FieldURI FieldURI="{uri}"/>' for uri in uris) + more
    additional = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
    return f"<m:FolderShape><t:BaseShape>{base}</t:BaseShape>{additional}</m:FolderShape>"


def get(*ids: str, uris: tuple[str, ...] = (), base: str = "IdOnly", more: str = "") -> str:
    named = "".join(one if one.startswith("<") else f'<t:DistinguishedFolderId Id="{one}"/>' for one in ids)
    return f"<m:GetFolder>{shape(*uris, base=base, more=more)}<m:FolderIds>{named}</m:FolderIds></m:GetFolder>"


def create(*names: str, parent: str = "msgfolderroot", element: str = "Folder", inner: str = "") -> str:
    folders = "".join(f"<t:{element}><t:DisplayName>{name}</t:DisplayName>{inner}</t:{element}>" for name in names)
    return (
        f'<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="{parent}"/></m:ParentFolderId>'
        f"<m:Folders>{folders}</m:Folders></m:CreateFolder>"
    )


def update(folder_id: str, changes: str) -> str:
    return (
        f'<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:FolderId Id="{folder_id}"/><t:Updates>{changes}</t:Updates>'
        "</t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )


def set_field(uri: str, inner: str, element: str = "Folder") -> str:
    return f'<t:SetFolderField><t:FieldURI FieldURI="{uri}"/><t:{element}>{inner}</t:{element}></t:SetFolderField>'


def sync(state: str = "", folder: str = "") -> str:
    target = f'<m:SyncFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SyncFolderId>' if folder else ""
    known = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return f"<m:SyncFolderHierarchy>{shape('folder:DisplayName')}{target}{known}</m:SyncFolderHierarchy>"


def folder_of(message: Any) -> Any:
    return message.find(f"{M}Folders")[0]


def made(client: Client, body: str) -> str:
    found: str = folder_of(client.one(body)).find(f"{T}FolderId").get("Id")
    return found


def test_every_well_known_folder_is_there(client: Client) -> None:
    """Each distinguished folder answers with its element, its class and all the properties a client asks for."""
    names = [row[0] for row in WELL_KNOWN]
    messages = client.messages(get(*names, uris=tuple(ALL)))
    assert [message.findtext(f"{M}ResponseCode") for message in messages] == ["NoError"] * len(names)
    elements = {name: folder_of(message).tag.partition("}")[2] for name, message in zip(names, messages, strict=True)}
    assert [elements[name] for name in ("calendar", "tasks", "contacts", "inbox", "todosearch")] == [
        "CalendarFolder", "TasksFolder", "ContactsFolder", "Folder", "SearchFolder",
    ]  # fmt: skip
    named = [folder_of(message).findtext(f"{T}DistinguishedFolderId") for message in messages]
    assert named == names


def test_a_folder_the_mailbox_does_not_have(client: Client) -> None:
    """A distinguished folder that this mailbox has not, such as the archive's, is ErrorFolderNotFound."""
    assert client.codes(get("archiveinbox", "calendar")) == ["ErrorFolderNotFound", "NoError"]


def test_ids_of_folders_that_are_wrong(client: Client) -> None:
    """A malformed id, an empty one, an item's id, a wrong change key and a gone folder each have their own code."""
    item = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "x"})
    folder_id = made(client, create("Short-lived"))
    client.one(
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:FolderId Id="{folder_id}"/></m:FolderIds></m:DeleteFolder>'
    )
    calendar = client.organisation.mailbox(ALICE).folder("calendar")
    ids = [
        '<t:FolderId Id="AAMkmalformed"/>', '<t:FolderId Id=""/>', f'<t:FolderId Id="{item.id}"/>',
        f'<t:FolderId Id="{calendar.id}" ChangeKey="rubbish"/>', f'<t:FolderId Id="{folder_id}"/>',
        f'<t:FolderId Id="{calendar.id}"/>',
    ]  # fmt: skip
    assert client.codes(get(*ids)) == [
        "ErrorInvalidIdMalformed", "ErrorInvalidIdEmpty", "ErrorCannotUseItemIdForFolderId", "ErrorInvalidChangeKey",
        "ErrorItemNotFound", "NoError",
    ]  # fmt: skip


def test_a_property_of_items_is_none_of_folders(client: Client) -> None:
    """Asking a folder for an item's property is ErrorInvalidPropertyRequest, and names it."""
    (message,) = client.messages(get("inbox", uris=("item:Subject",)))
    assert message.findtext(f"{M}ResponseCode") == "ErrorInvalidPropertyRequest"
    assert message.find(f"{M}MessageXml")[0].get("FieldURI") == "item:Subject"


def test_folders_are_made_found_renamed_and_deleted(client: Client) -> None:
    """A folder's life: created below another, found there, renamed, moved to Deleted Items, gone."""
    folder_id = made(client, create("Prospects", parent="calendar", element="CalendarFolder"))
    assert client.codes(create("prospects", parent="calendar")) == ["ErrorFolderExists"]
    body = (
        f'<m:FindFolder Traversal="Deep">{shape("folder:DisplayName", "folder:FolderClass")}'
        '<m:IndexedPageFolderView MaxEntriesReturned="5" Offset="0" BasePoint="Beginning"/>'
        '<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="folder:FolderClass"/><t:FieldURIOrConstant>'
        '<t:Constant Value="IPF.Appointment"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>'
        '<m:ParentFolderIds><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderIds></m:FindFolder>'
    )
    root = client.one(body).find(f"{M}RootFolder")
    assert (root.get("TotalItemsInView"), root.get("IndexedPagingOffset")) == ("2", "2")
    assert [one.findtext(f"{T}DisplayName") for one in root[0]] == ["Calendar", "Prospects"]
    client.one(
        update(folder_id, set_field("folder:DisplayName", "<t:DisplayName>Leads</t:DisplayName>", "CalendarFolder"))
    )
    (leads,) = client.one(get(f'<t:FolderId Id="{folder_id}"/>', base="Default")).find(f"{M}Folders")
    assert leads.findtext(f"{T}DisplayName") == "Leads"
    delete = '<m:DeleteFolder DeleteType="{}"><m:FolderIds><t:FolderId Id="{}"/></m:FolderIds></m:DeleteFolder>'
    client.one(delete.format("MoveToDeletedItems", folder_id))
    parent = folder_of(client.one(get(f'<t:FolderId Id="{folder_id}"/>', base="AllProperties"))).find(
        f"{T}ParentFolderId"
    )
    assert parent.get("Id") == client.organisation.mailbox(ALICE).folder("deleteditems").id
    client.one(delete.format("HardDelete", folder_id))
    assert client.codes(delete.format("HardDelete", folder_id)) == ["ErrorItemNotFound"]
    well_known = '<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:DeleteFolder>'
    assert client.codes(well_known) == ["ErrorDeleteDistinguishedFolder"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (set_field("folder:DisplayName", "<t:FolderClass>IPF.Note</t:FolderClass>"), "ErrorUpdatePropertyMismatch"),
        (set_field("folder:DisplayName", "<t:DisplayName>Inbox</t:DisplayName>"), "ErrorFolderExists"),
        (set_field("folder:TotalCount", "<t:TotalCount>3</t:TotalCount>"), "ErrorInvalidPropertySet"),
        (
            '<t:DeleteFolderField><t:FieldURI FieldURI="folder:DisplayName"/></t:DeleteFolderField>',
            "ErrorInvalidPropertyDelete",
        ),
    ],
)
def test_a_folder_update_that_cannot_be_changes_nothing(client: Client, change: str, code: str) -> None:
    """An impossible change has its code, and the possible change before it is not applied."""
    folder_id = made(client, create("Before"))
    good = set_field("folder:DisplayName", "<t:DisplayName>After</t:DisplayName>")
    assert client.codes(update(folder_id, good + change)) == [code]
    found = folder_of(client.one(get(f'<t:FolderId Id="{folder_id}"/>', base="Default")))
    assert found.findtext(f"{T}DisplayName") == "Before"


def test_a_folder_keeps_extended_properties(client: Client) -> None:
    """An extended property of a folder is set, read back and deleted."""
    value = f"<t:ExtendedProperty>{KEY}<t:Value>42</t:Value></t:ExtendedProperty>"
    folder_id = made(client, create("Marked"))
    read = get(f'<t:FolderId Id="{folder_id}"/>', more=KEY)
    client.one(update(folder_id, f"<t:SetFolderField>{KEY}<t:Folder>{value}</t:Folder></t:SetFolderField>"))
    assert folder_of(client.one(read)).findtext(f"{T}ExtendedProperty/{T}Value") == "42"
    client.one(update(folder_id, f"<t:DeleteFolderField>{KEY}</t:DeleteFolderField>"))
    assert folder_of(client.one(read)).find(f"{T}ExtendedProperty") is None


def test_permissions_are_read_and_written(client: Client) -> None:
    """A permission set written as levels and single rights is what the folder has afterwards, for its owner to see."""
    calendar = client.organisation.mailbox(ALICE).folder("calendar")
    entries = "".join(
        f"<t:CalendarPermission><t:UserId>{who}</t:UserId>{rights}<t:CalendarPermissionLevel>{level}</t:CalendarPermissionLevel>"
        "</t:CalendarPermission>"
        for who, rights, level in (
            ("<t:DistinguishedUser>Default</t:DistinguishedUser>", "", "FreeBusyTimeOnly"),
            (f"<t:PrimarySmtpAddress>{BOB}</t:PrimarySmtpAddress>", "", "Editor"),
            (
                "<t:PrimarySmtpAddress>carol@example.test</t:PrimarySmtpAddress>",
                "<t:CanCreateItems>true</t:CanCreateItems><t:EditItems>All</t:EditItems>",
                "Custom",
            ),
        )
    )
    permissions = f"<t:PermissionSet><t:CalendarPermissions>{entries}</t:CalendarPermissions></t:PermissionSet>"
    client.one(update(calendar.id, set_field("folder:PermissionSet", permissions, "CalendarFolder")))
    found = folder_of(client.one(get("calendar", uris=("folder:PermissionSet",))))
    read = {
        entry.findtext(f"{T}UserId/{T}PrimarySmtpAddress") or entry.findtext(f"{T}UserId/{T}DistinguishedUser"): (
            entry.findtext(f"{T}CalendarPermissionLevel"),
            entry.findtext(f"{T}EditItems"),
            entry.findtext(f"{T}ReadItems"),
        )
        for entry in found.find(f"{T}PermissionSet")[0]
    }
    assert read == {
        "Default": ("FreeBusyTimeOnly", "None", "TimeOnly"),
        "Anonymous": ("None", "None", "None"),
        BOB: ("Editor", "All", "FullDetails"),
        "carol@example.test": ("Custom", "All", "None"),
    }


def test_the_hierarchy_is_synchronised(client: Client) -> None:
    """All folders first; then what came, changed and went; a state of another folder or none is refused."""
    first = client.one(sync())
    assert len(first.find(f"{M}Changes")) > 12
    state = first.findtext(f"{M}SyncState")
    folder_id = made(client, create("New"))
    second = client.one(sync(state))
    assert [(one.tag.partition("}")[2], one[0].findtext(f"{T}DisplayName")) for one in second.find(f"{M}Changes")] == [
        ("Create", "New")
    ]
    client.one(update(folder_id, set_field("folder:DisplayName", "<t:DisplayName>Newer</t:DisplayName>")))
    third = client.one(sync(second.findtext(f"{M}SyncState")))
    assert [one.tag.partition("}")[2] for one in third.find(f"{M}Changes")] == ["Update"]
    client.one(
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:FolderId Id="{folder_id}"/></m:FolderIds></m:DeleteFolder>'
    )
    fourth = client.one(sync(third.findtext(f"{M}SyncState")))
    assert fourth.find(f"{M}Changes/{T}Delete/{T}FolderId").get("Id") == folder_id
    for wrong in (sync("rubbish"), sync(state, folder="inbox")):
        (message,) = client.messages(wrong)
        assert message.findtext(f"{M}ResponseCode") == "ErrorInvalidSyncStateData"
        assert message.find(f"{M}SyncState") is not None
        assert message.findtext(f"{M}IncludesLastFolderInRange") == "true"


def test_a_folder_is_emptied(client: Client) -> None:
    """EmptyFolder takes out the items, and the folders below where it is told to."""
    for subject in ("a", "b"):
        client.organisation.create_item(ALICE, "tasks", {"item:Subject": subject})
    made(client, create("Below", parent="tasks", element="TasksFolder"))
    client.one(
        '<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="true"><m:FolderIds><t:DistinguishedFolderId Id="tasks"/>'
        "</m:FolderIds></m:EmptyFolder>"
    )
    found = folder_of(client.one(get("tasks", base="Default")))
    assert (found.findtext(f"{T}TotalCount"), found.findtext(f"{T}ChildFolderCount")) == ("0", "0")
