"""What a message's fate says of the account's process `email`: one of the 13 statuses. Pure.

The rule is the sync's: what trying again cannot mend sets the status at once, anything else at the fourth failure in a row (T2). What is wrong with
one message alone (too big, an address that the server refuses) says nothing of the account.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ops_lib.diagnosis.statuses import SYNCING, UNATTEMPTED, is_permanent, status_of
from ops_lib.errors import ItemRefused, MailboxError
from ops_lib.sync.records import MAX_ATTEMPTS, Status

_OF_THE_MAILBOX = frozenset({"ErrorQuotaExceeded", "ErrorSubmissionQuotaExceeded", "ErrorMessageSubmissionBlocked"})
"""Refusals of one message that the next one would get as well."""

_TOO_BIG = frozenset({"ErrorRequestStreamTooBig", "HTTP 413"})
"""What the server, or something before it, says of a request with a big message, and of no other."""


def after_sending(before: Status | None, account_id: str, now: datetime) -> Status:
    """The server took a message."""
    turned = _turned(_base(before, account_id, now), SYNCING, now)
    return replace(turned, last_success=now, attempts=0, sub_cause="", response_code="", evidence="")


def after_failing(before: Status | None, account_id: str, error: MailboxError, operation: str, now: datetime) -> Status:
    """A message could not be sent."""
    base = _base(before, account_id, now)
    if is_of_the_message(error):
        return base
    attempts = base.attempts + 1
    http = f", HTTP {error.http_status}" if error.http_status else ""
    status = replace(
        base,
        attempts=attempts,
        sub_cause=str(error),
        response_code=error.response_code,
        evidence=f"{type(error).__name__}{http} in {operation or 'signing in'} at {now:%Y-%m-%d %H:%M:%S} UTC",
    )
    return _turned(status, status_of(error), now) if is_permanent(error) or attempts >= MAX_ATTEMPTS else status


def is_of_the_message(error: MailboxError) -> bool:
    """Whether the message is at fault, and another one may do better."""
    if error.response_code in _TOO_BIG:
        return True
    return isinstance(error, ItemRefused) and error.response_code not in _OF_THE_MAILBOX


def _base(before: Status | None, account_id: str, now: datetime) -> Status:
    return before or Status(account_id=account_id, process="email", status=UNATTEMPTED, since=now)


def _turned(status: Status, to: str, now: datetime) -> Status:
    return status if status.status == to else replace(status, status=to, since=now)
