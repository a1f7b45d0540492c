"""The operations this face answers, by name. Each module of operations adds its own: ``@operation("GetItem")``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .envelope import failure
from .errors import ResponseError
from .session import Session

#: answers a request: its response messages as XML
Operation = Callable[[Session], str]
OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register the function that answers the operation."""

    def register(function: Operation) -> Operation:
        OPERATIONS[name] = function
        return function

    return register


def each(name: str, parts: Iterable[Any], answer: Callable[[Any], str], *, inner: str = "") -> str:
    """A response message for each part: what ``answer`` gives, or the part's own error with ``inner`` behind it."""
    messages = []
    for part in parts:
        try:
            messages.append(answer(part))
        except ResponseError as problem:
            messages.append(failure(name, problem.code, problem.text, problem.xml, inner))
    return "".join(messages)


def whole(name: str, answer: Callable[[], str], *, inner: str = "") -> str:
    """The one response message of an operation that has one."""
    return each(name, [None], lambda _: answer(), inner=inner)
