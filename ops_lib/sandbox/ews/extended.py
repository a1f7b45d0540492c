"""Extended properties: their names, their values, and those that are other names of first-class properties."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .. import zones
from ..items import ExtendedName
from ..values import Body
from .codecs import read_boolean, read_instant, text_of_html
from .errors import ResponseError
from .xml import T, boolean, escape, instant, quote

if TYPE_CHECKING:
    from .views import View

#: the property sets that have names of their own
SETS = {
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Task": "00062003-0000-0000-c000-000000000046",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}
_SCALARS = (
    "ApplicationTime Binary Boolean CLSID Currency Double Float Integer Long Short SystemTime String".split()  # noqa: SIM905
)
TYPES = frozenset(_SCALARS) | {f"{one}Array" for one in _SCALARS if one != "Boolean"} | {"Error", "Null", "Object"}
_UNSUPPORTED = frozenset({"Error", "Null", "Object", "ObjectArray"})
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TAG = re.compile(r"0[xX][0-9a-fA-F]{1,4}|\d{1,5}", re.ASCII)
_INTEGERS = {"Integer": 32, "Long": 64, "Short": 16, "Currency": 64}


@lru_cache(maxsize=4096)
def _name(
    property_type: str,
    distinguished: str | None,
    guid: str | None,
    name: str | None,
    number: str | None,
    tag: str | None,
) -> ExtendedName:
    if property_type in _UNSUPPORTED:
        raise ResponseError("ErrorUnsupportedMapiPropertyType", "The MAPI property type is not supported.")
    if tag is not None:
        if distinguished or guid or name or number or not _TAG.fullmatch(tag):
            raise ResponseError("ErrorInvalidExtendedProperty")
        value = int(tag, 16) if tag[:2] in ("0x", "0X") else int(tag)
        if value >= 0x8000:  # such tags belong to named properties: they differ from mailbox to mailbox
            raise ResponseError("ErrorInvalidExtendedProperty")
        return ExtendedName(property_type, tag=value)
    if (distinguished is None) == (guid is None) or (name is None) == (number is None):
        raise ResponseError("ErrorInvalidExtendedProperty")
    found = SETS.get(distinguished or "") if distinguished else (guid or "").lower()
    if not found or not _GUID.fullmatch(found):
        raise ResponseError("ErrorInvalidExtendedProperty")
    if number is not None:
        return ExtendedName(property_type, found, property_id=int(number))
    if not name:
        raise ResponseError("ErrorInvalidExtendedProperty")
    return ExtendedName(property_type, found, name=name)


def read_name(element: Any) -> ExtendedName:
    """The name that an ``ExtendedFieldURI`` says.

    Raises:
        ResponseError: its attributes cannot go together.
    """
    get = element.get
    return _name(
        get("PropertyType"),
        get("DistinguishedPropertySetId"),
        get("PropertySetId"),
        get("PropertyName"),
        get("PropertyId"),
        get("PropertyTag"),
    )


def write_name(name: ExtendedName, element: Any = None) -> str:
    """The ``ExtendedFieldURI`` of the name, with the set called as the client called it."""
    if name.tag is not None:
        return f'<t:ExtendedFieldURI PropertyTag="{name.tag:#x}" PropertyType="{name.property_type}"/>'
    distinguished = None if element is None else element.get("DistinguishedPropertySetId")
    place = f'DistinguishedPropertySetId="{distinguished}"' if distinguished else f'PropertySetId="{name.property_set}"'
    which = f'PropertyId="{name.property_id}"' if name.property_id is not None else f'PropertyName="{quote(name.name)}"'
    return f'<t:ExtendedFieldURI {place} {which} PropertyType="{name.property_type}"/>'


def _scalar(kind: str, text: str) -> Any:
    if kind == "String":
        return text
    if kind == "Boolean":
        return read_boolean(text)
    if kind in _INTEGERS:
        number, bits = int(text), _INTEGERS[kind]
        if not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise ValueError(text)
        return number
    if kind in ("Double", "Float", "ApplicationTime"):
        return float(text)
    if kind == "Binary":
        return base64.b64decode(text, validate=True)
    if kind == "CLSID":
        return str(uuid.UUID(text))
    at = read_instant(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def parse(name: ExtendedName, text: str) -> Any:
    """The value of one scalar text of the property's type.

    Raises:
        ResponseError: the text is none of that type.
    """
    try:
        return _scalar(name.property_type.removesuffix("Array"), text)
    except (ValueError, binascii.Error):
        raise ResponseError("ErrorInvalidExtendedPropertyValue") from None


def read_value(element: Any) -> tuple[ExtendedName, Any]:
    """Name and value of an ``ExtendedProperty``.

    Raises:
        ResponseError: the name cannot be, or the value does not fit its type.
    """
    name = read_name(element.find(f"{T}ExtendedFieldURI"))
    many = element.find(f"{T}Values")
    if (many is not None) != name.property_type.endswith("Array"):
        raise ResponseError("ErrorInvalidExtendedPropertyValue")
    if many is not None:
        return name, [parse(name, one.text or "") for one in many.iterfind(f"{T}Value")]
    return name, parse(name, element.findtext(f"{T}Value") or "")


def scalar_text(value: Any) -> str:
    """One scalar value as text."""
    if isinstance(value, bool):
        return boolean(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "tzinfo"):
        return instant(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def write_value(name_xml: str, value: Any) -> str:
    """The ``ExtendedProperty`` with this value."""
    if isinstance(value, list):
        inner = "".join(f"<t:Value>{escape(scalar_text(one))}</t:Value>" for one in value)
        return f"<t:ExtendedProperty>{name_xml}<t:Values>{inner}</t:Values></t:ExtendedProperty>"
    return f"<t:ExtendedProperty>{name_xml}<t:Value>{escape(scalar_text(value))}</t:Value></t:ExtendedProperty>"


# other names of first-class properties


def _global_object_id(view: View) -> bytes | None:
    """The UID as Outlook keeps it: its own bytes, or a "vCal-Uid" wrapper around somebody else's UID."""
    uid: str | None = view.values.get("calendar:UID")
    if not uid:
        return None
    head: bytes = bytes.fromhex("040000008200E00074C5B7101A82E008")
    if re.fullmatch(r"[0-9A-Fa-f]{80,}", uid) and len(uid) % 2 == 0 and bytes.fromhex(uid[:32]) == head:
        return bytes.fromhex(uid)
    data = b"vCal-Uid\x01\x00\x00\x00" + uid.encode() + b"\x00"
    return head + bytes(20) + len(data).to_bytes(4, "little") + data


def _dated_global_object_id(view: View) -> bytes | None:
    """The same with the day of the occurrence in it, in the series' zone, where it is about one. Source: [MS-OXOCAL] 2.2.1.27."""
    clean = _global_object_id(view)
    start = view.original_start or view.values.get("calendar:RecurrenceId")
    if clean is None or start is None:
        return clean
    day = start.astimezone(zones.zone(view.values.get("calendar:StartTimeZone") or "UTC")).date()
    return clean[:16] + day.year.to_bytes(2, "big") + bytes((day.month, day.day)) + clean[20:]


def _body_text(view: View) -> str | None:
    body: Body | None = view.values.get("item:Body")
    if body is None:
        return None
    return text_of_html(body.text) if body.is_html else body.text


def _uri(uri: str) -> Callable[[View], Any]:
    return lambda view: view.values.get(uri)


_BUSY = {"Free": 0, "Tentative": 1, "Busy": 2, "OOF": 3, "WorkingElsewhere": 4}
_TASK_STATUS = {"NotStarted": 0, "InProgress": 1, "Completed": 2, "WaitingOnOthers": 3, "Deferred": 4}
_INSTANCE_TYPES = {"Single": 0, "RecurringMaster": 1, "Occurrence": 2, "Exception": 3}
_SENSITIVITY = {"Normal": 0, "Personal": 1, "Private": 2, "Confidential": 3}


def _coded(uri: str, codes: dict[str, int], default: str) -> Callable[[View], Any]:
    return lambda view: codes.get(view.values.get(uri) or default)


def _instance_type(view: View) -> int | None:
    return _INSTANCE_TYPES[view.kind] if view.element == "CalendarItem" else None


def _in_set(property_set: str, number: int, property_type: str) -> ExtendedName:
    return ExtendedName(property_type, SETS[property_set], property_id=number)


#: what reads each of them; [MS-OXPROPS] has the numbers
ALIASES: dict[ExtendedName, Callable[[View], Any]] = {
    ExtendedName("String", tag=0x0037): _uri("item:Subject"),
    ExtendedName("String", tag=0x0E1D): _uri("item:Subject"),
    ExtendedName("String", tag=0x001A): lambda view: view.item_class,
    ExtendedName("String", tag=0x1000): _body_text,
    ExtendedName("SystemTime", tag=0x3007): lambda view: view.item.created,
    ExtendedName("SystemTime", tag=0x3008): lambda view: view.item.modified,
    ExtendedName("Integer", tag=0x0E23): lambda view: view.item.number,
    ExtendedName("Integer", tag=0x0036): _coded("item:Sensitivity", _SENSITIVITY, "Normal"),
    _in_set("Appointment", 0x8205, "Integer"): _coded("calendar:LegacyFreeBusyStatus", _BUSY, "Busy"),
    _in_set("Appointment", 0x8208, "String"): _uri("calendar:Location"),
    _in_set("Appointment", 0x820D, "SystemTime"): _uri("calendar:Start"),
    _in_set("Appointment", 0x820E, "SystemTime"): _uri("calendar:End"),
    _in_set("Appointment", 0x8215, "Boolean"): _uri("calendar:IsAllDayEvent"),
    _in_set("Appointment", 0x8223, "Boolean"): lambda view: view.kind != "Single",
    ExtendedName("Integer", SETS["PublicStrings"], name="urn:schemas:calendar:instancetype"): _instance_type,
    _in_set("Common", 0x8501, "Integer"): _uri("item:ReminderMinutesBeforeStart"),
    _in_set("Common", 0x8503, "Boolean"): _uri("item:ReminderIsSet"),
    _in_set("Common", 0x8506, "Boolean"): lambda view: view.values.get("item:Sensitivity") == "Private",
    _in_set("Task", 0x8101, "Integer"): _coded("task:Status", _TASK_STATUS, "NotStarted"),
    _in_set("Task", 0x8104, "SystemTime"): _uri("task:StartDate"),
    _in_set("Task", 0x8105, "SystemTime"): _uri("task:DueDate"),
    _in_set("Meeting", 0x03, "Binary"): _dated_global_object_id,
    _in_set("Meeting", 0x23, "Binary"): _global_object_id,
}


def _decoded(codes: dict[str, int]) -> Callable[[Any], Any]:
    words = {code: word for word, code in codes.items()}

    def word_of(code: int) -> str:
        if code not in words:
            raise ResponseError("ErrorInvalidExtendedPropertyValue")
        return words[code]

    return word_of


def _same(value: Any) -> Any:
    return value


#: those that may be written through their other name: the FieldURI that they then write, and its value from theirs
WRITABLE_ALIASES: dict[ExtendedName, tuple[str, Callable[[Any], Any]]] = {
    ExtendedName("String", tag=0x0037): ("item:Subject", _same),
    ExtendedName("String", tag=0x001A): ("item:ItemClass", _same),
    ExtendedName("String", tag=0x1000): ("item:Body", Body),
    ExtendedName("Integer", tag=0x0036): ("item:Sensitivity", _decoded(_SENSITIVITY)),
    _in_set("Appointment", 0x8205, "Integer"): ("calendar:LegacyFreeBusyStatus", _decoded(_BUSY)),
    _in_set("Appointment", 0x8208, "String"): ("calendar:Location", _same),
    _in_set("Common", 0x8501, "Integer"): ("item:ReminderMinutesBeforeStart", _same),
    _in_set("Common", 0x8503, "Boolean"): ("item:ReminderIsSet", _same),
    _in_set("Common", 0x8506, "Boolean"): ("item:Sensitivity", lambda value: "Private" if value else "Normal"),
}


def value_of(name: ExtendedName, view: View) -> Any:
    """What the item has under this name, None if nothing."""
    alias = ALIASES.get(name)
    return view.extended.get(name) if alias is None else alias(view)
