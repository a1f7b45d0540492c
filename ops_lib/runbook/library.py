"""Where notebooks and runbooks are, and which parameters a notebook takes.

In a checkout they are the folders `notebooks/` and `runbooks/` at its root, where people read and edit them. A wheel carries copies inside
the package (`pyproject.toml`, force-include), so that `pip install syncops` brings the runbooks along.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_lib.errors import InputError, NotThere

Value = str | int | float | bool

_CASSETTE = "cassette:"

_KINDS: dict[str, type[Any]] = {"str": str, "int": int, "float": float, "bool": bool}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of a notebook's parameters cell: ``name: kind = default  # help``."""

    name: str
    kind: str
    default: Value
    help: str

    def value_of(self, text: str) -> Value:
        """The value that a person wrote. **Raises** `InputError` for what is no value of this kind."""
        if self.kind == "str":
            return text
        try:
            if self.kind == "bool":
                return _WORDS[text.strip().lower()]
            return int(text) if self.kind == "int" else float(text)
        except (KeyError, ValueError):
            wanted = {"bool": "true or false", "int": "a whole number", "float": "a number"}[self.kind]
            raise InputError(
                f"{text!r} is not {wanted}",
                subject=f"parameter {self.name}",
                fix=f"write it as {self.name}={json.dumps(self.default)}.",
            ) from None


def folder(name: str) -> Path:
    """The folder ``notebooks`` or ``runbooks``. **Raises** `NotThere`."""
    package = Path(__file__).resolve().parents[1]
    for place in (package.parent / name, package / f"_{name}"):
        if place.is_dir() and (place.parent == package or (package.parent / "pyproject.toml").is_file()):
            return place
    raise NotThere(f"this installation has no {name}", fix="install syncops again, or work in a checkout.")


def stems() -> list[str]:
    """The runbooks there are, by name."""
    return sorted(path.stem for path in folder("notebooks").glob("*.ipynb"))


def notebook(stem: str) -> Path:
    """The notebook of a runbook. **Raises** `NotThere` that lists those there are."""
    known = stems()
    if stem not in known:
        raise NotThere(
            f"there is no runbook {stem}{nearest(stem, known)} (known: {', '.join(known)})", fix="name one of these."
        )
    return folder("notebooks") / f"{stem}.ipynb"


def is_cassette(workspace: str) -> bool:
    """Whether a notebook's ``workspace`` means recorded traffic."""
    return workspace.startswith(_CASSETTE)


def cassette(stem: str, workspace: str) -> Path:
    """The file that ``cassette:FILE`` means: a path, or the name of one of the runbook's own in `cassettes/`. **Raises** `NotThere`."""
    text = workspace.removeprefix(_CASSETTE).strip()
    path = Path(text).expanduser().absolute()
    if text and path.is_file():
        return path
    own = Path(__file__).resolve().parents[2] / "cassettes" / stem
    names = sorted(each.stem for each in own.glob("*.yaml"))
    if text.removesuffix(".yaml") in names:
        return own / f"{text.removesuffix('.yaml')}.yaml"
    raise NotThere(
        f"there is no cassette {text}{nearest(Path(text).stem, names)}",
        fix="name a file that syncops capture wrote" + (f", or one of cassettes/{stem}/." if names else "."),
    )


def parameters(path: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, in their order. **Raises** `InputError` when the cell breaks the rules of DESIGN."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [_source(cell) for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if len(sources) != 1:
        raise InputError(f"a notebook has one cell tagged parameters, this one has {len(sources)}", subject=path.name)
    return read_parameters(sources[0], path.name)


def read_parameters(source: str, subject: str) -> dict[str, Parameter]:
    """The parameters that a cell's source declares. **Raises** `InputError`."""
    helps = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[str, Parameter] = {}
    for statement in ast.parse(source).body:
        kind = (
            statement.annotation.id
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.annotation, ast.Name)
            else ""
        )
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name) or kind not in _KINDS:
            raise InputError(
                f"line {statement.lineno} of the parameters cell is no parameter",
                subject=subject,
                fix='write name: str = "value"  # help, with str, int, bool or float.',
            )
        default = ast.literal_eval(statement.value) if statement.value is not None else None
        if type(default) is not _KINDS[kind] or not helps.get(statement.lineno):
            raise InputError(
                f"the parameter {statement.target.id} needs a default of its kind and a comment that explains it",
                subject=subject,
            )
        name = statement.target.id
        value: Any = default
        found[name] = Parameter(name, kind, value, helps[statement.lineno])
    return found


def typed(known: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, Value]:
    """What a person gave as name=value, as values. **Raises** `InputError` for a name or a value that cannot be."""
    values: dict[str, Value] = {}
    for name, text in given.items():
        if name not in known:
            shown = "; ".join(f"{each.name} ({each.kind}): {each.help}" for each in known.values())
            raise InputError(f"there is no parameter {name}{nearest(name, known)}", fix=f"use one of these. {shown}.")
        values[name] = known[name].value_of(text)
    return values


def nearest(word: str, known: Iterable[str]) -> str:
    """Which of the known words may have been meant, as the end of a sentence; empty where none is near."""
    near = difflib.get_close_matches(word.strip().lower(), list(known), 2)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
