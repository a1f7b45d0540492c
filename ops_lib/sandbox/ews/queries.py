"""QueryString: the part of the Advanced Query Syntax that people type into a search box.

Words (all of them must be there), "phrases", ``property:value`` with some of the properties' names, ``NOT`` or ``-`` before
a term, ``OR`` between two. Without a property a term looks in subject, body, location and people.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..values import Body, Person
from .codecs import text_of_html
from .errors import ResponseError
from .views import View

Test = Callable[[View], bool]
_TERM = re.compile(r'\s*(?P<no>-|NOT\s+)?(?:(?P<property>[A-Za-z]+):)?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+))')
_WORD = re.compile(r"\w+")


def _people(view: View, *uris: str) -> str:
    found: list[Person] = []
    for uri in uris:
        value = view.values.get(uri)
        found += value if isinstance(value, list) else [value] if value is not None else []
    return " ".join(f"{one.name} {one.address}" for one in found)


def _body(view: View) -> str:
    body: Body = view.values.get("item:Body") or Body("")
    return text_of_html(body.text) if body.is_html else body.text


def _to(view: View) -> str:
    return _people(view, "message:ToRecipients", "calendar:RequiredAttendees")


def _from(view: View) -> str:
    return _people(view, "message:From", "calendar:Organizer")


_PROPERTIES: dict[str, Callable[[View], str]] = {
    "subject": lambda view: view.values.get("item:Subject") or "",
    "body": _body,
    "location": lambda view: view.values.get("calendar:Location") or "",
    "from": _from,
    "organizer": _from,
    "to": _to,
    "cc": lambda view: _people(view, "message:CcRecipients", "calendar:OptionalAttendees"),
    "participants": lambda view: f"{_from(view)} {_to(view)}",
    "category": lambda view: " ".join(view.values.get("item:Categories") or ()),
    "importance": lambda view: view.values.get("item:Importance") or "Normal",
    "kind": lambda view: {"CalendarItem": "meetings", "Task": "tasks", "Contact": "contacts"}.get(
        view.element, "email"
    ),
}
_ANYWHERE = ("subject", "body", "location", "from", "to")


def _term(name: str, wanted: str, phrase: bool) -> Test:
    words = [word.casefold() for word in _WORD.findall(wanted)]

    def test(view: View) -> bool:
        for one in (name,) if name else _ANYWHERE:
            text = _PROPERTIES[one](view).casefold()
            if phrase and wanted.casefold() in text:
                return True
            there = _WORD.findall(text)
            if not phrase and words and all(any(found.startswith(word) for found in there) for word in words):
                return True
        return False

    return test


def _not(test: Test) -> Test:
    return lambda view: not test(view)


def read_query(text: str) -> Test:
    """Whether an item is meant by the query.

    Raises:
        ResponseError: it names a property that searches do not know.
    """
    groups: list[list[Test]] = [[]]
    place = 0
    while match := _TERM.match(text, place):
        place = match.end()
        word = match["word"] or ""
        if word in ("AND", "OR") and not match["property"] and not match["no"]:
            if word == "OR":
                groups.append([])
            continue
        name = (match["property"] or "").lower()
        if name and name not in _PROPERTIES:
            raise ResponseError("ErrorInvalidOperation", f"The query names a property that cannot be searched: {name}.")
        test = _term(name, match["phrase"] if match["phrase"] is not None else word, match["phrase"] is not None)
        groups[-1].append(_not(test) if match["no"] else test)
    wanted = [group for group in groups if group]
    return lambda view: any(all(test(view) for test in group) for group in wanted)
