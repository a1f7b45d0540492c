"""The traps of exchangelib, each with a test that it is not stepped into; first the seven that bite, in the order of the facts.

What each would do is measured in the facts on exchangelib; here it is shown that the mailbox does something else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ops_lib.errors import AccessRefused, AnswerLost, MailboxError, ServerFailed, SignInRefused
from ops_lib.mailbox import ItemContent, ItemUpdate
from ops_lib.mailbox.ews import requests
from ops_lib.mailbox.ews.transport import VERSIONS, close_connections
from ops_lib.model import AllDay, Item, Kind, Timed, Written
from tests.mailbox.stub import TYPES, Reply, Stub, event, failure, fault, items, response, sync_page, task

Open = Callable[..., Any]
CONTENT = ItemContent(
    subject="Tour", when=Timed(datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC))
)


def test_trap_1_a_wrong_password_is_sent_once(open_at: Open) -> None:
    """FaultTolerance would send a wrong password for an hour; here it is one request and SignInRefused."""
    with Stub([Reply("", 401, {"WWW-Authenticate": "Basic"})]) as stub:
        with pytest.raises(SignInRefused):
            open_at(stub.url).changes(Kind.EVENT)
        assert len(stub.asked) == 1


def test_trap_1_a_lost_create_is_not_sent_again(open_at: Open) -> None:
    """With more than one session FaultTolerance would send a create again; here it goes out once, however many sessions there are."""
    with Stub([Reply(drop=True)]) as stub:
        with pytest.raises(AnswerLost):
            open_at(stub.url).create(Kind.EVENT, [CONTENT])
        assert len(stub.asked) == 1


def test_trap_2_nothing_but_our_own_errors_comes_out(open_at: Open) -> None:
    """exchangelib leaks errors of requests, oauthlib and its own tree; here each failure is a MailboxError."""
    bad = [
        Reply(drop=True),
        Reply("x", 401),
        Reply("x", 403),
        Reply("", 302, {"Location": "/ews/genericerrorpage.htm?aspxerrorpath=/ews/exchange.asmx"}),
        Reply("x", 500, {"X-CasErrorCode": "CAS error: ServerNotFound"}),
        Reply("Server Error in '/EWS' Application", 500),
        Reply("<s:Envelope", 500),
        Reply("x" * 10, cut_after=2),
        Reply(b"\x00\x01", headers={"Content-Encoding": "gzip"}),
        Reply(fault("NoSuchCodeAnywhere"), 500),
        Reply(response("SyncFolderItems", "<m:x/>")),
    ]
    with Stub(lambda asked, number: bad[number // 4 % len(bad)]) as stub:
        mailbox = open_at(stub.url)
        for _ in range(len(bad) * 4):
            with pytest.raises(MailboxError):
                mailbox.changes(Kind.EVENT)


@pytest.mark.parametrize("code", ["ErrorAccessDenied", "ErrorInternalServerError", "ErrorSomethingNew"])
def test_trap_3_a_denied_sync_keeps_its_code(open_at: Open, code: str) -> None:
    """sync_items would raise AttributeError where an error answer has no SyncState; here the code comes through."""
    with Stub(lambda asked, number: Reply(response("SyncFolderItems", failure("SyncFolderItems", code)))) as stub:
        with pytest.raises(MailboxError) as caught:
            open_at(stub.url).changes(Kind.EVENT)
        assert caught.value.response_code == code


def test_trap_4_a_delegate_never_turns_to_the_own_mailbox(open_at: Open) -> None:
    """A resolved folder would turn into the caller's own; here every folder of every request names the mailbox, and the root is never asked."""
    with Stub(lambda asked, number: Reply(sync_page(f"s{number}"))) as stub:
        mailbox = open_at(stub.url, access="delegate", mailbox="bob@example.test")
        for kind in Kind:
            mailbox.changes(kind, mailbox.changes(kind).sync_state)
        for asked in stub.asked:
            assert (
                asked.body.count(b"<t:DistinguishedFolderId")
                == asked.body.count(b"<t:EmailAddress>bob@example.test</t:EmailAddress>")
                == 1
            )
            assert b"GetFolder" not in asked.body
            assert b'"root"' not in asked.body


def test_trap_4_only_calendar_rights_are_enough(open_at: Open) -> None:
    """Account(…).calendar asks the root first and is refused; here the first request is the one that was meant."""

    def play(asked: Any, number: int) -> Reply:
        if b'Id="calendar"' in asked.body:
            return Reply(sync_page("s1"))
        return Reply(response("GetFolder", failure("GetFolder", "ErrorAccessDenied")))

    with Stub(play) as stub:
        assert open_at(stub.url, access="delegate").changes(Kind.EVENT).sync_state == "s1"
        assert len(stub.asked) == 1


def test_trap_5_rights_are_asked_as_effective_rights(schema: Any) -> None:
    """permission_level reads None for tasks; here a folder is asked for its effective rights, whatever its class."""
    for kind in Kind:
        asked = requests.get_folder(kind, "alice@example.test")
        assert schema.validate(asked)
        assert "folder:EffectiveRights" in {uri.get("FieldURI") for uri in asked.iter(f"{{{TYPES}}}FieldURI")}


def test_trap_6_a_tasks_values_are_not_rewritten(open_at: Open) -> None:
    """Task.clean would correct 'completed at 50 %' and 'due before start'; here what was given is sent, and what came is read."""
    odd = task("t", "<t:DueDate>2026-11-20T00:00:00Z</t:DueDate><t:PercentComplete>50</t:PercentComplete>"
                    "<t:StartDate>2026-11-25T00:00:00Z</t:StartDate><t:Status>Completed</t:Status>")  # fmt: skip
    with Stub([Reply(items("GetItem", odd)), Reply(items("UpdateItem", odd))]) as stub:
        mailbox = open_at(stub.url)
        [item] = mailbox.read(Kind.TASK, ["t"])
        assert isinstance(item, Item)
        assert (item.when, item.is_complete) == (AllDay(date(2026, 11, 20), date(2026, 11, 21)), True)
        assert item.oddities
        mailbox.update([ItemUpdate("t", item.change_key, Kind.TASK, ItemContent(subject="x"))])
        assert stub.asked[1].body.count(b"SetItemField") == 2  # opened and closed: the subject alone


def test_trap_7_a_megabyte_is_read_at_once(open_at: Open) -> None:
    """exchangelib reads answers byte by byte (0.38 s a megabyte); here five megabytes take a fraction of that."""
    page = sync_page("s1", "".join(f"<t:Create>{event(f'i{number}', 'x' * 5000)}</t:Create>" for number in range(1000)))
    with Stub([Reply(page)]) as stub:
        mailbox = open_at(stub.url)
        started = time.process_time()
        assert len(mailbox.changes(Kind.EVENT).items) == 1000
        assert time.process_time() - started < 1.0
        assert mailbox.bytes_received > 5_000_000


@pytest.mark.parametrize(
    "code",
    [
        "ErrorInvalidServerVersion",
        "ErrorInvalidRequest",
        "ErrorIncorrectSchemaVersion",
        "ErrorInvalidSchemaVersionForMailboxVersion",
    ],
)
def test_a_version_that_is_refused_is_not_guessed(open_at: Open, code: str) -> None:
    """exchangelib would send the same request about ten times in other versions; here it goes out once, with its code and mend."""
    with Stub([Reply(fault(code), 500)]) as stub:
        with pytest.raises(ServerFailed) as caught:
            open_at(stub.url).changes(Kind.EVENT)
        assert (caught.value.response_code, caught.value.transient) == (code, False)
        assert "--version" in caught.value.fix or code == "ErrorInvalidRequest"
        assert len(stub.asked) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_asked_on_first_contact(open_at: Open, version: str) -> None:
    """No ConvertId, no GetFolder, no request without credentials: the first request is the one that was meant."""
    with Stub([Reply(items("CreateItem", event("a")))]) as stub:
        outcomes = open_at(stub.url, version=version).create(Kind.EVENT, [CONTENT])
        assert [type(outcome) for outcome in outcomes] == [Written]
        assert len(stub.asked) == 1
        assert "Authorization" in stub.asked[0].headers


def test_a_version_in_the_answer_changes_nothing(open_at: Open) -> None:
    """exchangelib adopts the version an answer names; here the next request asks for the host's."""
    header = f'<s:Header><t:ServerVersionInfo xmlns:t="{TYPES}" MajorVersion="8" MinorVersion="0" Version="Exchange2007"/></s:Header><s:Body>'
    with Stub(lambda asked, number: Reply(sync_page("s1").replace("<s:Body>", header))) as stub:
        mailbox = open_at(stub.url)
        mailbox.changes(Kind.EVENT)
        mailbox.changes(Kind.EVENT)
        assert all(b'RequestServerVersion Version="Exchange2016"' in asked.body for asked in stub.asked)


def test_a_401_with_connection_close_is_still_a_401(open_at: Open) -> None:
    """exchangelib takes any answer with 'Connection: close' for a busy server; here 401 and 403 stay what they are."""
    for status, error in ((401, SignInRefused), (403, AccessRefused)):
        with Stub([Reply("", status, {"Connection": "close"})]) as stub, pytest.raises(error):
            open_at(stub.url).changes(Kind.EVENT)


def test_results_of_other_items_are_not_lost(open_at: Open) -> None:
    """bulk_update raises on the first conflict and loses the other results; here each has its own."""
    answer = response(
        "UpdateItem",
        failure("UpdateItem", "ErrorIrresolvableConflict"),
        items("UpdateItem", event("b")).partition("<m:ResponseMessages>")[2].partition("</m:ResponseMessages>")[0],
        failure("UpdateItem", "ErrorQuotaExceeded"),
    )
    with Stub([Reply(answer)]) as stub:
        outcomes = open_at(stub.url).update([ItemUpdate(f"i{number}", "c", Kind.EVENT, CONTENT) for number in range(3)])
    assert [type(outcome).__name__ for outcome in outcomes] == ["ItemConflict", "Written", "ItemRefused"]


def test_fractions_of_a_second_are_read(open_at: Open) -> None:
    """exchangelib reads None where a time has a fraction; here it is the instant, and a task keeps its date."""
    stamped = event("a", more="<t:LastModifiedTime>2026-11-22T15:05:16.084076500Z</t:LastModifiedTime>")
    dated = task("t", "<t:DueDate>2027-01-14T00:00:00.000000Z</t:DueDate>")
    with Stub([Reply(items("GetItem", stamped)), Reply(items("GetItem", dated))]) as stub:
        mailbox = open_at(stub.url)
        assert mailbox.read(Kind.EVENT, ["a"])[0].last_modified == datetime(2026, 11, 22, 15, 5, 16, 84076, UTC)
        assert mailbox.read(Kind.TASK, ["t"])[0].when == AllDay(date(2027, 1, 14), date(2027, 1, 15))


def test_newer_names_of_zones_are_known() -> None:
    """exchangelib's map of zones is of 2021 and knows no Europe/Kyiv; here it has its Windows id."""
    assert requests.windows_zone("Europe/Kyiv")[0] == "FLE Standard Time"


def test_two_hosts_with_one_url_keep_their_own_settings(open_at: Open, tmp_path: Any) -> None:
    """exchangelib shares a protocol by URL and credentials alone; here another version or CA bundle is another connection."""
    with Stub(lambda asked, number: Reply(sync_page("s1"))) as stub:
        open_at(stub.url, version="2016").changes(Kind.EVENT)
        open_at(stub.url, version="2013").changes(Kind.EVENT)
        open_at(stub.url, version="2016").changes(Kind.EVENT)
        assert [b'"Exchange2013_SP1"' in asked.body for asked in stub.asked] == [False, True, False]
        close_connections()


def test_the_stamp_is_not_exchangelibs_own_property() -> None:
    """exchangelib's built-in ExternId uses a property set of its own; ours is another."""
    from exchangelib import extended_properties

    from ops_lib.mailbox import STAMP_PROPERTY_SET

    assert extended_properties.ExternId.property_set_id != STAMP_PROPERTY_SET
