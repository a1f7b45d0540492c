"""Something of a person's, put into traffic in every way that traffic has; and the search for it afterwards."""

from __future__ import annotations

import base64
import gzip
import json
import quopri
import unicodedata
from collections.abc import Iterator
from html import escape as html_escape
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

from ops_lib.mailbox.traffic.recording import Exchange
from tests.support.leaks import forms

URL = "https://mail.contoso.test/EWS/Exchange.asmx"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(body: str, header: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def references(text: str) -> str:
    """As XML's numeric character references."""
    return "".join(f"&#x{ord(each):x};" for each in text)


def exchange(
    content: bytes = b"", content_type: str = "text/xml", *, request: bytes = b"", url: str = URL, status: int = 200,
    headers: tuple[tuple[str, str], ...] = (), sent: dict[str, str] | None = None, request_type: str = "text/xml; charset=utf-8",
) -> Exchange:  # fmt: skip
    """A recorded request with its answer."""
    return Exchange(
        "POST", url, {"Content-Type": request_type, **(sent or {})}, request, 1_764_000_000.0, status=status, reason="OK",
        answer_headers=[("Content-Type", content_type), *headers], content=content, broke="",
    )  # fmt: skip


def exchanges(text: str) -> Iterator[Exchange]:
    """The text in every place and every encoding of traffic."""
    xml, packed = escape(text), base64.b64encode(text.encode()).decode()
    item = (
        f"<t:CalendarItem><t:ItemId Id={quoteattr(packed)} ChangeKey={quoteattr(text)}/><t:Subject>{xml}</t:Subject>"
        f"<t:Body BodyType=\"HTML\">{escape(f'<p>{html_escape(text)}</p>')}</t:Body><t:Location>{references(text)}</t:Location>"
        f"<t:MimeContent CharacterSet=\"UTF-8\">{packed}</t:MimeContent><t:UID>{xml}</t:UID><t:Organizer><t:Mailbox><t:Name>{xml}</t:Name>"
        f"<t:EmailAddress>{xml}</t:EmailAddress><t:RoutingType>{xml}</t:RoutingType></t:Mailbox></t:Organizer><t:LegacyFreeBusyStatus>{xml}"
        f"</t:LegacyFreeBusyStatus><t:Start>{xml}</t:Start><t:TotalCount>{xml}</t:TotalCount><t:Unheard>{xml}<t:Of Attribute={quoteattr(text)}/>"
        f"tail {xml}</t:Unheard><t:ExtendedProperty><t:ExtendedFieldURI PropertyTag=\"0x3001\" PropertyName={quoteattr(text)} PropertyType=\"String\"/>"
        f"<t:Value>{xml}</t:Value></t:ExtendedProperty></t:CalendarItem>"
    )  # fmt: skip
    message = (
        f'<m:FindItemResponse><m:ResponseMessages><m:FindItemResponseMessage ResponseClass="Error"><m:MessageText>It failed for {xml}.'
        f"</m:MessageText><m:ResponseCode>{xml}</m:ResponseCode><m:MessageXml><t:Value Name={quoteattr(text)}>{xml}</t:Value></m:MessageXml>"
        f"<m:Items>{item}</m:Items><!-- {xml.replace('-', ' ')} --></m:FindItemResponseMessage></m:ResponseMessages></m:FindItemResponse>"
    )
    document = envelope(message, f"<t:ServerVersionInfo MajorVersion={quoteattr(text)} Version={quoteattr(text)}/>")
    yield exchange(document.encode())
    yield exchange(document.replace('encoding="utf-8"', 'encoding="utf-16"').encode("utf-16"))
    yield exchange(document.encode()[: len(document) // 2])
    yield exchange(f"<!DOCTYPE x [<!ENTITY a {quoteattr(text)}>]><x>&a;</x>".encode())
    yield exchange(f"<{'x'}>{xml}</x>".encode())
    yield exchange(
        envelope(f"<s:Fault><faultcode>{xml}</faultcode><faultstring>{xml}</faultstring></s:Fault>").encode(),
        status=500,
    )
    yield exchange(
        f"<!DOCTYPE html><html><head><title>{html_escape(text)}</title><script>{text}</script></head><body class={quoteattr(text)}>"
        f"<p>Sign in, {html_escape(text)}</p><a href=\"/{quote(text)}\">{html_escape(text)}</a></body></html>".encode(),
        "text/html",
    )  # fmt: skip
    claims = base64.urlsafe_b64encode(
        json.dumps({"upn": text, "name": text, "scp": text, text: "x", "exp": 1}).encode()
    )
    token = f"{base64.urlsafe_b64encode(b'{}').decode()}.{claims.decode().rstrip('=')}.c2ln"
    told = {
        "error": text, "error_description": f"AADSTS50057: {text}", "access_token": token, "refresh_token": text, "scope": text, text: text,
        "nested": [{"name": text}], "id_token": token, "client_info": base64.urlsafe_b64encode(json.dumps({"uid": text}).encode()).decode(),
    }  # fmt: skip
    yield exchange(json.dumps(told).encode(), "application/json")
    yield exchange(json.dumps(told, ensure_ascii=False).encode("utf-16"), "application/json")
    yield exchange(json.dumps(told).encode()[:-4], "application/json")
    yield exchange(text.encode(), "text/plain")
    yield exchange(f"The user {text} is locked out at {text}@contoso.test".encode(), "text/plain")
    yield exchange(quopri.encodestring(text.encode()), "text/plain")
    yield exchange(gzip.compress(text.encode()), "application/octet-stream")
    yield exchange(text.encode("utf-16-le"), "application/octet-stream")
    header = text.encode("utf-8").decode("latin-1")
    names = (
        "Server", "X-FEServer", "X-CasErrorCode", "X-EWS-Policy-Reason", "Set-Cookie", "WWW-Authenticate", "Location", "Retry-After", "Date",
        "request-id", "x-ms-diagnostics", "Via", "X-Whatever", "Content-Language",
    )  # fmt: skip
    yield exchange(
        b"", status=401, headers=tuple((name, value) for name in names for value in (header, packed, quote(text))),
        sent={"Authorization": f"Basic {packed}", "X-AnchorMailbox": header, "Cookie": header, "X-Other": header},
    )  # fmt: skip
    challenge = f'Basic realm="{header}", NTLM {packed}, Bearer error_description="{header}"'
    yield exchange(b"", status=401, headers=(("WWW-Authenticate", challenge), ("x-ms-diagnostics", f'2000003;reason="{header}";{header}="x"')))  # fmt: skip
    yield exchange(
        request=f"grant_type=password&username={quote_plus(text)}&client_secret={quote(text)}&{quote(text)}=1&scope={quote(text)}".encode(),
        request_type="application/x-www-form-urlencoded",
    )
    yield exchange(
        request=envelope(f"<m:ResolveNames><m:UnresolvedEntry>smtp:{xml}</m:UnresolvedEntry></m:ResolveNames>").encode()
    )
    yield exchange(
        url=f"https://mail.contoso.test/owa/{quote(text, safe='')}?login_hint={quote(text)}&{quote(text)}=1#{quote(text)}"
    )


def found_in(content: bytes, text: str) -> list[str]:
    """In which forms a file holds the text, compared without case; empty where in none."""
    lowered = content.decode("utf-8", "replace").casefold()
    needles = {
        "plain": text,
        "decomposed": unicodedata.normalize("NFD", text),
        "XML": escape(text),
        "references": references(text),
        "JSON": json.dumps(text)[1:-1],
        "URL": quote(text, safe=""),
        "form": quote_plus(text),
        "quoted-printable": quopri.encodestring(text.encode()).decode().strip(),
        "hexadecimal": text.encode().hex(),
        "latin-1": text.encode().decode("latin-1"),
        "YAML": text.encode("unicode_escape").decode(),
    }
    found = [name for name, needle in needles.items() if needle.casefold() in lowered]
    found += ["base64 or URL" for form in forms(text) if len(form) > 4 and form in content]
    wide = [text.encode("utf-16-le"), text.encode("utf-16-be")]
    found += ["UTF-16" for form in wide if form in content]
    for form in wide:
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + form)[(0, 2, 3)[offset] : -4]
            found += ["UTF-16 in base64"] if encoded in content else []
    return found
