"""The picture of who may do what, and its table."""

from __future__ import annotations

import re

import pytest

from ops_lib.access.rights import Holds, Matrix, Need, Observation, Right, judge_one
from ops_lib.reports.permission_matrix import USERS_DRAWN, draw_permissions, look_of, table_of


def matrix_of(users: dict[str, dict[Right, tuple[Need, Holds]]], host: str = "Main Street") -> Matrix:
    """A matrix in which all is needed and held but what is said otherwise."""
    cells = []
    for user, special in users.items():
        for right in Right:
            need, holds = special.get(right, (Need.NEEDED, Holds.YES))
            seen = Observation(
                user=user, right=right, holds=holds, observed=f"{holds}", evidence="GetFolder", source="ews"
            )
            cells.append(judge_one(need, seen))
    return Matrix(host=host, access="delegate", service_user="svc@example.test", cells=tuple(cells))


LOOKS = {
    "missing": (Need.NEEDED, Holds.NO),
    "wanted": (Need.WANTED, Holds.NO),
    "unknown": (Need.NEEDED, Holds.UNKNOWN),
    "more": (Need.UNNEEDED, Holds.YES),
    "ok": (Need.NEEDED, Holds.YES),
    "none": (Need.UNNEEDED, Holds.NO),
}


@pytest.mark.parametrize(("look", "held"), LOOKS.items())
def test_each_kind_of_cell_has_a_word_of_its_own(look: str, held: tuple[Need, Holds]) -> None:
    """What a cell is can be read, not only seen by its colour."""
    matrix = matrix_of({"anna@example.test": {Right.CALENDAR_WRITE: held}})
    (row,) = [row for row in matrix.rows() if row.right is Right.CALENDAR_WRITE]
    assert look_of(row) == look
    words = {
        "missing": "✗ missing",
        "wanted": "✗ wanted",
        "unknown": "\\? unknown",
        "more": ">\\+ more<",
        "ok": "✓ ok",
        "none": ">–<",
    }
    assert len(re.findall(words[look], draw_permissions([matrix]).svg)) == (10 if look == "ok" else 1)


def test_what_nobody_needs_and_nobody_saw_is_no_question() -> None:
    """A right that the host has no use for is not drawn as unknown."""
    matrix = matrix_of({"anna@example.test": {Right.SEND_AS: (Need.ALLOWED, Holds.UNKNOWN)}})
    assert "unknown" not in draw_permissions([matrix]).svg


def test_the_worst_users_are_drawn_and_the_others_counted() -> None:
    """Of a host with many users the one who lacks something is on top, and those who do not fit are counted in words."""
    users = {f"user{number:03d}@example.test": {} for number in range(USERS_DRAWN + 40)}
    users["user090@example.test"] = {Right.SEND_AS: LOOKS["missing"]}
    drawing = draw_permissions([matrix_of(users)])
    drawn = re.findall(r"user\d{3}@example\.test", drawing.svg)
    assert drawn[0] == "user090@example.test"
    assert len(drawn) == USERS_DRAWN
    assert "and 40 more" in drawing.svg
    assert "100 mailboxes, 1 with something missing, 99 as they should be" in drawing.words


def test_the_same_matrix_is_the_same_picture() -> None:
    """Nothing of the machine or the moment is in it."""
    matrix = matrix_of({"anna@example.test": {Right.SEND_AS: LOOKS["missing"]}})
    assert draw_permissions([matrix]).svg == draw_permissions([matrix]).svg


def test_the_table_has_a_row_for_every_cell_also_of_nobody() -> None:
    """One row a user and right, worst first, with its evidence; without hosts the columns are there all the same."""
    table = table_of([matrix_of({"anna@example.test": {Right.SEND_AS: LOOKS["missing"]}})])
    assert len(table) == len(Right)
    first = table.iloc[0]
    assert (first["right"], first["verdict"], bool(first["red"]), first["evidence"]) == (
        "send_as",
        "missing",
        True,
        "GetFolder",
    )
    assert list(table_of([]).columns) == list(table.columns)
