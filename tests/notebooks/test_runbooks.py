"""Every runbook belongs to a notebook, and says the same things in the same places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops_lib.runbook import library, pages

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "runbooks").glob("*.md"))
HEADINGS = ["When to use it", "Before you start", "Read the result", "Undo", "Still stuck"]
OUTCOMES = ("ok", "findings", "blocked", "failed")


def _parts(path: Path) -> tuple[dict[str, Any], str]:
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_notebooks_and_runbooks_pair_up() -> None:
    """A stem is the same in both folders, and none stands alone."""
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks == {path.stem for path in RUNBOOKS} != set()
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", stem) for stem in notebooks)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_its_front_matter_is_complete(path: Path) -> None:
    """Title, symptoms, what it writes, what it needs, its cassettes and its schedule; the title is the notebook's."""
    front, body = _parts(path)
    assert set(front) == {"title", "symptoms", "writes", "needs", "cassettes", "schedule"}
    assert front["writes"] in {"none", "crm", "exchange", "both"}
    assert front["symptoms"]
    notebook = library.notebook(path.stem).read_text(encoding="utf-8")
    assert f'"# {front["title"]}\\n"' in notebook
    assert f"# {front['title']}" in body


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_its_body_has_the_five_headings_and_explains_every_outcome(path: Path) -> None:
    """Always the same five, in their order; each outcome is a row with its next step."""
    _, body = _parts(path)
    assert re.findall(r"^## (.+)$", body, re.M) == HEADINGS
    assert re.findall(r"^\| `(\w+)` \|", body, re.M) == list(OUTCOMES)


@pytest.mark.req("R10")
@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_its_schedule_names_real_parameters(path: Path) -> None:
    """A cron line, and overrides that the notebook knows, of their kinds; one that needs a person, or writes, has none."""
    page = pages.page(path.stem)
    assert page.stem == path.stem
    if page.writes != "none":
        assert page.schedule is None


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_its_cassettes_are_those_on_disk(path: Path) -> None:
    """What it names exists, and nothing lies there that it does not name."""
    front, _ = _parts(path)
    folder = ROOT / "cassettes" / path.stem
    assert sorted(front["cassettes"]) == sorted(each.name for each in folder.glob("*.yaml"))
