"""Drift: what came and went between two checks, also over a check that saw nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from ops_lib.access.rights import Cell, Drift, Holds, Matrix, Need, Right, Source
from ops_lib.access.rights_store import RightsChecks
from ops_lib.database.engine import Database
from ops_lib.database.tables import properties
from ops_lib.model import Host

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOST = Host(host_id="7", name="exchange", url="", auth="basic", access="delegate", service_user="svc@example.test")
ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"


def a_matrix(*held: tuple[str, Holds], source: Source = "ews") -> Matrix:
    """One right, writing to the calendar, of each user."""
    cells = tuple(
        Cell(
            user=user,
            right=Right.CALENDAR_WRITE,
            verdict="unknown" if holds is Holds.UNKNOWN else "ok" if holds is Holds.YES else "missing",
            expected=Need.NEEDED,
            holds=holds,
            observed=str(holds),
            evidence="GetFolder",
            source=source,
        )
        for user, holds in held
    )
    return Matrix(host="exchange", access="delegate", service_user="svc@example.test", cells=cells)


def kept(
    database: Database, matrix: Matrix, *users: str, sources: tuple[Source, ...] = ("ews",)
) -> tuple[Drift, ...] | None:
    """Keep a check in a transaction of its own, as the command does."""
    with database.begin() as connection:
        return RightsChecks(connection).keep(HOST, matrix, NOW, all_users=users or matrix.users, sources=sources)


def told(found: tuple[Drift, ...] | None) -> list[tuple[str, str]]:
    assert found is not None
    return [(each.user, each.change) for each in found]


@pytest.mark.req("P6")
def test_the_first_check_has_nothing_to_compare_with(sqlite_database: Database) -> None:
    """The first check of a host tells no drift; the second, with nothing changed, tells that there is none."""
    matrix = a_matrix((ALICE, Holds.YES))
    assert kept(sqlite_database, matrix) is None
    assert kept(sqlite_database, matrix) == ()


@pytest.mark.req("P6")
def test_users_and_rights_that_came_and_went_are_told(sqlite_database: Database) -> None:
    """Rights lost and gained, and users added and gone, are each named, losses first."""
    kept(sqlite_database, a_matrix((ALICE, Holds.YES), (BOB, Holds.NO), ("dan@example.test", Holds.YES)))
    found = kept(sqlite_database, a_matrix((ALICE, Holds.NO), (BOB, Holds.YES), (CAROL, Holds.YES)))
    assert told(found) == [
        (ALICE, "lost"),
        ("dan@example.test", "user gone"),
        (CAROL, "user added"),
        (BOB, "gained"),
    ]


@pytest.mark.req("P6")
def test_a_right_lost_while_the_server_was_away_is_told(sqlite_database: Database) -> None:
    """Known, unknown, unknown still, gone: each check says so, and what was out of sight before is told from what became so."""
    kept(sqlite_database, a_matrix((ALICE, Holds.YES)))
    assert told(kept(sqlite_database, a_matrix((ALICE, Holds.UNKNOWN)))) == [(ALICE, "no longer known")]
    assert told(kept(sqlite_database, a_matrix((ALICE, Holds.UNKNOWN)))) == [(ALICE, "still not known")]
    assert told(kept(sqlite_database, a_matrix((ALICE, Holds.NO)))) == [(ALICE, "lost")]
    assert kept(sqlite_database, a_matrix((ALICE, Holds.NO))) == ()


@pytest.mark.req("P6")
def test_a_check_of_one_account_says_nothing_of_the_others(sqlite_database: Database) -> None:
    """After a check of alice alone, bob is neither gone nor forgotten."""
    kept(sqlite_database, a_matrix((ALICE, Holds.YES), (BOB, Holds.YES)))
    assert kept(sqlite_database, a_matrix((ALICE, Holds.YES)), ALICE, BOB) == ()
    assert told(kept(sqlite_database, a_matrix((ALICE, Holds.YES), (BOB, Holds.NO)))) == [(BOB, "lost")]


@pytest.mark.req("P6")
def test_each_source_is_compared_with_itself(sqlite_database: Database) -> None:
    """The first output of cmdlets is no drift against what EWS had shown, and does not make EWS' part forgotten."""
    kept(sqlite_database, a_matrix((ALICE, Holds.YES)))
    said = a_matrix((ALICE, Holds.NO), source="powershell")
    assert kept(sqlite_database, said, sources=("powershell",)) is None
    assert told(kept(sqlite_database, a_matrix((ALICE, Holds.NO)))) == [(ALICE, "lost")]


@pytest.mark.req("P6")
def test_a_kept_check_is_read_back_as_it_was(sqlite_database: Database) -> None:
    """The matrix of the last check, with its moment, is there for the script."""
    matrix = a_matrix((ALICE, Holds.NO), (BOB, Holds.YES))
    kept(sqlite_database, matrix)
    with sqlite_database.read() as connection:
        last = RightsChecks(connection).last(HOST)
    assert last is not None
    assert (last.matrix, last.checked_at) == (matrix, NOW)
    assert [row.user for row in last.matrix.red()] == [ALICE]


@pytest.mark.req("P6")
@pytest.mark.parametrize("text", ["", "{}", '{"checked_at": "x", "matrix": [], "remembered": []}', "null"])
def test_what_cannot_be_read_counts_as_no_check(sqlite_database: Database, text: str) -> None:
    """A kept check of another version, or a damaged one, makes the next check the first; it is no error."""
    with sqlite_database.begin() as connection:
        connection.execute(insert(properties).values(name="host/7/rights_check", value=text))
    assert kept(sqlite_database, a_matrix((ALICE, Holds.YES))) is None
    assert kept(sqlite_database, a_matrix((ALICE, Holds.YES))) == ()
