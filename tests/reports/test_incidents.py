"""Cycles that failed one after the other are one incident."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ops_lib.reports import charts, frames
from tests.reports.customer import Customer

BEGAN = datetime(2026, 11, 20, 15, tzinfo=UTC)
HOSTS = frames.frame([{"host": "company", "version": "2019", "is_retired": False}], frames.HOSTS)


def cycles(**outcomes: str) -> pd.DataFrame:
    """Cycles an hour apart; of each mailbox a letter a cycle: o ok, f failed, w waiting, b busy, x off."""
    words = {"o": "ok", "f": "failed", "w": "waiting", "b": "busy", "x": "off"}
    rows: list[dict[str, Any]] = [
        {
            **dict.fromkeys(frames.WRITTEN, 0),
            **dict.fromkeys(("skipped", "failed", "requests"), 0),
            "seconds": 0.0,
            "run": number + 1,
            "started_at": BEGAN + timedelta(hours=number),
            "mailbox": f"{mailbox}@example.test",
            "host": "company",
            "community": "Elm Court",
            "outcome": words[letter],
            "status": "Syncing",
            "response_code": f"Error{number}" if letter == "f" else "",
            "message": "",
        }
        for mailbox, letters in outcomes.items()
        for number, letter in enumerate(letters)
    ]
    rows.sort(key=lambda row: (-int(row["run"]), str(row["mailbox"])))
    return frames.frame(rows, frames.RUN_ACCOUNTS)


@pytest.mark.req("R5")
@pytest.mark.parametrize(
    ("letters", "found"),
    [
        ("ooo", []),
        ("offo", [(2, 2.0, False)]),
        ("off", [(2, 1.0, True)]),
        ("fofo", [(1, 1.0, False), (1, 1.0, False)]),
        ("fbxfo", [(2, 4.0, False)]),
        ("fwo", [(2, 2.0, False)]),
        ("bx", []),
    ],
)
def test_an_incident_lasts_until_the_next_good_cycle(letters: str, found: list[tuple[int, float, bool]]) -> None:
    """Another worker at it, or switched off, neither ends nor prolongs it; waiting for the server's pause does prolong it."""
    table = frames.incidents(cycles(alice=letters), HOSTS)
    rows = table[["cycles", "hours", "is_open"]]
    assert [tuple(row) for row in rows.itertuples(index=False)] == found[::-1]


@pytest.mark.req("R5")
def test_its_cause_is_the_first_and_its_version_the_hosts() -> None:
    """A code that follows another is the same incident; mailboxes are kept apart; the newest comes first."""
    table = frames.incidents(cycles(alice="off", bob="ofo"), HOSTS)
    assert list(table["mailbox"]) == ["bob@example.test", "alice@example.test"]
    assert set(table["cause"]) == {"Error1"}
    assert set(table["version"]) == {"2019"}
    assert "Error1: 2 open, 1 over" in repr(charts.draw_causes(table))


def test_without_cycles_there_are_no_incidents() -> None:
    """The table keeps its columns and types, and the drawing says that there is nothing."""
    table = frames.incidents(frames.empty(frames.RUN_ACCOUNTS), frames.empty(frames.HOSTS))
    assert table.empty
    assert dict(table.dtypes.astype(str)) == dict(frames.empty(frames.INCIDENTS).dtypes.astype(str))
    assert charts.draw_causes(table) is not None


def test_hosts_and_incidents_are_documented(customer: Customer) -> None:
    """`docs/frames.md` says what a row and each column is."""
    text = (Path(__file__).parents[2] / "docs" / "frames.md").read_text(encoding="utf-8")
    for name, columns in (("hosts", frames.HOSTS), ("incidents", frames.INCIDENTS)):
        section = text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE)) == dict(columns)
    assert list(frames.hosts(customer.workspace)["host"]) == ["company"]
