"""A runbook's page, as the scheduler and the first notebook read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops_lib.errors import InputError, NotThere
from ops_lib.runbook import library, pages

FRONT = {
    "title": "A title",
    "symptoms": "[it is late]",
    "writes": "none",
    "needs": "[]",
    "cassettes": "[]",
    "schedule": '{cron: "0 6 * * *", parameters: {days: 1}}',
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one runbook whose notebook takes a workspace and days."""
    monkeypatch.setattr(library, "folder", lambda name: tmp_path)
    cell = 'workspace: str = "demo"  # where\ndays: int = 7  # how far back (days)\n'
    library_cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": cell}
    (tmp_path / "probe_it.ipynb").write_text(json.dumps({"cells": [library_cell]}))
    return tmp_path


def _write(folder: Path, **changed: str) -> None:
    lines = [f"{name}: {value}" for name, value in {**FRONT, **changed}.items() if value]
    (folder / "probe_it.md").write_text("---\n" + "\n".join(lines) + "\n---\n\n# A title\n")


def test_a_page_is_read(folder: Path) -> None:
    """Its fields, and its schedule with typed parameters; null: it never runs by itself."""
    _write(folder)
    page = pages.page("probe_it")
    assert (page.title, page.symptoms) == ("A title", ("it is late",))
    assert page.schedule == pages.Schedule("0 6 * * *", {"days": 1})
    _write(folder, schedule="null")
    assert pages.pages() == [pages.Page("probe_it", "A title", ("it is late",), "none", (), (), None)]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"title": ""}, "not complete"),
        ({"writes": "everything"}, "writes is none"),
        ({"title": "[unclosed"}, "no YAML"),
        ({"schedule": "{cron: 0 6 * * *, at: noon}"}, "may not have"),
        ({"schedule": '{cron: "0 25 * * *"}'}, "25 is no hour"),
        ({"schedule": '{cron: "0 6 * * *", parameters: {dayz: 1}}'}, "parameter dayz"),
        ({"schedule": '{cron: "0 6 * * *", parameters: {days: "1"}}'}, "parameter days"),
        ({"schedule": '{cron: "0 6 * * *", time_zone: Mars/Olympus}'}, "no time zone"),
    ],
)
def test_a_page_that_cannot_be_is_refused(folder: Path, changed: dict[str, str], why: str) -> None:
    """The page and the fault are named, before anything is run by it."""
    _write(folder, **changed)
    with pytest.raises(InputError, match=why):
        pages.page("probe_it")


def test_a_runbook_without_a_page_is_named(folder: Path) -> None:
    """Nobody would know when to use it."""
    with pytest.raises(NotThere, match="probe_it has no page"):
        pages.page("probe_it")
