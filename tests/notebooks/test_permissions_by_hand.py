"""The permissions' notebook by hand: who opens it sees the matrix, and picks one user to look at again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import browser, page
from tests.support.lab import Lab, lab

__all__ = ["browser", "page"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with the notebook on its own demo; asks for the browser first, so that it skips where there is none."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "home").mkdir()
    with lab(folder, {"verify_permissions": {}}, {}) as running:
        yield running


@pytest.mark.req("R2", "R8")
def test_a_person_sees_the_matrix_and_looks_at_one_user_again(page: Any, server: Lab, tmp_path: Path) -> None:
    """Run as it comes, the picture and the tables are there; a user picked in the form is looked at alone, and a file that is not there is said beside its field."""
    page.set_default_timeout(60_000)
    page.set_viewport_size({"width": 1300, "height": 1000})
    notebook = server.open(page, "verify_permissions")
    notebook.run_from()
    assert "Company Exchange (impersonation): 9 mailboxes" in notebook.output("run.check")
    assert "jonas.weber@sunrise.example" in notebook.output("run.wrong")
    drawn = notebook.cell("run.draw").locator("svg, img").first
    drawn.scroll_into_view_if_needed()
    box = drawn.bounding_box()
    room = notebook.cell("run.draw").locator(".jp-OutputArea-output").first.bounding_box()
    assert 600 < box["width"] <= room["width"] + 1, "the picture is not shown whole"
    page.screenshot(path=str(tmp_path / "matrix.png"))
    notebook.fill("administrator's files", "nowhere.csv")
    page.locator(".syncops-fault", has_text="no such file").wait_for()
    notebook.fill("administrator's files", "")
    notebook.pick("user", "jonas.weber@sunrise.example")
    notebook.press("Look again (changes nothing)")
    assert "Desert Willow Exchange (delegate): 1 mailbox; 1 with something missing" in notebook.output("run.choose")
    notebook.run_from("run.changes")
    assert "calendar write" in notebook.output("run.changes")
    assert "grace.kim" not in notebook.output("run.wrong")
    assert '"mailboxes": 1' in notebook.output("run.finish")
