"""The customer that comes with the sandbox: Sunrise Living, three communities, six weeks of calendars.

Everything is invented, and everything is drawn from one seeded generator in one order: the same bytes every time.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from ops_lib.sandbox import zones
from ops_lib.sandbox.outlook_habits import DOMAIN, mailbox_contents
from ops_lib.sandbox.people import (
    NOW,
    Activity,
    ActivityType,
    Community,
    Individual,
    Mailbox,
    Population,
    Service,
    User,
)

SEED = 20261123
ACTIVITIES = 400
EVENTS = 300
INDIVIDUALS = 60
FIRST_DAY, LAST_DAY = date(2026, 11, 2), date(2026, 12, 13)

COMMUNITIES = (
    Community("Sunrise at Maple Court", "America/New_York"),
    Community("Sunrise at Harbor View", "America/Chicago"),
    Community("Sunrise at Desert Willow", "America/Phoenix"),
)

# One user works for one community from somewhere else, as people do.
_STAFF = (
    ("Ana Whitfield", 0, "America/New_York", True),
    ("Ben Okafor", 0, "America/New_York", False),
    ("Carla Jimenez", 0, "America/New_York", False),
    ("Dev Patel", 0, "America/Toronto", False),
    ("Elena Rossi", 1, "America/Chicago", True),
    ("Frank Lindqvist", 1, "America/Chicago", False),
    ("Grace Kim", 1, "America/Chicago", False),
    ("Hugo Martin", 1, "America/New_York", False),
    ("Iris Nakamura", 2, "America/Phoenix", False),
    ("Jonas Weber", 2, "America/Denver", False),
    ("Keisha Brown", 2, "America/Phoenix", False),
    ("Liam O'Connor", 2, "America/Los_Angeles", False),
)

ACTIVITY_TYPES = (
    ActivityType("1101", "Inquiry", "Inquiry"),
    ActivityType("1102", "Tour", "Tour", is_face_to_face=True),
    ActivityType("1103", "Virtual Tour", "Tour"),
    ActivityType("1104", "Home Visit", "Outreach", is_face_to_face=True),
    ActivityType("1105", "Deposit", "Deposit"),
    ActivityType("1106", "Move In", "Move In", is_face_to_face=True),
    ActivityType("1107", "Move Out", "Move Out"),
    ActivityType("1108", "Call In", "Call In"),
    ActivityType("1109", "Call Out", "Call Out"),
    ActivityType("1110", "Email In", "Email In"),
    ActivityType("1111", "Email Out", "Email Out"),
    ActivityType("1112", "Newsletter", "Mass Email"),
    ActivityType("1113", "Brochure", "Mail Out"),
    ActivityType("1114", "Referral Visit", "Outreach", is_face_to_face=True),
    ActivityType("1115", "Follow Up", "Call Out"),
    ActivityType("1116", "Appointment", "Appointment"),
)

# Type, how often, the wording, minutes it takes; {who} is the individual's name.
_HABITS: tuple[tuple[str, int, str, tuple[int, ...]], ...] = (
    ("Tour", 24, "Tour with {who}", (45, 60, 90)),
    ("Home Visit", 12, "Home visit to {who}", (60, 90)),
    ("Virtual Tour", 5, "Virtual tour for {who}", (30, 45)),
    ("Move In", 6, "Move-in day: {who}", (120, 180)),
    ("Referral Visit", 8, "Visit to {who}", (30, 60)),
    ("Call Out", 14, "Call {who}", (15,)),
    ("Call In", 6, "Call from {who}", (15,)),
    ("Follow Up", 10, "Follow up with {who}", (15, 30)),
    ("Inquiry", 5, "Inquiry from {who}", (15,)),
    ("Deposit", 4, "Deposit for a unit: {who}", (30,)),
    ("Email Out", 4, "Email to {who}: floor plans", (15,)),
    ("Email In", 2, "Email from {who}", (15,)),
    ("Brochure", 2, "Brochure to {who}", (15,)),
    ("Newsletter", 1, "Newsletter: December events", (30,)),
    ("Move Out", 1, "Move-out walk-through: {who}", (60,)),
    ("Appointment", 6, "Meet {who}", (30, 60)),
)

_GIVEN = [
    "Rosa",
    "Walter",
    "Mabel",
    "Arthur",
    "Edith",
    "Harold",
    "Irene",
    "Clarence",
    "Dolores",
    "Ernest",
    "Hazel",
    "Leonard",
    "Opal",
    "Raymond",
    "Sylvia",
    "Theodore",
    "Vera",
    "Wilbur",
    "Agnes",
    "Bernard",
    "Cora",
    "Douglas",
    "Estelle",
    "Floyd",
    "Gloria",
    "Herman",
    "Ida",
    "Jerome",
    "Lorraine",
    "Marvin",
]
_FAMILY = [
    "Delgado",
    "Ashworth",
    "Kowalski",
    "Brennan",
    "Nguyen",
    "Fairbanks",
    "Sorensen",
    "Abernathy",
    "Castillo",
    "Dunmore",
    "Eklund",
    "Fontaine",
    "Grigsby",
    "Hollis",
    "Ibarra",
    "Jessup",
    "Kessler",
    "Lockhart",
    "Montrose",
    "Norwood",
    "Ostrander",
    "Pemberton",
    "Quigley",
    "Rutledge",
    "Stanhope",
    "Thackeray",
    "Underhill",
    "Vance",
]
_REFERRERS = (
    "Lakeside Medical Center",
    "Dr. Amara Osei",
    "Hillcrest Home Care",
    "Pioneer Elder Law",
    "St. Brendan's Parish",
    "Northgate Rehabilitation",
)
_NOTES = (
    "",
    "",
    "",
    "Prefers the garden side.",
    "Daughter decides; call her first.\nWalker, no stairs.",
    "Asked about the dementia unit & prices <2026>.",
    "Wants to bring the cat. “No cat, no deal.”",
)


@lru_cache(maxsize=1)
def customer() -> Population:
    """The whole customer."""
    draw = random.Random(SEED)  # noqa: S311 - data for a demonstration, not a secret
    users = tuple(
        User(f"{_login(name)}@{DOMAIN}", name, COMMUNITIES[community].name, zone, is_admin)
        for name, community, zone, is_admin in _STAFF
    )
    individuals = _individuals(draw)
    activities = _activities(draw, users, individuals)
    mailboxes = tuple(
        Mailbox(
            user.email,
            user.name,
            zones.windows_id(user.time_zone),
            _password(draw),
            mailbox_contents(draw, user, users, EVENTS // len(users)),
        )
        for user in users
    )
    service = Service(f"svc-calendar@{DOMAIN}", _password(draw))
    return Population(COMMUNITIES, users, individuals, ACTIVITY_TYPES, activities, mailboxes, service)


def _login(name: str) -> str:
    given, family = name.lower().replace("'", "").split()
    return f"{given}.{family}"


def _password(draw: random.Random) -> str:
    """For a server on loopback with invented people: the same each time, so that a written-down command works again."""
    return "-".join(draw.choice(_FAMILY).lower() for _ in range(3)) + f"-{draw.randrange(1000, 10000)}"


def _individuals(draw: random.Random) -> tuple[Individual, ...]:
    people = []
    kinds = ("prospect",) * 28 + ("resident",) * 16 + ("contact",) * 10 + ("referral source",) * len(_REFERRERS)
    names = draw.sample([f"{given} {family}" for given in _GIVEN for family in _FAMILY], INDIVIDUALS)
    for number, kind in enumerate(kinds):
        name = _REFERRERS[number - (INDIVIDUALS - len(_REFERRERS))] if kind == "referral source" else names[number]
        community = COMMUNITIES[draw.randrange(len(COMMUNITIES))].name
        # Some have no address: mail to them cannot be sent, and the CRM must say so.
        email = f"{'.'.join(name.lower().replace('.', '').replace(chr(39), '').split())}@families.example"
        people.append(Individual(str(40001 + number), name, kind, community, email if draw.random() < 0.7 else ""))
    return tuple(people)


def _activities(
    draw: random.Random, users: tuple[User, ...], individuals: tuple[Individual, ...]
) -> tuple[Activity, ...]:
    local_to = {
        community.name: [individual for individual in individuals if individual.community == community.name]
        for community in COMMUNITIES
    }
    weights = [habit[1] for habit in _HABITS]
    made = []
    for number in range(ACTIVITIES):
        user = users[number % len(users)]
        # The first ones take each type once, so that none is missing.
        habit = _HABITS[number] if number < len(_HABITS) else draw.choices(_HABITS, weights)[0]
        made.append(_activity(draw, number + 1, user, habit, local_to[user.community]))
    return tuple(made)


def _activity(
    draw: random.Random, number: int, user: User, habit: tuple[str, int, str, tuple[int, ...]], known: list[Individual]
) -> Activity:
    kind, _, wording, lengths = habit
    who = draw.choice(
        [each for each in known if (each.kind == "referral source") == (kind == "Referral Visit")] or known
    )
    day = _working_day(draw)
    start = datetime.combine(
        day, time(draw.randrange(8, 18), draw.choice((0, 0, 15, 30, 45))), ZoneInfo(user.time_zone)
    ).astimezone(UTC)
    end = start + timedelta(minutes=draw.choice(lengths))
    status = _status(draw, over=end < NOW)
    common: dict[str, Any] = {
        "individual": "" if "{who}" not in wording else who.individual_id,
        "location": user.community if kind in ("Tour", "Move In", "Deposit") else "",
        "notes": draw.choice(_NOTES),
    }
    about = wording.format(who=who.name)
    chance = draw.random()
    activity_id = f"activity-{number:04d}"
    if chance < 0.18:
        # People write the time of a whole day's activity into its description.
        about += draw.choice(("", "", f" at {draw.randrange(9, 12)}:30", " (morning)"))
        return Activity(activity_id, user.email, kind, about, all_day=day, status=status, **common)
    if chance < 0.21:
        # An activity logged after the fact has its start for its end; some have them the wrong way round.
        end = start if draw.random() < 0.6 else start - timedelta(minutes=30)
    return Activity(activity_id, user.email, kind, about, start, end, status=status, **common)


def _working_day(draw: random.Random) -> date:
    """A day of the six weeks, seldom one of a weekend."""
    day = FIRST_DAY + timedelta(days=draw.randrange((LAST_DAY - FIRST_DAY).days + 1))
    if day.weekday() >= 5 and draw.random() < 0.8:
        day -= timedelta(days=day.weekday() - 4)
    return day


def _status(draw: random.Random, *, over: bool) -> str:
    names = ("Completed", "Scheduled", "Cancelled")
    return draw.choices(names, (75, 14, 11) if over else (4, 87, 9))[0]
