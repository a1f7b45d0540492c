"""The properties of the messages about meetings, behind those of every message. How a row is read: see ``properties``."""

from __future__ import annotations

MEETING = """
AssociatedCalendarItemId     meeting:AssociatedCalendarItemId computed        D -
IsDelegated                  meeting:IsDelegated              computed        D -
IsOutOfDate                  meeting:IsOutOfDate              computed        D -
HasBeenProcessed             meeting:HasBeenProcessed         computed        D -
ResponseType                 meeting:ResponseType             computed        D -
UID                          calendar:UID                     string          A -
RecurrenceId                 calendar:RecurrenceId            computed        A -
DateTimeStamp                calendar:DateTimeStamp           computed        A -
IsOrganizer                  calendar:IsOrganizer             computed        - -
"""
REQUEST = """
MeetingRequestType           meetingRequest:MeetingRequestType computed       D -
IntendedFreeBusyStatus       meetingRequest:IntendedFreeBusyStatus FreeBusy   D -
Start                        calendar:Start                   dateTime        D -
End                          calendar:End                     dateTime        D -
OriginalStart                calendar:OriginalStart           computed        A -
IsAllDayEvent                calendar:IsAllDayEvent           boolean         A -
LegacyFreeBusyStatus         calendar:LegacyFreeBusyStatus    FreeBusy        D -
Location                     calendar:Location                string          D -
When                         calendar:When                    string          - -
IsMeeting                    calendar:IsMeeting               computed        A -
IsCancelled                  calendar:IsCancelled             computed        A -
IsRecurring                  calendar:IsRecurring             computed        A -
MeetingRequestWasSent        calendar:MeetingRequestWasSent   computed        A -
CalendarItemType             calendar:CalendarItemType        computed        D -
MyResponseType               calendar:MyResponseType          computed        A -
Organizer                    calendar:Organizer               recipient       D -
RequiredAttendees            calendar:RequiredAttendees       attendees       A g
OptionalAttendees            calendar:OptionalAttendees       attendees       A g
Resources                    calendar:Resources               attendees       A g
ConflictingMeetingCount      calendar:ConflictingMeetingCount computed        A g
AdjacentMeetingCount         calendar:AdjacentMeetingCount    computed        A g
ConflictingMeetings          calendar:ConflictingMeetings     computed        - g
AdjacentMeetings             calendar:AdjacentMeetings        computed        - g
Duration                     calendar:Duration                computed        A -
TimeZone                     calendar:TimeZone                computed        A -
AppointmentReplyTime         calendar:AppointmentReplyTime    dateTime        A -
AppointmentSequenceNumber    calendar:AppointmentSequenceNumber computed      A -
AppointmentState             calendar:AppointmentState        computed        A -
Recurrence                   calendar:Recurrence              recurrence      A g
FirstOccurrence              calendar:FirstOccurrence         computed        A g
LastOccurrence               calendar:LastOccurrence          computed        A g
ModifiedOccurrences          calendar:ModifiedOccurrences     computed        A g
DeletedOccurrences           calendar:DeletedOccurrences      computed        A g
MeetingTimeZone              calendar:MeetingTimeZone         computed        - -
StartTimeZone                calendar:StartTimeZone           zone            A -
EndTimeZone                  calendar:EndTimeZone             zone            A -
ConferenceType               calendar:ConferenceType          int             A -
AllowNewTimeProposal         calendar:AllowNewTimeProposal    boolean         A -
IsOnlineMeeting              calendar:IsOnlineMeeting         boolean         A -
MeetingWorkspaceUrl          calendar:MeetingWorkspaceUrl     string          A -
NetShowUrl                   calendar:NetShowUrl              string          A -
StartWallClock               calendar:StartWallClock          computed        - -
EndWallClock                 calendar:EndWallClock            computed        - -
StartTimeZoneId              calendar:StartTimeZoneId         computed        - -
EndTimeZoneId                calendar:EndTimeZoneId           computed        - -
"""
_WHEN_AND_WHERE = """
Start                        calendar:Start                   dateTime        A -
End                          calendar:End                     dateTime        A -
Location                     calendar:Location                string          A -
Recurrence                   calendar:Recurrence              recurrence      - g
CalendarItemType             calendar:CalendarItemType        computed        A -
"""
CANCELLATION = _WHEN_AND_WHERE
RESPONSE = (
    _WHEN_AND_WHERE
    + """
ProposedStart                meeting:ProposedStart            dateTime        A -
ProposedEnd                  meeting:ProposedEnd              dateTime        A -
""".lstrip()
)
