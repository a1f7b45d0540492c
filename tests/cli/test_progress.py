"""The bar on the terminal."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ops_lib.cli.progress import account_progress


class Terminal(io.StringIO):
    """Stands for stderr on a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def advance_twice(total: int) -> None:
    with account_progress("looking at exchange", total) as advance:
        for mailbox in ("anna@example.test", "bob@example.test"):
            account: Any = SimpleNamespace(mailbox=mailbox)
            advance(account)


def test_a_terminal_shows_what_is_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar names the mailbox and how many are done, on stderr alone."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    advance_twice(2)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "bob@example.test" in said
    assert "2/2" in said
    assert sys.stdout.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("stderr", [io.StringIO(), Terminal()])
def test_it_is_silent_elsewhere_and_for_one_account(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO) -> None:
    """Into a file nothing is written, and one account is not worth a bar."""
    monkeypatch.setattr(sys, "stderr", stderr)
    advance_twice(1 if stderr.isatty() else 2)
    assert stderr.getvalue() == ""
