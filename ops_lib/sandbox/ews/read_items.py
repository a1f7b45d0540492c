"""GetItem."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from .. import series
from .codecs import read_instant
from .envelope import success
from .errors import ResponseError
from .registry import each, operation
from .session import Session
from .shapes import render, shape_of
from .views import View
from .xml import M, T

#: most occurrences that one RecurringMasterItemIdRanges gives
_MAX_OCCURRENCES = 1000


@operation("GetItem")
def get_item(session: Session) -> str:
    """Answer GetItem."""
    root = session.request.root

    def one(element: Any) -> str:
        shape = shape_of(root)
        if element.tag == f"{T}RecurringMasterItemIdRanges":
            views = _in_ranges(element, session)
        else:
            views = [session.view(element)]
        inner = "".join(render(view, shape, get=True) for view in views)
        return success("GetItem", f"<m:Items>{inner}</m:Items>")

    return each("GetItem", root.find(f"{M}ItemIds"), one, inner="<m:Items/>")


def _in_ranges(element: Any, session: Session) -> list[View]:
    """The master, and its occurrences in the ranges asked for.

    Raises:
        ResponseError: the id is no series'.
    """
    master = session.view(element)
    if not master.item.is_series or master.occurrence is not None:
        raise ResponseError("ErrorCalendarCannotUseIdForOccurrenceId")
    views = [master]
    for span in element.iterfind(f"{T}Ranges/{T}Range"):
        start = session.aware(read_instant(span.get("Start"))).astimezone(UTC)
        end = session.aware(read_instant(span.get("End"))).astimezone(UTC)
        count = min(int(span.get("Count") or _MAX_OCCURRENCES), _MAX_OCCURRENCES)
        found = series.occurrences_between(master.item, start, end)
        if span.get("CompareOriginalStartTime") in ("true", "1"):
            found = [one for one in found if start <= one.original_start < end]
        views.extend(View(master.item, session, one) for one in found[:count])
    return views
