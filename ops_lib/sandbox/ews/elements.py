"""Elements of one plain value each, from a function that reads the value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .views import View
from .xml import boolean, escape, instant

#: what gives a property's element for a view, "" where the item has no such property
Compute = Callable[[View], str]


def at(element: str, read: Callable[[View], datetime | None]) -> Compute:
    """An instant; nothing where there is none."""

    def compute(view: View) -> str:
        value = read(view)
        return "" if value is None else f"<t:{element}>{instant(value)}</t:{element}>"

    return compute


def yes(element: str, read: Callable[[View], object]) -> Compute:
    """A truth value."""
    return lambda view: f"<t:{element}>{boolean(read(view))}</t:{element}>"


def number(element: str, read: Callable[[View], int]) -> Compute:
    """A whole number."""
    return lambda view: f"<t:{element}>{read(view)}</t:{element}>"


def string(element: str, read: Callable[[View], str]) -> Compute:
    """A text; an empty element where it is empty."""

    def compute(view: View) -> str:
        text = read(view)
        return f"<t:{element}>{escape(text)}</t:{element}>" if text else f"<t:{element}/>"

    return compute
