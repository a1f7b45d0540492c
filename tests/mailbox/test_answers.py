"""Answers as bytes: lenient with servers, strict with what could harm."""

from __future__ import annotations

import time

import pytest

from ops_lib.errors import AccessRefused, AnswerLost, MailboxError, ServerBusy, ServerFailed
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.ews.answers import Answer, Message
from ops_lib.mailbox.ews.items import item_of
from tests.mailbox.stub import MESSAGES, envelope, event, failure, fault, items, response, success, sync_page


def read(body: str | bytes, status: int = 200) -> list[Message]:
    return answers.messages(Answer(status, {}, body.encode() if isinstance(body, str) else body), "x")


def subject_in(body: str | bytes) -> str:
    [message] = read(body)
    return item_of(answers.children(message.element, "Items")[0]).subject


def test_a_message_has_class_code_text_and_values() -> None:
    """Each response message says its class, code, text and the named values beside it."""
    [good, bad] = read(
        response("GetItem", success("GetItem"), failure("GetItem", "ErrorX", "why", {"Name1": "v1", "Name2": "v2"}))
    )
    assert (good.is_success, good.response_class, good.response_code) == (True, "Success", "NoError")
    assert (bad.is_success, bad.response_class, bad.response_code, bad.text) == (False, "Error", "ErrorX", "why")
    assert bad.values == {"Name1": "v1", "Name2": "v2"}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "body", [fault("ErrorImpersonateUserDenied", "no"), fault("ErrorImpersonateUserDenied", "no").partition("?>")[2]]
)
def test_a_fault_is_its_code_whatever_the_status(status: int, body: str) -> None:
    """A fault counts by its code, with HTTP 200 or 500, with and without an XML declaration."""
    with pytest.raises(AccessRefused) as caught:
        read(body, status)
    assert (caught.value.response_code, caught.value.http_status) == ("ErrorImpersonateUserDenied", status)


@pytest.mark.parametrize(
    ("faultcode", "code"),
    [
        ("ErrorServerBusy", "ErrorServerBusy"),
        ("a:ErrorServerBusy", "ErrorServerBusy"),
        ("SOAP:Server", "SOAP:Server"),
        ("", "SOAP fault"),
    ],
)
def test_a_bare_fault_code(faultcode: str, code: str) -> None:
    """Servers without detail put the code into faultcode, with or without a prefix."""
    with pytest.raises(MailboxError) as caught:
        read(envelope(f"<s:Fault><faultcode>{faultcode}</faultcode><faultstring>x</faultstring></s:Fault>"))
    assert caught.value.response_code == code
    assert isinstance(caught.value, ServerBusy) is (code == "ErrorServerBusy")


def test_a_schema_fault_says_what_was_violated() -> None:
    """What Exchange says of a schema violation is in the message."""
    with pytest.raises(ServerFailed, match="The element 'Foo' is invalid") as caught:
        read(
            fault(
                "ErrorSchemaValidation",
                "The request failed schema validation.",
                {"Violation": "The element 'Foo' is invalid"},
            ),
            500,
        )
    assert not caught.value.transient


@pytest.mark.parametrize("name", ["x", "GetItemResponseMessage"])
@pytest.mark.parametrize("holder", ["ResponseMessages", "Responses"])
def test_elements_with_wrong_names_are_read(name: str, holder: str) -> None:
    """Response messages count by where they are, not by what they are called."""
    inside = success("GetItem", f"<m:Items>{event('a', 'Tour')}</m:Items>").replace("GetItemResponseMessage", name)
    assert subject_in(envelope(f"<m:GetItemResponse><m:{holder}>{inside}</m:{holder}></m:GetItemResponse>")) == "Tour"


def test_missing_elements_are_read() -> None:
    """No class, no code, no namespace prefix: still an answer."""
    body = f'<GetItemResponse xmlns="{MESSAGES}"><ResponseMessages><GetItemResponseMessage/></ResponseMessages></GetItemResponse>'
    [message] = read(envelope(body))
    assert message.is_success
    [message] = read(
        envelope("<m:XResponse ResponseClass='Error'><m:ResponseCode>ErrorY</m:ResponseCode></m:XResponse>")
    )
    assert message.response_code == "ErrorY"


@pytest.mark.parametrize(
    "body", ["<m:GetItemResponse/>", "<m:GetItemResponse><m:ResponseMessages/></m:GetItemResponse>"]
)
def test_an_answer_without_messages_is_a_failure(body: str) -> None:
    """An answer that answers nothing is not taken for 'nothing there'."""
    with pytest.raises(ServerFailed):
        read(envelope(body))


@pytest.mark.parametrize(
    "body",
    ["", "   ", "OK", "{}", "<a/>", envelope("")[:90], envelope(""), "<html><body>x</body></html>", b"\xff\xfe\x00"],
)
def test_what_is_no_answer_is_lost(body: str | bytes) -> None:
    """Cut short, empty, or no SOAP at all: the answer is lost."""
    with pytest.raises(AnswerLost):
        read(body)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a&#x1F;b", "ab"),
        ("a&#0;b", "ab"),
        ("a&#xFFFF;b", "ab"),
        ("a&#x1F600;b", "a😀b"),
        ("a&#99999999;b", "ab"),
        ("a\x0bb", "ab"),
        ("caf\udce9", "caf�"),
        ("a&#38;b", "a&b"),
    ],
)
def test_characters_xml_does_not_allow_are_left_out(raw: str, shown: str) -> None:
    """A character reference or byte that XML forbids costs that character, not the page."""
    body = (
        items("GetItem", event("a", "MARK", more="<t:Location>&#x1F;</t:Location>"))
        .encode()
        .replace(b"MARK", raw.encode("utf-8", "surrogateescape"))
    )
    assert subject_in(body) == shown


def test_a_document_type_is_refused() -> None:
    """No EWS answer declares a document type: entities are never read, and the refusal is quick."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    started = time.thread_time()
    for prolog in (bomb, bomb.lower().replace("doctype", "DocType"), '<!DOCTYPE x SYSTEM "file:///etc/passwd">'):
        with pytest.raises(ServerFailed, match="document type"):
            read(envelope("").replace("?>", f"?>{prolog}"))
    assert time.thread_time() - started < 1


def test_a_page_in_a_body_is_no_document_type() -> None:
    """A document type inside a CDATA section is content."""
    assert subject_in(items("GetItem", event("a", "<![CDATA[<!DOCTYPE html><b>]]>"))) == "<!DOCTYPE html><b>"


def test_unknown_entities_are_not_read() -> None:
    """An entity nobody declared is no answer, never a file."""
    with pytest.raises(AnswerLost):
        read(items("GetItem", event("a", "&passwd;")))


def test_a_body_of_two_megabytes_is_read() -> None:
    """Long bodies are read whole."""
    body = "x" * 12_000_000
    [message] = read(items("GetItem", event("a", more=f'<t:Body BodyType="HTML">{body}</t:Body>')))
    assert item_of(answers.children(message.element, "Items")[0]).body == body


def test_several_envelopes_are_read_one_after_the_other() -> None:
    """A streaming answer is several envelopes; each gives its messages."""
    assert [message.response_code for message in read(sync_page("s1") + sync_page("s2").partition("?>")[2])] == [
        "NoError",
        "NoError",
    ]


def test_comments_and_a_byte_order_mark_do_no_harm() -> None:
    """A byte order mark, comments and processing instructions are passed over."""
    body = b"\xef\xbb\xbf" + items("GetItem", event("a", "To<!-- c -->ur")).encode().replace(
        b"<s:Body>", b"<!-- c --><?pi x?><s:Body>"
    )
    assert subject_in(body) == "Tour"
