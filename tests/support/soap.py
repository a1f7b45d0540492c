"""Raw SOAP requests, as a client writes them that is not ours."""

from __future__ import annotations

from typing import Any

import requests
from lxml import etree

from ops_lib.sandbox.server import Sandbox

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
NAMESPACES = {"s": SOAP, "m": MESSAGES, "t": TYPES, "e": "http://schemas.microsoft.com/exchange/services/2006/errors"}
XML = {"Content-Type": "text/xml; charset=utf-8"}


def envelope(body: str, *, acting_as: str = "", version: str = "Exchange2016") -> bytes:
    """Wraps an operation's element, with an impersonation header where somebody is acted for."""
    impersonation = (
        f"<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>{acting_as}</t:PrimarySmtpAddress>"
        "</t:ConnectingSID></t:ExchangeImpersonation>"
        if acting_as
        else ""
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        f'<s:Header><t:RequestServerVersion Version="{version}"/>{impersonation}</s:Header><s:Body>{body}</s:Body>'
        "</s:Envelope>"
    ).encode()


def get_folder(folder: str = "calendar", mailbox: str = "") -> str:
    """GetFolder of a well-known folder, of one's own mailbox or somebody's."""
    whose = f"<t:Mailbox><t:EmailAddress>{mailbox}</t:EmailAddress></t:Mailbox>" if mailbox else ""
    return (
        "<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape><m:FolderIds>"
        f'<t:DistinguishedFolderId Id="{folder}">{whose}</t:DistinguishedFolderId></m:FolderIds></m:GetFolder>'
    )


def create_events(*subjects: str) -> str:
    """CreateItem of events of one hour."""
    items = "".join(
        f"<t:CalendarItem><t:Subject>{subject}</t:Subject><t:Start>2026-11-24T15:00:00Z</t:Start>"
        "<t:End>2026-11-24T16:00:00Z</t:End></t:CalendarItem>"
        for subject in subjects
    )
    return f'<m:CreateItem SendMeetingInvitations="SendToNone"><m:Items>{items}</m:Items></m:CreateItem>'


def session(sandbox: Sandbox, login: str = "alice@example.test") -> requests.Session:
    """An HTTP session signed in by password that heeds no proxy or CA variable and trusts the sandbox's CA."""
    made = requests.Session()
    made.trust_env = False
    made.auth = (login, sandbox.passwords.get(login, "no such account"))
    made.verify = str(sandbox.ca_file)
    made.headers.update(XML)
    return made


def codes(answer: requests.Response) -> list[str]:
    """The response codes of an answer, or of a fault."""
    document: Any = etree.fromstring(answer.content)
    return [str(code.text) for code in document.iterfind(".//{*}ResponseCode")]
