"""Who may do what: impersonation, delegates, private items, applications."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from ops_lib.sandbox.ews import Caller
from ops_lib.sandbox.items import Item
from tests.support.soap import envelope, get_folder

from .client import (
    ALICE,
    BOB,
    CAROL,
    SERVICE,
    Client,
    M,
    T,
    create,
    delete,
    event,
    fault_code,
    get_item,
    set_field,
    sync,
    update,
)


def mailbox(address: str = ALICE, folder: str = "calendar") -> str:
    return (
        f'<t:DistinguishedFolderId Id="{folder}"><t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox>'
        "</t:DistinguishedFolderId>"
    )


def entry(client: Client, by: str = "", **more: Any) -> Item:
    now = client.organisation.now()
    values = {"item:Subject": "Tour", "calendar:Start": now, "calendar:End": now, **more}
    return client.organisation.create_item(ALICE, "calendar", values, by=by)


def test_a_service_account_acts_for_those_in_its_scope(client: Client) -> None:
    """Impersonating alice gives her own folders; what is made there is hers."""
    folder = client.one(get_folder(), SERVICE, acting_as=ALICE).find(f"{M}Folders")[0]
    assert folder.find(f"{T}FolderId").get("Id") == client.organisation.mailbox(ALICE).folder("calendar").id
    item = client.item(create(event("<t:Subject>by svc</t:Subject>")), SERVICE, acting_as=ALICE)
    assert (
        client.get(item.find(f"{T}ItemId").get("Id"), "item:LastModifiedName").findtext(f"{T}LastModifiedName")
        == "Alice Archer"
    )


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (f"<t:PrimarySmtpAddress>{CAROL}</t:PrimarySmtpAddress>", "ErrorImpersonateUserDenied"),
        ("<t:PrimarySmtpAddress>nobody@example.test</t:PrimarySmtpAddress>", "ErrorNonExistentMailbox"),
        ("<t:SID>S-1-5-21-1</t:SID>", "ErrorNonExistentMailbox"),
        ("", "ErrorInvalidExchangeImpersonationHeaderData"),
    ],
)
def test_impersonation_that_is_not_allowed_is_a_fault(client: Client, header: str, code: str) -> None:
    """Outside the scope, of nobody, or of no address: a fault with HTTP 500 and the documented code."""
    request = envelope(create(event()), acting_as="X").replace(
        b"<t:PrimarySmtpAddress>X</t:PrimarySmtpAddress>", header.encode()
    )
    assert fault_code(client.send(request, SERVICE)) == code
    assert client.organisation.mailbox(ALICE).items == {}


def test_the_fault_for_an_alias_names_the_primary_address(client: Client) -> None:
    """Impersonating by an alias is refused with the address to use."""
    client.organisation.add_mailbox(
        "dora@example.test", password="x", name="Dora", zone="UTC", aliases=["d@example.test"]
    )
    reply = client.send(envelope(get_folder(), acting_as="d@example.test"), SERVICE)
    value = etree.fromstring(reply.body).find(".//{*}MessageXml/{*}Value")
    assert (value.get("Name"), value.text) == ("Primary", "dora@example.test")


@pytest.mark.parametrize("kind", ["PrincipalName", "SmtpAddress"])
def test_impersonation_by_other_names(client: Client, kind: str) -> None:
    """Impersonation by principal name and by SMTP address works as by primary address."""
    request = envelope(get_folder(), acting_as=ALICE).decode().replace("PrimarySmtpAddress", kind)
    assert client.send(request.encode(), SERVICE).status == 200


def test_an_application_must_act_for_somebody(client: Client) -> None:
    """An app-only token without impersonation is refused with a fault; with it, it acts as that user."""
    client.organisation.grant_impersonation("app-id", None)
    reply = client.send(envelope(get_folder()), "app-id", app=True)
    assert fault_code(reply) == "ErrorAccessDenied"
    assert b"ExchangeImpersonation SOAP header must be present" in reply.body
    request = client.face.read(envelope(get_folder(), acting_as=CAROL))
    assert client.face.answer(request, Caller("app-id", app=True)).status == 200


def test_an_account_without_mailbox_must_name_one(client: Client) -> None:
    """An account that has no mailbox gets ErrorMissingEmailAddress for folders of its own, and others' as far as it may."""
    client.organisation.add_account("tool@example.test", password="x")
    assert client.codes(get_folder(), "tool@example.test") == ["ErrorMissingEmailAddress"]
    client.organisation.set_permission(ALICE, "calendar", "tool@example.test", "Reviewer")
    assert client.codes(get_folder(mailbox=ALICE), "tool@example.test") == ["NoError"]


def test_a_mailbox_must_be_named_by_its_primary_address(client: Client) -> None:
    """An unknown address is ErrorNonExistentMailbox; an alias is ErrorNonPrimarySmtpAddress with the primary one."""
    client.organisation.add_mailbox(
        "dora@example.test", password="x", name="Dora", zone="UTC", aliases=["d@example.test"]
    )
    assert client.codes(get_folder(mailbox="nobody@example.test")) == ["ErrorNonExistentMailbox"]
    (message,) = client.messages(get_folder(mailbox="d@example.test"))
    assert message.findtext(f"{M}ResponseCode") == "ErrorNonPrimarySmtpAddress"
    assert message.find(f"{M}MessageXml")[0].text == "dora@example.test"


LEVELS = {
    #            see folder, find, get theirs, create, change own, change theirs, delete own, delete theirs
    "None": "- - - - - - - -",
    "FreeBusyTimeOnly": "- - - - - - - -",
    "Contributor": "+ - - + - - - -",
    "Reviewer": "+ + + - - - - -",
    "NoneditingAuthor": "+ + + + - - + -",
    "Author": "+ + + + + - + -",
    "Editor": "+ + + + + + + +",
    "Owner": "+ + + + + + + +",
}


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_allows_what_microsoft_says(client: Client, level: str) -> None:
    """A delegate at each permission level can do exactly what the table of levels says; effective rights say the same."""
    client.organisation.set_permission(ALICE, "calendar", BOB, level)
    theirs, own, theirs_gone, own_gone = (entry(client), entry(client, BOB), entry(client), entry(client, BOB))
    find = (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f"<m:ParentFolderIds>{mailbox()}</m:ParentFolderIds></m:FindItem>"
    )

    def change(item: Item) -> str:
        named = f'<t:ItemId Id="{item.id}" ChangeKey="{item.change_key}"/>'
        return update(named, set_field("item:Subject", "<t:Subject>x</t:Subject>"))

    requests = [
        get_folder(mailbox=ALICE), find, get_item(f'<t:ItemId Id="{theirs.id}"/>'),
        create(event(), folder=mailbox()), change(own), change(theirs),
        delete(f'<t:ItemId Id="{own_gone.id}"/>'), delete(f'<t:ItemId Id="{theirs_gone.id}"/>'),
    ]  # fmt: skip
    codes = [client.codes(request, BOB)[0] for request in requests]
    assert ["+" if code == "NoError" else "-" for code in codes] == LEVELS[level].split()
    assert set(codes) <= {"NoError", "ErrorAccessDenied", "ErrorItemNotFound", "ErrorFolderNotFound"}
    if codes[0] == "NoError":
        rights = client.one(get_folder(mailbox=ALICE), BOB).find(f"{M}Folders")[0].find(f"{T}EffectiveRights")
        assert rights.findtext(f"{T}CreateContents") == ("true" if codes[3] == "NoError" else "false")
    if codes[2] == "NoError":
        rights = client.get(theirs.id, "item:EffectiveRights", user=BOB).find(f"{T}EffectiveRights")
        assert [rights.findtext(f"{T}{name}") for name in ("Modify", "Delete")] == [
            "true" if code == "NoError" else "false" for code in (codes[5], codes[7])
        ]


def test_what_may_not_be_seen_is_not_there(client: Client) -> None:
    """Without rights the folder and its items do not exist; a sync says so with what clients read."""
    item = entry(client)
    assert client.codes(get_item(f'<t:ItemId Id="{item.id}"/>'), BOB) == ["ErrorItemNotFound"]
    (message,) = client.messages(sync(folder=mailbox()), BOB)
    assert message.findtext(f"{M}ResponseCode") == "ErrorSyncFolderNotFound"
    assert message.find(f"{M}SyncState") is not None


def test_private_items_keep_their_details(client: Client) -> None:
    """A delegate sees when a private event is, not what, until they may view private items; nor may they change it."""
    client.organisation.set_permission(ALICE, "calendar", BOB, "Editor")
    item = entry(client, **{"item:Sensitivity": "Private", "calendar:Location": "Clinic"})
    found = client.get(item.id, base="AllProperties", user=BOB)
    assert found.findtext(f"{T}Subject") == "Private Appointment"
    assert found.findtext(f"{T}Start") == "2026-11-22T16:00:00Z"
    assert found.find(f"{T}Location") is None
    assert client.codes(delete(f'<t:ItemId Id="{item.id}"/>'), BOB) == ["ErrorAccessDenied"]
    client.organisation.set_private_viewer(ALICE, BOB)
    assert client.get(item.id, base="AllProperties", user=BOB).findtext(f"{T}Location") == "Clinic"
    client.organisation.set_private_viewer(ALICE, BOB, allowed=False)
    assert client.get(item.id, base="AllProperties", user=BOB).find(f"{T}Location") is None


def test_only_the_owner_sees_the_permissions(client: Client) -> None:
    """A delegate's GetFolder has no PermissionSet; an owner's has."""
    body = get_folder(mailbox=ALICE).replace(
        "</m:FolderShape>",
        '<t:AdditionalProperties><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties></m:FolderShape>',
    )
    client.organisation.set_permission(ALICE, "calendar", BOB, "Editor")
    assert client.one(body, BOB).find(f"{M}Folders")[0].find(f"{T}PermissionSet") is None
    client.organisation.set_permission(ALICE, "calendar", BOB, "Owner")
    assert client.one(body, BOB).find(f"{M}Folders")[0].find(f"{T}PermissionSet") is not None


def test_the_face_says_which_mailbox_a_request_is_about(client: Client) -> None:
    """A request's mailbox is the impersonated address, else that of the first id or named folder, else nothing."""
    item = entry(client)
    bodies = {
        envelope(get_folder(), acting_as=BOB): BOB,
        envelope(get_folder(mailbox=CAROL)): CAROL,
        envelope(get_item(f'<t:ItemId Id="{item.id}"/>')): ALICE,
        envelope(get_folder()): "",
    }
    assert [client.face.read(body).mailbox for body in bodies] == list(bodies.values())


@pytest.mark.parametrize(("level", "number"), [("Editor", 0x1C7B), ("Reviewer", 0x1C01), ("Contributor", 0x402)])
def test_a_folder_tells_the_callers_rights_as_a_number(client: Client, level: str, number: int) -> None:
    """PidTagRights of a folder is the caller's own rights as MS-OXCPERM writes them."""
    client.organisation.set_permission(ALICE, "calendar", BOB, level)
    asked = (
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        '<t:ExtendedFieldURI PropertyTag="0x6639" PropertyType="Integer"/></t:AdditionalProperties></m:FolderShape>'
        f"<m:FolderIds>{mailbox()}</m:FolderIds></m:GetFolder>"
    )
    folder = client.one(asked, BOB).find(f"{M}Folders")[0]
    assert int(folder.findtext(f"{T}ExtendedProperty/{T}Value")) == number
