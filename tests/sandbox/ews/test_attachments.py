"""Attachments: made, listed, fetched, removed; copied with their items; and those of MIME messages."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from ops_lib.sandbox.recurrence import Daily, Numbered, Recurrence

from .client import ALICE, BOB, Client, M, T, create, event, get_item, id_of

PDF = base64.b64encode(b"%PDF-1.7 brochure").decode()


def file(name: str = "brochure.pdf", *, content: str = PDF, more: str = "") -> str:
    """A FileAttachment."""
    return f"<t:FileAttachment><t:Name>{name}</t:Name>{more}<t:Content>{content}</t:Content></t:FileAttachment>"


def attach(item: Any, attachments: str) -> str:
    """CreateAttachment."""
    return f'<m:CreateAttachment><m:ParentItemId Id="{item}"/><m:Attachments>{attachments}</m:Attachments></m:CreateAttachment>'


def fetch(attachment_id: str, shape: str = "<m:AttachmentShape/>") -> str:
    """GetAttachment."""
    return f'<m:GetAttachment>{shape}<m:AttachmentIds><t:AttachmentId Id="{attachment_id}"/></m:AttachmentIds></m:GetAttachment>'


def remove(attachment_id: str) -> str:
    """DeleteAttachment."""
    return f'<m:DeleteAttachment><m:AttachmentIds><t:AttachmentId Id="{attachment_id}"/></m:AttachmentIds></m:DeleteAttachment>'


def listed(client: Client, item_id: str, user: str = ALICE) -> list[str]:
    """The names in the item's Attachments, after whether it has any."""
    item = client.get(item_id, "item:Attachments", "item:HasAttachments", user=user)
    names = [one.text or "" for one in item.iterfind(f"{T}Attachments/*/{T}Name")]
    return [item.findtext(f"{T}HasAttachments"), *names]


def attachment_id(message: Any) -> str:
    """The id in an answer with one attachment."""
    found: str = message.find(f".//{T}AttachmentId").get("Id")
    return found


def test_a_file_is_attached_read_and_removed(client: Client) -> None:
    """A file comes back byte by byte; the item's change key moves with it coming and going; HasAttachments follows."""
    made = client.item(create(event()))
    item_id = id_of(made)
    answer = client.one(attach(item_id, file()))
    named = answer.find(f".//{T}AttachmentId")
    assert named.get("RootItemId") == item_id
    assert named.get("RootItemChangeKey") != made.find(f"{T}ItemId").get("ChangeKey")
    assert named.get("RootItemChangeKey") == client.get(item_id).find(f"{T}ItemId").get("ChangeKey")
    assert listed(client, item_id) == ["true", "brochure.pdf"]
    whole = client.one(fetch(named.get("Id"))).find(f".//{T}FileAttachment")
    assert (whole.findtext(f"{T}Content"), whole.findtext(f"{T}ContentType")) == (PDF, "application/pdf")
    gone = client.one(remove(named.get("Id")))
    assert gone.find(f"{M}RootItemId").get("RootItemId") == item_id
    assert listed(client, item_id) == ["false"]
    assert client.codes(fetch(named.get("Id"))) == client.codes(remove(named.get("Id"))) == ["ErrorItemNotFound"]


def test_an_item_is_attached(client: Client) -> None:
    """An attached message is fetched with its properties, and cannot be got as an item of the mailbox."""
    item_id = id_of(client.item(create(event())))
    inner = "<t:Message><t:Subject>Floor plans</t:Subject><t:Body BodyType='Text'>see page 2</t:Body></t:Message>"
    answer = client.one(attach(item_id, f"<t:ItemAttachment><t:Name>plans</t:Name>{inner}</t:ItemAttachment>"))
    shape = "<m:AttachmentShape><t:BodyType>Text</t:BodyType></m:AttachmentShape>"
    found = client.one(fetch(attachment_id(answer), shape)).find(f".//{T}Message")
    assert [found.findtext(f"{T}{name}") for name in ("Subject", "Body")] == ["Floor plans", "see page 2"]
    assert client.codes(get_item(f'<t:ItemId Id="{attachment_id(answer)}"/>')) == ["ErrorItemNotFound"]


def test_pictures_in_the_body_are_no_attachments_to_speak_of(client: Client) -> None:
    """An inline attachment is listed with its content id, and HasAttachments says no."""
    picture = file("logo.png", more="<t:ContentId>logo</t:ContentId><t:IsInline>true</t:IsInline>")
    made = f"<t:Message><t:Subject>s</t:Subject><t:Attachments>{picture}</t:Attachments></t:Message>"
    item_id = id_of(client.item(create(made, send="", disposition="SaveOnly")))
    item = client.get(item_id, "item:Attachments", "item:HasAttachments")
    one = item.find(f"{T}Attachments/{T}FileAttachment")
    assert [one.findtext(f"{T}{name}") for name in ("ContentId", "IsInline", "Size")] == ["logo", "true", "17"]
    assert item.findtext(f"{T}HasAttachments") == "false"


def test_copies_and_moved_items_keep_theirs(client: Client) -> None:
    """An item in another folder has its attachments there, under ids of their own; the first one's go with it."""
    item_id = id_of(client.item(create(event())))
    old = attachment_id(client.one(attach(item_id, file())))
    target = '<m:ToFolderId><t:DistinguishedFolderId Id="deleteditems"/></m:ToFolderId>'
    moved = id_of(client.item(f'<m:MoveItem>{target}<m:ItemIds><t:ItemId Id="{item_id}"/></m:ItemIds></m:MoveItem>'))
    assert listed(client, moved) == ["true", "brochure.pdf"]
    assert client.codes(fetch(old)) == ["ErrorItemNotFound"]
    new = attachment_id(client.get(moved, "item:Attachments"))
    assert client.one(fetch(new)).findtext(f".//{T}Content") == PDF


def test_an_occurrence_has_its_own(client: Client) -> None:
    """What is attached to one occurrence is on that one alone, beside what its series has."""
    start = client.organisation.now()
    master = client.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": "Rounds",
            "calendar:Start": start,
            "calendar:End": start + timedelta(hours=1),
            "calendar:Recurrence": Recurrence(Daily(1), Numbered(start.date(), 3)),
        },
    )
    client.one(attach(master.id, file("rota.pdf")))
    second = client.item(get_item(f'<t:OccurrenceItemId RecurringMasterId="{master.id}" InstanceIndex="2"/>'))
    mine = client.one(attach(id_of(second), file("menu.pdf")))
    third = client.item(get_item(f'<t:OccurrenceItemId RecurringMasterId="{master.id}" InstanceIndex="3"/>'))
    assert listed(client, id_of(second)) == ["true", "rota.pdf", "menu.pdf"]
    assert listed(client, id_of(third)) == listed(client, master.id) == ["true", "rota.pdf"]
    client.one(remove(attachment_id(mine)))
    assert listed(client, id_of(second)) == ["true", "rota.pdf"]


def test_what_cannot_be_attached_is_refused_by_its_code(client: Client) -> None:
    """No name, no item, no base64, no such item or attachment, no right: each in its own words, and nothing is attached."""
    item_id = id_of(client.item(create(event())))
    nameless = "<t:FileAttachment><t:Content>AQ==</t:Content></t:FileAttachment>"
    empty = "<t:ItemAttachment><t:Name>x</t:Name></t:ItemAttachment>"
    assert client.codes(attach(item_id, nameless + empty + file(content="§"))) == [
        "ErrorRequiredPropertyMissing",
        "ErrorMissingItemForCreateItemAttachment",
        "ErrorInvalidValueForProperty",
    ]
    assert client.codes(fetch(item_id)) == ["ErrorInvalidAttachmentId"]
    assert client.codes(fetch("AAAmalformed")) == ["ErrorInvalidIdMalformed"]
    client.organisation.set_permission(ALICE, "calendar", BOB, "Reviewer")
    assert client.codes(attach(item_id, file()), BOB) == ["ErrorAccessDenied"]
    assert listed(client, item_id) == ["false"]


def test_a_private_events_files_are_hidden_from_delegates(client: Client) -> None:
    """A delegate who may not see private items sees none of their attachments and cannot fetch them."""
    item_id = id_of(client.item(create(event("<t:Sensitivity>Private</t:Sensitivity>"))))
    held = attachment_id(client.one(attach(item_id, file())))
    client.organisation.set_permission(ALICE, "calendar", BOB, "Editor")
    assert listed(client, item_id, BOB) == ["false"]
    assert client.codes(fetch(held), BOB) == client.codes(remove(held), BOB) == ["ErrorAccessDenied"]
    client.organisation.set_private_viewer(ALICE, BOB)
    assert listed(client, item_id, BOB) == ["true", "brochure.pdf"]


def _mixed(subtype: str, *parts: str) -> bytes:
    head = f"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary=b\r\n\r\n"
    return (head + "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n").encode()


PLAIN, HTML = "Content-Type: text/plain\r\n\r\nhi", "Content-Type: text/html\r\n\r\n<p>hi</p>"
NOTE = "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=n.txt\r\n\r\nnote"
FILE = "Content-Type: application/pdf; name=a.pdf\r\n\r\nPDF"
MAIL = "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhi"


@pytest.mark.parametrize(
    ("raw", "body", "names"),
    [
        (_mixed("alternative", PLAIN, HTML), "<p>hi</p>", []),
        (_mixed("mixed", PLAIN), "hi", []),
        (b"Subject: s\r\n\r\nhi", "hi", []),
        (b"Subject: s\r\nContent-Type: application/pdf\r\n\r\nPDF", "", ["ATT00001.pdf"]),
        (_mixed("mixed", PLAIN, FILE), "hi", ["a.pdf"]),
        (_mixed("mixed", HTML, NOTE, FILE), "<p>hi</p>", ["n.txt", "a.pdf"]),
        (_mixed("mixed", PLAIN, MAIL), "hi", ["inner"]),
        (_mixed("mixed", PLAIN, PLAIN), "hi", ["ATT00001.txt"]),
    ],
)
def test_the_parts_of_a_mime_message_are_kept(client: Client, raw: bytes, body: str, names: list[str]) -> None:
    """Of a MIME message the best text is the body, its other form is no attachment, and every other part is one."""
    content = base64.b64encode(raw).decode()
    made = f"<t:Message><t:MimeContent>{content}</t:MimeContent></t:Message>"
    item_id = id_of(client.item(create(made, disposition="SaveOnly", send="")))
    found = client.get(item_id, "item:Subject", "item:Body")
    assert [found.findtext(f"{T}{name}").strip() for name in ("Subject", "Body")] == ["s", body]
    assert listed(client, item_id)[1:] == names


def test_mime_goes_in_and_comes_out_with_its_parts(client: Client) -> None:
    """What a message was created from as MIME is in its MimeContent again: who, which message, what is attached."""
    head = "From: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\nMessage-ID: <one@example.test>\r\n"
    raw = head.encode() + _mixed("mixed", HTML, FILE, MAIL)
    made = f"<t:Message><t:MimeContent>{base64.b64encode(raw).decode()}</t:MimeContent></t:Message>"
    item_id = id_of(client.item(create(made, disposition="SaveOnly", send="")))
    found = client.get(item_id, "item:MimeContent", "message:From", "message:InternetMessageId")
    assert found.findtext(f"{T}InternetMessageId") == "<one@example.test>"
    assert found.find(f"{T}From/{T}Mailbox").findtext(f"{T}EmailAddress") == "alice@example.test"
    out = base64.b64decode(found.findtext(f"{T}MimeContent")).decode()
    for part in (
        "Message-ID: <one@example.test>",
        "alice@example.test",
        'filename="a.pdf"',
        "Subject: inner",
        "<p>hi</p>",
    ):
        assert part in out, etree.tostring(found)
