"""ConvertId, ResolveNames, GetServerTimeZones, GetUserConfiguration."""

from __future__ import annotations

import base64
from typing import Any

from .. import ids, zones
from ..mailboxes import Mailbox
from ..values import Person
from .codecs import mailbox_xml, read_boolean
from .envelope import failure, success
from .errors import ResponseError
from .registry import each, operation, whole
from .session import Session
from .xml import M, T, escape, quote

_MOST_NAMES = 100


def _from_format(text: str, kind: str) -> str:
    """The EWS id behind an id in another format."""
    if kind in ("EwsId", "EwsLegacyId"):
        return text
    if kind == "HexEntryId":
        try:
            return base64.b64encode(bytes.fromhex(text)).decode()
        except ValueError:
            raise ResponseError("ErrorInvalidIdMalformed") from None
    if kind == "OwaId":
        return text.replace("%2b", "+").replace("%2f", "/").replace("%3d", "=").replace("-", "+").replace("_", "/")
    return text


def _to_format(text: str, kind: str) -> str:
    if kind == "HexEntryId":
        return base64.b64decode(text).hex().upper()
    if kind == "OwaId":
        return text.replace("+", "%2b").replace("/", "%2f").replace("=", "%3d")
    return text


@operation("ConvertId")
def convert_id(session: Session) -> str:
    """Answer ConvertId."""
    root = session.request.root
    wanted = root.get("DestinationFormat")

    def one(element: Any) -> str:
        plain = _from_format(element.get("Id") or "", element.get("Format"))
        try:
            named = ids.decode_id(plain)
        except ids.MalformedId:
            raise ResponseError("ErrorInvalidIdMalformed") from None
        mailbox = session.organisation.mailbox_by_guid(named.mailbox)
        if mailbox is None:
            raise ResponseError("ErrorNonExistentMailbox")
        return success(
            "ConvertId",
            f'<m:AlternateId xsi:type="t:AlternateIdType" Format="{wanted}" Id="{quote(_to_format(plain, wanted))}" '
            f'Mailbox="{quote(mailbox.address)}"/>',  # the id's own, whatever was asked: clients learn an address so
        )

    return each("ConvertId", root.find(f"{M}SourceIds"), one)


def _matches(mailbox: Mailbox, entry: str) -> bool:
    wanted = entry.lower().removeprefix("smtp:").strip().strip("\"'")
    if "<" in wanted:
        wanted = wanted.partition("<")[2].rstrip(">").strip()
    if wanted in (mailbox.address, *mailbox.aliases):
        return True
    words = mailbox.name.lower().split()
    local = mailbox.address.partition("@")[0]
    return (
        any(word.startswith(wanted) for word in words)
        or mailbox.name.lower().startswith(wanted)
        or mailbox.address.startswith(wanted)
        or local == wanted
    )


def _resolution(mailbox: Mailbox, full: bool) -> str:
    person = mailbox_xml(Person(mailbox.name, mailbox.address)).replace(
        "</t:Mailbox>", "<t:MailboxType>Mailbox</t:MailboxType></t:Mailbox>"
    )
    contact = ""
    if full:
        given, _, surname = mailbox.name.rpartition(" ")
        addresses = [mailbox.address, *mailbox.aliases][:3]
        entries = "".join(
            f'<t:Entry Key="EmailAddress{place}">{"SMTP" if place == 1 else "smtp"}:{escape(address)}</t:Entry>'
            for place, address in enumerate(addresses, start=1)
        )
        contact = (
            f"<t:Contact><t:DisplayName>{escape(mailbox.name)}</t:DisplayName>"
            f"<t:GivenName>{escape(given or surname)}</t:GivenName><t:EmailAddresses>{entries}</t:EmailAddresses>"
            f"<t:ContactSource>ActiveDirectory</t:ContactSource><t:Surname>{escape(surname if given else '')}</t:Surname>"
            "</t:Contact>"
        )
    return f"<t:Resolution>{person}{contact}</t:Resolution>"


@operation("ResolveNames")
def resolve_names(session: Session) -> str:
    """Answer ResolveNames: mailboxes whose address, alias or name begins so."""
    root = session.request.root
    entry = (root.findtext(f"{M}UnresolvedEntry") or "").strip()
    found = [mailbox for mailbox in session.organisation.mailboxes if _matches(mailbox, entry)]
    full = read_boolean(root.get("ReturnFullContactData") or "false")
    if not found:
        wanted = entry.lower().removeprefix("smtp:")
        if wanted not in session.organisation.administration.elsewhere:
            return whole("ResolveNames", _nobody)
        person = mailbox_xml(Person(wanted.partition("@")[0].title(), wanted)).replace(
            "</t:Mailbox>", "<t:MailboxType>Mailbox</t:MailboxType></t:Mailbox>"
        )
        inner = f'<m:ResolutionSet TotalItemsInView="1" IncludesLastItemInRange="true"><t:Resolution>{person}</t:Resolution></m:ResolutionSet>'
        return success("ResolveNames", inner)
    shown = found[:_MOST_NAMES]
    inner = (
        f'<m:ResolutionSet TotalItemsInView="{len(shown)}" '
        f'IncludesLastItemInRange="{"true" if len(shown) == len(found) else "false"}">'
        f"{''.join(_resolution(mailbox, full) for mailbox in shown)}</m:ResolutionSet>"
    )
    if len(found) == 1:
        return success("ResolveNames", inner)
    return failure(
        "ResolveNames",
        "ErrorNameResolutionMultipleResults",
        "Multiple results were found.",
        inner=inner,
        kind="Warning",
    )


def _nobody() -> str:
    raise ResponseError("ErrorNameResolutionNoResults")


@operation("GetServerTimeZones")
def get_server_time_zones(session: Session) -> str:
    """Answer GetServerTimeZones."""
    root = session.request.root
    year = session.organisation.now().year
    wanted = [(element.text or "").strip().casefold() for element in root.iterfind(f"{M}Ids/{T}Id")]
    full = read_boolean(root.get("ReturnFullTimeZoneData") or "true")
    found = [
        one
        for one in zones.known(year)
        if (not wanted or one.id.casefold() in wanted)
        and one.id not in session.organisation.administration.missing_zones
    ]
    inner = "".join(_zone_definition(one, full) for one in found)
    return success("GetServerTimeZones", f"<m:TimeZoneDefinitions>{inner}</m:TimeZoneDefinitions>")


def _zone_definition(zone: zones.WindowsZone, full: bool) -> str:
    head = f'<t:TimeZoneDefinition Id="{quote(zone.id)}" Name="{quote(zone.name)}"'
    if not full:
        return f"{head}/>"
    periods = "".join(
        f'<t:Period Bias="{zones.write_duration(period.bias)}" Name="{quote(period.name)}" Id="{quote(period.id)}"/>'
        for period in zone.periods
    )
    steps = "".join(_transition(one) for one in zone.transitions)
    return (
        f'{head}><t:Periods>{periods}</t:Periods><t:TransitionsGroups><t:TransitionsGroup Id="0">{steps}'
        "</t:TransitionsGroup></t:TransitionsGroups><t:Transitions><t:Transition>"
        '<t:To Kind="Group">0</t:To></t:Transition></t:Transitions></t:TimeZoneDefinition>'
    )


def _transition(one: zones.Transition) -> str:
    to = f'<t:To Kind="Period">{escape(one.to)}</t:To>'
    if not one.month:
        return f"<t:Transition>{to}</t:Transition>"
    return (
        f"<t:RecurringDayTransition>{to}<t:TimeOffset>{zones.write_duration(one.time_of_day)}</t:TimeOffset>"
        f"<t:Month>{one.month}</t:Month><t:DayOfWeek>{one.day_of_week}</t:DayOfWeek>"
        f"<t:Occurrence>{one.occurrence}</t:Occurrence></t:RecurringDayTransition>"
    )


@operation("GetUserConfiguration")
def get_user_configuration(session: Session) -> str:
    """Answer GetUserConfiguration: the dictionaries that ``Mailbox.user_configurations`` holds."""
    root = session.request.root

    def one() -> str:
        name = root.find(f"{M}UserConfigurationName")
        folder = session.folder(name[0])
        found = folder.mailbox.user_configurations.get((folder.number, name.get("Name")))
        if found is None:
            raise ResponseError("ErrorItemNotFound")
        wanted = (root.findtext(f"{M}UserConfigurationProperties") or "").split()
        entries = "".join(
            f"<t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type><t:Value>{escape(key)}</t:Value></t:DictionaryKey>"
            f"<t:DictionaryValue><t:Type>String</t:Type><t:Value>{escape(text)}</t:Value></t:DictionaryValue>"
            "</t:DictionaryEntry>"
            for key, text in found.items()
        )
        shown = f"<t:Dictionary>{entries}</t:Dictionary>" if {"Dictionary", "All"} & set(wanted) else ""
        place = (
            f'<t:DistinguishedFolderId Id="{folder.distinguished_id}"/>'
            if name[0].tag == f"{T}DistinguishedFolderId"
            else f'<t:FolderId Id="{folder.id}" ChangeKey="{folder.change_key}"/>'
        )
        return success(
            "GetUserConfiguration",
            f'<m:UserConfiguration><t:UserConfigurationName Name="{quote(name.get("Name"))}">{place}'
            f"</t:UserConfigurationName>{shown}</m:UserConfiguration>",
        )

    return whole("GetUserConfiguration", one)
