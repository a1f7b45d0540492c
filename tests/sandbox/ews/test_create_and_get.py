"""CreateItem and GetItem: what is written is what is read, with what a server fills in."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from lxml import etree

from tests.support.soap import envelope

from .client import ALICE, Client, M, T, create, event, get_item, id_of


def texts(item: object, *names: str) -> list[str | None]:
    return [item.findtext(f"{T}{name}") for name in names]  # type: ignore[attr-defined]


def test_an_event_reads_back_as_written(client: Client) -> None:
    """Subject, body, categories, times, place and state of an event come back; times in UTC, whole seconds, ending in Z."""
    body = create(
        event(
            "<t:Subject>Tour &lt;Miller&gt; &amp; Sons</t:Subject><t:Sensitivity>Confidential</t:Sensitivity>"
            '<t:Body BodyType="Text">Line one\nLine &lt;two&gt;</t:Body>'
            "<t:Categories><t:String>CRM</t:String><t:String>Tour</t:String></t:Categories>"
            "<t:Importance>High</t:Importance><t:ReminderIsSet>1</t:ReminderIsSet>"
            "<t:ReminderMinutesBeforeStart>30</t:ReminderMinutesBeforeStart>",
            start="2027-01-05T10:00:00.123-05:00",
            end="2027-01-05T17:30:00+01:00",
            after="<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus><t:Location>Front desk</t:Location>"
            '<t:StartTimeZone Id="Eastern Standard Time"/>',
        )
    )
    created = client.item(body)
    item = client.get(id_of(created), base="AllProperties")
    assert texts(item, "Subject", "Sensitivity", "Importance", "ReminderMinutesBeforeStart", "ReminderIsSet") == [
        "Tour <Miller> & Sons", "Confidential", "High", "30", "true",
    ]  # fmt: skip
    assert texts(item, "Start", "End", "LegacyFreeBusyStatus", "Location", "Duration") == [
        "2027-01-05T15:00:00Z", "2027-01-05T16:30:00Z", "OOF", "Front desk", "PT1H30M",
    ]  # fmt: skip
    assert [one.text for one in item.find(f"{T}Categories")] == ["CRM", "Tour"]
    assert texts(item, "CalendarItemType", "IsMeeting", "IsRecurring", "MyResponseType") == [
        "Single", "false", "false", "Organizer",
    ]  # fmt: skip
    assert item.find(f"{T}StartTimeZone").get("Id") == "Eastern Standard Time"
    assert item.find(f"{T}ItemId").get("ChangeKey") == created.find(f"{T}ItemId").get("ChangeKey")
    assert item.findtext(f"{T}Organizer/{T}Mailbox/{T}EmailAddress") == ALICE


@pytest.mark.parametrize(
    ("zone", "context", "expected"),
    [
        ("Romance Standard Time", "", "2027-01-05T09:00:00Z"),
        ("", "Mountain Standard Time", "2027-01-05T17:00:00Z"),
        ("Romance Standard Time", "Mountain Standard Time", "2027-01-05T09:00:00Z"),
        ("", "", "2027-01-05T10:00:00Z"),
        ("Europe/Copenhagen", "", "2027-01-05T09:00:00Z"),
    ],
)
def test_a_time_without_offset_is_read_in_its_zone(client: Client, zone: str, context: str, expected: str) -> None:
    """A naive Start is read in StartTimeZone, else in the TimeZoneContext, else as UTC."""
    after = f'<t:StartTimeZone Id="{zone}"/>' if zone else ""
    request = envelope(create(event(start="2027-01-05T10:00:00", end="2027-01-05T23:00:00Z", after=after))).decode()
    if context:
        header = f'<t:TimeZoneContext><t:TimeZoneDefinition Id="{context}"/></t:TimeZoneContext></s:Header>'
        request = request.replace("</s:Header>", header)
    reply = etree.fromstring(client.send(request.encode()).body)
    item_id = reply.find(f".//{T}ItemId").get("Id")
    assert client.get(item_id, "calendar:Start").findtext(f"{T}Start") == expected


def test_an_unknown_zone_is_refused(client: Client) -> None:
    """A zone nobody knows is ErrorTimeZone; nothing is stored."""
    assert client.codes(create(event(after='<t:StartTimeZone Id="Middle Earth Time"/>'))) == ["ErrorTimeZone"]
    assert client.organisation.mailbox(ALICE).items == {}


def test_an_all_day_event_takes_whole_local_days(client: Client) -> None:
    """An all-day event of any times goes to the midnights of its own zone, over the change of the clocks too."""
    item = client.item(
        create(
            event(
                start="2027-03-14T06:00:00Z",
                end="2027-03-14T07:00:00Z",
                after="<t:IsAllDayEvent>true</t:IsAllDayEvent>"
                '<t:StartTimeZone Id="Eastern Standard Time"/><t:EndTimeZone Id="Eastern Standard Time"/>',
            )
        )
    )
    found = client.get(id_of(item), base="AllProperties")
    assert texts(found, "Start", "End", "IsAllDayEvent") == ["2027-03-14T05:00:00Z", "2027-03-15T04:00:00Z", "true"]


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2027-01-05T10:00:00Z", "2027-01-05T09:59:59Z", "ErrorCalendarEndDateIsEarlierThanStartDate"),
        ("2027-01-05T10:00:00Z", "2032-06-05T10:00:00Z", "ErrorCalendarDurationIsTooLong"),
    ],
)
def test_impossible_times_are_refused(client: Client, start: str, end: str, code: str) -> None:
    """An event that ends before it starts, or lasts longer than five years, is refused; the one beside it is made."""
    assert client.codes(create(event(start=start, end=end) + event())) == [code, "NoError"]


def test_an_event_needs_to_know_whom_to_invite(client: Client) -> None:
    """CreateItem of an event without SendMeetingInvitations is refused."""
    assert client.codes(create(event(), send="")) == ["ErrorSendMeetingInvitationsRequired"]


def test_attendees_stay_on_the_item_and_nothing_is_mailed_unasked(client: Client) -> None:
    """Attendees are kept; with SendToNone nothing goes out, with SendToAllAndSaveCopy the outbox says what would."""
    people = "".join(
        f"<t:Attendee><t:Mailbox><t:Name>{name}</t:Name><t:EmailAddress>{name}@out.example</t:EmailAddress></t:Mailbox></t:Attendee>"
        for name in ("one", "two")
    )
    after = f"<t:RequiredAttendees>{people}</t:RequiredAttendees>"
    quiet = client.item(create(event(after=after)))
    found = client.get(id_of(quiet), base="AllProperties")
    assert [one.findtext(f"{T}Mailbox/{T}EmailAddress") for one in found.find(f"{T}RequiredAttendees")] == [
        "one@out.example", "two@out.example",
    ]  # fmt: skip
    assert texts(found, "IsMeeting", "MeetingRequestWasSent", "DisplayTo") == ["true", "false", "one; two"]
    assert client.organisation.outbox == []
    loud = client.item(create(event("<t:Subject>Tour</t:Subject>", after=after), send="SendToAllAndSaveCopy"))
    assert client.get(id_of(loud), base="AllProperties").findtext(f"{T}MeetingRequestWasSent") == "true"
    (mail,) = client.organisation.outbox
    assert (mail.kind, mail.subject, mail.recipients) == (
        "MeetingRequest",
        "Tour",
        ("one@out.example", "two@out.example"),
    )


def test_a_task_reads_back_and_its_dates_are_days(client: Client) -> None:
    """A task's dates come back as midnights UTC of the day written, whatever offset they were written with."""
    for written in ("2027-01-12T00:00:00Z", "2027-01-12T00:00:00-05:00", "2027-01-12T00:00:00", "2027-01-12T11:59:00Z"):
        task = f"<t:Task><t:Subject>Call</t:Subject><t:DueDate>{written}</t:DueDate><t:StartDate>{written}</t:StartDate></t:Task>"
        item = client.get(id_of(client.item(create(task, send=""))), base="AllProperties")
        assert texts(item, "DueDate", "StartDate") == ["2027-01-12T00:00:00Z"] * 2
        assert texts(item, "Status", "StatusDescription", "PercentComplete", "IsComplete") == [
            "NotStarted", "Not Started", "0", "false",
        ]  # fmt: skip


def test_a_completed_task_is_complete(client: Client) -> None:
    """A task created as Completed is at 100 percent, complete, and completed today."""
    task = "<t:Task><t:Subject>Done</t:Subject><t:Status>Completed</t:Status></t:Task>"
    item = client.get(id_of(client.item(create(task, send=""))), base="AllProperties")
    assert texts(item, "PercentComplete", "IsComplete", "CompleteDate") == ["100", "true", "2026-11-22T00:00:00Z"]


def test_messages_are_saved_or_go_out(client: Client) -> None:
    """SaveOnly puts a draft into Drafts; SendAndSaveCopy a copy into Sent Items and the message into the outbox."""
    message = (
        "<t:Message><t:Subject>Hello</t:Subject><t:ToRecipients><t:Mailbox><t:EmailAddress>x@out.example</t:EmailAddress>"
        "</t:Mailbox></t:ToRecipients></t:Message>"
    )
    assert client.codes(create(message)) == ["ErrorMessageDispositionRequired"]
    draft = client.item(create(message, disposition="SaveOnly"))
    assert client.get(id_of(draft), base="AllProperties").findtext(f"{T}IsDraft") == "true"
    assert len(client.one(create(message, disposition="SendAndSaveCopy")).find(f"{M}Items")) == 0
    box = client.organisation.mailbox(ALICE)
    assert [len(box.folder(name).items) for name in ("drafts", "sentitems")] == [1, 1]
    assert [mail.recipients for mail in client.organisation.outbox] == [("x@out.example",)]


def test_bodies_come_as_asked_for(client: Client) -> None:
    """A text body is given as HTML, an HTML body as text, and either as it is where the client leaves it open."""
    html = client.item(
        create(event('<t:Body BodyType="HTML">&lt;p&gt;one &amp;amp; two&lt;/p&gt;&lt;p&gt;three&lt;/p&gt;</t:Body>'))
    )
    text = client.item(create(event('<t:Body BodyType="Text">1 &lt; 2\nnext</t:Body>')))

    def body(item: object, kind: str) -> tuple[str, str]:
        shape = f"<t:BodyType>{kind}</t:BodyType>"
        found = client.get(id_of(item), "item:Body", shape=shape).find(f"{T}Body")
        return found.get("BodyType"), found.text

    assert body(html, "Best") == ("HTML", "<p>one &amp; two</p><p>three</p>")
    assert body(html, "Text") == ("Text", "one & two\r\nthree")
    assert body(text, "Best") == ("Text", "1 < 2\nnext")
    kind, source = body(text, "HTML")
    assert kind == "HTML"
    assert "1 &lt; 2<br>" in source


def test_mime_content_goes_out_and_comes_in(client: Client) -> None:
    """An event's MIME content is iCalendar with a VTIMEZONE, and an event created from it has the same times and text."""
    first = client.item(
        create(event("<t:Subject>Ünïcode</t:Subject>", after='<t:StartTimeZone Id="Eastern Standard Time"/>'))
    )
    content = client.get(id_of(first), shape="<t:IncludeMimeContent>true</t:IncludeMimeContent>").findtext(
        f"{T}MimeContent"
    )
    calendar = base64.b64decode(content).decode()
    assert "BEGIN:VTIMEZONE" in calendar
    assert "DTSTART;TZID=Eastern Standard Time:20261124T100000" in calendar
    copy = client.item(create(f"<t:CalendarItem><t:MimeContent>{content}</t:MimeContent></t:CalendarItem>"))
    found = client.get(id_of(copy), base="AllProperties")
    assert texts(found, "Subject", "Start", "End") == ["Ünïcode", "2026-11-24T15:00:00Z", "2026-11-24T16:00:00Z"]
    rubbish = base64.b64encode(b"no calendar").decode()
    bad = f"<t:CalendarItem><t:MimeContent>{rubbish}</t:MimeContent></t:CalendarItem>"
    assert client.codes(create(bad)) == ["ErrorMimeContentConversionFailed"]


def test_a_message_goes_in_as_mime(client: Client) -> None:
    """A message created from RFC 822 text has its subject, body and recipients, and gives MIME back."""
    raw = b"From: a@x.example\r\nTo: Bob <b@x.example>\r\nSubject: Hi\r\n\r\nText\r\n"
    content = base64.b64encode(raw).decode()
    made = client.item(
        create(f"<t:Message><t:MimeContent>{content}</t:MimeContent></t:Message>", disposition="SaveOnly", send="")
    )
    found = client.get(id_of(made), base="AllProperties", shape="<t:IncludeMimeContent>true</t:IncludeMimeContent>")
    assert found.findtext(f"{T}Subject") == "Hi"
    assert found.findtext(f"{T}ToRecipients/{T}Mailbox/{T}EmailAddress") == "b@x.example"
    assert b"Subject: Hi" in base64.b64decode(found.findtext(f"{T}MimeContent"))


def test_wrong_item_ids_each_have_their_code(client: Client) -> None:
    """Malformed, empty, a folder's, a gone item's, and a wrong change key: each its own code, in order, beside a good one."""
    item = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "x"})
    gone = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "y"})
    client.organisation.delete_item(gone, "HardDelete")
    folder = item.folder.id
    ids = (
        f'<t:ItemId Id="rubbish"/><t:ItemId Id=""/><t:ItemId Id="{folder}"/><t:ItemId Id="{gone.id}"/>'
        f'<t:ItemId Id="{item.id}" ChangeKey="rubbish"/><t:ItemId Id="{item.id[:-6]}"/><t:ItemId Id="{item.id}"/>'
    )
    assert client.codes(get_item(ids)) == [
        "ErrorInvalidIdMalformed", "ErrorInvalidIdEmpty", "ErrorCannotUseFolderIdForItemId", "ErrorItemNotFound",
        "ErrorInvalidChangeKey", "ErrorInvalidIdMalformed", "NoError",
    ]  # fmt: skip


def test_read_only_properties_cannot_be_written(client: Client) -> None:
    """A property that the server makes by itself is refused in CreateItem, and named."""
    (message,) = client.messages(create("<t:CalendarItem><t:Size>5</t:Size></t:CalendarItem>"))
    assert message.findtext(f"{M}ResponseCode") == "ErrorInvalidPropertySet"
    assert message.find(f"{M}MessageXml")[0].get("FieldURI") == "item:Size"


def test_control_characters_never_reach_a_client(client: Client) -> None:
    """Text that XML cannot hold, from another way into the store, is given as a replacement character."""
    item = client.organisation.create_item(ALICE, "tasks", {"item:Subject": "bell\x07 & \ud800"})
    assert client.get(item.id, "item:Subject").findtext(f"{T}Subject") == "bell\ufffd & \ufffd"


def test_neighbours_in_time_are_counted(client: Client) -> None:
    """ConflictingMeetings are the busy events at the same time, AdjacentMeetings those right before and after."""
    at = datetime(2027, 1, 5, 10, tzinfo=UTC)
    made = {}
    for name, first, last, state in (
        ("me", 10, 11, "Busy"), ("over", 10, 12, "Busy"), ("next", 11, 12, "Busy"), ("free", 10, 11, "Free"),
    ):  # fmt: skip
        made[name] = client.organisation.create_item(
            ALICE, "calendar", {"item:Subject": name, "calendar:Start": at.replace(hour=first),
            "calendar:End": at.replace(hour=last), "calendar:LegacyFreeBusyStatus": state},
        )  # fmt: skip
    item = client.get(made["me"].id, base="AllProperties")
    assert texts(item, "ConflictingMeetingCount", "AdjacentMeetingCount") == ["1", "1"]
    assert item.findtext(f"{T}ConflictingMeetings/{T}CalendarItem/{T}Subject") == "over"
    assert item.findtext(f"{T}AdjacentMeetings/{T}CalendarItem/{T}Subject") == "next"


def test_a_long_subject_is_cut_and_says_so(client: Client) -> None:
    """A subject of 255 UTF-16 units is kept; one of more loses its end to three dots, and no character is cut in two."""
    for given, kept in (
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 252 + "..."),
        ("\N{HOUSE BUILDING}" * 127, "\N{HOUSE BUILDING}" * 127),
        ("x" + "\N{HOUSE BUILDING}" * 128, "x" + "\N{HOUSE BUILDING}" * 125 + "..."),
    ):
        item = client.item(create(event(f"<t:Subject>{given}</t:Subject>")))
        assert client.get(id_of(item), "item:Subject").findtext(f"{T}Subject") == kept
