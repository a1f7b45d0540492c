"""Texts that syncops itself wrote: with the words of its own messages, and of servers'. What was worked into them from outside goes.

The vocabulary is read off the program: every word of every text in the modules that say what went wrong. A name is in none of them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ops_lib
from ops_lib.mailbox.traffic import words
from ops_lib.mailbox.traffic.standins import StandIns

_PLACES = ("access", "diagnosis", "mailbox", "sync", "crm", "errors.py", "model.py")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def plain(text: str, stand_ins: StandIns) -> str:
    """The text with words of ours and of servers' only."""
    return words.plain(text, stand_ins, known=vocabulary())


def is_own(text: str) -> bool:
    """Whether every word of it is one of ours."""
    return all(words.is_known(each) or each.lower() in vocabulary() for each in _WORD.findall(text))


@cache
def vocabulary() -> frozenset[str]:
    """The words of the program's own texts and names, lower case."""
    root = Path(ops_lib.__file__).parent
    found: set[str] = set()
    for place in _PLACES:
        for path in sorted((root / place).rglob("*.py")) if not place.endswith(".py") else [root / place]:
            for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
                found.update(word.lower() for each in text.split("_") for word in _WORD.findall(each))
    return frozenset(found)


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every text, but not what documents something: people are named there."""
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id  # a field of a record
