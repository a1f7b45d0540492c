"""A password that nobody has proved yet is sent by one request alone; one that was refused is not sent at all.

Sixteen threads that begin at once with a wrong password are sixteen failed sign-ins: enough to lock a service account out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ops_lib.errors import AnswerLost, MailboxError, SignInRefused, Unreachable
from ops_lib.mailbox import Gate

T = TypeVar("T")


class Door:
    """What all requests with one user's password to one server go through."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._alone = threading.Lock()
        self._is_proved = False
        self._tries_without_answer = 0

    def through(self, send: Callable[[], T], subject: str) -> T:
        """Send, alone until the password is proved. Raises what ``send`` raises, and `SignInRefused` unsent for a refused password."""
        tries_before = self._tries_without_answer
        if not self._is_proved:
            with self._alone:
                if not self._is_proved:
                    if (
                        self._tries_without_answer != tries_before
                    ):  # whoever was before got no answer while this one waited
                        raise Unreachable(
                            "not sent: the server has just left the sign-in of another account without an answer",
                            subject=subject,
                            fix="nothing: it is tried again.",
                        )
                    self._gate.enter()
                    return self._first(send)
        try:
            return send()
        except SignInRefused as error:
            if error.is_of_password:
                with self._alone:
                    if self._is_proved:
                        self._is_proved = False
                        self._gate.refused(error)
            raise

    def _first(self, send: Callable[[], T]) -> T:
        try:
            answer = send()
        except SignInRefused as error:
            if error.is_of_password:
                self._gate.refused(error)
            else:
                self._gate.left()
            raise
        except MailboxError as error:
            if isinstance(error, Unreachable | AnswerLost):
                self._tries_without_answer += 1
            self._gate.left()
            raise
        except BaseException:
            self._gate.left()
            raise
        self._is_proved = True
        self._gate.accepted()
        return answer


class OpenGate:
    """For whoever keeps no memory of refused passwords."""

    key: tuple[str, ...] = ()

    def enter(self) -> None: ...
    def accepted(self) -> None: ...
    def refused(self, error: SignInRefused) -> None: ...
    def left(self) -> None: ...
