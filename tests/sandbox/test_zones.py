"""Time zones as Exchange names them, and as clients describe them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from exchangelib import EWSTimeZone
from exchangelib.properties import TimeZoneDefinition
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ops_lib.errors import SandboxError
from ops_lib.sandbox import zones
from ops_lib.sandbox.zone_rules import changes, offset_at
from ops_lib.sandbox.zones import UnknownZone, WindowsZone

NAMESPACE = "http://schemas.microsoft.com/exchange/services/2006/types"
SOME = (
    "UTC",
    "Eastern Standard Time",
    "W. Europe Standard Time",
    "AUS Eastern Standard Time",
    "India Standard Time",
    "Newfoundland Standard Time",
    "Israel Standard Time",
    "Lord Howe Standard Time",
)


def _element(zone: WindowsZone, zone_id: str) -> etree._Element:
    """A zone as a client sends it, under an id of its own."""
    root = etree.Element(f"{{{NAMESPACE}}}TimeZoneDefinition", Id=zone_id, Name="mine")
    periods = etree.SubElement(root, f"{{{NAMESPACE}}}Periods")
    for period in zone.periods:
        etree.SubElement(
            periods, f"{{{NAMESPACE}}}Period", Bias=zones.write_duration(period.bias), Name=period.name, Id=period.id
        )
    groups = etree.SubElement(root, f"{{{NAMESPACE}}}TransitionsGroups")
    group = etree.SubElement(groups, f"{{{NAMESPACE}}}TransitionsGroup", Id="0")
    for transition in zone.transitions:
        name = "RecurringDayTransition" if transition.month else "Transition"
        child = etree.SubElement(group, f"{{{NAMESPACE}}}{name}")
        etree.SubElement(child, f"{{{NAMESPACE}}}To", Kind="Period").text = transition.to
        if transition.month:
            for tag, text in (
                ("TimeOffset", zones.write_duration(transition.time_of_day)),
                ("Month", str(transition.month)),
                ("DayOfWeek", transition.day_of_week),
                ("Occurrence", str(transition.occurrence)),
            ):
                etree.SubElement(child, f"{{{NAMESPACE}}}{tag}").text = text
    transitions = etree.SubElement(root, f"{{{NAMESPACE}}}Transitions")
    first = etree.SubElement(transitions, f"{{{NAMESPACE}}}Transition")
    etree.SubElement(first, f"{{{NAMESPACE}}}To", Kind="Group").text = "0"
    return root


def _xml(text: str) -> etree._Element:
    return etree.fromstring(f'<r xmlns="{NAMESPACE}">{text}</r>')[0]


def test_a_windows_id_and_its_iana_id_are_the_same_zone() -> None:
    """Both names of a zone lead to it, whatever the case of the Windows one."""
    assert zones.zone("Eastern Standard Time") == zones.zone("eastern standard time") == ZoneInfo("America/New_York")
    assert zones.zone("Europe/Vienna") == ZoneInfo("Europe/Vienna")
    assert zones.zone("tzone://Microsoft/Utc") == zones.zone("UTC")


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "Customized Time Zone", "../etc/passwd", "Europe", "\0"])
def test_an_unknown_id_is_refused_by_name(name: str) -> None:
    """What is no zone raises an error that carries the id as it was given."""
    with pytest.raises(UnknownZone) as refused:
        zones.zone(name)
    assert refused.value.id == name


def test_every_place_of_the_tz_database_has_a_windows_id() -> None:
    """Each IANA id has a Windows one, mapped or by its present clock; the one that has none is refused."""
    without = set()
    for name in available_timezones():
        try:
            assert zones.windows_id(name) in zones.in_order()
        except UnknownZone:
            without.add(name)
    assert without <= {"Antarctica/Troll"}


def test_a_windows_zone_is_kept_apart_from_a_place_that_went_its_own_way() -> None:
    """Where the Windows zone of a place kept another time in the years concerned, the place's own id stays."""
    assert zones.faithful_id("Europe/Vienna", range(2020, 2026)) == "W. Europe Standard Time"
    assert zones.faithful_id("America/Phoenix", range(1967, 1968)) == "US Mountain Standard Time"
    assert zones.faithful_id("Europe/Lisbon", range(1993, 1996)) == "Europe/Lisbon"


def test_all_zones_are_listed_with_the_offset_and_the_places_windows_shows() -> None:
    """The list for GetServerTimeZones holds each zone once, with a display name people know."""
    listed = {zone.id: zone for zone in zones.known(2026)}
    assert len(listed) == len(zones.known(2026)) > 130
    assert listed["Eastern Standard Time"].name == "(UTC-05:00) Eastern Time (US & Canada)"
    assert listed["W. Europe Standard Time"].name == "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna"
    assert listed["India Standard Time"].name == "(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi"
    assert listed["UTC"].name == "(UTC) Coordinated Universal Time"


def test_the_rules_of_a_year_say_when_the_clock_is_set() -> None:
    """New York changes on the second Sunday of March and the first of November, Berlin on last Sundays."""
    eastern = zones.definition("Eastern Standard Time", 2026)
    assert [(t.month, t.day_of_week, t.occurrence, t.time_of_day) for t in eastern.transitions] == [
        (3, "Sunday", 2, timedelta(hours=2)),
        (11, "Sunday", 1, timedelta(hours=2)),
    ]
    assert [period.bias for period in eastern.periods] == [timedelta(hours=5), timedelta(hours=4)]
    berlin = zones.definition("W. Europe Standard Time", 2026)
    assert [(t.month, t.occurrence) for t in berlin.transitions] == [(3, -1), (10, -1)]
    # Before 2007 the United States changed in April and October.
    assert [t.month for t in zones.definition("Eastern Standard Time", 2006).transitions] == [4, 10]


def test_a_zone_without_daylight_saving_has_one_period() -> None:
    """India has a standard period only, and one transition without a date."""
    india = zones.definition("India Standard Time", 2026)
    assert [period.bias for period in india.periods] == [timedelta(hours=-5, minutes=-30)]
    assert [transition.month for transition in india.transitions] == [0]


def test_the_changes_of_a_year_are_found_to_the_second() -> None:
    """The instants at which Berlin's clock was set in 2026 are those of European law."""
    found = changes(ZoneInfo("Europe/Berlin"), 2026)
    assert [change.instant for change in found] == [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ]


@pytest.mark.parametrize("zone_id", SOME)
def test_exchangelib_reads_our_definitions(zone_id: str) -> None:
    """The client finds the standard and daylight offsets in a definition of ours, for the year it is made for."""
    element = _element(zones.definition(zone_id, 2026), zone_id)
    _, daylight, period = TimeZoneDefinition.from_xml(element, account=None).get_std_and_dst(2026)
    clock = zones.zone(zone_id)
    offsets = {offset_at(clock, datetime(2026, month, 15, tzinfo=UTC)) for month in (1, 7)}
    assert -period.bias == min(offsets)
    assert timedelta(minutes=-daylight.bias) == max(offsets) - min(offsets)


@pytest.mark.parametrize("zone_id", SOME)
def test_a_definition_without_a_known_id_is_recognised_by_its_rules(zone_id: str) -> None:
    """A client's own zone is the known one that keeps the same clock in that year."""
    found = zones.from_definition(_element(zones.definition(zone_id, 2026), "Customized Time Zone"), 2026)
    assert [offset_at(zones.zone(found), datetime(2026, month, 15, tzinfo=UTC)) for month in range(1, 13)] == [
        offset_at(zones.zone(zone_id), datetime(2026, month, 15, tzinfo=UTC)) for month in range(1, 13)
    ]
    assert changes(zones.zone(found), 2026) == changes(zones.zone(zone_id), 2026)


def test_a_definition_is_taken_by_its_id_first() -> None:
    """A known id needs no rules beside it, and a wrong one without rules is refused."""
    assert (
        zones.from_definition(_xml('<TimeZoneDefinition Id="mountain standard time"/>'), 2026)
        == "Mountain Standard Time"
    )
    with pytest.raises(UnknownZone):
        zones.from_definition(_xml('<TimeZoneDefinition Id="Nowhere"/>'), 2026)


def test_a_definition_by_dates_and_by_years_is_read() -> None:
    """The transitions group of the year in question counts, and a change on a fixed date is understood."""
    element = _xml(
        '<TimeZoneDefinition Id="mine"><Periods><Period Bias="PT5H" Name="Standard" Id="s"/>'
        '<Period Bias="PT4H" Name="Daylight" Id="d"/><Period Bias="-PT9H" Name="Standard" Id="t"/></Periods>'
        '<TransitionsGroups><TransitionsGroup Id="0"><Transition><To Kind="Period">t</To></Transition></TransitionsGroup>'
        '<TransitionsGroup Id="1"><RecurringDateTransition><To Kind="Period">d</To><TimeOffset>PT2H</TimeOffset>'
        "<Month>3</Month><Day>8</Day></RecurringDateTransition><RecurringDateTransition>"
        '<To Kind="Period">s</To><TimeOffset>PT2H</TimeOffset><Month>11</Month><Day>1</Day></RecurringDateTransition>'
        '</TransitionsGroup></TransitionsGroups><Transitions><Transition><To Kind="Group">0</To></Transition>'
        '<AbsoluteDateTransition><To Kind="Group">1</To><DateTime>2020-01-01T00:00:00</DateTime></AbsoluteDateTransition>'
        "</Transitions></TimeZoneDefinition>"
    )
    assert zones.from_definition(element, 2026) == "Eastern Standard Time"
    assert zones.from_definition(element, 2019) == "Tokyo Standard Time"


def test_the_old_meeting_time_zone_is_read_by_name_and_by_offsets() -> None:
    """Exchange 2007's MeetingTimeZone is understood by id, by display name and by its rules."""
    assert (
        zones.from_meeting_time_zone(_xml('<MeetingTimeZone TimeZoneName="Pacific Standard Time"/>'), 2026)
        == "Pacific Standard Time"
    )
    shown = _xml('<MeetingTimeZone TimeZoneName="(GMT-08:00) Pacific Time (US &amp; Canada)"/>')
    assert zones.from_meeting_time_zone(shown, 2026) == "Pacific Standard Time"
    rule = "<RelativeYearlyRecurrence><DaysOfWeek>Sunday</DaysOfWeek><DayOfWeekIndex>{}</DayOfWeekIndex><Month>{}</Month></RelativeYearlyRecurrence>"
    described = _xml(
        '<MeetingTimeZone TimeZoneName="Home"><BaseOffset>-PT60M</BaseOffset>'
        f"<Standard><Offset>P0D</Offset>{rule.format('Last', 'October')}<Time>03:00:00</Time></Standard>"
        f"<Daylight><Offset>-PT60M</Offset>{rule.format('Last', 'March')}<Time>02:00:00</Time></Daylight></MeetingTimeZone>"
    )
    assert zones.from_meeting_time_zone(described, 2026) == "W. Europe Standard Time"
    fixed = _xml('<MeetingTimeZone TimeZoneName="Home"><BaseOffset>-PT5H30M</BaseOffset></MeetingTimeZone>')
    assert offset_at(
        zones.zone(zones.from_meeting_time_zone(fixed, 2026)), datetime(2026, 1, 1, tzinfo=UTC)
    ) == timedelta(hours=5, minutes=30)


def test_an_availability_requests_time_zone_is_read() -> None:
    """Biases in minutes and the days of change are enough to recognise a zone; biases no zone has are refused."""
    part = "<{0}><Bias>{1}</Bias><Time>02:00:00</Time><DayOrder>{2}</DayOrder><Month>{3}</Month><DayOfWeek>Sunday</DayOfWeek></{0}>"
    eastern = _xml(
        f"<TimeZone><Bias>300</Bias>{part.format('StandardTime', 0, 1, 11)}{part.format('DaylightTime', -60, 2, 3)}</TimeZone>"
    )
    assert zones.from_serializable(eastern, 2026) == "Eastern Standard Time"
    fixed = _xml(
        f"<TimeZone><Bias>-540</Bias>{part.format('StandardTime', 0, 1, 1)}{part.format('DaylightTime', 0, 5, 12)}</TimeZone>"
    )
    assert zones.from_serializable(fixed, 2026) == "Tokyo Standard Time"
    with pytest.raises(UnknownZone):
        zones.from_serializable(_xml("<TimeZone><Bias>17</Bias></TimeZone>"), 2026)


@pytest.mark.parametrize(
    "text",
    [
        '<TimeZoneDefinition Id="x"><Periods><Period Id="p" Bias="PT5Hours"/></Periods></TimeZoneDefinition>',
        '<TimeZoneDefinition Id="x"><Periods><Period Id="p" Bias="P1M"/></Periods></TimeZoneDefinition>',
        '<TimeZoneDefinition Id="x"><Periods><Period Id="a" Bias="PT5H"/><Period Id="b" Bias="PT4H"/></Periods>'
        '<TransitionsGroups><TransitionsGroup Id="0"><Transition><To Kind="Period">a</To></Transition>'
        '<Transition><To Kind="Period">b</To></Transition></TransitionsGroup></TransitionsGroups></TimeZoneDefinition>',
    ],
)
def test_a_definition_nobody_can_read_is_an_unknown_zone(text: str) -> None:
    """Durations without fixed length and transitions without a date are refused as a zone nobody knows."""
    with pytest.raises(UnknownZone):
        zones.from_definition(_xml(text), 2026)


def test_the_clients_map_knows_the_ids_we_serve() -> None:
    """exchangelib finds a zone for nearly each id we list: all but those younger than its map."""
    unknown = {zone.id for zone in zones.known(2026) if zone.id not in EWSTimeZone.MS_TO_IANA_MAP}
    assert unknown <= {"Alberta Standard Time", "British Columbia Standard Time", "Manitoba Standard Time"}


@given(st.integers(-(10**6), 10**6).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_duration_survives_being_written(amount: timedelta) -> None:
    """Every length of whole seconds is read back as it was written."""
    assert zones.read_duration(zones.write_duration(amount)) == amount


@pytest.mark.parametrize(("text", "expected"), [("P0D", 0), ("P1DT1M", 86460), ("-PT480M", -28800), ("PT0.0S", 0)])
def test_other_spellings_of_a_duration_are_read(text: str, expected: int) -> None:
    """Days, zeros and fractions, as clients write them, are understood."""
    assert zones.read_duration(text) == timedelta(seconds=expected)


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "P1M", "P1Y", "PT1H-"])
def test_what_is_no_duration_of_fixed_length_is_refused(text: str) -> None:
    """Months and years have no length; other text is no duration at all."""
    with pytest.raises(SandboxError):
        zones.read_duration(text)
