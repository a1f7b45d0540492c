"""What is asked of a server only to see how things stand. Reads, each valid by Microsoft's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import requests
from lxml import etree

from ops_lib.errors import Unreachable
from ops_lib.mailbox.ews.connections import Adapter, AnswerTooLarge
from ops_lib.mailbox.ews.requests import MESSAGES, TYPES, clean, get_folder
from ops_lib.model import Kind

_FOLDERS = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}


def any_item(kind: Kind, address: str) -> Any:
    """One item of the default folder, with the caller's rights on it."""
    return etree.fromstring(
        f'<m:FindItem xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        '<t:AdditionalProperties><t:FieldURI FieldURI="item:EffectiveRights"/></t:AdditionalProperties></m:ItemShape>'
        '<m:IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/><m:ParentFolderIds>'
        f'<t:DistinguishedFolderId Id="{_FOLDERS[kind]}"><t:Mailbox><t:EmailAddress>{escape(clean(address))}</t:EmailAddress>'
        "</t:Mailbox></t:DistinguishedFolderId></m:ParentFolderIds></m:FindItem>"
    )


def whose_address(address: str, *, with_all_addresses: bool = False) -> Any:
    """Who has this address, primary or not, by the organisation's directory; with up to three of their addresses where that is asked for."""
    return etree.fromstring(
        f'<m:ResolveNames xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" ReturnFullContactData="{str(with_all_addresses).lower()}" SearchScope="ActiveDirectory">'
        f"<m:UnresolvedEntry>smtp:{escape(clean(address))}</m:UnresolvedEntry></m:ResolveNames>"
    )


def time_zone(windows_id: str) -> Any:
    """Whether the server knows a time zone by its Windows id."""
    return etree.fromstring(
        f'<m:GetServerTimeZones xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" ReturnFullTimeZoneData="false">'
        f"<m:Ids><t:Id>{escape(clean(windows_id))}</t:Id></m:Ids></m:GetServerTimeZones>"
    )


def changes_since(kind: Kind, address: str, sync_state: str) -> Any:
    """Whether the server still takes a sync state: one change at most, and nobody keeps the state that comes back."""
    return etree.fromstring(
        f'<m:SyncFolderItems xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f'<m:SyncFolderId><t:DistinguishedFolderId Id="{_FOLDERS[kind]}"><t:Mailbox><t:EmailAddress>{escape(clean(address))}'
        f"</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:SyncFolderId><m:SyncState>{escape(clean(sync_state))}</m:SyncState>"
        "<m:MaxChangesReturned>1</m:MaxChangesReturned></m:SyncFolderItems>"
    )


SAMPLE = 500


def sample_of_calendar(address: str) -> Any:
    """The first items of the default calendar: when, which kind, which UID. Nothing of what they are about."""
    names = (
        "item:ItemClass",
        "item:Size",
        "calendar:Start",
        "calendar:End",
        "calendar:UID",
        "calendar:CalendarItemType",
    )
    fields = "".join(f'<t:FieldURI FieldURI="{name}"/>' for name in names)
    return etree.fromstring(
        f'<m:FindItem xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        f"<t:AdditionalProperties>{fields}</t:AdditionalProperties></m:ItemShape>"
        f'<m:IndexedPageItemView MaxEntriesReturned="{SAMPLE}" Offset="0" BasePoint="Beginning"/><m:ParentFolderIds>'
        f'<t:DistinguishedFolderId Id="calendar"><t:Mailbox><t:EmailAddress>{escape(clean(address))}</t:EmailAddress></t:Mailbox>'
        "</t:DistinguishedFolderId></m:ParentFolderIds></m:FindItem>"
    )


def greeted(url: str, ca_bundle: str, seconds: float) -> requests.Response:
    """What a URL answers to an EWS request of somebody who has not signed in. **Raises** `Unreachable` where no whole answer comes."""
    session = requests.Session()
    session.mount(url, Adapter(ca_bundle))
    session.auth = _unsigned
    try:
        return session.post(
            url,
            data=_envelope(),
            headers={"Content-Type": "text/xml; charset=utf-8", "User-Agent": "syncops"},
            timeout=(seconds, seconds),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        if isinstance(error, AnswerTooLarge):
            what = "the answer is too large to be one of EWS"
        elif "timed out" in str(error):
            what = "the server takes the request, but there is no whole answer in time"
        else:
            what = "the answer broke off"
        raise Unreachable(
            what,
            response_code="HTTP",
            fix="look at the server's load: EWS answers at once to who has not signed in.",
        ) from None
    finally:
        session.close()


def offered_schemes(headers: Mapping[str, str]) -> list[str]:
    """The ways to sign in that a 401 offers. Several headers of one name come joined by commas."""
    offered = headers.get("WWW-Authenticate", "").lower()
    return [each for each in ("Negotiate", "NTLM", "Basic", "Bearer") if each.lower() in offered]


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No credentials, not even those that a .netrc has for this server."""
    return request


def _envelope() -> bytes:
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    envelope: Any = etree.Element(f"{{{soap}}}Envelope", nsmap={"s": soap})
    etree.SubElement(envelope, f"{{{soap}}}Body").append(get_folder(Kind.EVENT, "nobody@example.test"))
    return bytes(etree.tostring(envelope))
