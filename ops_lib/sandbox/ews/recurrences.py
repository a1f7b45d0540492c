"""Recurrences as elements: patterns and ranges, both ways."""

from __future__ import annotations

from datetime import date
from typing import Any

from .. import recurrence as rules
from .errors import ResponseError
from .xml import T

_PATTERNS: dict[type, tuple[str, tuple[tuple[str, str], ...]]] = {
    rules.RelativeYearly: (
        "RelativeYearlyRecurrence",
        (("DaysOfWeek", "days"), ("DayOfWeekIndex", "index"), ("Month", "month")),
    ),
    rules.AbsoluteYearly: ("AbsoluteYearlyRecurrence", (("DayOfMonth", "day_of_month"), ("Month", "month"))),
    rules.RelativeMonthly: (
        "RelativeMonthlyRecurrence",
        (("Interval", "interval"), ("DaysOfWeek", "days"), ("DayOfWeekIndex", "index")),
    ),
    rules.AbsoluteMonthly: ("AbsoluteMonthlyRecurrence", (("Interval", "interval"), ("DayOfMonth", "day_of_month"))),
    rules.Weekly: (
        "WeeklyRecurrence",
        (("Interval", "interval"), ("DaysOfWeek", "days"), ("FirstDayOfWeek", "first_day_of_week")),
    ),
    rules.Daily: ("DailyRecurrence", (("Interval", "interval"),)),
    rules.DailyRegeneration: ("DailyRegeneration", (("Interval", "interval"),)),
    rules.WeeklyRegeneration: ("WeeklyRegeneration", (("Interval", "interval"),)),
    rules.MonthlyRegeneration: ("MonthlyRegeneration", (("Interval", "interval"),)),
    rules.YearlyRegeneration: ("YearlyRegeneration", (("Interval", "interval"),)),
}
_BY_ELEMENT = {f"{T}{name}": (kind, fields) for kind, (name, fields) in _PATTERNS.items()}
_NUMBERS = frozenset({"interval", "day_of_month"})
_LIMITS = {"Interval": (1, 999), "DayOfMonth": (1, 31), "NumberOfOccurrences": (1, 999)}


def _day(value: date) -> str:
    return f"{value.isoformat()}Z"


def write(element: str, recurrence: rules.Recurrence) -> str:
    """The recurrence as an element of this name."""
    name, fields = _PATTERNS[type(recurrence.pattern)]
    inner = []
    for tag, attribute in fields:
        value = getattr(recurrence.pattern, attribute)
        inner.append(f"<t:{tag}>{' '.join(value) if isinstance(value, tuple) else value}</t:{tag}>")
    span = recurrence.range
    start = f"<t:StartDate>{_day(span.start)}</t:StartDate>"
    if isinstance(span, rules.EndDate):
        limits = f"<t:EndDateRecurrence>{start}<t:EndDate>{_day(span.end)}</t:EndDate></t:EndDateRecurrence>"
    elif isinstance(span, rules.Numbered):
        count = f"<t:NumberOfOccurrences>{span.count}</t:NumberOfOccurrences>"
        limits = f"<t:NumberedRecurrence>{start}{count}</t:NumberedRecurrence>"
    else:
        limits = f"<t:NoEndRecurrence>{start}</t:NoEndRecurrence>"
    return f"<t:{element}><t:{name}>{''.join(inner)}</t:{name}>{limits}</t:{element}>"


def _number(tag: str, text: str) -> int:
    least, most = _LIMITS[tag]
    value = int(text)
    if not least <= value <= most:
        field = {"Interval": "Interval", "DayOfMonth": "DayOfMonth"}.get(tag, "NumberOfOccurrences")
        raise ResponseError(
            "ErrorCalendarOutOfRange",
            "Specified value is outside of the acceptable range.",
            xml=f'<t:ExceptionFieldURI FieldURI="recurrence:{field}"/>',
        )
    return value


def _date(text: str) -> date:
    return date.fromisoformat(text.strip()[:10])


def read(element: Any) -> rules.Recurrence:
    """The recurrence in this element.

    Raises:
        ResponseError: a number is out of range, or the series would end before it starts.
    """
    pattern_element, range_element = element[0], element[1]
    kind, fields = _BY_ELEMENT[pattern_element.tag]
    given: dict[str, Any] = {}
    for tag, attribute in fields:
        text = pattern_element.findtext(f"{T}{tag}")
        if text is None:
            continue
        if attribute in _NUMBERS:
            given[attribute] = _number(tag, text)
        elif kind is rules.Weekly and attribute == "days":
            given[attribute] = tuple(text.split())
        else:
            given[attribute] = text.strip()
    start = _date(range_element.findtext(f"{T}StartDate"))
    span: rules.NoEnd | rules.EndDate | rules.Numbered
    end = range_element.findtext(f"{T}EndDate")
    count = range_element.findtext(f"{T}NumberOfOccurrences")
    if end is not None:
        if _date(end) < start:
            raise ResponseError(
                "ErrorCalendarEndDateIsEarlierThanStartDate", "The end date is earlier than the start date."
            )
        span = rules.EndDate(start, _date(end))
    elif count is not None:
        span = rules.Numbered(start, _number("NumberOfOccurrences", count))
    else:
        span = rules.NoEnd(start)
    return rules.Recurrence(kind(**given), span)
