"""SOAP envelopes: what a request says in its header, and how an answer or a fault is wrapped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lxml import etree

from .errors import SoapFault, schema_violation
from .xml import ERRORS, MESSAGES, SOAP, TYPES, XSI, S, T, escape, quote

HEADERS = {"Content-Type": "text/xml; charset=utf-8"}
_VERSIONS = [
    "Exchange2007",
    "Exchange2007_SP1",
    "Exchange2009",
    "Exchange2010",
    "Exchange2010_SP1",
    "Exchange2010_SP2",
    "Exchange2012",
    "Exchange2013",
    "Exchange2013_SP1",
    "Exchange2015",
    "Exchange2016",
]
_VERSION_ORDER = {name: place for place, name in enumerate(_VERSIONS)}
_ONLINE_VERSION = re.compile(r"V20\d\d_\d\d_\d\d")
_SERVER_VERSION = (
    f'<t:ServerVersionInfo xmlns:t="{TYPES}" MajorVersion="15" MinorVersion="1" MajorBuildNumber="2507" '
    'MinorBuildNumber="39" Version="V2017_07_11"/>'
)
_OPEN = (
    f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Header>{_SERVER_VERSION}</s:Header>'
    f'<s:Body xmlns:xsi="{XSI}" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
)
_CLOSE = "</s:Body></s:Envelope>"
_PARSER_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,
    "remove_pis": True,
    "huge_tree": True,
}
_DETAIL_ELEMENTS = frozenset({"LineNumber", "LinePosition", "Violation"})
_POSITION = re.compile(r", line \d+, column \d+.*")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as HTTP carries it."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class SoapRequest:
    """A request that could be read.

    ``root`` is the operation's element; ``impersonated`` is (kind, value) of the header's ConnectingSID; ``zone_context`` the
    header's ``TimeZoneDefinition``; ``mailbox`` the address the request is about, as far as it says so itself; ``server`` the one of the
    organisation's servers that it reached.
    """

    operation: str
    root: Any
    body: bytes
    version: str = ""
    impersonated: tuple[str, str] | None = None
    zone_context: Any = None
    mailbox: str = ""
    server: int = 0

    def older_than(self, version: str) -> bool:
        """Whether the client says that it speaks an older schema than this version's. Saying nothing is saying nothing."""
        stated = _VERSION_ORDER.get(self.version)
        return stated is not None and stated < _VERSION_ORDER[version]

    def newer_than(self, version: str) -> bool:
        """Whether the client asks for a version that a server of this one does not know."""
        stated = _VERSION_ORDER.get(self.version)
        return bool(self.version) and (stated is None or stated > _VERSION_ORDER[version])


def parse(body: bytes) -> SoapRequest:
    """Read an envelope: well-formed, with a header that can be, and one element in its body.

    Raises:
        SoapFault: ErrorSchemaValidation for what is no XML, ErrorInvalidRequest for what is no SOAP request,
            ErrorInvalidServerVersion, ErrorInvalidExchangeImpersonationHeaderData.
    """
    # A parser of its own for each request: lxml's are not made for two threads at a time.
    parser = etree.XMLParser(**_PARSER_OPTIONS)
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as problem:
        line, column = problem.position
        text = _POSITION.sub("", problem.msg or "Root element is missing.").rstrip(".")
        raise schema_violation(f"{text}. Line {line}, position {column}.", line, column) from None
    except ValueError:
        raise schema_violation("Root element is missing.") from None
    if envelope is None or envelope.tag != f"{S}Envelope":
        raise SoapFault("ErrorInvalidRequest")
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise schema_violation("For security reasons DTD is prohibited in this XML document.", 1, 1)
    soap_body = envelope.find(f"{S}Body")
    if soap_body is None or len(soap_body) != 1:
        raise SoapFault("ErrorInvalidRequest")
    root = soap_body[0]
    name = etree.QName(root)
    request = SoapRequest(name.localname, root, body)
    if name.namespace != MESSAGES:
        raise SoapFault("ErrorInvalidRequest")
    header = envelope.find(f"{S}Header")
    if header is not None:
        _read_header(header, request)
    return request


def _read_header(header: Any, request: SoapRequest) -> None:
    version = header.find(f"{T}RequestServerVersion")
    if version is not None:
        request.version = version.get("Version") or ""
        if request.version not in _VERSION_ORDER and not _ONLINE_VERSION.fullmatch(request.version):
            raise SoapFault("ErrorInvalidServerVersion")
    impersonation = header.find(f"{T}ExchangeImpersonation")
    if impersonation is not None:
        sid = impersonation.find(f"{T}ConnectingSID")
        named = [] if sid is None else [one for one in sid if (one.text or "").strip()]
        if len(named) != 1:
            raise SoapFault("ErrorInvalidExchangeImpersonationHeaderData")
        request.impersonated = (etree.QName(named[0]).localname, named[0].text.strip())
    context = header.find(f"{T}TimeZoneContext")
    if context is not None:
        request.zone_context = context.find(f"{T}TimeZoneDefinition")


def answer(operation: str, messages: str) -> Reply:
    """An answer of response messages."""
    text = (
        f'{_OPEN}<m:{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><m:ResponseMessages>{messages}'
        f"</m:ResponseMessages></m:{operation}Response>{_CLOSE}"
    )
    return Reply(200, HEADERS, text.encode())


def fault(problem: SoapFault) -> Reply:
    """The fault as Exchange sends it. Source: Microsoft's pages of AddImGroup and FindConversation."""
    details = "".join(
        f'<t:Value Name="{quote(name)}">{escape(text)}</t:Value>'
        if name not in _DETAIL_ELEMENTS
        else f"<t:{name}>{escape(text)}</t:{name}>"
        for name, text in problem.details
    )
    if details:
        details = f'<t:MessageXml xmlns:t="{TYPES}">{details}</t:MessageXml>'
    text = (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault>'
        f'<faultcode xmlns:a="{TYPES}">a:{problem.code}</faultcode>'
        f'<faultstring xml:lang="en-US">{escape(problem.fault_string)}</faultstring><detail>'
        f'<e:ResponseCode xmlns:e="{ERRORS}">{problem.code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{ERRORS}">{escape(problem.text)}</e:Message>{details}</detail></s:Fault></s:Body></s:Envelope>'
    )
    return Reply(problem.status, HEADERS, text.encode())


def success(operation: str, inner: str = "") -> str:
    """One response message that went well."""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{inner}'
        f"</m:{operation}ResponseMessage>"
    )


def failure(operation: str, code: str, text: str, xml: str = "", inner: str = "", kind: str = "Error") -> str:
    """One response message that says what went wrong; ``inner`` is what the schema asks for all the same."""
    details = f"<m:MessageXml>{xml}</m:MessageXml>" if xml else ""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="{kind}"><m:MessageText>{escape(text)}</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{details}{inner}"
        f"</m:{operation}ResponseMessage>"
    )
