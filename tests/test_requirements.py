"""Every row of the requirements that the issues resolved so far name is proven by at least one test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SPECIFICATION = REPOSITORY.parent / "shared" / "spec" / "REQUIREMENTS.md"

RESOLVED = [
    "H1",
    "H2",
    "H3",
    "H4",
    "H5",
    "H6",
    "A1",
    "A2",
    "A3",
    "A4",
    "A5",
    "A6",
    "A7",
    "A8",
    "A9",
    "A10",
    "C1",
    "C2",
    "C3",
    "C4",
    "C5",
    "C6",
    "C7",
    "C8",
    "C9",
    "O1",
    "O2",
    "O3",
    "O4",
    "O5",
    "O6",
    "O7",
    "O8",
    "Y1",
    "Y2",
    "Y3",
    "Y4",
    "Y5",
    "Y6",
    "Y7",
    "Y8",
    "P1",
    "P2",
    "P3",
    "P4",
    "P5",
    "P6",
    "P7",
    "E1",
    "E2",
    "E3",
    "E4",
    "E5",
    "E6",
    "E7",
    "T1",
    "T2",
    "T3",
    "T4",
    "T5",
    "G1",
]


def proven() -> dict[str, list[str]]:
    """Which test files carry which row."""
    rows: dict[str, list[str]] = {}
    for path in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        for marker in re.findall(r"mark\.req\(([^)]*)\)", path.read_text(encoding="utf-8")):
            for row in re.findall(r'"([A-Z]\d+)"', marker):
                rows.setdefault(row, []).append(str(path.relative_to(REPOSITORY)))
    return rows


@pytest.mark.parametrize("row", RESOLVED)
def test_a_resolved_row_is_proven(row: str) -> None:
    """A row that an issue resolved has a test that carries it."""
    assert proven().get(row), f"no test carries @pytest.mark.req({row!r})"


def test_markers_name_rows_that_exist() -> None:
    """No test claims a row that the requirements do not have."""
    if not SPECIFICATION.is_file():
        pytest.skip("the requirements are not beside the repository (../shared/spec)")
    known = set(re.findall(r"\*\*([A-Z]\d+)\*\*", SPECIFICATION.read_text(encoding="utf-8")))
    assert set(proven()) <= known
    assert set(RESOLVED) <= known
