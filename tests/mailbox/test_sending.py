"""The requests that send mail, valid by Microsoft's schema, and what servers answer to them: recorded, documented, and made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import vcr
from lxml import etree

from ops_lib.errors import AccessRefused, AnswerLost, ItemGone, ItemRefused, ServerFailed
from ops_lib.mailbox.ews import sending
from ops_lib.mailbox.ews.sending import EwsPost
from ops_lib.mailbox.outgoing import Draft, File, Message, Whereabouts
from tests.mailbox import cassettes
from tests.mailbox.conftest import ACCOUNT, HOST
from tests.mailbox.stub import Reply, Stub
from tests.mailbox.test_microsoft import read

ALICE, BOB = "alice@example.test", "bob@example.test"
PLAIN = Message(
    key="0" * 32,
    sender=ALICE,
    recipients=(('Bob \x0b <&> "B"', BOB),),
    subject="A & B < C",
    text="Dear Bob,\n]]> &amp;",
)
RICH = replace(
    PLAIN,
    recipients=(("", BOB), ("Carol Öz", "carol@example.test")),
    html='<p>Our house <img src="cid:house"></p>',
    files=(
        File(name="house.png", content_type="image/png", content=b"\x89PNG", content_id="house"),
        File(name="Preise & mehr.pdf", content_type="application/pdf", content=b""),
    ),
)
DRAFT = Draft("A&B=", "C<D=")
REQUESTS: dict[str, Callable[[], Any]] = {
    "plain, own mailbox": lambda: sending.create(PLAIN, ALICE),
    "rich, delegate without an address": lambda: sending.create(RICH, ""),
    "submit": lambda: sending.send(DRAFT, ALICE),
    "submit without a change key": lambda: sending.send(Draft("A", ""), ""),
    "find": lambda: sending.find("0" * 32, ALICE),
    "look": lambda: sending.look([DRAFT]),
    "remove": lambda: sending.remove([DRAFT, DRAFT]),
}

Play = Callable[..., Any]


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_valid(name: str, schema: etree.XMLSchema) -> None:
    """Each request validates against Microsoft's schema, whatever stands in names and bodies."""
    assert schema.validate(REQUESTS[name]()), str(schema.error_log)


def test_a_draft_says_who_it_is_from_and_which_it_is() -> None:
    """From is the user with a routing type (without one, a server drops it); stamp and Internet message id are made of the key."""
    request = sending.create(RICH, ALICE)
    t = {"t": sending.TYPES}
    assert request.get("MessageDisposition") == "SaveOnly"
    assert request.findtext(".//t:From/t:Mailbox/t:EmailAddress", namespaces=t) == ALICE
    assert request.findtext(".//t:From/t:Mailbox/t:RoutingType", namespaces=t) == "SMTP"
    assert request.findtext(".//t:ExtendedProperty/t:Value", namespaces=t) == RICH.key
    assert request.findtext(".//t:InternetMessageId", namespaces=t) == f"<{RICH.key}@example.test>"
    assert [each.text for each in request.iterfind(".//t:FileAttachment/t:IsInline", t)] == ["true", "false"]


# ── a server that is not Microsoft's ─────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def play(tmp_path: Path) -> Play:
    """``with play("name", 1, 3) as post``: a way to send, with these interactions of the recording for a server, in order, all of them."""

    @contextmanager
    def played(name: str, *numbers: int) -> Iterator[EwsPost]:
        path = cassettes.write_subset(name, numbers, tmp_path)
        player = vcr.VCR(record_mode="none", match_on=["method", "path"])
        with player.use_cassette(str(path)) as tape:
            yield open_post("http://127.0.0.1:8180/EWS/Exchange.asmx")
            assert tape.play_count == len(numbers)

    return played


def open_post(url: str, **changes: Any) -> EwsPost:
    return EwsPost(replace(HOST, url=url, **changes), ACCOUNT, lambda reference: "x", 5.0)


def numbered(name: str, operation: str) -> list[int]:
    """Which interactions of a recording are of an operation."""
    return [number for number, each in enumerate(cassettes.load(name), start=1) if each.operation == operation]


@pytest.mark.req("E2")
def test_a_recorded_draft_is_submitted(play: Play) -> None:
    """Gromox answers SendItem in an element of another name, which makes other clients fail though the mail is out: here it counts as sent."""
    name = "send_message_draft_then_send"
    [create], [submit] = numbered(name, "CreateItem"), numbered(name, "SendItem")
    with play(name, create, submit) as post:
        draft = post.draft(PLAIN)
        assert draft.item_id.startswith("AAAAACRKjQuj")
        assert draft.change_key
        post.submit(draft)
        assert post.requests == 2


@pytest.mark.req("E7")
def test_a_recorded_server_error_may_have_sent(play: Play) -> None:
    """A refused recipient is HTTP 500 and a bare fault there, with a copy in the sent items all the same: it may have been done."""
    name = "send_message_unknown_recipient"
    with play(name, numbered(name, "CreateItem")[0]) as post, pytest.raises(AnswerLost) as error:
        post.submit(DRAFT)
    assert error.value.response_code == "SOAP:Server"
    assert error.value.http_status == 500


def test_nobody_to_send_to_is_a_refusal(play: Play) -> None:
    """ErrorMissingRecipients, as recorded, is a refusal, and nothing was done."""
    name = "send_message_unknown_recipient"
    refused = next(
        number
        for number, each in enumerate(cassettes.load(name), start=1)
        if b"ErrorMissingRecipients" in each.body and each.operation == "CreateItem"
    )
    with play(name, refused) as post, pytest.raises(ItemRefused) as error:
        post.draft(PLAIN)
    assert error.value.response_code == "ErrorMissingRecipients"


# ── Microsoft's own examples ─────────────────────────────────────────────────────────────────────────────────────────
def test_microsofts_examples_of_sending() -> None:
    """Its answer to SendItem is a success; its example of a malformed id is the refusal of that item."""
    [sent], [refused] = read("senditem-operation-2.response"), read("senditem-operation-4.response")
    assert sent.is_success
    assert isinstance(refused.error("x", about_item=True), ItemRefused)


# ── answers of every kind ────────────────────────────────────────────────────────────────────────────────────────────
def answer(operation: str, *messages: str) -> Reply:
    """An answer with these response messages."""
    return Reply(
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="{sending.MESSAGES}" xmlns:t="{sending.TYPES}"><s:Body>'
        f"<m:{operation}Response><m:ResponseMessages>{''.join(messages)}</m:ResponseMessages></m:{operation}Response></s:Body></s:Envelope>"
    )


def said(operation: str, code: str = "NoError", inner: str = "") -> str:
    kind = "Success" if code == "NoError" else "Error"
    return f'<m:{operation}ResponseMessage ResponseClass="{kind}"><m:ResponseCode>{code}</m:ResponseCode>{inner}</m:{operation}ResponseMessage>'


def listed(*items: str) -> str:
    return said(
        "FindItem",
        inner=f'<m:RootFolder IncludesLastItemInRange="true"><t:Items>{"".join(items)}</t:Items></m:RootFolder>',
    )


def item(item_id: str, key: str = PLAIN.key, *, is_draft: str = "true", is_submitted: str = "false") -> str:
    stamp = f"<t:ExtendedProperty>{sending._STAMP}<t:Value>{key}</t:Value></t:ExtendedProperty>" if key else ""
    return (
        f'<t:Message><t:ItemId Id="{item_id}" ChangeKey="c"/><t:IsSubmitted>{is_submitted}</t:IsSubmitted>'
        f"<t:IsDraft>{is_draft}</t:IsDraft>{stamp}</t:Message>"
    )


NONE = listed()
NO_FOLDER = said("FindItem", "ErrorFolderNotFound")
FOUND: list[tuple[str, list[str], Whereabouts]] = [
    ("nowhere", [NONE] * 4, Whereabouts()),
    ("a draft", [listed(item("a")), NONE, NONE, NONE], Whereabouts((Draft("a", "c"),))),
    ("submitted, not gone yet", [listed(item("a", is_submitted="true")), NONE, NONE, NONE], Whereabouts(is_out=True)),
    ("sent", [NONE, listed(item("a", is_draft="false")), NONE, NONE], Whereabouts(is_out=True)),
    ("in the outbox", [NONE, NONE, listed(item("a")), NONE], Whereabouts(is_out=True)),
    ("thrown away", [NONE, NONE, NONE, listed(item("a"))], Whereabouts(thrown_away=(Draft("a", "c"),))),
    ("sent, the copy thrown away", [NONE, NONE, NONE, listed(item("a", is_draft="false"))], Whereabouts(is_out=True)),
    ("another's", [listed(item("a", key="1" * 32)), NONE, NONE, NONE], Whereabouts()),
    ("no outbox there", [NONE, NONE, NO_FOLDER, NO_FOLDER], Whereabouts()),
]


@pytest.mark.req("E7")
@pytest.mark.parametrize(("folders", "expected"), [each[1:] for each in FOUND], ids=[each[0] for each in FOUND])
def test_where_a_message_is(folders: list[str], expected: Whereabouts) -> None:
    """Drafts, submitted drafts, copies and what was thrown away are told apart, folder by folder."""
    with Stub([answer("FindItem", *folders)]) as stub:
        assert open_post(stub.url).find(PLAIN.key) == expected


@pytest.mark.req("E7")
@pytest.mark.parametrize(
    "folders", [[NO_FOLDER, NONE, NONE, NONE], [NONE, said("FindItem", "ErrorAccessDenied"), NONE, NONE], [NONE, NONE]]
)
def test_what_could_not_be_looked_at_is_not_nowhere(folders: list[str]) -> None:
    """Where the drafts or sent items cannot be seen, or folders are missing from the answer, it is an error and not "not there"."""
    with Stub([answer("FindItem", *folders)] * 4) as stub, pytest.raises((ItemGone, AccessRefused, ServerFailed)):
        open_post(stub.url).find(PLAIN.key)


@pytest.mark.req("E7")
def test_a_server_that_finds_by_the_stamp_and_does_not_list_it() -> None:
    """Items that are listed bare are read before anything is concluded."""
    read_item = said("GetItem", inner=f"<m:Items>{item('a')}</m:Items>")
    replies = [answer("FindItem", listed(item("a", key="")), NONE, NONE, NONE), answer("GetItem", read_item)]
    with Stub(replies) as stub:
        assert open_post(stub.url).find(PLAIN.key) == Whereabouts((Draft("a", "c"),))


@pytest.mark.req("E7")
@pytest.mark.parametrize(
    ("reply", "kind", "tries"),
    [
        (Reply(drop=True), AnswerLost, 1),
        (Reply("<html>proxy</html>", 502), AnswerLost, 1),
        (answer("SendItem", said("SendItem", "ErrorInternalServerTransientError")), AnswerLost, 1),
        (answer("SendItem", said("SendItem", "ErrorSendAsDenied")), AccessRefused, 1),
        (answer("SendItem", said("SendItem", "ErrorQuotaExceeded")), ItemRefused, 1),
        (answer("SendItem", said("SendItem", "ErrorItemNotFound")), ItemGone, 1),
        (answer("SendItem", said("SendItem", "ErrorSchemaValidation")), ServerFailed, 1),
    ],
)
def test_a_submission_is_sent_once(reply: Reply, kind: type[Exception], tries: int) -> None:
    """What may have been done is not repeated, a refusal is final; each is told as what it is."""
    with Stub([reply] * 4) as stub:
        with pytest.raises(kind):
            open_post(stub.url).submit(DRAFT)
        assert len(stub.asked) == tries


def test_a_busy_server_is_asked_again() -> None:
    """Refused for now, nothing was done: the same request goes again, up to four times in all."""
    busy, done = Reply("", 503), answer("SendItem", said("SendItem"))
    with Stub([busy, busy, busy, done]) as stub:
        open_post(stub.url).submit(DRAFT)
        assert len(stub.asked) == 4


@pytest.mark.req("E7")
def test_removing_says_what_was_there() -> None:
    """Of drafts that are removed, those that were there are told from those that had gone: only the first are certain never to be sent."""
    reply = answer("DeleteItem", said("DeleteItem"), said("DeleteItem", "ErrorItemNotFound"))
    with Stub([reply]) as stub:
        post = open_post(stub.url)
        assert post.remove([DRAFT, Draft("b", "")]) == [True, False]
        assert post.remove([]) == []


def test_a_delegates_drafts_are_the_service_accounts() -> None:
    """A delegate works in the service account's mailbox, by its address where that is known; everybody else in the user's."""
    place = {"t": sending.TYPES}
    for access, service, expected in (
        ("delegate", "svc@example.test", "svc@example.test"),
        ("delegate", "", None),
        ("direct", "", ALICE),
    ):
        with Stub([answer("SendItem", said("SendItem"))]) as stub:
            host = replace(HOST, url=stub.url, access=access)  # type: ignore[arg-type]
            EwsPost(host, ACCOUNT, lambda reference: "x", 5.0, service=service).submit(DRAFT)
            root = etree.fromstring(stub.asked[0].body)
            assert root.findtext(".//t:DistinguishedFolderId/t:Mailbox/t:EmailAddress", namespaces=place) == expected
