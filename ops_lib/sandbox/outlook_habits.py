"""What the customer's users have in their Outlook: the mailboxes' part of the invented customer.

Each mailbox has three series (one since summer, across the change of the clock), whole days, private events, one night over
midnight, one event of a colleague's time zone, meetings, single appointments of every length, and a few tasks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ops_lib.sandbox import zones
from ops_lib.sandbox.people import Content, User
from ops_lib.sandbox.recurrence import (
    AbsoluteMonthly,
    EndDate,
    NoEnd,
    Pattern,
    Recurrence,
    RelativeMonthly,
    Weekly,
    dates,
    end_after,
    instant,
    starts_between,
)
from ops_lib.sandbox.values import Body, Person

DOMAIN = "sunrise.example"
MONDAY = date(2026, 11, 2)
WEEKS = 6

_SINGLES = (
    "Budget review",
    "Interview: care coordinator",
    "Fire drill",
    "Vendor call",
    "Dentist",
    "Lunch with the chamber of commerce",
    "Walk-through unit 12",
    "Training: new forms",
    "Holiday party planning",
    "Family council",
    "Photographer for the website",
    "Safety committee",
    "Call with corporate",
    "Kitchen tasting",
)
_PRIVATE = ("Doctor", "School play", "Bank", "Physiotherapy")
_DAYS = ("Vacation", "State survey", "Conference", "Open house weekend", "Volunteer day")
_NIGHTS = ("On call", "Night shift cover")
_TASKS = (
    "Order brochures",
    "Update the price list",
    "Thank-you notes",
    "Check the tour route",
    "Renew the parking permits",
)
_ROOMS = ("", "Conference room", "Library", "https://meet.example/sunrise", "Front desk")


def mailbox_contents(draw: random.Random, user: User, users: tuple[User, ...], events: int) -> tuple[Content, ...]:
    """``events`` events and three tasks of one user."""
    day = _Diary(draw, user, users)
    contents = [day.weekly(), day.biweekly(), day.monthly()]
    contents += [day.whole_days(), day.whole_days(), day.private(), day.private(), day.night(), day.elsewhere()]
    contents += [day.meeting() for _ in range(4)]
    contents += [day.single() for _ in range(events - len(contents))]
    contents += [day.task(number) for number in range(3)]
    return tuple(contents)


class _Diary:
    """Makes one user's items, one after the other."""

    def __init__(self, draw: random.Random, user: User, users: tuple[User, ...]) -> None:
        self.draw = draw
        self.user = user
        self.others = [other for other in users if other != user]
        self.zone_id = zones.windows_id(user.time_zone)
        self.made = 0

    def single(self) -> Content:
        length = self.draw.choice((15, 30, 30, 60, 60, 90, 240))
        return self._timed(self.draw.choice(_SINGLES), self._day(), self._hour(), length)

    def private(self) -> Content:
        return self._timed(self.draw.choice(_PRIVATE), self._day(), self._hour(), 60, {"item:Sensitivity": "Private"})

    def night(self) -> Content:
        return self._timed(
            self.draw.choice(_NIGHTS), self._day(), time(22), 8 * 60, {"calendar:LegacyFreeBusyStatus": "OOF"}
        )

    def elsewhere(self) -> Content:
        """An appointment entered in the zone of somebody far away."""
        zone_id = self.draw.choice(("GMT Standard Time", "India Standard Time", "AUS Eastern Standard Time"))
        return self._timed("Call with the software vendor", self._day(), time(15, 30), 45, zone_id=zone_id)

    def meeting(self) -> Content:
        guests = self.draw.sample(self.others, self.draw.randrange(1, 4))
        organizer = self.draw.choice([self.user, guests[0]])
        answers = ("Unknown", "Accept", "Accept", "Tentative", "Decline")
        people = [Person(guest.name, guest.email, self.draw.choice(answers)) for guest in guests]
        more = {"calendar:Organizer": Person(organizer.name, organizer.email), "calendar:RequiredAttendees": people}
        return self._timed(f"{self.draw.choice(_SINGLES)} (meeting)", self._day(), self._hour(), 60, more)

    def whole_days(self) -> Content:
        first = self._day()
        after = first + timedelta(days=self.draw.choice((1, 1, 1, 2, 5)))
        zone = zones.zone(self.zone_id)
        start, end = (instant(datetime.combine(each, time()), zone) for each in (first, after))
        more = {"calendar:IsAllDayEvent": True, "calendar:LegacyFreeBusyStatus": self.draw.choice(("Free", "OOF"))}
        return self._event(self.draw.choice(_DAYS), start, end, more)

    def weekly(self) -> Content:
        """A stand-up since August: across the change of the clock, some moved, some deleted, one renamed."""
        days = self.draw.choice((("Monday",), ("Tuesday", "Thursday"), ("Monday", "Wednesday", "Friday")))
        return self._series(
            "Stand-up", Weekly(1, days), NoEnd(date(2026, 8, 3)), time(self.draw.choice((8, 9)), 30), 15
        )

    def biweekly(self) -> Content:
        other = self.draw.choice(self.others)
        pattern = Weekly(2, (self.draw.choice(("Tuesday", "Wednesday", "Thursday")),), "Monday")
        span = EndDate(date(2026, 10, 5), date(2027, 1, 29))
        return self._series(f"One to one with {other.name}", pattern, span, time(self.draw.randrange(13, 17)), 30)

    def monthly(self) -> Content:
        pattern: Pattern = self.draw.choice(
            (RelativeMonthly(1, "Friday", "Last"), AbsoluteMonthly(1, 31), RelativeMonthly(1, "Weekday", "First"))
        )
        return self._series("Month-end report", pattern, NoEnd(date(2026, 6, 1)), time(16), 60)

    def task(self, number: int) -> Content:
        self.made += 1
        due = MONDAY + timedelta(days=self.draw.randrange(7 * WEEKS))
        status = ("NotStarted", "InProgress", "Completed")[number % 3]
        moment = datetime.combine(due, time(), UTC)
        values = {
            "item:Subject": self.draw.choice(_TASKS),
            "item:ItemClass": "IPM.Task",
            "task:StartDate": moment - timedelta(days=1),
            "task:DueDate": moment,
            "task:Status": status,
            "item:ReminderIsSet": False,
        }
        return Content("tasks", values)

    def _series(self, subject: str, pattern: Pattern, span: NoEnd | EndDate, at: time, minutes: int) -> Content:
        zone = zones.zone(self.zone_id)
        first = next(dates(Recurrence(pattern, span)))
        settled = NoEnd(first) if isinstance(span, NoEnd) else EndDate(first, span.end)
        recurrence = Recurrence(pattern, settled)
        start = instant(datetime.combine(first, at), zone)
        length = timedelta(minutes=minutes)
        window = (datetime.combine(MONDAY, time(), UTC), datetime.combine(MONDAY + timedelta(weeks=WEEKS), time(), UTC))
        shown = [moment for _, moment in starts_between(recurrence, start, length, zone, *window)]
        touched = self.draw.sample(shown, min(len(shown) // 2, 3))
        exceptions: dict[datetime, dict[str, Any]] = {}
        for number, original in enumerate(sorted(touched[1:])):
            moved = original + timedelta(hours=self.draw.choice((1, 2, 3)))
            exceptions[original] = {"calendar:Start": moved, "calendar:End": end_after(moved, length, zone)}
            if number:
                exceptions[original]["item:Subject"] = f"{subject} (with guests)"
        content = self._event(subject, start, end_after(start, length, zone), {"calendar:Recurrence": recurrence})
        return Content("calendar", content.values, exceptions, frozenset(touched[:1]))

    def _timed(
        self,
        subject: str,
        day: date,
        at: time,
        minutes: int,
        more: Mapping[str, Any] | None = None,
        *,
        zone_id: str = "",
    ) -> Content:
        zone = zones.zone(zone_id or self.zone_id)
        start = instant(datetime.combine(day, at), zone)
        zoned = {"calendar:StartTimeZone": zone_id, "calendar:EndTimeZone": zone_id} if zone_id else {}
        return self._event(
            subject, start, end_after(start, timedelta(minutes=minutes), zone), {**(more or {}), **zoned}
        )

    def _event(self, subject: str, start: datetime, end: datetime, more: Mapping[str, Any]) -> Content:
        self.made += 1
        values: dict[str, Any] = {
            "item:Subject": subject,
            "calendar:Start": start,
            "calendar:End": end,
            "calendar:IsAllDayEvent": False,
            "calendar:StartTimeZone": self.zone_id,
            "calendar:EndTimeZone": self.zone_id,
            "calendar:UID": f"{self.user.email.partition('@')[0]}-{self.made:03d}@outlook.{DOMAIN}",
            "calendar:LegacyFreeBusyStatus": "Busy",
            "calendar:Organizer": Person(self.user.name, self.user.email),
            "item:Sensitivity": "Normal",
            "item:ReminderIsSet": self.draw.random() < 0.7,
        }
        if values["item:ReminderIsSet"]:
            values["item:ReminderMinutesBeforeStart"] = 15
        room = self.draw.choice(_ROOMS)
        if room:
            values["calendar:Location"] = room
        chance = self.draw.random()
        if chance < 0.2:
            values["item:Body"] = Body(
                f"<html><body><p>Agenda for <b>{subject}</b></p><ul><li>News</li></ul></body></html>", True
            )
        elif chance < 0.4:
            values["item:Body"] = Body(f"Please bring your notes.\n\n{subject}")
        if self.draw.random() < 0.15:
            values["item:Categories"] = ["Sunrise"]
        return Content("calendar", {**values, **more})

    def _day(self) -> date:
        return MONDAY + timedelta(
            days=7 * self.draw.randrange(WEEKS) + self.draw.choice((0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6))
        )

    def _hour(self) -> time:
        return time(self.draw.randrange(8, 18), self.draw.choice((0, 30)))
