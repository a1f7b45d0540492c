"""Every notebook keeps DESIGN's rules: it tells the story, the library does the work."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops_lib.runbook import library

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
FORBIDDEN = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.AsyncFor, ast.While, ast.If, ast.IfExp, ast.Try,
    ast.TryStar, ast.With, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Match, ast.Global, ast.Delete,
)  # fmt: skip

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def _cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _code(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in _cells(path) if cell["cell_type"] == "code"]


def test_it_opens_with_a_title_and_the_five_row_table(path: Path) -> None:
    """Who opens it knows at once when to use it, what it changes, what it needs, how long it takes and what comes next."""
    first = _cells(path)[0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"# \S", _source(first))
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", _source(first), re.M) == [
        "Use when",
        "Changes",
        "Needs",
        "Takes",
        "Next",
    ]


def test_its_parameters_are_plain_and_explained(path: Path) -> None:
    """The second cell is tagged; the workspace comes first and is the demo; nothing is secret; writers apply nothing by default."""
    assert _cells(path)[1]["metadata"]["tags"] == ["parameters"]
    parameters = library.parameters(path)
    assert next(iter(parameters.values())).name == "workspace"
    assert parameters["workspace"].default == "demo"
    assert not [name for name in parameters if re.search(r"password|secret|token|key", name)]
    assert all(line.count("=") == 1 for line in _source(_cells(path)[1]).split("\n"))
    if "| **Changes** | nothing" not in _source(_cells(path)[0]):
        assert parameters["apply"].default is False


def test_it_starts_and_finishes_as_every_runbook_does(path: Path) -> None:
    """The first call opens the workspace under the notebook's own name, the last says how it ended."""
    code = [_source(cell) for cell in _code(path)]
    assert code[1] == f'from ops_lib import runbook\n\nrun = runbook.start("{path.stem}", workspace)'
    assert re.fullmatch(r"run\.finish\(.+\)", code[-1])


def test_its_cells_hold_no_logic(path: Path) -> None:
    """No def, class, loop, branch or try; at most five lines; one call into the library, ending in a value to look at."""
    for cell in _code(path)[1:]:
        source = _source(cell)
        tree = ast.parse(source)
        assert not [node for node in ast.walk(tree) if isinstance(node, FORBIDDEN)], source
        assert len(source.splitlines()) <= 5, source
        imports = [
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        ]
        assert imports in ([], ["runbook"]), source
    for cell in _code(path)[2:]:
        assert isinstance(ast.parse(_source(cell)).body[-1], ast.Expr)


def test_each_step_says_what_should_be_seen_and_what_to_do_otherwise(path: Path) -> None:
    """A heading, then "You should see …"; where it can go wrong, "If you see X" leads on."""
    for cell in _cells(path)[1:]:
        if cell["cell_type"] == "markdown":
            source = _source(cell)
            assert re.match(r"## \S", source)
            assert "**You should see**" in source
            assert re.search(r"[Ii]f you see|Outcome|## 7", source), source


def test_its_outputs_are_committed_and_the_same_everywhere(path: Path) -> None:
    """Every cell was run in order, none failed, and no output names a machine, a moment of running or an object's address."""
    code = _code(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert all(cell["outputs"] for cell in code[2:])
    said = json.dumps([cell["outputs"] for cell in code])
    assert not re.search(r"/(tmp|home|root|work|Users)/|127\.0\.0\.1|localhost| at 0x[0-9a-f]+|\bseconds?\b", said)
    assert not [cell for cell in _cells(path) if "execution" in cell["metadata"]]


def test_it_runs_on_any_machines_python(path: Path) -> None:
    """The kernel is called python3, and nothing of the machine that made it is left in its metadata."""
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
