"""FindItem: pages, restrictions, sort orders, and the calendar view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import MAXYEAR, datetime
from typing import Any

from .. import series
from ..mailboxes import Folder
from ..series import Occurrence
from . import restrictions
from .codecs import read_instant
from .envelope import success
from .errors import ResponseError
from .queries import read_query
from .registry import each, operation
from .session import Session
from .shapes import Shape, render, shape_of
from .views import View
from .xml import M


@operation("FindItem")
def find_item(session: Session) -> str:
    """Answer FindItem."""
    root = session.request.root

    def one(element: Any) -> str:
        folder = session.folder(element, missing="ErrorFolderNotFound")
        shape = shape_of(root)
        _may_look(folder, session)
        calendar_view = root.find(f"{M}CalendarView")
        if calendar_view is not None:
            return _answer(*_calendar_view(folder, calendar_view, session), shape)
        if root.find(f"{M}GroupBy") is not None or root.find(f"{M}DistinguishedGroupBy") is not None:
            raise ResponseError("ErrorInvalidOperation", "Grouped views are not supported by this server.")
        test = _test(root, session)
        if root.get("Traversal") == "SoftDeleted":
            dumpster = folder.mailbox.folder("recoverableitemsdeletions")
            items = list(dumpster.visible_items()) if folder.distinguished_id == "deleteditems" else []
        else:
            items = list(folder.visible_items(associated=root.get("Traversal") == "Associated"))
        views = [View(item, session) for item in sorted(items, key=lambda item: -item.number)]
        views = restrictions.ordered([view for view in views if test(view)], root.find(f"{M}SortOrder"), session)
        return _answer(*restrictions.page(root, views, "Item"), shape)

    return each("FindItem", root.find(f"{M}ParentFolderIds"), one)


def _test(root: Any, session: Session) -> Callable[[View], bool]:
    query, restriction = root.findtext(f"{M}QueryString"), root.find(f"{M}Restriction")
    if query is None:
        return restrictions.item_test(restriction, session)
    if restriction is not None:
        raise ResponseError("ErrorInvalidOperation", "A restriction and a QueryString cannot be used together.")
    return read_query(query)


def _may_look(folder: Folder, session: Session) -> None:
    rights = folder.mailbox.rights_of(session.user, folder)
    if not rights.may_read:
        raise ResponseError(
            "ErrorAccessDenied" if rights.folder_visible or rights.create_items else "ErrorFolderNotFound"
        )


def _answer(views: Any, attributes: str, shape: Shape) -> str:
    inner = "".join([render(view, shape) for view in views])
    return success("FindItem", f"<m:RootFolder {attributes}><t:Items>{inner}</t:Items></m:RootFolder>")


def _two_years_after(start: datetime) -> datetime:
    year = min(start.year + 2, MAXYEAR)
    try:
        return start.replace(year=year)
    except ValueError:  # 29 February
        return start.replace(year=year, day=28)


def _calendar_view(folder: Folder, element: Any, session: Session) -> tuple[list[View], str]:
    """Single events and occurrences in a window.

    Raises:
        ResponseError: it cannot go with the rest of the request, is no calendar's, or is wider than two years.
    """
    root = session.request.root
    if root.find(f"{M}Restriction") is not None or root.find(f"{M}SortOrder") is not None:
        raise ResponseError("ErrorInvalidOperation", "CalendarView cannot be used with a restriction or a sort order.")
    if root.get("Traversal") != "Shallow":
        raise ResponseError("ErrorInvalidOperation", "CalendarView can be used with a Shallow traversal only.")
    if not folder.is_calendar:
        raise ResponseError("ErrorCalendarFolderIsInvalidForCalendarView")
    start = session.aware(read_instant(element.get("StartDate")))
    end = session.aware(read_instant(element.get("EndDate")))
    if end < start:
        raise ResponseError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if end > _two_years_after(start):
        raise ResponseError("ErrorCalendarViewRangeTooBig")
    shown = series.in_window if session.manners.expands_series else series.masters_in_window
    found = shown(folder.visible_items(), start, end)
    most = element.get("MaxEntriesReturned")
    if most is None and len(found) > restrictions.FIND_LIMIT:
        raise ResponseError(
            "ErrorExceededFindCountLimit",
            "You have exceeded the maximum number of objects that can be returned for the find operation. "
            "Use paging to reduce the result size and try your request again.",
        )
    if most is not None and int(most) < 1:
        raise ResponseError("ErrorInvalidPagingMaxRows", "The maximum number of rows must be greater than zero.")
    chosen = found if most is None else found[: min(int(most), restrictions.FIND_LIMIT)]
    views = [View(one.master, session, one) if isinstance(one, Occurrence) else View(one, session) for one in chosen]
    last = "true" if len(chosen) == len(found) else "false"
    return views, f'TotalItemsInView="{len(chosen)}" IncludesLastItemInRange="{last}"'
