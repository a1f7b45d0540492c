"""What codes and statuses mean: verbatim codes, reasons in words, a mend where there is one."""

from __future__ import annotations

import re

import pytest

from ops_lib.errors import AccessRefused, ItemRefused, MailboxMissing, ServerBusy, ServerFailed, SignInRefused, WrongUrl
from ops_lib.mailbox.ews import failures
from ops_lib.mailbox.ews.failures import MEANINGS, of_code, of_status, retry_after_seconds, scrubbed
from tests.mailbox.conftest import SHARED

ALICE = "alice@example.test"
NOT_MICROSOFTS = {"ErrorFolderPropertyRequestFailed", "SOAP:Client", "SOAP:Server"}


@pytest.mark.parametrize("code", MEANINGS)
def test_each_code_is_kept_and_explained(code: str) -> None:
    """The code stays verbatim; the reason is a phrase; a mend is a sentence; nothing of it is a person's."""
    error = of_code(code, "", subject=ALICE)
    assert error.response_code == code
    assert type(error) is MEANINGS[code].error
    assert error.message
    assert not error.message.endswith(".")
    assert not error.fix or error.fix.endswith((".", ")"))
    assert code in str(error)


def test_the_codes_are_spelled_as_the_schema_spells_them() -> None:
    """Every code of the table is one of the schema's, but for a misspelling and the fault codes of a server that is not Microsoft's."""
    path = SHARED / "ews-schema" / "messages.xsd"
    if not path.exists():
        pytest.skip("the EWS schema is not beside the repository")
    known = set(re.findall(r'enumeration value="(Error\w+)"', path.read_text()))
    assert len(known) > 300
    assert set(MEANINGS) - known == NOT_MICROSOFTS


def test_the_codes_of_the_facts_are_all_there() -> None:
    """Each response code that support meets, by the facts collected on Exchange, has its entry."""
    path = SHARED / "facts" / "exchange.md"
    if not path.exists():
        pytest.skip("the facts are not beside the repository")
    section = path.read_text().partition("### Response codes")[2].partition("\n---")[0]
    named = {
        code
        for line in section.splitlines()
        if line.startswith("| Error")
        for code in re.findall(r"\bError\w+", line.split("|")[1])
    }
    assert len(named) > 40
    assert named <= set(MEANINGS)


def test_an_unknown_code_is_verbatim() -> None:
    """A code nobody knows: of an item it refuses the item, of a request it is a failure of the server; it is kept either way."""
    assert type(of_code("ErrorOfTomorrow", "", subject="x", about_item=True)) is ItemRefused
    whole = of_code("ErrorOfTomorrow", "what it says", subject="x")
    assert (type(whole), whole.response_code) == (ServerFailed, "ErrorOfTomorrow")
    assert "what it says" in str(whole)


def test_the_primary_address_is_named() -> None:
    """ErrorNonPrimarySmtpAddress says which address is the primary one."""
    error = of_code("ErrorNonPrimarySmtpAddress", "", subject=ALICE, values={"Primary": "a.smith@example.test"})
    assert type(error) is MailboxMissing
    assert "a.smith@example.test" in str(error)


def test_the_pause_the_server_names() -> None:
    """BackOffMilliseconds and Retry-After are kept in seconds; nonsense is no pause."""
    assert (
        of_code("ErrorServerBusy", "", subject="x", values={"BackOffMilliseconds": "297749"}).back_off_seconds
        == 297.749
    )  # type: ignore[attr-defined]
    assert of_code("ErrorServerBusy", "", subject="x", values={"BackOffMilliseconds": "soon"}).back_off_seconds == 0  # type: ignore[attr-defined]
    assert of_code("ErrorServerBusy", "", subject="x", retry_after=9).back_off_seconds == 9  # type: ignore[attr-defined]
    assert [retry_after_seconds({"Retry-After": value}) for value in ("5", "-1", "Wed, 21 Oct 2026 07:28:00 GMT")] == [
        5,
        0,
        0,
    ]


def test_busy_inside_another_code() -> None:
    """ErrorServerBusy wrapped in ErrorInternalServerError is busy; the outer code is kept, the inner one said."""
    error = of_code(
        "ErrorInternalServerError",
        "",
        subject="x",
        values={"InnerErrorResponseCode": "ErrorServerBusy", "BackOffMilliseconds": "10"},
    )
    assert (type(error), error.response_code) == (ServerBusy, "ErrorInternalServerError")
    assert "ErrorServerBusy" in error.message


@pytest.mark.parametrize(
    ("status", "error", "transient"),
    [
        (302, WrongUrl, False),
        (400, ServerFailed, False),
        (401, SignInRefused, False),
        (403, AccessRefused, False),
        (404, WrongUrl, False),
        (405, WrongUrl, False),
        (408, ServerFailed, True),
        (429, ServerBusy, True),
        (500, ServerFailed, True),
        (502, ServerFailed, True),
        (503, ServerBusy, True),
        (504, ServerFailed, True),
        (507, ServerFailed, True),
    ],
)
def test_each_status_has_its_error(status: int, error: type[Exception], transient: bool) -> None:
    """An HTTP status without SOAP has its error, its code, and says whether waiting helps."""
    found = of_status(status, {}, b"<html>oops</html>", subject="x")
    assert (type(found), found.http_status, found.response_code, found.transient) == (
        error,
        status,
        f"HTTP {status}",
        transient,
    )


@pytest.mark.req("G1")
@pytest.mark.parametrize(
    "reason", ["EWS is disabled for this user or tenant", "EWS is blocked by policy for this user or tenant"]
)
def test_a_policy_that_closes_ews_is_said(reason: str) -> None:
    """The reason Exchange Online gives for a 403 is in the message, and the mend names the switches."""
    error = of_status(403, {"X-EWS-Policy-Reason": reason}, b"", subject="x")
    assert reason in error.message
    assert "EwsEnabled" in error.fix


def test_the_front_ends_own_code() -> None:
    """X-CasErrorCode is said."""
    error = of_status(500, {"X-CasErrorCode": "CAS error: ServerNotFound"}, b"", subject="x")
    assert error.response_code == "ServerNotFound"
    assert type(error) is ServerFailed


def test_a_token_that_is_refused_says_why() -> None:
    """For OAuth the diagnostics of the 401 are said."""
    error = of_status(
        401,
        {"x-ms-diagnostics": '2000003;reason="The audience claim value is invalid"'},
        b"",
        subject="x",
        auth="oauth-app",
    )
    assert "audience claim" in error.message


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<html><script>var a='secret'</script><b>Not</b>\n\n found</html>", "Not found"),
        ("for bob.smith@example.test now", "for … now"),
        ("token eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9 end", "token … end"),
        ("x " * 200, "x " * 79 + "x…"),
    ],
)
def test_what_a_server_says_is_scrubbed(raw: str, shown: str) -> None:
    """Mark-up, scripts, addresses and tokens are left out, and the rest is short."""
    assert scrubbed(raw) == shown


def test_what_concerns_everything() -> None:
    """Busy, no mailbox or the database away hold for every item; a failure of one item does not."""
    concern = {code for code in MEANINGS if failures.concerns_all(of_code(code, "", subject="x"))}
    assert {
        "ErrorServerBusy",
        "ErrorNonExistentMailbox",
        "ErrorMailboxStoreUnavailable",
        "ErrorPasswordExpired",
    } <= concern
    assert not concern & {
        "ErrorInternalServerError",
        "ErrorExceededFindCountLimit",
        "ErrorItemNotFound",
        "ErrorAccessDenied",
    }


@pytest.mark.req("T2")
@pytest.mark.parametrize(
    ("given", "seconds"),
    [("300", 300), ("1e30", 3600), ("inf", 3600), ("nan", 0), ("-5", 0), ("soon", 0), ("", 0)],
)
def test_a_pause_beyond_reason_is_an_hour(given: str, seconds: float) -> None:
    """A server that names days, or no number at all, is believed up to an hour and not below nothing, in either of the two ways to say it."""
    assert retry_after_seconds({"Retry-After": given}) == seconds
    milliseconds = {"BackOffMilliseconds": f"{given}000" if given == "300" else given}
    error = of_code("ErrorServerBusy", "", subject="x", values=milliseconds)
    assert isinstance(error, ServerBusy)
    assert error.back_off_seconds == seconds


@pytest.mark.req("T2")
def test_a_pause_until_a_date_counts_from_the_answers_own() -> None:
    """Retry-After as a date is measured by the server's clock, not by ours; without one there is no telling."""
    until = {"Retry-After": "Mon, 23 Nov 2026 09:02:00 GMT"}
    assert retry_after_seconds({**until, "Date": "Mon, 23 Nov 2026 09:00:30 GMT"}) == 90
    assert retry_after_seconds({**until, "Date": "Mon, 23 Nov 2026 10:00:00 GMT"}) == 0
    assert retry_after_seconds(until) == 0
