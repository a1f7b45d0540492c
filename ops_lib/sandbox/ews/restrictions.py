"""Restrictions, sort orders and pages: which items or folders a Find operation gives, in which order, how many at a time."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeVar

from lxml import etree

from ..items import ExtendedName
from ..mailboxes import Folder
from ..values import Body
from . import codecs, extended
from .computed import DEFAULTS, size
from .computed_calendar import is_meeting
from .errors import ResponseError
from .properties import ITEM_CLASSES
from .session import Session
from .shapes import read_path
from .views import View
from .xml import M, T

Subject = TypeVar("Subject")
Test = Callable[[Subject], bool]
Read = Callable[[Any], Any]

#: an unpaged search ends here (EWSFindCountLimit)
FIND_LIMIT = 1000
#: a restriction may nest this deep
_MAX_DEPTH = 20
_COMPARE = {
    "IsEqualTo": eq,
    "IsNotEqualTo": ne,
    "IsGreaterThan": gt,
    "IsGreaterThanOrEqualTo": ge,
    "IsLessThan": lt,
    "IsLessThanOrEqualTo": le,
}


def _people(uri: str) -> Read:
    return lambda view: "; ".join(one.name or one.address for one in view.values.get(uri) or ())


def _body(view: View) -> str:
    body: Body = view.values.get("item:Body") or Body("")
    return codecs.text_of_html(body.text) if body.is_html else body.text


#: what a search sees of properties that are not stored
_QUERIES: dict[str, tuple[str, Read]] = {
    "item:ItemClass": ("string", lambda view: view.item_class),
    "item:Body": ("string", _body),
    "item:DateTimeReceived": ("dateTime", lambda view: view.item.created),
    "item:DateTimeSent": ("dateTime", lambda view: view.item.created),
    "item:DateTimeCreated": ("dateTime", lambda view: view.item.created),
    "item:LastModifiedTime": ("dateTime", lambda view: view.item.modified),
    "item:LastModifiedName": ("string", lambda view: view.session.name_of(view.item.modified_by)),
    "item:Size": ("int", size),
    "item:HasAttachments": ("boolean", lambda view: False),
    "item:IsAssociated": ("boolean", lambda view: view.item.associated),
    "item:IsDraft": ("boolean", lambda view: bool(view.values.get("item:IsDraft"))),
    "item:DisplayTo": ("string", _people("message:ToRecipients")),
    "item:DisplayCc": ("string", _people("message:CcRecipients")),
    "calendar:IsMeeting": ("boolean", is_meeting),
    "calendar:IsCancelled": ("boolean", lambda view: bool(view.values.get("calendar:IsCancelled"))),
    "calendar:IsRecurring": ("boolean", lambda view: view.kind != "Single"),
    "calendar:CalendarItemType": ("string", lambda view: view.kind),
    "calendar:AppointmentState": ("int", lambda view: int(is_meeting(view))),
    "calendar:StartTimeZone": ("string", lambda view: view.values.get("calendar:StartTimeZone")),
    "calendar:EndTimeZone": ("string", lambda view: view.values.get("calendar:EndTimeZone")),
    "task:IsComplete": ("boolean", lambda view: view.values.get("task:Status") == "Completed"),
    "task:IsRecurring": ("boolean", lambda view: view.values.get("task:Recurrence") is not None),
    "message:ConversationTopic": ("string", lambda view: view.values.get("item:Subject")),
}
_SIMPLE = frozenset({"string", "boolean", "int", "double", "dateTime", "date", "strings"})
_UNSEARCHABLE = frozenset(
    {"computed", "id", "mime", "body", "addresses", "recurrence", "taskrecurrence", "zone", "meetingzone"}
)
_KINDS = {row.uri: row.kind for rows in ITEM_CLASSES.values() for row in rows}


def _reader(uri: str) -> tuple[str, Read] | None:
    """Type and value of an item's property as searches see it; None where searches cannot use it."""
    if uri in _QUERIES:
        return _QUERIES[uri]
    kind = _KINDS.get(uri)
    if kind is None or kind in _UNSEARCHABLE:
        return None
    if kind in ("recipient", "recipients", "attendees"):
        return "string", (lambda view: _named(view.values.get(uri)))
    if kind in ("emails", "phones", "ims"):
        return "strings", (lambda view: list((view.values.get(uri) or {}).values()))
    default = DEFAULTS.get(uri)
    return (kind if kind in _SIMPLE else "string"), (lambda view: view.values.get(uri, default))


def _named(value: Any) -> str | None:
    if value is None:
        return None
    people = value if isinstance(value, list) else [value]
    return "; ".join(one.name or one.address for one in people)


_FOLDER_QUERIES: dict[str, tuple[str, Read]] = {
    "folder:DisplayName": ("string", lambda folder: folder.name),
    "folder:FolderClass": ("string", lambda folder: folder.folder_class),
    "folder:TotalCount": ("int", lambda folder: sum(1 for _ in folder.visible_items())),
    "folder:ChildFolderCount": ("int", lambda folder: len(folder.children)),
}


class _Compiler:
    """Turns a Restriction into a function over what is searched. ``folders``: folders are, else items."""

    def __init__(self, session: Session, *, folders: bool) -> None:
        self.session = session
        self.folders = folders

    def operand(self, element: Any) -> tuple[str, Read]:
        path = read_path(element)
        if isinstance(path, ExtendedName):
            kind = f"extended:{path.property_type}"
            if self.folders:
                return kind, (lambda folder: folder.extended.get(path))
            return kind, (lambda view: extended.value_of(path, view))
        found = _FOLDER_QUERIES.get(path) if self.folders else _reader(path)
        if found is None:
            raise ResponseError("ErrorUnsupportedPathForQuery", xml=f'<t:FieldURI FieldURI="{path}"/>')
        return found

    def constant(self, kind: str, element: Any) -> Any:
        text = element.get("Value")
        if kind.startswith("extended:"):
            property_type = kind.partition(":")[2]
            return extended.parse(ExtendedName(property_type, tag=0), text)
        try:
            if kind == "boolean":
                return codecs.read_boolean(text)
            if kind == "int":
                return int(text)
            if kind == "double":
                return float(text)
            if kind in ("dateTime", "date"):
                return self.session.aware(codecs.read_instant(text))
        except ValueError:
            raise ResponseError(
                "ErrorInvalidValueForProperty", "The specified value is invalid for property."
            ) from None
        return text

    def test(self, element: Any, depth: int = 0) -> Callable[[Any], bool]:
        if depth > _MAX_DEPTH:
            raise ResponseError("ErrorRestrictionTooComplex", "The restriction is too complex.")
        name = etree.QName(element).localname
        if name == "Or" and (one_of := self._one_of(element)) is not None:
            return one_of
        if name in ("And", "Or"):
            inner = [self.test(child, depth + 1) for child in element]
            if name == "And":
                return lambda subject: all(one(subject) for one in inner)
            return lambda subject: any(one(subject) for one in inner)
        if name == "Not":
            negated = self.test(element[0], depth + 1)
            return lambda subject: not negated(subject)
        if name == "Exists":
            _, read = self.operand(element[0])
            return lambda subject: read(subject) is not None
        if name == "Contains":
            return self._contains(element)
        if name == "Excludes":
            _, read = self.operand(element[0])
            text = element[1].get("Value")
            mask = int(text, 16) if text.lower().startswith("0x") else int(text)
            return lambda subject: not ((read(subject) or 0) & mask)
        if name in _COMPARE:
            return self._comparison(_COMPARE[name], element)
        raise ResponseError("ErrorUnsupportedQueryFilter")

    def _one_of(self, element: Any) -> Callable[[Any], bool] | None:
        """A search for one of many values of one property, which reads it once; None where the restriction is another."""
        paths = {etree.tostring(child[0], method="c14n") for child in element}
        is_plain = all(child.tag == f"{T}IsEqualTo" and child[1][0].tag == f"{T}Constant" for child in element)
        if len(paths) != 1 or not is_plain:
            return None
        kind, read = self.operand(element[0][0])
        wanted = frozenset(_comparable(self.constant(kind, child[1][0])) for child in element)

        def test(subject: Any) -> bool:
            found = read(subject)
            if isinstance(found, list):
                return any(_comparable(one) in wanted for one in found)
            return found is not None and _comparable(found) in wanted

        return test

    def _comparison(self, compare: Callable[[Any, Any], bool], element: Any) -> Callable[[Any], bool]:
        kind, left = self.operand(element[0])
        other = element[1][0]
        right: Read
        if other.tag == f"{T}Constant":
            fixed = _comparable(self.constant(kind, other))
            right = lambda _: fixed  # noqa: E731
        else:
            _, plain = self.operand(other)
            right = lambda subject: _comparable(plain(subject))  # noqa: E731

        def test(subject: Any) -> bool:
            found, wanted = left(subject), right(subject)
            if found is None or wanted is None:
                return compare is ne and found is not wanted
            if isinstance(found, list):
                return any(compare(_comparable(one), wanted) for one in found)
            try:
                return compare(_comparable(found), wanted)
            except TypeError:
                return False

        return test

    def _contains(self, element: Any) -> Callable[[Any], bool]:
        kind, read = self.operand(element[0])
        if kind not in ("string", "strings", "extended:String", "extended:StringArray"):
            raise ResponseError("ErrorContainsFilterWrongType")
        mode = element.get("ContainmentMode") or "FullString"
        fold = _folding(element.get("ContainmentComparison") or "Exact")
        wanted = fold(element[1].get("Value"))

        def matches(text: str) -> bool:
            text = fold(text)
            if mode == "FullString":
                return text == wanted
            if mode == "Prefixed":
                return text.startswith(wanted)
            if mode == "PrefixOnWords":
                return text.startswith(wanted) or any(word.startswith(wanted) for word in text.split())
            if mode == "ExactPhrase":
                return f" {wanted} " in f" {' '.join(text.split())} "
            return wanted in text

        def test(subject: Any) -> bool:
            found = read(subject)
            texts = found if isinstance(found, list) else [found]
            return any(text is not None and matches(text) for text in texts)

        return test


def _comparable(value: Any) -> Any:
    """Strings compare without regard to case, as the store does; instants to the second."""
    if isinstance(value, str):
        return value.casefold()
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _folding(comparison: str) -> Callable[[str], str]:
    case = "Case" in comparison or comparison == "Loose"
    spacing = "NonSpacing" in comparison or comparison == "Loose"

    def fold(text: str) -> str:
        if spacing:
            text = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
        return text.casefold() if case else text

    return fold


def item_test(restriction: Any, session: Session) -> Callable[[View], bool]:
    """Whether an item passes the restriction; every item does where there is none.

    Raises:
        ResponseError: it uses a property that searches cannot use, or a constant that does not fit.
    """
    if restriction is None:
        return lambda view: True
    return _Compiler(session, folders=False).test(restriction[0])


def folder_test(restriction: Any, session: Session) -> Callable[[Folder], bool]:
    """Whether a folder passes the restriction. Raises as ``item_test``."""
    if restriction is None:
        return lambda folder: True
    return _Compiler(session, folders=True).test(restriction[0])


def ordered(views: list[View], sort_order: Any, session: Session) -> list[View]:
    """The items in the order asked for; what has no value comes first.

    Raises:
        ResponseError: it sorts by a property that searches cannot use.
    """
    if sort_order is None:
        return views
    compiler = _Compiler(session, folders=False)
    for field in reversed(list(sort_order)):
        try:
            kind, read = compiler.operand(field[0])
        except ResponseError as problem:
            raise ResponseError("ErrorUnsupportedPathForSortGroup", xml=problem.xml) from None
        if kind in ("strings", "extended:StringArray"):
            raise ResponseError("ErrorUnsupportedPathForSortGroup")

        def key(view: View, read: Read = read) -> tuple[bool, Any]:
            value = _comparable(read(view))
            return (value is not None, value if value is not None else 0)

        views.sort(key=key, reverse=field.get("Order") == "Descending")
    return views


def page(root: Any, found: Sequence[Subject], what: str) -> tuple[Sequence[Subject], str]:
    """The page a Find operation asks for, and the attributes of its RootFolder. ``what`` is "Item" or "Folder".

    Raises:
        ResponseError: the paging parameters cannot be.
    """
    total = len(found)
    indexed = root.find(f"{M}IndexedPage{what}View")
    fractional = root.find(f"{M}FractionalPage{what}View")
    if indexed is not None:
        offset = int(indexed.get("Offset"))
        most = _most(indexed)
        if offset < 0:
            raise ResponseError("ErrorInvalidIndexedPagingParameters")
        if indexed.get("BasePoint") == "End":
            stop = max(total - offset, 0)
            start = max(stop - most, 0)
            return found[start:stop], _attributes(total, last=start == 0, indexed=total - start)
        chosen = found[offset : offset + most]
        return chosen, _attributes(total, last=offset + most >= total, indexed=min(offset + most, max(total, offset)))
    if fractional is not None:
        numerator, denominator = int(fractional.get("Numerator")), int(fractional.get("Denominator"))
        if denominator < 1 or not 0 <= numerator <= denominator:
            raise ResponseError("ErrorInvalidFractionalPagingParameters")
        start = total * numerator // denominator
        stop = min(start + _most(fractional), total)
        paging = f'NumeratorOffset="{stop}" AbsoluteDenominator="{total}" '
        return found[start:stop], paging + _attributes(total, last=stop >= total)
    if total > FIND_LIMIT:
        return found[:FIND_LIMIT], _attributes(total, last=False, indexed=FIND_LIMIT)
    return found, _attributes(total, last=True)


def _most(view: Any) -> int:
    text = view.get("MaxEntriesReturned")
    if text is None:
        return FIND_LIMIT
    if int(text) < 1:
        raise ResponseError("ErrorInvalidPagingMaxRows", "The maximum number of rows must be greater than zero.")
    return min(int(text), FIND_LIMIT)


def _attributes(total: int, *, last: bool, indexed: int | None = None) -> str:
    offset = "" if indexed is None else f'IndexedPagingOffset="{indexed}" '
    return f'{offset}TotalItemsInView="{total}" IncludesLastItemInRange="{"true" if last else "false"}"'
