"""Asking one mailbox: which requests are sent again, and one outcome for each thing asked."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from ops_lib.errors import AnswerLost, MailboxError, ServerBusy, Unreachable
from ops_lib.mailbox import Attempt
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.ews.answers import Answer, Element, Message
from ops_lib.mailbox.ews.failures import MEANINGS, concerns_all, scrubbed_id
from ops_lib.mailbox.ews.transport import Transport

T = TypeVar("T")
U = TypeVar("U")

TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
"""Up to this a server's own pause is waited for. A longer one is not: the error goes up with its ``back_off_seconds``, and the account is
due again after it. Asking earlier than told prolongs the throttling."""

SMALL_BATCH = 10
"""What is read again at once when the server had no time for a batch; Microsoft recommends ten."""

ATTEMPTS_KEPT = 500
"""So many of a mailbox's latest requests are remembered as evidence."""

NOT_CARRIED_OUT = (ServerBusy, Unreachable)
"""Failures after which a write may be sent again: nothing of it was done."""

_NO_TIME_CODES = frozenset({"ErrorBatchProcessingStopped", "ErrorTimeoutExpired"})

set_on_retry_hooks(())  # stamina would print each new try; ours are counted in the transport's ``requests``


class Asker:
    """Requests to one mailbox, through its transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._opened = time.monotonic()
        self.attempts: deque[Attempt] = deque(maxlen=ATTEMPTS_KEPT)

    @property
    def _address(self) -> str:
        return self._transport.address

    def post(self, payload: Element, *, number: int = 1, waited_seconds: float = 0.0) -> list[Message]:
        """Send it once, and remember what was sent and answered."""
        operation, began, sent_before = answers.name_of(payload), time.monotonic(), self._transport.requests
        answer: Answer | None = None

        def note(response_code: str, error: MailboxError | None) -> None:
            status = answer.status if answer is not None else error.http_status if error is not None else 0
            if self._transport.requests == sent_before:
                status = 0  # a password that was refused before, or no token: it was not sent
            headers = answer.headers if answer is not None else error.headers if error is not None else {}
            self.attempts.append(
                Attempt(
                    operation=operation,
                    began_seconds=began - self._opened,
                    seconds=time.monotonic() - began,
                    number=number,
                    waited_seconds=waited_seconds,
                    http_status=status,
                    response_code=response_code,
                    request_id=scrubbed_id(headers.get("request-id", "")),
                    error=type(error).__name__ if error is not None else "",
                )
            )

        try:
            answer = self._transport.post(payload)
            found = answers.messages(answer, self._address, operation)
        except MailboxError as error:
            note(error.response_code, error)
            raise
        refused = next((message for message in found if not message.is_success), None)
        if refused is None:
            note("NoError", None)
        else:
            failure = refused.error(self._address)
            note(failure.response_code, failure)
        return found

    def retried(
        self, payload: Element, only: tuple[type[MailboxError], ...] = (MailboxError,), *, is_of_folder: bool = False
    ) -> list[Message]:
        """The messages of a request that may be repeated: on transient failures, with the server's own pauses.

        What every message says of the whole mailbox (busy, the database away) counts as one such failure; of a request about a folder
        (``is_of_folder``) also what would be one item's matter where items were asked for.
        """

        def counts(error: MailboxError) -> bool:
            return concerns_all(error) or (is_of_folder and error.transient and error.response_code in MEANINGS)

        def pause(error: Exception) -> bool | float:
            if not isinstance(error, only) or not error.transient:
                return False
            wanted = error.back_off_seconds if isinstance(error, ServerBusy) else 0.0
            return wanted <= LONGEST_PAUSE_SECONDS and (wanted or True)

        ended = time.monotonic()
        for attempt in stamina.retry_context(
            on=pause, attempts=TRIES, timeout=None, wait_initial=FIRST_PAUSE_SECONDS, wait_max=LONGEST_PAUSE_SECONDS
        ):
            with attempt:
                waited = time.monotonic() - ended if attempt.num > 1 else 0.0
                try:
                    found = self.post(_copy(payload), number=attempt.num, waited_seconds=waited)
                finally:
                    ended = time.monotonic()
                errors = [message.error(self._address) for message in found if not message.is_success]
                if len(errors) == len(found) and all(counts(error) for error in errors):
                    raise errors[0]
        return found

    def one(self, payload: Element) -> Message:
        """The single message of a request that reads a folder. Raises what it stands for."""
        message = self.retried(payload, is_of_folder=True)[0]
        if not message.is_success:
            raise message.error(self._address)
        return message

    def outcomes(self, found: Sequence[Message], count: int, read: Callable[[Message], T]) -> list[T | MailboxError]:
        """One outcome per input. What is about the whole request, though said item by item, is raised."""
        outcomes: list[T | MailboxError] = []
        for message in found[:count]:
            if message.is_success:
                try:
                    outcomes.append(read(message))
                except MailboxError as error:
                    outcomes.append(error)
            else:
                outcomes.append(message.error(self._address, about_item=True))
        errors = [outcome for outcome in outcomes if isinstance(outcome, MailboxError)]
        if errors and len(errors) == len(outcomes) and all(concerns_all(error) for error in errors):
            raise errors[0]
        missing = AnswerLost("the server answered for fewer items than it was given", subject=self._address)
        return outcomes + [missing] * (count - len(outcomes))

    def read_batches(
        self, asked: Sequence[U], size: int, request: Callable[[Sequence[U]], Element], read: Callable[[Message], T]
    ) -> list[T | MailboxError]:
        outcomes: list[T | MailboxError] = []
        for batch in batches(asked, size):
            found = self.retried(request(batch))
            no_time = any(message.response_code in _NO_TIME_CODES for message in found)
            if no_time and len(batch) > SMALL_BATCH:
                outcomes += self.read_batches(batch, SMALL_BATCH, request, read)
            else:
                outcomes += self.outcomes(found, len(batch), read)
        return outcomes


def batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _copy(payload: Element) -> Element:
    """The envelope takes its payload in; a repeated request needs one of its own."""
    return copy.deepcopy(payload)
