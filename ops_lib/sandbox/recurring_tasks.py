"""Tasks that recur: one item that stands for the task due next.

When it is completed, the completed one stays as a task of its own, and the recurring one goes on to its next date. Source: [MS-OXOTASK] 3.1.4.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from dateutil.relativedelta import relativedelta

from . import recurrence
from .items import Item, Values
from .recurrence import DailyRegeneration, MonthlyRegeneration, Numbered, WeeklyRegeneration, YearlyRegeneration

if TYPE_CHECKING:
    from .store import Organisation

_DATES = ("task:StartDate", "task:DueDate")
_DONE = ("task:CompleteDate", "task:PercentComplete", "task:Status", "item:ReminderDueBy")


def advance(item: Item, organisation: Organisation) -> bool:
    """Let the recurring task stand for its next date; False where it has none, and is left as it is."""
    due = _next(item.values, organisation.now())
    if due is None:
        return False
    old = _day(item.values)
    shift = due - old if old is not None else timedelta()
    values = {uri: value for uri, value in item.values.items() if uri not in _DONE}
    for uri in _DATES:
        if values.get(uri) is not None:
            values[uri] += shift
    if not any(values.get(uri) for uri in _DATES):
        values["task:DueDate"] = datetime.combine(due, time(0), UTC)
    values |= {"task:Status": "NotStarted", "task:PercentComplete": 0.0}
    item.values = values
    return True


def complete(item: Item, values: Values, organisation: Organisation, *, by: str) -> bool:
    """Complete a recurring task as ``values`` say: they become a task of its own, and the item goes on. False: it was the last."""
    kept = item.values
    item.values = values
    if not advance(item, organisation):
        item.values = kept
        return False
    done = {uri: value for uri, value in values.items() if uri != "task:Recurrence"}
    organisation.add_item(item.folder, "Task", done, dict(item.extended), by=by, attachments=item.attachments)
    return True


def _day(values: Values) -> date | None:
    given = next((values[uri] for uri in reversed(_DATES) if values.get(uri) is not None), None)
    return given.date() if isinstance(given, datetime) else None


def _next(values: Values, now: datetime) -> date | None:
    rule: recurrence.Recurrence = values["task:Recurrence"]
    today = now.astimezone(UTC).date()
    current = _day(values) or rule.range.start - timedelta(days=1)
    match rule.pattern:
        case DailyRegeneration(interval):
            again = today + timedelta(days=interval)
        case WeeklyRegeneration(interval):
            again = today + timedelta(weeks=interval)
        case MonthlyRegeneration(interval):
            again = today + relativedelta(months=interval)
        case YearlyRegeneration(interval):
            again = today + relativedelta(years=interval)
        case _:
            return next((day for day in recurrence.dates(rule) if day > current), None)
    if isinstance(rule.range, Numbered) and rule.range.count <= 1:
        return None
    until = getattr(rule.range, "end", None)
    return again if until is None or again <= until else None
