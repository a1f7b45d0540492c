"""Where runbooks are, and what parameters a notebook takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops_lib.errors import InputError, NotThere
from ops_lib.runbook import library

CELL = """\
workspace: str = "demo"  # where ("demo" or a folder)
days: int = 7  # how far back (days)
share: float = 0.5  # of something
apply: bool = False  # whether to write
"""


def test_a_parameters_cell_is_read_as_it_stands() -> None:
    """Name, kind, default and help of each line, in their order."""
    read = library.read_parameters(CELL, "x.ipynb")
    assert list(read) == ["workspace", "days", "share", "apply"]
    assert read["days"] == library.Parameter("days", "int", 7, "how far back (days)")
    assert read["workspace"].help == 'where ("demo" or a folder)'


@pytest.mark.parametrize(
    "line",
    [
        "days = 7  # no kind",
        'days: int = "7"  # a default of another kind',
        "days: int = 7",
        "when: date = None  # a kind that is none",
        "days: int = True  # a truth is no number",
        "print(1)  # no parameter",
    ],
)
def test_a_line_that_is_no_parameter_is_refused(line: str) -> None:
    """Each line has a plain kind, a default of that kind, and a comment that explains it."""
    with pytest.raises(InputError, match="parameter"):
        library.read_parameters(line, "x.ipynb")


def test_values_are_typed_as_the_cell_says() -> None:
    """What a person writes becomes the parameter's kind; an address of digits stays text."""
    known = library.read_parameters(CELL, "x.ipynb")
    given = {"workspace": "007", "days": "3", "share": "2", "apply": "Yes"}
    assert library.typed(known, given) == {"workspace": "007", "days": 3, "share": 2.0, "apply": True}


@pytest.mark.parametrize(("name", "value"), [("days", "x"), ("days", "1.5"), ("share", "half"), ("apply", "maybe")])
def test_a_value_that_cannot_be_is_refused_with_the_way_to_write_it(name: str, value: str) -> None:
    """The message names the parameter, the value and a good one."""
    with pytest.raises(InputError, match=f"parameter {name}") as caught:
        library.typed(library.read_parameters(CELL, "x.ipynb"), {name: value})
    assert caught.value.fix.startswith(f"write it as {name}=")


def test_an_unknown_parameter_is_refused_with_those_there_are() -> None:
    """A misspelt name is not injected silently."""
    with pytest.raises(InputError, match="no parameter usr") as caught:
        library.typed(library.read_parameters(CELL, "x.ipynb"), {"usr": "x"})
    assert "days (int): how far back (days)" in caught.value.fix


def test_an_unknown_runbook_is_answered_with_those_there_are() -> None:
    """Whoever misspells a runbook is told the right name."""
    with pytest.raises(NotThere, match="report_sync"):
        library.notebook("report_snyc")


@pytest.mark.parametrize("stem", ["../secrets", "report_sync.ipynb", ""])
def test_a_name_leads_nowhere_else(stem: str) -> None:
    """A runbook is a name, never a path."""
    with pytest.raises(NotThere):
        library.notebook(stem)


def test_a_notebook_has_exactly_one_parameters_cell(tmp_path: Path) -> None:
    """Without one nobody could say what may be set."""
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "metadata": {}, "source": CELL}]}))
    with pytest.raises(InputError, match="has 0"):
        library.parameters(path)


def test_a_wheel_carries_the_runbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed without a checkout, notebooks and runbooks are found inside the package."""
    package = tmp_path / "site-packages" / "ops_lib"
    for name in ("_notebooks", "_runbooks", "runbook"):
        (package / name).mkdir(parents=True)
    (package.parent / "notebooks").mkdir()  # somebody else's folder beside the packages
    monkeypatch.setattr(library, "__file__", str(package / "runbook" / "library.py"))
    assert library.folder("notebooks") == package / "_notebooks"
    assert library.folder("runbooks") == package / "_runbooks"
