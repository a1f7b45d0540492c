"""What may stay of XML: SOAP of EWS, and Autodiscover. Element by element; a new tree is built of what is known, nothing is cut out of the old.

Kept are response codes, flags, times, counts, enumerations, classes and the names of elements that are known. Whatever else an element or an
attribute holds gets its stand-in, and an element of another vocabulary loses its name as well.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree
from tzlocal.windows_tz import win_tz

from ops_lib.errors import MailboxError
from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.ews.folder_rights import RIGHTS_TAG
from ops_lib.mailbox.ews.sending_probes import MARK_NAME, SUBJECT
from ops_lib.mailbox.traffic import words
from ops_lib.mailbox.traffic.standins import ADDRESS, GUID, StandIns, is_address_of_web, listed
from ops_lib.mailbox.traffic.web import url

Element = Any

_NAMESPACES = re.compile(
    r"http://schemas\.microsoft\.com/exchange/(?:services/2006/(?:messages|types|errors)|2010/Autodiscover|"
    r"autodiscover/(?:outlook/|mobilesync/)?(?:requestschema|responseschema)/2006a?)|"
    r"http://schemas\.xmlsoap\.org/soap/envelope/|http://www\.w3\.org/2003/05/soap-envelope|http://www\.w3\.org/2005/08/addressing"
)

_PREFIX = re.compile(r"[a-z]|soap|soapenv|SOAP(?:-ENV)?")

ENUMERATIONS = listed(
    """
    true false True False Success Warning Error NoError IdOnly Default AllProperties HTML Text Best Shallow Deep SoftDeleted Associated
    Single Occurrence Exception RecurringMaster Free Tentative Busy OOF WorkingElsewhere NoData Normal Personal Private Confidential
    Low High SMTP EX Mailbox PublicDL PrivateDL Contact PublicFolder Unknown OneOff GroupMailbox None Owner PublishingEditor Editor
    PublishingAuthor Author NoneditingAuthor Reviewer Contributor FolderVisible FreeBusyTimeOnly FreeBusyTimeAndSubjectAndLocation Custom
    FullDetails TimeOnly TimeAndSubjectAndLocation All Owned Anonymous Accept Decline NoResponseReceived Organizer NotStarted InProgress
    Completed WaitingOnOthers Deferred Monday Tuesday Wednesday Thursday Friday Saturday Sunday Day Weekday WeekendDay First Second Third
    Fourth Last January February March April May June July August September October November December Beginning End SaveOnly SendOnly
    SendAndSaveCopy SendToNone MoveToDeletedItems HardDelete SoftDelete NeverOverwrite AutoResolve AlwaysOverwrite ActiveDirectory
    ActiveDirectoryContacts Contacts ContactsActiveDirectory Integer String Boolean SystemTime Binary Double Long Short CLSID StringArray
    Appointment Task Meeting Common Address InternetHeaders PublicStrings Sharing CalendarAssistant UnifiedMessaging IPF.Appointment IPF.Task
    IPF.Note IPF.Contact IPF.Journal IPF.StickyNote IPF IPM.Appointment IPM.Task IPM.Note IPM.Schedule.Meeting.Request
    IPM.Schedule.Meeting.Canceled email settings redirectAddr redirectUrl EXCH EXPR WEB EXHTTP On Off Ntlm Basic Kerb Negotiate Ssl
    ExternalEwsUrl InternalEwsUrl ExternalEwsVersion EwsSupportedSchemas RedirectAddress RedirectUrl InvalidUser InvalidRequest SettingIsNotAvailable
    StringSetting UserSetting NewMail Created Deleted Modified Moved Copied FreeBusyChanged
    """
)
"""Values of the schemas' enumerations. What is none of them is not kept, whatever its element promises."""

_CALENDAR = listed(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September October November December"
)
_OF_CALENDAR = listed("Month DaysOfWeek FirstDayOfWeek DayOfWeek")
"""Days and months are people's names as well: they stay only where a recurrence has them."""

DISTINGUISHED = listed(
    "calendar contacts deleteditems drafts inbox journal notes outbox sentitems tasks msgfolderroot publicfoldersroot root junkemail "
    "searchfolders voicemail archiveroot recoverableitemsroot"
)
FOLDER_NAMES = listed(
    "Calendar Kalender Calendrier Calendario Agenda Kalenteri Kalendář Kalendarz Календарь Календар 予定表 日历 Tasks Aufgaben Tâches Tareas "
    "Attività Tarefas Taken Opgaver Uppgifter Oppgaver Tehtävät Úkoly Zadania Задачи Завдання 仕事 タスク 任务"
)
"""What Exchange itself calls the default folders; what somebody else called one is replaced."""

_TIMES = listed(
    "Start End OriginalStart DueDate StartDate EndDate CompleteDate LastModifiedTime DateTimeCreated DateTimeReceived DateTimeSent DateTimeStamp "
    "ReminderDueBy RecurrenceId AppointmentReplyTime StartWallClock EndWallClock ProposedStart ProposedEnd TimeStamp StartTime EndTime"
)
_TIME = re.compile(r"-?\d{4}-\d\d-\d\d(?:Z|[+-]\d\d:?\d\d|T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_COUNTS = listed(
    "TotalCount ChildFolderCount UnreadCount LineNumber LinePosition DescriptiveLinkKey MaxChangesReturned ReminderMinutesBeforeStart PercentComplete "
    "Size NumberOfOccurrences Interval DayOfMonth InstanceIndex AppointmentSequenceNumber AppointmentState ConflictingMeetingCount "
    "AdjacentMeetingCount ChangeCount ErrorCode BackOffMilliseconds Timeout TTL Port"
)
_COUNT = re.compile(r"-?\d{1,9}")
_WORDED = listed(
    "MessageText faultstring Text Reason Message Violation DebugData ErrorMessage InnerErrorMessageText Details"
)
_CODED = listed("ResponseCode faultcode Value Code InnerErrorResponseCode Subcode")
_CODE = re.compile(
    r"(?:[A-Za-z]\w{0,12}:)?(?:Error[A-Z][A-Za-z]{2,60}|NoError|Client|Server|Receiver|Sender|MustUnderstand|VersionMismatch)(?:\.[A-Z][A-Za-z]{2,40})?"
)
_NAMED = listed("Name DisplayName EmailAddressName CompanyName Location")
_FREE = listed(
    "Subject Body Location UniqueBody TextBody NormalizedBody Preview Categories String Culture UnresolvedEntry UID DisplayTo DisplayCc "
    "ConversationTopic When Value Companies Mileage"
)
_OPAQUE = listed("SyncState Watermark SubscriptionId ConversationIndex GlobalObjectId CleanGlobalObjectId SearchKey")
_HOSTS = listed("Server PublicFolderServer AD OOFServer CertPrincipalName InternalEcpServer")
_SERVER_VERSION = re.compile(r"[0-9A-F]{8}")

_SHAPES = {
    "ResponseClass": re.compile("Success|Warning|Error"),
    "FieldURI": re.compile(r"[a-z]{3,12}:[A-Za-z0-9]{1,50}"),
    "PropertyTag": re.compile(r"0x[0-9a-fA-F]{1,8}|\d{1,5}"),
    "PropertyId": re.compile(r"\d{1,6}"),
    "Version": re.compile(r"Exchange20\d\d(?:_SP\d)?|V\d{1,4}_\d\d_\d\d|V20\d\d_\w{1,12}|Exchange2007"),
    "Schema": re.compile(r"V\d{1,4}_\d\d_\d\d"),
}
_COUNT_ATTRIBUTES = re.compile(
    r"(?:Major|Minor)(?:Version|BuildNumber)|TotalItemsInView|IndexedPagingOffset|NumeratorOffset|AbsoluteDenominator|Offset|MaxEntriesReturned|"
    r"InstanceIndex|TotalOccurrences"
)
_VALUE_NAMES = listed(
    "BackOffMilliseconds Primary PrimarySmtpAddress InnerErrorResponseCode InnerErrorMessageText InnerErrorDescriptiveLinkKey "
    "ProtocolVersion Policy Limit"
)
_PROPERTY_NAMES = frozenset({STAMP_NAME, MARK_NAME})


def scrubbed(content: bytes, stand_ins: StandIns) -> str | None:
    """The documents with what may stay; None for what is no XML of EWS or Autodiscover."""
    try:
        roots = answers.parse(content, "")
    except MailboxError:
        return None
    if not roots or any(_vocabulary(root) is None for root in roots):
        return None
    return "".join(etree.tostring(_copied(root, None, stand_ins), encoding="unicode") for root in roots)


def _vocabulary(element: Element) -> str | None:
    namespace = etree.QName(element).namespace or ""
    return namespace if _NAMESPACES.fullmatch(namespace) else None


def _copied(element: Element, parent: Element | None, stand_ins: StandIns) -> Element:
    """The element with what may stay, put into ``parent``."""
    name = etree.QName(element).localname
    namespace = etree.QName(element).namespace
    if namespace and _NAMESPACES.fullmatch(namespace):
        tag = f"{{{namespace}}}{name}"
    elif not namespace and name in ("faultcode", "faultstring", "faultactor", "detail"):
        tag = name
    else:
        tag, name = "replaced", "replaced"
    if tag != "replaced" and (not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,60}", name) or not _is_word_of_schema(name)):
        tag = f"{{{namespace}}}Replaced" if namespace else "replaced"
        stand_ins.text(name)
    attributes = _attributes(element, name, stand_ins)
    spaces = {
        prefix: space
        for prefix, space in element.nsmap.items()
        if _NAMESPACES.fullmatch(space) and (prefix is None or _PREFIX.fullmatch(prefix))
    }
    copy = (
        etree.Element(tag, attributes, spaces) if parent is None else etree.SubElement(parent, tag, attributes, spaces)
    )
    text = element.text or ""
    parts = [part for part in element if isinstance(part.tag, str)]
    if text.strip():
        copy.text = _text(element, name, text.strip(), stand_ins)
    for part in parts:
        _copied(part, copy, stand_ins)
        if (part.tail or "").strip():
            stand_ins.text(part.tail)
    return copy


_SCHEMA_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+")


def _is_word_of_schema(name: str) -> bool:
    """Whether a name is put together of words that schemas use. A server that puts a name into an element's name is not known; nor need it be."""
    return all(
        piece.isdigit() or piece.lower() in _SCHEMA_WORDS or words.is_known(piece)
        for piece in _SCHEMA_PIECES.findall(name)
    )


_SCHEMA_WORDS = listed(
    """
    auto discover smtp sid uri url id ids xml soap uid utc oof dn mdb ttl ssl spn rpc ews asurl as ecp oab um photo group sharing pop imap deployment
    deleted items item root meeting resp appointment recur recurrence recurring occurrence daily weekly monthly yearly absolute relative
    regenerating numbered pattern days day week weeks weekday month interval first modified created moved copied status importance
    sensitivity preview reminder minutes before due by has attachments attachment file content inline received sent created culture
    display cc to bcc required optional resource attendee attendees conflicting adjacent organizer legacy free busy count sequence state
    allow new time proposal wall clock net show link meeting workspace duration zone zones bias period periods transition transitions
    daylight standard definition definitions percent complete total billing mileage owner team assigned delegation delegator stamp folder
    class parent child children unread managed effective contents hierarchy associated view private permission permissions set can edit
    create sub delete read visible level distinguished public root mailbox email address addresses routing entry unresolved resolution
    contact data includes last range offset paging indexed fractional point constant field extended property guid tag value values array
    restriction not and or is equal than greater less exists contains sort order traversal shape base additional body type max changes
    returned sync ignore scope normal message messages response responses line position descriptive key fault detail inner impersonation
    impersonate connecting principal context server version info major minor build number schema available free busy options suggestions
    merged window start end autodiscover accept account action protocol redirect user domain auth package login internal external error
    debug name names request requested setting settings string header original invitation flag categories change keep update updates
    forwarded associated saved reply forward draft submitted resend unmodified suppress receipt conversation index topic thread instance
    full search member members members dl photos street city country postal phone numbers company department job title office business
    home birthday manager assistant given surname initials nickname notification events event watermark subscription heartbeat previous
    get resolve find unsubscribe subscribe expand convert archive mark send move remove empty play apply export upload load text faultcode
    faultstring faultactor street fault names unknown request rooms room lists service configuration tips oof settings hold search
    more streaming pull push replaced wml appt access right rights reply node ad ecm subject mime importance responded external audience
    """
)


def _attributes(element: Element, name: str, stand_ins: StandIns) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in element.attrib.items():
        if "}" in key or key == "type":
            continue  # xsi:type, xsi:nil and the like: nobody reads them
        shown = _attribute(name, key, value, stand_ins)
        if shown is not None:
            kept[key] = shown
    return kept


def _attribute(element: str, key: str, value: str, stand_ins: StandIns) -> str | None:
    shape = _SHAPES.get(key)
    if shape is not None:
        return value if shape.fullmatch(value) else None
    if _COUNT_ATTRIBUTES.fullmatch(key):
        return value if _COUNT.fullmatch(value) else None
    if key == "Id" and element.endswith("DistinguishedFolderId"):
        return value if value.lower() in DISTINGUISHED else stand_ins.opaque(value)
    if key in ("Id", "Name") and "TimeZone" in element:
        return value if value in win_tz or value == "UTC" else stand_ins.text(value)
    if key in ("StartDate", "EndDate"):
        return value if _TIME.fullmatch(value) else None
    if key == "PropertySetId":
        return value if value.lower() == STAMP_PROPERTY_SET else stand_ins.guid(value)
    if key == "PropertyName":
        return value if value in _PROPERTY_NAMES else stand_ins.text(value)
    if key == "Name" and element == "Value":
        return value if value in _VALUE_NAMES else stand_ins.text(value)
    if key.endswith(("Id", "ChangeKey")):
        return stand_ins.opaque(value)
    if value in ENUMERATIONS:
        return value
    if key in ("Value", "Name"):
        return value if value == SUBJECT else _anything(value, stand_ins)
    return None


def _text(element: Element, name: str, text: str, stand_ins: StandIns) -> str:
    if name == "Value" and element.get("Name"):
        return _named_value(element.get("Name"), text, stand_ins)
    if name == "Value" and _is_extended(element):
        return _extended(element, text, stand_ins)
    if name in _CODED and _CODE.fullmatch(text):
        return text
    if name == "EwsSupportedSchemas" or (name == "Name" and text in ENUMERATIONS):
        return (
            text
            if re.fullmatch(r"[\w, ]{1,200}", text) and words.plain(text, stand_ins) == text
            else stand_ins.text(text)
        )
    if name in _WORDED or name in _CODED:
        return words.plain(text, stand_ins)
    if name == "DistinguishedFolderId" and text.lower() in DISTINGUISHED:
        return text
    if name.endswith("TimeZoneId") or (name == "Id" and text in win_tz):
        return text if text in win_tz or text == "UTC" else stand_ins.text(text)
    if name in _OPAQUE:
        return stand_ins.opaque(text, "sync state" if name == "SyncState" else "id")
    if name in _TIMES and _TIME.fullmatch(text):
        return text
    if name in _COUNTS and _COUNT.fullmatch(text):
        return text
    if name == "DisplayName" and text in FOLDER_NAMES:
        return text
    if name == "AcceptableResponseSchema" and _NAMESPACES.fullmatch(text):
        return text
    if name == "ServerVersion" and _SERVER_VERSION.fullmatch(text):
        return text
    if name in _HOSTS:
        return stand_ins.host(text)
    if name == "UnresolvedEntry":
        prefix, colon, rest = text.partition(":")
        return (
            f"smtp:{_anything(rest, stand_ins)}" if colon and prefix.lower() == "smtp" else _anything(text, stand_ins)
        )
    if name in _NAMED:
        return stand_ins.name(text)
    if name == "Subject" and text == SUBJECT:
        return text
    if name in _FREE and not ADDRESS.fullmatch(text):
        return _anything(text, stand_ins) if name == "Value" else stand_ins.text(text)
    if all(each in ENUMERATIONS for each in text.split()) and (
        name in _OF_CALENDAR or not _CALENDAR & set(text.split())
    ):
        return text
    return _anything(text, stand_ins)


def _anything(text: str, stand_ins: StandIns) -> str:
    """The stand-in for what may be of any shape."""
    if GUID.fullmatch(text):
        return stand_ins.guid(text)
    if is_address_of_web(text):
        return url(text, stand_ins)
    if ADDRESS.fullmatch(text):
        return stand_ins.address(text)
    return stand_ins.text(text)


def _named_value(name: str, text: str, stand_ins: StandIns) -> str:
    if name in ("BackOffMilliseconds", "InnerErrorDescriptiveLinkKey", "Limit") and _COUNT.fullmatch(text):
        return text
    if name == "InnerErrorResponseCode" and _CODE.fullmatch(text):
        return text
    return words.plain(text, stand_ins) if name == "InnerErrorMessageText" else _anything(text, stand_ins)


def _is_extended(element: Element) -> bool:
    holder = element.getparent()
    return holder is not None and etree.QName(holder).localname in ("ExtendedProperty", "Values")


def _extended(element: Element, text: str, stand_ins: StandIns) -> str:
    """A MAPI property: the caller's rights stay, a number; anything else is somebody's."""
    holder = element.getparent()
    field = answers.child(holder, "ExtendedFieldURI")
    if field is not None and field.get("PropertyTag") == RIGHTS_TAG and _COUNT.fullmatch(text):
        return text
    kind = field.get("PropertyType", "") if field is not None else ""
    if kind == "Binary":
        return stand_ins.opaque(text)
    if kind == "Boolean" and text in ("true", "false"):
        return text
    if kind == "SystemTime" and _TIME.fullmatch(text):
        return text
    return _anything(text, stand_ins)
