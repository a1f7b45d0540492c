"""docs/statuses: a page for every status, a section for every sub-cause, a row for every check, and no link into nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_lib.diagnosis.checks import CHECKS
from ops_lib.diagnosis.pages import FOLDER, RULES, file_of, home_of, pages
from ops_lib.diagnosis.statuses import MEANINGS
from ops_lib.diagnosis.sub_causes import SUB_CAUSES

ROOT = Path(__file__).parents[2]


@pytest.mark.req("T1")
def test_the_pages_are_those_of_the_tables() -> None:
    """What is committed is what the tables say; ``python -m ops_lib.diagnosis.pages`` makes it so."""
    made = pages()
    assert {file.name for file in FOLDER.glob("*.md")} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, (
            f"docs/statuses/{name}: python -m ops_lib.diagnosis.pages"
        )


@pytest.mark.req("T1")
def test_every_status_has_its_page_with_the_articles_words() -> None:
    """Thirteen pages, each with the status as its title, the article's meaning, the rule, who must act and what to do."""
    assert len(MEANINGS) == len({file_of(each) for each in MEANINGS}) == 13
    assert set(RULES) == set(MEANINGS)
    for status, meaning in MEANINGS.items():
        text = (FOLDER / file_of(status)).read_text(encoding="utf-8")
        for part in (f"# {status}\n", meaning.meaning, RULES[status], meaning.next_step, "| sub-cause |"):
            assert part in text, (status, part)


def test_every_sub_cause_has_one_section_and_every_check_one_row() -> None:
    """Each sub-cause is a section of one page with its meaning, owner and next step; each check has its question."""
    for key, each in SUB_CAUSES.items():
        holders = [name for name, text in pages().items() if f"## {key}\n" in text]
        assert holders == [home_of(key)]
        text = pages()[home_of(key)]
        assert each.meaning in text
        assert each.next_step in text
        assert set(each.statuses) <= set(MEANINGS)
    for check in CHECKS:
        assert f"| {check.name} | {check.layer} |" in pages()["checks.md"]
        assert (check.look.__doc__ or "").strip().splitlines()[0].endswith(("?", ")", "."))
        assert set(check.after) <= {one.name for one in CHECKS}


def test_every_link_leads_somewhere() -> None:
    """Pages and sections that are linked exist; the README's table of symptoms leads here."""
    made = pages()
    for name, text in made.items():
        for page, anchor in re.findall(r"\]\(([\w]*\.?m?d?)#?([\w]*)\)", text):
            target = made[page or name]
            assert not anchor or f"## {anchor}\n" in target, (name, page, anchor)
    assert "docs/statuses/" in (ROOT / "README.md").read_text(encoding="utf-8")
