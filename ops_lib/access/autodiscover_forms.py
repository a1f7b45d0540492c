"""The two forms of Autodiscover: what is asked, and what an answer says. Nothing here talks to a server.

**Source** MS-OXDSCLI (plain form), MS-OXWSADISC (SOAP).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import Any

from lxml import etree

_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ADDRESSING = "http://www.w3.org/2005/08/addressing"
_NAMESPACE = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_ACTION = f"{_NAMESPACE}/Autodiscover/GetUserSettings"
_SETTINGS = ("ExternalEwsUrl", "InternalEwsUrl")
_NO_SUCH_ADDRESS = ("500", "InvalidUser")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says: one of a URL, an address to ask for instead, a place to ask instead, or an error in words."""

    ews_url: str = ""
    redirect_address: str = ""
    redirect_url: str = ""
    error: str = ""
    is_unknown: bool = False


class Form(Enum):
    """Plain XML or SOAP."""

    POX = "xml"
    SOAP = "svc"

    def request(self, url: str, address: str) -> bytes:
        """The request's body: where does this address live?"""
        mailbox = escape(address)
        if self is Form.POX:
            return (
                f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{_REQUEST}"><Request>'
                f"<EMailAddress>{mailbox}</EMailAddress><AcceptableResponseSchema>{_OUTLOOK}</AcceptableResponseSchema>"
                "</Request></Autodiscover>"
            ).encode()
        settings = "".join(f"<a:Setting>{name}</a:Setting>" for name in _SETTINGS)
        return (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{_SOAP}" xmlns:a="{_NAMESPACE}" '
            f'xmlns:w="{_ADDRESSING}"><s:Header><a:RequestedServerVersion>Exchange2013</a:RequestedServerVersion>'
            f"<w:Action>{_ACTION}</w:Action><w:To>{escape(url)}</w:To></s:Header><s:Body>"
            f"<a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User><a:Mailbox>{mailbox}</a:Mailbox></a:User></a:Users>"
            f"<a:RequestedSettings>{settings}</a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage></s:Body>"
            "</s:Envelope>"
        ).encode()


def form_of(url: str) -> Form:
    """The form that is spoken at an address."""
    return Form.SOAP if url.partition("?")[0].lower().endswith(".svc") else Form.POX


def read(form: Form, body: bytes) -> Answer:
    """What an answer says; what cannot be read is an error in words."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return Answer(error="answers, but not as Autodiscover does")
    if root.getroottree().docinfo.doctype:  # no server has one; whoever sends one has something in mind
        return Answer(error="answers, but not as Autodiscover does")
    return _plain(root) if form is Form.POX else _soap(root)


def _text(element: Any, name: str) -> str:
    return "" if element is None else (element.findtext(f".//{{*}}{name}") or "").strip()


def _plain(root: Any) -> Answer:
    if etree.QName(root).localname != "Autodiscover":
        return Answer(error="answers, but not as Autodiscover does")
    code = _text(root, "ErrorCode")
    if code:
        said = _text(root, "Message")
        return Answer(error=f"error {code[:10]}: {said[:200]}", is_unknown=code in _NO_SUCH_ADDRESS)
    action = _text(root, "Action")
    if action == "redirectAddr":
        return Answer(redirect_address=_text(root, "RedirectAddr") or _text(root, "redirectAddr"))
    if action == "redirectUrl":
        return Answer(redirect_url=_text(root, "RedirectUrl") or _text(root, "redirectUrl"))
    # EXPR is what holds outside the organisation, EXCH inside.
    protocols = {_text(one, "Type"): _text(one, "EwsUrl") for one in root.iter("{*}Protocol")}
    url = protocols.get("EXPR") or protocols.get("EXCH") or next(filter(None, protocols.values()), "")
    return Answer(ews_url=url) if url else Answer(error="knows the address, but gives no EWS URL")


def _soap(root: Any) -> Answer:
    user = next(root.iter("{*}UserResponse"), None)
    whole = next(root.iter("{*}Response"), None)
    found = next((each for each in (user, whole) if each is not None), None)
    if found is None:
        return Answer(error=f"a SOAP fault: {(_text(root, 'faultstring') or _text(root, 'Text'))[:200]}")
    code = (found.findtext("{*}ErrorCode") or "").strip()
    target = (found.findtext("{*}RedirectTarget") or "").strip()
    if code == "RedirectAddress" and target:
        return Answer(redirect_address=target)
    if code == "RedirectUrl" and target:
        return Answer(redirect_url=target)
    if code != "NoError":
        said = (found.findtext("{*}ErrorMessage") or "").strip()
        return Answer(error=f"{code[:60]}: {said[:200]}", is_unknown=code in _NO_SUCH_ADDRESS)
    values = {_text(one, "Name"): _text(one, "Value") for one in found.iter("{*}UserSetting")}
    url = next((values[name] for name in _SETTINGS if values.get(name)), "")
    return Answer(ews_url=url) if url else Answer(error="knows the address, but gives no EWS URL")
