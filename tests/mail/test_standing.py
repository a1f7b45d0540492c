"""What the fate of messages says of the account's process `email`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ops_lib.diagnosis.standing import error_of
from ops_lib.diagnosis.statuses import FORBIDDEN, NOT_SYNCING, SYNCING, UNATTEMPTED, UNAUTHORIZED
from ops_lib.errors import AccessRefused, ItemRefused, ServerBusy, ServerFailed, SignInRefused
from ops_lib.mail.standing import after_failing, after_sending
from ops_lib.sync.records import Status

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WELL = Status(account_id="1", process="email", status=SYNCING, since=NOW, last_success=NOW)


@pytest.mark.req("T1")
@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (AccessRefused("may not send as", response_code="ErrorSendAsDenied", http_status=200), FORBIDDEN),
        (SignInRefused("the password is refused", response_code="HTTP 401", http_status=401), UNAUTHORIZED),
        (ItemRefused("the mailbox is full", response_code="ErrorQuotaExceeded"), NOT_SYNCING),
    ],
)
def test_what_trying_cannot_mend_sets_the_status_at_once(error: AccessRefused, becomes: str) -> None:
    """The status turns with the first failure, with code, reason, operation and time as evidence; the last success stays known."""
    status = after_failing(WELL, "1", error, "SendItem", LATER)
    assert (status.status, status.since, status.last_success, status.response_code) == (
        becomes,
        LATER,
        NOW,
        error.response_code,
    )
    assert status.sub_cause == str(error)
    assert error_of(status.evidence) == type(error).__name__  # as those who judge it read it
    assert "in SendItem" in status.evidence
    assert "2026-11-23 10:00:00 UTC" in status.evidence


@pytest.mark.req("T2")
def test_what_may_pass_sets_it_at_the_fourth_failure() -> None:
    """Three failures leave the status and are counted; the fourth turns it; a message that goes out turns it back."""
    status = WELL
    for attempts in (1, 2, 3):
        status = after_failing(status, "1", ServerBusy("busy", response_code="ErrorServerBusy"), "CreateItem", LATER)
        assert (status.status, status.attempts) == (SYNCING, attempts)
    status = after_failing(status, "1", ServerBusy("busy"), "CreateItem", LATER)
    assert (status.status, status.since) == (NOT_SYNCING, LATER)
    assert after_sending(status, "1", LATER) == replace(WELL, since=LATER, last_success=LATER)


@pytest.mark.parametrize("code", ["ErrorMessageSizeExceeded", "ErrorMailRecipientNotFound", "ErrorMissingRecipients"])
def test_a_message_that_is_itself_at_fault(code: str) -> None:
    """What is wrong with one message says nothing of the account."""
    error = ItemRefused("no", response_code=code)
    assert after_failing(WELL, "1", error, "SendItem", LATER) == WELL
    assert after_failing(None, "1", error, "SendItem", LATER).status == UNATTEMPTED


@pytest.mark.parametrize("code", ["ErrorRequestStreamTooBig", "HTTP 413"])
def test_a_message_whose_request_is_too_big(code: str) -> None:
    """A message that is too big already on its way to the server is at fault, not the account."""
    error = ServerFailed("the request is too big for the server", response_code=code)
    assert after_failing(WELL, "1", error, "CreateItem", LATER) == WELL
