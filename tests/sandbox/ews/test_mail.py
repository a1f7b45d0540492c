"""Mail: delivered to the organisation's mailboxes, out of it, and back; sent in whose name; drafts sent later."""

from __future__ import annotations

import base64
from email import message_from_bytes
from email.policy import default
from typing import Any
from xml.sax.saxutils import escape

import pytest

from ops_lib.sandbox.items import Item
from ops_lib.sandbox.values import Person

from .client import ALICE, BOB, CAROL, SERVICE, Client, M, T, create, find, id_of

OUTSIDE = "ruth@family.example"


def to(*addresses: str, element: str = "ToRecipients") -> str:
    """Recipients."""
    inner = "".join(f"<t:Mailbox><t:EmailAddress>{one}</t:EmailAddress></t:Mailbox>" for one in addresses)
    return f"<t:{element}>{inner}</t:{element}>"


def mail(*addresses: str, before: str = "", more: str = "", sender: str = "") -> str:
    """A Message; ``before`` goes between subject and recipients, ``more`` behind these."""
    author = f"<t:From><t:Mailbox><t:EmailAddress>{sender}</t:EmailAddress></t:Mailbox></t:From>" if sender else ""
    return f"<t:Message><t:Subject>Hello</t:Subject>{before}{to(*addresses)}{more}{author}</t:Message>"


def send(*addresses: str, disposition: str = "SendAndSaveCopy", **parts: str) -> str:
    """CreateItem that sends."""
    return create(mail(*addresses, **parts), send="", disposition=disposition)


def held(client: Client, address: str, folder: str = "inbox") -> list[Item]:
    """What lies in a folder."""
    return list(client.organisation.mailbox(address).folder(folder).items.values())


def send_item(item: Any, *, save: str = "true", folder: str = "", key: bool = True) -> str:
    """SendItem of a stored item."""
    named = f' ChangeKey="{item.change_key}"' if key else ""
    place = f"<m:SavedItemFolderId>{folder}</m:SavedItemFolderId>" if folder else ""
    return f'<m:SendItem SaveItemToFolder="{save}"><m:ItemIds><t:ItemId Id="{item.id}"{named}/></m:ItemIds>{place}</m:SendItem>'


def test_mail_arrives_inside_and_leaves_for_outside(client: Client) -> None:
    """Colleagues have it unread in the Inbox, people outside are in the outbox, the sender keeps a copy with all recipients."""
    hidden = to(CAROL, element="BccRecipients")
    client.one(send(BOB, OUTSIDE, before="<t:Body BodyType='HTML'>&lt;b&gt;hi&lt;/b&gt;</t:Body>", more=hidden))
    [received], [copied] = held(client, BOB), held(client, ALICE, "sentitems")
    assert len(held(client, CAROL)) == 1
    got = client.get(received.id, base="AllProperties", user=BOB)
    assert [got.findtext(f"{T}{name}") for name in ("Subject", "IsRead", "IsDraft", "IsFromMe")] == [
        "Hello", "false", "false", "false",
    ]  # fmt: skip
    assert got.find(f"{T}BccRecipients") is None
    assert got.find(f"{T}From/{T}Mailbox").findtext(f"{T}EmailAddress") == ALICE
    kept = client.get(copied.id, base="AllProperties")
    assert kept.find(f"{T}BccRecipients/{T}Mailbox").findtext(f"{T}EmailAddress") == CAROL
    [entry] = client.organisation.outbox
    assert (entry.kind, entry.sender, entry.recipients, entry.subject) == ("Message", ALICE, (OUTSIDE,), "Hello")
    [sent] = client.organisation.sent
    assert set(sent.recipients) == {BOB, OUTSIDE, CAROL}


def test_send_only_keeps_no_copy(client: Client) -> None:
    """SendOnly delivers and leaves nothing with the sender."""
    client.one(send(BOB, disposition="SendOnly"))
    assert (len(held(client, BOB)), held(client, ALICE, "sentitems"), held(client, ALICE, "drafts")) == (1, [], [])


def test_pictures_and_files_arrive(client: Client) -> None:
    """Attachments in CreateItem reach the recipient: the picture of the body inline, the brochure as a file."""
    picture = base64.b64encode(b"\x89PNG").decode()
    files = (
        "<t:Attachments><t:FileAttachment><t:Name>logo.png</t:Name><t:ContentId>logo</t:ContentId><t:IsInline>true</t:IsInline>"
        f"<t:Content>{picture}</t:Content></t:FileAttachment><t:FileAttachment><t:Name>b.pdf</t:Name><t:Content>{picture}</t:Content>"
        "</t:FileAttachment></t:Attachments>"
    )
    client.one(send(BOB, before=files))
    [received] = held(client, BOB)
    assert [(one.name, one.is_inline, one.content_id, one.content) for one in received.attachments] == [
        ("logo.png", True, "logo", b"\x89PNG"), ("b.pdf", False, "", b"\x89PNG"),
    ]  # fmt: skip
    assert client.get(received.id, "item:HasAttachments", user=BOB).findtext(f"{T}HasAttachments") == "true"


def test_a_draft_is_sent_later(client: Client) -> None:
    """SendItem delivers a draft, takes it out of Drafts and keeps a copy, another item, where it is told; or none."""
    client.one(create(mail(BOB), send="", disposition="SaveOnly"))
    [draft] = held(client, ALICE, "drafts")
    client.one(send_item(draft))
    assert (len(held(client, BOB)), held(client, ALICE, "drafts")) == (1, [])
    [copied] = held(client, ALICE, "sentitems")
    assert copied.id != draft.id
    assert client.get(copied.id, "item:IsDraft").findtext(f"{T}IsDraft") == "false"
    client.one(create(mail(BOB), send="", disposition="SaveOnly"))
    [draft] = held(client, ALICE, "drafts")
    client.one(send_item(draft, save="false"))
    assert (len(held(client, BOB)), len(held(client, ALICE, "sentitems"))) == (2, 1)


def test_drafts_that_cannot_be_sent_stay(client: Client) -> None:
    """No change key, an old one, nobody to send to, no message, contradicting settings: each refused in its own words."""
    client.one(create(mail(BOB), send="", disposition="SaveOnly"))
    [draft] = held(client, ALICE, "drafts")
    assert client.codes(send_item(draft, key=False)) == ["ErrorChangeKeyRequired"]
    stale = send_item(draft)
    client.organisation.update_item(draft, {"item:Subject": "Hello again"})
    assert client.codes(stale) == ["ErrorIrresolvableConflict"]
    sent = '<t:DistinguishedFolderId Id="sentitems"/>'
    assert client.codes(send_item(draft, save="false", folder=sent)) == ["ErrorInvalidSendItemSaveSettings"]
    assert client.codes(send_item(draft), CAROL) == ["ErrorItemNotFound"]
    task = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "t"})
    assert client.codes(send_item(task)) == ["ErrorInvalidItemForOperationSendItem"]
    empty = client.organisation.create_item(ALICE, "drafts", {"item:Subject": "e", "message:ToRecipients": []})
    assert client.codes(send_item(empty)) == ["ErrorMissingRecipients"]
    assert client.organisation.sent == []


@pytest.mark.parametrize(("right", "sender"), [("SendAs", ALICE), ("SendOnBehalf", SERVICE)])
def test_mail_in_the_name_of_another_needs_the_right(client: Client, right: str, sender: str) -> None:
    """Without a right it is ErrorSendAsDenied and stays in Drafts; with one it goes, and Sender says who really sent it."""
    request = send(BOB, sender=ALICE)
    assert client.codes(request, SERVICE) == ["ErrorSendAsDenied"]
    assert client.organisation.sent == []
    assert len(held(client, SERVICE, "drafts")) == 1
    client.organisation.grant_sending(ALICE, SERVICE, right)
    client.one(request, SERVICE)
    [received] = held(client, BOB)
    assert (received.values["message:From"].address, received.values["message:Sender"].address) == (ALICE, sender)
    client.organisation.revoke_sending(ALICE, SERVICE)
    assert client.codes(request, SERVICE) == ["ErrorSendAsDenied"]


def test_who_acts_for_somebody_sends_as_them(client: Client) -> None:
    """An impersonated user is the sender; the copy lies in their Sent Items."""
    client.one(send(BOB), SERVICE, acting_as=ALICE)
    [received] = held(client, BOB)
    assert received.values["message:From"].address == ALICE
    assert (len(held(client, ALICE, "sentitems")), held(client, SERVICE, "sentitems")) == (1, [])


def test_mail_to_nobody_comes_back(client: Client) -> None:
    """An address of the own domain that nobody has: a report of non-delivery is in the sender's Inbox, the others have their mail."""
    client.one(send("nobody@example.test", BOB))
    [report] = held(client, ALICE)
    item = client.get(report.id, "item:ItemClass", "item:Subject", "item:Body", shape="<t:BodyType>Text</t:BodyType>")
    assert [item.findtext(f"{T}{name}") for name in ("ItemClass", "Subject")] == [
        "REPORT.IPM.Note.NDR",
        "Undeliverable: Hello",
    ]
    assert "nobody@example.test" in item.findtext(f"{T}Body")
    assert len(held(client, BOB)) == 1
    assert client.organisation.outbox == []


def test_what_marks_a_message_is_found_in_the_copy_and_not_with_the_recipient(client: Client) -> None:
    """An extended property set on a message that is sent is on the copy in Sent Items, where it can be searched for."""
    key = '<t:ExtendedFieldURI PropertySetId="c11ff724-aa03-4555-9952-8fa248a11c3e" PropertyName="K" PropertyType="String"/>'
    marked = f"<t:ExtendedProperty>{key}<t:Value>one</t:Value></t:ExtendedProperty>"
    client.one(send(BOB, before=marked))
    wanted = f'<m:Restriction><t:IsEqualTo>{key}<t:FieldURIOrConstant><t:Constant Value="one"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>'
    found = client.one(find(folder="sentitems", inner=wanted)).findall(f".//{T}Message")
    assert [id_of(one) for one in found] == [held(client, ALICE, "sentitems")[0].id]
    assert client.one(find(folder="inbox", inner=wanted), BOB).find(f".//{T}Message") is None


def test_a_mime_message_is_sent_with_its_headers(client: Client) -> None:
    """A message given as MIME goes to the people in its headers and keeps its Message-ID."""
    raw = b"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: M\r\nMessage-ID: <m1@example.test>\r\n\r\nhi"
    made = f"<t:Message><t:MimeContent>{base64.b64encode(raw).decode()}</t:MimeContent></t:Message>"
    assert len(client.one(create(made, send="", disposition="SendAndSaveCopy")).find(f"{M}Items")) == 0
    [received] = held(client, BOB)
    assert received.values["message:InternetMessageId"] == "<m1@example.test>"
    assert received.values["message:From"] == Person("Alice", ALICE)


def test_names_are_quoted_in_a_message(client: Client) -> None:
    """A name that holds what addresses are written with stays a name: the header has one recipient, whatever they are called."""
    for name in ("Otto <b>Öz", 'Öz, Otto "the" <eve@evil.example>', "Bob Example"):
        named = f"<t:ToRecipients><t:Mailbox><t:Name>{escape(name)}</t:Name><t:EmailAddress>{BOB}</t:EmailAddress></t:Mailbox></t:ToRecipients>"
        message = f"<t:Message><t:Subject>Hello</t:Subject>{named}</t:Message>"
        client.one(create(message, send="", disposition="SendAndSaveCopy"))
        received = held(client, BOB)[-1]
        raw = client.get(received.id, "item:MimeContent", user=BOB).findtext(f"{T}MimeContent")
        [address] = message_from_bytes(base64.b64decode(raw), policy=default)["To"].addresses
        assert (address.display_name, address.addr_spec) == (name, BOB)


@pytest.mark.parametrize("way", ["CreateItem", "SendItem"])
def test_messages_have_a_largest_size(client: Client, way: str) -> None:
    """What is larger than the organisation allows, attachments grown by a third, is refused, and a draft stays where it is."""
    client.organisation.largest_message_bytes = 4_000
    content = base64.b64encode(b"x" * 3_001).decode()
    big = f"<t:Attachments><t:FileAttachment><t:Name>a</t:Name><t:Content>{content}</t:Content></t:FileAttachment></t:Attachments>"
    if way == "CreateItem":
        assert client.codes(send(BOB, before=big)) == ["ErrorMessageSizeExceeded"]
    else:
        client.one(create(mail(BOB, before=big), send="", disposition="SaveOnly"))
        [draft] = held(client, ALICE, "drafts")
        assert client.codes(send_item(draft)) == ["ErrorMessageSizeExceeded"]
        assert held(client, ALICE, "drafts") == [draft]
    assert client.organisation.sent == []
    client.organisation.largest_message_bytes = 5_000
    client.one(send(BOB, before=big))
