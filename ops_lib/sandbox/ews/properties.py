"""Every property of every kind of item and folder: element, FieldURI, type, shapes, in the order the schema demands.

A row is: element, FieldURI, type, shape, flags. Shape ``D`` is in Default and AllProperties, ``A`` in AllProperties only, ``-`` on
request only. Flag ``w``: a client may write it; ``g``: only GetItem gives it, FindItem and SyncFolderItems do not.
Everything that answers, checks and writes properties works from these tables, so that their order is right by construction.

Source: types.xsd; Microsoft's "Property sets and response shapes in EWS in Exchange".
"""

from __future__ import annotations

from dataclasses import dataclass

from .meeting_properties import CANCELLATION, MEETING, REQUEST, RESPONSE

_ITEM = """
MimeContent                  item:MimeContent                 mime            - wg
ItemId                       item:ItemId                      id              D -
ParentFolderId               item:ParentFolderId              computed        A -
ItemClass                    item:ItemClass                   string          A w
Subject                      item:Subject                     string          D w
Sensitivity                  item:Sensitivity                 Sensitivity     D w
Body                         item:Body                        body            A wg
Attachments                  item:Attachments                 computed        D g
DateTimeReceived             item:DateTimeReceived            computed        A -
Size                         item:Size                        computed        A -
Categories                   item:Categories                  strings         A w
Importance                   item:Importance                  Importance      A w
InReplyTo                    item:InReplyTo                   string          A w
IsSubmitted                  item:IsSubmitted                 computed        A -
IsDraft                      item:IsDraft                     computed        A -
IsFromMe                     item:IsFromMe                    computed        A -
IsResend                     item:IsResend                    computed        A -
IsUnmodified                 item:IsUnmodified                computed        A -
InternetMessageHeaders       item:InternetMessageHeaders      computed        - -
DateTimeSent                 item:DateTimeSent                computed        A -
DateTimeCreated              item:DateTimeCreated             computed        A -
ResponseObjects              item:ResponseObjects             computed        D g
ReminderDueBy                item:ReminderDueBy               dateTime        A w
ReminderIsSet                item:ReminderIsSet               boolean         A w
ReminderNextTime             item:ReminderNextTime            computed        - -
ReminderMinutesBeforeStart   item:ReminderMinutesBeforeStart  int             A w
DisplayCc                    item:DisplayCc                   computed        A -
DisplayTo                    item:DisplayTo                   computed        A -
DisplayBcc                   item:DisplayBcc                  computed        - -
HasAttachments               item:HasAttachments              computed        D -
ExtendedProperty             -                                extended        - w
Culture                      item:Culture                     string          A w
EffectiveRights              item:EffectiveRights             computed        A -
LastModifiedName             item:LastModifiedName            computed        A -
LastModifiedTime             item:LastModifiedTime            computed        A -
IsAssociated                 item:IsAssociated                computed        D -
WebClientReadFormQueryString item:WebClientReadFormQueryString computed       A -
WebClientEditFormQueryString item:WebClientEditFormQueryString computed       A -
ConversationId               item:ConversationId              computed        A -
UniqueBody                   item:UniqueBody                  computed        - g
Flag                         item:Flag                        Flag            - w
InstanceKey                  item:InstanceKey                 computed        - -
NormalizedBody               item:NormalizedBody              computed        - g
Preview                      item:Preview                     computed        - -
TextBody                     item:TextBody                    computed        - g
IconIndex                    item:IconIndex                   computed        - -
"""
_CALENDAR = """
UID                          calendar:UID                     string          A w
RecurrenceId                 calendar:RecurrenceId            computed        A -
DateTimeStamp                calendar:DateTimeStamp           computed        A -
Start                        calendar:Start                   dateTime        D w
End                          calendar:End                     dateTime        D w
OriginalStart                calendar:OriginalStart           computed        A -
IsAllDayEvent                calendar:IsAllDayEvent           boolean         A w
LegacyFreeBusyStatus         calendar:LegacyFreeBusyStatus    FreeBusy        D w
Location                     calendar:Location                string          D w
When                         calendar:When                    string          - w
IsMeeting                    calendar:IsMeeting               computed        A -
IsCancelled                  calendar:IsCancelled             computed        A -
IsRecurring                  calendar:IsRecurring             computed        A -
MeetingRequestWasSent        calendar:MeetingRequestWasSent   computed        A -
IsResponseRequested          calendar:IsResponseRequested     boolean         A w
CalendarItemType             calendar:CalendarItemType        computed        D -
MyResponseType               calendar:MyResponseType          computed        A -
Organizer                    calendar:Organizer               recipient       D -
RequiredAttendees            calendar:RequiredAttendees       attendees       A wg
OptionalAttendees            calendar:OptionalAttendees       attendees       A wg
Resources                    calendar:Resources               attendees       A wg
ConflictingMeetingCount      calendar:ConflictingMeetingCount computed        A g
AdjacentMeetingCount         calendar:AdjacentMeetingCount    computed        A g
ConflictingMeetings          calendar:ConflictingMeetings     computed        A g
AdjacentMeetings             calendar:AdjacentMeetings        computed        A g
Duration                     calendar:Duration                computed        A -
TimeZone                     calendar:TimeZone                computed        A -
AppointmentReplyTime         calendar:AppointmentReplyTime    dateTime        A -
AppointmentSequenceNumber    calendar:AppointmentSequenceNumber computed      A -
AppointmentState             calendar:AppointmentState        computed        A -
Recurrence                   calendar:Recurrence              recurrence      A wg
FirstOccurrence              calendar:FirstOccurrence         computed        A g
LastOccurrence               calendar:LastOccurrence          computed        A g
ModifiedOccurrences          calendar:ModifiedOccurrences     computed        A g
DeletedOccurrences           calendar:DeletedOccurrences      computed        A g
MeetingTimeZone              calendar:MeetingTimeZone         meetingzone     - w
StartTimeZone                calendar:StartTimeZone           zone            A w
EndTimeZone                  calendar:EndTimeZone             zone            A w
ConferenceType               calendar:ConferenceType          int             A w
AllowNewTimeProposal         calendar:AllowNewTimeProposal    boolean         A w
IsOnlineMeeting              calendar:IsOnlineMeeting         boolean         A w
MeetingWorkspaceUrl          calendar:MeetingWorkspaceUrl     string          A w
NetShowUrl                   calendar:NetShowUrl              string          A w
StartWallClock               calendar:StartWallClock          computed        - -
EndWallClock                 calendar:EndWallClock            computed        - -
StartTimeZoneId              calendar:StartTimeZoneId         computed        - -
EndTimeZoneId                calendar:EndTimeZoneId           computed        - -
IsOrganizer                  calendar:IsOrganizer             computed        - -
"""
_TASK = """
ActualWork                   task:ActualWork                  int             A w
AssignedTime                 task:AssignedTime                dateTime        A -
BillingInformation           task:BillingInformation          string          A w
ChangeCount                  task:ChangeCount                 computed        A -
Companies                    task:Companies                   strings         A w
CompleteDate                 task:CompleteDate                date            A w
Contacts                     task:Contacts                    strings         A w
DelegationState              task:DelegationState             computed        - -
Delegator                    task:Delegator                   string          A -
DueDate                      task:DueDate                     date            D w
IsAssignmentEditable         task:IsAssignmentEditable        computed        - -
IsComplete                   task:IsComplete                  computed        A -
IsRecurring                  task:IsRecurring                 computed        A -
IsTeamTask                   task:IsTeamTask                  computed        - -
Mileage                      task:Mileage                     string          A w
Owner                        task:Owner                       string          A w
PercentComplete              task:PercentComplete             double          D w
Recurrence                   task:Recurrence                  taskrecurrence  A wg
StartDate                    task:StartDate                   date            D w
Status                       task:Status                      TaskStatus      D w
StatusDescription            task:StatusDescription           computed        A -
TotalWork                    task:TotalWork                   int             A w
"""
_MESSAGE = """
Sender                       message:Sender                   recipient       D w
ToRecipients                 message:ToRecipients             recipients      D wg
CcRecipients                 message:CcRecipients             recipients      D wg
BccRecipients                message:BccRecipients            recipients      D wg
IsReadReceiptRequested       message:IsReadReceiptRequested   boolean         D w
IsDeliveryReceiptRequested   message:IsDeliveryReceiptRequested boolean       D w
ConversationIndex            message:ConversationIndex        computed        - -
ConversationTopic            message:ConversationTopic        computed        A -
From                         message:From                     recipient       D w
InternetMessageId            message:InternetMessageId        string          A w
IsRead                       message:IsRead                   boolean         D w
IsResponseRequested          message:IsResponseRequested      boolean         A w
References                   message:References               string          A w
ReplyTo                      message:ReplyTo                  recipients      A wg
ReceivedBy                   message:ReceivedBy               recipient       A -
ReceivedRepresenting         message:ReceivedRepresenting     recipient       A -
"""
_POST = """
ConversationTopic            message:ConversationTopic        computed        A -
From                         message:From                     recipient       D w
InternetMessageId            message:InternetMessageId        string          A -
IsRead                       message:IsRead                   boolean         D w
PostedTime                   postitem:PostedTime              computed        A -
Sender                       message:Sender                   recipient       A -
"""
_CONTACT = """
FileAs                       contacts:FileAs                  string          D w
FileAsMapping                contacts:FileAsMapping           FileAsMapping   A w
DisplayName                  contacts:DisplayName             string          A w
GivenName                    contacts:GivenName               string          A w
Initials                     contacts:Initials                string          A w
MiddleName                   contacts:MiddleName              string          A w
Nickname                     contacts:Nickname                string          A w
CompanyName                  contacts:CompanyName             string          D w
EmailAddresses               contacts:EmailAddresses          emails          D w
PhysicalAddresses            contacts:PhysicalAddresses       addresses       D w
PhoneNumbers                 contacts:PhoneNumbers            phones          D w
AssistantName                contacts:AssistantName           string          A w
Birthday                     contacts:Birthday                dateTime        A w
BusinessHomePage             contacts:BusinessHomePage        string          A w
Children                     contacts:Children                strings         A w
Companies                    contacts:Companies               strings         A w
Department                   contacts:Department              string          A w
Generation                   contacts:Generation              string          A w
ImAddresses                  contacts:ImAddresses             ims             D w
JobTitle                     contacts:JobTitle                string          D w
Manager                      contacts:Manager                 string          A w
Mileage                      contacts:Mileage                 string          A w
OfficeLocation               contacts:OfficeLocation          string          A w
PostalAddressIndex           contacts:PostalAddressIndex      PostalAddress   A w
Profession                   contacts:Profession              string          A w
SpouseName                   contacts:SpouseName              string          A w
Surname                      contacts:Surname                 string          A w
WeddingAnniversary           contacts:WeddingAnniversary      dateTime        A w
HasPicture                   contacts:HasPicture              computed        A -
"""
_FOLDER = """
FolderId                     folder:FolderId                  id              D -
ParentFolderId               folder:ParentFolderId            computed        A -
FolderClass                  folder:FolderClass               string          A w
DisplayName                  folder:DisplayName               string          D w
TotalCount                   folder:TotalCount                computed        D -
ChildFolderCount             folder:ChildFolderCount          computed        D -
ExtendedProperty             -                                extended        - w
EffectiveRights              folder:EffectiveRights           computed        A -
DistinguishedFolderId        folder:DistinguishedFolderId     computed        A -
"""
_PERMISSIONS = "PermissionSet folder:PermissionSet permissions - w\n"
_SHARING = "SharingEffectiveRights folder:SharingEffectiveRights computed - -\n"
_UNREAD = "UnreadCount folder:UnreadCount computed D -\n"

#: allowed values of the enumerations, the name of their type in the schema, by our name of the type
ENUMERATIONS: dict[str, tuple[str, frozenset[str]]] = {
    name: (schema, frozenset(values.split()))
    for name, schema, values in (
        ("Sensitivity", "SensitivityChoicesType", "Normal Personal Private Confidential"),
        ("Importance", "ImportanceChoicesType", "Low Normal High"),
        ("FreeBusy", "LegacyFreeBusyType", "Free Tentative Busy OOF WorkingElsewhere NoData"),
        ("TaskStatus", "TaskStatusType", "NotStarted InProgress Completed WaitingOnOthers Deferred"),
        ("PostalAddress", "PhysicalAddressIndexType", "None Business Home Other"),
        (
            "FileAsMapping",
            "FileAsMappingType",
            "None LastCommaFirst FirstSpaceLast Company LastCommaFirstCompany CompanyLastFirst LastFirst "
            "LastFirstCompany CompanyLastCommaFirst LastFirstSuffix LastSpaceFirstCompany CompanyLastSpaceFirst "
            "LastSpaceFirst DisplayName FirstName LastFirstMiddleSuffix LastName Empty",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Property:
    """One row of the tables. ``order`` is its place among the elements of its class."""

    element: str
    uri: str
    kind: str
    shape: str
    writable: bool
    get_only: bool
    order: int


def _table(text: str) -> tuple[Property, ...]:
    rows = []
    for order, line in enumerate(text.strip().splitlines()):
        element, uri, kind, shape, flags = line.split()
        rows.append(Property(element, uri, kind, shape, "w" in flags, "g" in flags, order))
    return tuple(rows)


ITEM_CLASSES: dict[str, tuple[Property, ...]] = {
    "Item": _table(_ITEM),
    "CalendarItem": _table(_ITEM + _CALENDAR.lstrip()),
    "Task": _table(_ITEM + _TASK.lstrip()),
    "Message": _table(_ITEM + _MESSAGE.lstrip()),
    "PostItem": _table(_ITEM + _POST.lstrip()),
    "Contact": _table(_ITEM + _CONTACT.lstrip()),
    "MeetingRequest": _table(_ITEM + _MESSAGE.lstrip() + MEETING.lstrip() + REQUEST.lstrip()),
    "MeetingResponse": _table(_ITEM + _MESSAGE.lstrip() + MEETING.lstrip() + RESPONSE.lstrip()),
    "MeetingCancellation": _table(_ITEM + _MESSAGE.lstrip() + MEETING.lstrip() + CANCELLATION.lstrip()),
}
FOLDER_CLASSES: dict[str, tuple[Property, ...]] = {
    "Folder": _table(_FOLDER + _PERMISSIONS + _UNREAD),
    "TasksFolder": _table(_FOLDER + _PERMISSIONS + _UNREAD),
    "SearchFolder": _table(_FOLDER + _PERMISSIONS + _UNREAD),
    "CalendarFolder": _table(_FOLDER + _SHARING + _PERMISSIONS),
    "ContactsFolder": _table(_FOLDER + _SHARING + _PERMISSIONS),
}
#: by class, then by FieldURI; and by class, then by element
BY_URI = {
    name: {row.uri: row for row in rows if row.uri != "-"} for name, rows in (ITEM_CLASSES | FOLDER_CLASSES).items()
}
BY_ELEMENT = {name: {row.element: row for row in rows} for name, rows in (ITEM_CLASSES | FOLDER_CLASSES).items()}

#: every FieldURI of the schema that is about items or folders, whether any class here has it or not
_PREFIXES = frozenset(
    [
        "folder",
        "item",
        "message",
        "sharingMessage",
        "meeting",
        "meetingRequest",
        "calendar",
        "task",
        "contacts",
        "distributionlist",
        "postitem",
        "conversation",
        "person",
        "persona",
        "rolemember",
        "network",
        "abchperson",
        "booking",
        "insight",
    ]
)


#: which property a dictionary's entry belongs to
INDEXED = {
    "contacts:EmailAddress": "contacts:EmailAddresses",
    "contacts:PhoneNumber": "contacts:PhoneNumbers",
    "contacts:ImAddress": "contacts:ImAddresses",
    "item:InternetMessageHeader": "item:InternetMessageHeaders",
    "distributionlist:Members:Member": "distributionlist:Members",
} | {
    f"contacts:PhysicalAddress:{part}": "contacts:PhysicalAddresses"
    for part in ("Street", "City", "State", "CountryOrRegion", "PostalCode")
}


def is_field_uri(uri: str) -> bool:
    """Whether this may be a FieldURI at all: one of a class we know, or of another class of the schema."""
    prefix, colon, name = uri.partition(":")
    if prefix in ("item", "folder", "calendar", "task"):
        return uri in _KNOWN
    return bool(colon) and prefix in _PREFIXES and name.isidentifier()


#: in the schema, and of nothing that a mailbox here holds
_ELSEWHERE = (
    "folder:SearchParameters folder:ManagedFolderInformation folder:PolicyTag folder:ArchiveTag folder:ReplicaList "
    "folder:UnreadCount folder:SharingEffectiveRights folder:PermissionSet "
    "item:StoreEntryId item:EntityExtractionResult item:PolicyTag item:ArchiveTag item:RetentionDate "
    "item:PredictedActionReasons item:IsClutter item:RightsManagementLicenseData item:BlockStatus item:HasBlockedImages "
    "item:MimeContentUTF8 item:Mentions item:MentionedMe item:MentionsPreview item:MentionsEx item:Hashtags "
    "item:AppliedHashtags item:AppliedHashtagsPreview item:Likes item:LikesPreview item:PendingSocialActivityTagIds "
    "item:AtAllMention item:CanDelete item:InferenceClassification item:FirstBody calendar:EnhancedLocation "
    "calendar:InboxReminders calendar:JoinOnlineMeetingUrl calendar:OnlineMeetingSettings calendar:CalendarActivityData "
    "calendar:DoNotForwardMeeting"
)
_KNOWN = frozenset(_ELSEWHERE.split()) | {uri for rows in BY_URI.values() for uri in rows}
