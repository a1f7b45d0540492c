"""How each type of property looks in XML, and is read from it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from ..values import Body, Person
from . import recurrences
from .errors import ResponseError
from .properties import ENUMERATIONS
from .xml import T, escape, instant, quote

Element = Any

_DATE_TIME = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)?\s*", re.ASCII
)


def read_instant(text: str) -> datetime:
    """An xs:dateTime; naive where it names no offset.

    Raises:
        ValueError: it is none.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    value = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond)  # noqa: DTZ001
    if offset is None:
        return value
    if offset == "Z":
        return value.replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{value.isoformat()}{offset}")


def read_boolean(text: str) -> bool:
    """An xs:boolean.

    Raises:
        ValueError: it is none.
    """
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip()]
    except KeyError:
        raise ValueError(text) from None


# HTML and text

_TAG = re.compile(r"<[^>]*>")
_BLOCK = re.compile(r"(?i)<(?:br\s*/?|/p|/div|/tr|/li|/h[1-6])\s*>")
_SILENT = re.compile(r"(?is)<(script|style|head|title)\b.*?</\1\s*>")


def text_of_html(source: str) -> str:
    """The text a person reads in this HTML."""
    plain = _TAG.sub("", _BLOCK.sub("\n", re.sub(r"\s+", " ", _SILENT.sub("", source))))
    lines = [line.strip() for line in html.unescape(plain).replace("\xa0", " ").split("\n")]
    return "\r\n".join(lines).strip()


def html_of_text(text: str) -> str:
    """This text as the HTML page Exchange makes of it."""
    lines = html.escape(text, quote=False).replace("\r\n", "\n").replace("\r", "\n").replace("\n", "<br>\r\n")
    return f'<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>{lines}</body></html>'


def render_body(element: str, body: Body, wanted: str) -> str:
    """The body as ``Text``, ``HTML`` or, with ``Best``, as it is kept."""
    is_html = body.is_html if wanted == "Best" else wanted == "HTML"
    text = body.text
    if is_html and not body.is_html:
        text = html_of_text(text)
    elif not is_html and body.is_html:
        text = text_of_html(text)
    return f'<t:{element} BodyType="{"HTML" if is_html else "Text"}">{escape(text)}</t:{element}>'


# people


def mailbox_xml(person: Person) -> str:
    """The ``Mailbox`` of a person."""
    address = f"<t:EmailAddress>{escape(person.address)}</t:EmailAddress>" if person.address else ""
    return (
        f"<t:Mailbox><t:Name>{escape(person.name or person.address)}</t:Name>{address}"
        "<t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
    )


def read_mailbox(element: Element) -> Person:
    """A person from a ``Mailbox``.

    Raises:
        ResponseError: it names no address.
    """
    address = element.findtext(f"{T}EmailAddress") or ""
    if not address:
        raise ResponseError("ErrorInvalidSmtpAddress")
    return Person(element.findtext(f"{T}Name") or "", address.strip())


def _recipient(element: str, person: Person) -> str:
    return f"<t:{element}>{mailbox_xml(person)}</t:{element}>"


def _recipients(element: str, people: list[Person]) -> str:
    return f"<t:{element}>{''.join(mailbox_xml(one) for one in people)}</t:{element}>" if people else ""


def _attendees(element: str, people: list[Person]) -> str:
    if not people:
        return ""
    inner = "".join(
        f"<t:Attendee>{mailbox_xml(one)}<t:ResponseType>{one.response}</t:ResponseType>"
        + (f"<t:LastResponseTime>{instant(one.responded)}</t:LastResponseTime>" if one.responded else "")
        + "</t:Attendee>"
        for one in people
    )
    return f"<t:{element}>{inner}</t:{element}>"


# dictionaries of contacts


def _entries(element: str, entries: dict[str, str]) -> str:
    inner = "".join(f'<t:Entry Key="{quote(key)}">{escape(text)}</t:Entry>' for key, text in sorted(entries.items()))
    return f"<t:{element}>{inner}</t:{element}>" if inner else ""


def _read_entries(element: Element) -> dict[str, str]:
    return {entry.get("Key"): entry.text or "" for entry in element.iterfind(f"{T}Entry")}


_ADDRESS_PARTS = ("Street", "City", "State", "CountryOrRegion", "PostalCode")


def _addresses(element: str, entries: dict[str, dict[str, str]]) -> str:
    inner = "".join(
        f'<t:Entry Key="{quote(key)}">'
        + "".join(f"<t:{part}>{escape(parts[part])}</t:{part}>" for part in _ADDRESS_PARTS if parts.get(part))
        + "</t:Entry>"
        for key, parts in sorted(entries.items())
    )
    return f"<t:{element}>{inner}</t:{element}>" if inner else ""


def _read_addresses(element: Element) -> dict[str, dict[str, str]]:
    return {
        entry.get("Key"): {local_name(part): part.text or "" for part in entry}
        for entry in element.iterfind(f"{T}Entry")
    }


def _strings(element: str, texts: list[str]) -> str:
    return (
        f"<t:{element}>{''.join(f'<t:String>{escape(one)}</t:String>' for one in texts)}</t:{element}>" if texts else ""
    )


def _double(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _plain(write: Callable[[Any], str]) -> Callable[[str, Any], str]:
    return lambda element, value: f"<t:{element}>{write(value)}</t:{element}>"


def _flag(element: str, value: str) -> str:
    return f"<t:{element}><t:FlagStatus>{value}</t:FlagStatus></t:{element}>"


#: XML from a value, by type; what a shape or the view decides about (bodies, zones, ids) is in ``render``
WRITE: dict[str, Callable[[str, Any], str]] = {
    "string": _plain(escape),
    "boolean": _plain(lambda value: "true" if value else "false"),
    "int": _plain(str),
    "double": _plain(_double),
    "dateTime": _plain(instant),
    "date": _plain(instant),
    "strings": _strings,
    "recipient": _recipient,
    "recipients": _recipients,
    "attendees": _attendees,
    "emails": _entries,
    "phones": _entries,
    "ims": _entries,
    "addresses": _addresses,
    "recurrence": recurrences.write,
    "taskrecurrence": recurrences.write,
    "Flag": _flag,
    **dict.fromkeys(ENUMERATIONS, _plain(str)),
}


def _text(element: Element) -> str:
    return element.text or ""


def _read_body(element: Element) -> Body:
    return Body(_text(element), element.get("BodyType") == "HTML")


def _read_recipient(element: Element) -> Person:
    return read_mailbox(element.find(f"{T}Mailbox"))


def _read_recipients(element: Element) -> list[Person]:
    return [read_mailbox(one) for one in element.iterfind(f"{T}Mailbox")]


def _read_attendees(element: Element) -> list[Person]:
    people = []
    for one in element.iterfind(f"{T}Attendee"):
        person = read_mailbox(one.find(f"{T}Mailbox"))
        people.append(Person(person.name, person.address, one.findtext(f"{T}ResponseType") or "Unknown"))
    return people


#: a value from XML, by type. Dates stay naive where they name no offset: the zone is the item's business
READ: dict[str, Callable[[Element], Any]] = {
    "string": _text,
    "boolean": lambda element: read_boolean(_text(element)),
    "int": lambda element: int(_text(element)),
    "double": lambda element: float(_text(element)),
    "dateTime": lambda element: read_instant(_text(element)),
    "date": lambda element: read_instant(_text(element)),
    "strings": lambda element: [_text(one) for one in element.iterfind(f"{T}String")],
    "body": _read_body,
    "recipient": _read_recipient,
    "recipients": _read_recipients,
    "attendees": _read_attendees,
    "emails": _read_entries,
    "phones": _read_entries,
    "ims": _read_entries,
    "addresses": _read_addresses,
    "recurrence": recurrences.read,
    "taskrecurrence": recurrences.read,
    "zone": lambda element: element,
    "meetingzone": lambda element: element,
    "mime": lambda element: _text(element),
    "Flag": lambda element: element.findtext(f"{T}FlagStatus") or "NotFlagged",
    **dict.fromkeys(ENUMERATIONS, _text),
}


def local_name(element: Element) -> str:
    """The element's name without its namespace."""
    name: str = etree.QName(element).localname
    return name
