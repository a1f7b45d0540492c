"""Autodiscover: where is the mailbox of this address? In plain XML (POX) and in SOAP (GetUserSettings).

Both ask for the same sign-in as EWS. ``Whereabouts`` says what is particular about an address: that it lives under another address
now, or that another server knows; and where the unsigned HTTP request is sent on to.

**Source** MS-OXDSCLI (POX), MS-OXWSADISC (SOAP); learn.microsoft.com: pox-autodiscover-response-for-exchange,
autodiscover-error-responses, handling-autodiscover-error-messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from ops_lib.errors import InputError
from ops_lib.sandbox.ews.xml import SOAP, XSI, escape
from ops_lib.sandbox.mailboxes import Mailbox

POX_PATH = "/autodiscover/autodiscover.xml"
SOAP_PATH = "/autodiscover/autodiscover.svc"
REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
NAMESPACE = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
_MOST_USERS = 100

_MESSAGES = {
    500: "The email address can't be found.",
    600: "Invalid Request",
    601: "Provider is not available",
}


@dataclass(slots=True)
class Whereabouts:
    """What an administrator has arranged. ``addresses`` and ``urls`` are by the address asked for; ``moved_to``: of the HTTP request."""

    addresses: dict[str, str] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    moved_to: str = ""

    def document(self) -> dict[str, Any]:
        """Draws them as JSON."""
        return {
            "redirect_addresses": dict(self.addresses),
            "redirect_urls": dict(self.urls),
            "moved_to": self.moved_to,
        }

    def change(self, document: Mapping[str, Any]) -> None:
        """Takes them from JSON; what is not named becomes nothing particular. Raises InputError."""
        known = ("redirect_addresses", "redirect_urls", "moved_to")
        unknown = sorted(set(document) - set(known))
        if unknown:
            raise InputError("is not known", subject=f"autodiscover, {unknown[0]}", fix=f"Use {', '.join(known)}.")
        addresses, urls = (_texts(document.get(name, {}), name) for name in known[:2])
        moved_to = document.get("moved_to", "")
        if not all("@" in there for there in addresses.values()):
            raise InputError(
                "must be addresses", subject="autodiscover, redirect_addresses", fix="Give them with an @."
            )
        if not isinstance(moved_to, str) or not all(_is_url(there) for there in (*urls.values(), moved_to) if there):
            raise InputError("must be URLs", subject="autodiscover", fix="Give them with https:// and a host.")
        self.addresses, self.urls, self.moved_to = addresses, urls, moved_to


def _is_url(value: str) -> bool:
    try:
        named = urlsplit(value).hostname
    except ValueError:
        return False
    return bool(named) and value.isascii() and value.isprintable() and " " not in value


def _texts(value: Any, name: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(there, str) for there in value.values()):
        raise InputError("must be an object of texts", subject=f"autodiscover, {name}", fix="See docs/sandbox.md.")
    return {str(asked).lower(): str(there) for asked, there in value.items()}


@dataclass(frozen=True, slots=True)
class Autodiscover:
    """Answers questions about addresses. ``ews_url`` is what it gives, ``find`` the mailbox of an address."""

    find: Callable[[str], Mailbox | None]
    whereabouts: Whereabouts
    now: Callable[[], datetime]
    ews_url: Callable[[], str]

    # -- POX -----------------------------------------------------------------------------------------------------------

    def pox(self, body: bytes) -> bytes:
        """Answers a POX request; errors come with HTTP 200, as Exchange's do."""
        root = _parsed(body)
        if root is None or root.tag != f"{{{REQUEST}}}Autodiscover":
            return self._pox_error(600)
        if (root.findtext(f"{{*}}Request/{{{REQUEST}}}AcceptableResponseSchema") or "").strip() != OUTLOOK:
            return self._pox_error(601)
        asked = (root.findtext(f"{{*}}Request/{{{REQUEST}}}EMailAddress") or "").strip().lower()
        if "@" not in asked:
            return self._pox_error(600)
        if asked in self.whereabouts.addresses:
            there = escape(self.whereabouts.addresses[asked])
            return self._pox(f"<Action>redirectAddr</Action><RedirectAddr>{there}</RedirectAddr>")
        if asked in self.whereabouts.urls:
            there = escape(self.whereabouts.urls[asked])
            return self._pox(f"<Action>redirectUrl</Action><RedirectUrl>{there}</RedirectUrl>")
        mailbox = self.find(asked)
        if mailbox is None:
            return self._pox_error(500)
        url = escape(self.ews_url())
        server = escape(urlsplit(self.ews_url()).hostname or "")
        protocols = "".join(
            f"<Protocol><Type>{kind}</Type><Server>{server}</Server>{more}<ASUrl>{url}</ASUrl><EwsUrl>{url}</EwsUrl></Protocol>"
            for kind, more in (("EXCH", "<ServerVersion>73C289CB</ServerVersion>"), ("EXPR", "<SSL>On</SSL>"))
        )
        user = (
            f"<User><DisplayName>{escape(mailbox.name)}</DisplayName><LegacyDN>/o=Sandbox/cn={escape(mailbox.guid)}</LegacyDN>"
            f"<AutoDiscoverSMTPAddress>{escape(mailbox.address)}</AutoDiscoverSMTPAddress></User>"
        )
        return self._pox(f"<AccountType>email</AccountType><Action>settings</Action>{protocols}", user)

    @staticmethod
    def _pox(account: str, user: str = "") -> bytes:
        return (
            f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{RESPONSE}"><Response xmlns="{OUTLOOK}">'
            f"{user}<Account>{account}</Account></Response></Autodiscover>"
        ).encode()

    def _pox_error(self, code: int) -> bytes:
        at = self.now().strftime("%H:%M:%S.%f")
        return (
            f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{RESPONSE}"><Response>'
            f'<Error Time="{at}" Id="2477272013"><ErrorCode>{code}</ErrorCode><Message>{_MESSAGES[code]}</Message>'
            "<DebugData/></Error></Response></Autodiscover>"
        ).encode()

    # -- SOAP ----------------------------------------------------------------------------------------------------------

    def soap(self, body: bytes) -> tuple[int, bytes]:
        """Answers GetUserSettings: status and envelope. What is no such request is a SOAP fault or ``InvalidRequest``."""
        root = _parsed(body)
        asked = None if root is None else root.find(f"{{{SOAP}}}Body/{{{NAMESPACE}}}GetUserSettingsRequestMessage")
        if asked is None:
            return 500, _fault("The message cannot be processed: it is no GetUserSettings request.")
        users = [(one.text or "").strip() for one in asked.iter(f"{{{NAMESPACE}}}Mailbox")]
        settings = [(one.text or "").strip() for one in asked.iter(f"{{{NAMESPACE}}}Setting")]
        if not users or not settings or len(users) > _MOST_USERS:
            return 200, _envelope("InvalidRequest", "The request does not name users, or settings, or too many.", "")
        answers = "".join(self._user(user.lower(), settings) for user in users)
        return 200, _envelope("NoError", "", f"<UserResponses>{answers}</UserResponses>")

    def _user(self, asked: str, settings: list[str]) -> str:
        if asked in self.whereabouts.addresses:
            return _user_response("RedirectAddress", "Redirection address.", self.whereabouts.addresses[asked])
        if asked in self.whereabouts.urls:
            return _user_response("RedirectUrl", "Redirection URL.", self.whereabouts.urls[asked])
        mailbox = self.find(asked)
        if mailbox is None:
            return _user_response("InvalidUser", f"Invalid user: '{asked}'")
        known = {
            "UserDisplayName": mailbox.name,
            "AutoDiscoverSMTPAddress": mailbox.address,
            "ExternalEwsUrl": self.ews_url(),
            "InternalEwsUrl": self.ews_url(),
            "EwsSupportedSchemas": "Exchange2007, Exchange2007_SP1, Exchange2010, Exchange2010_SP1, Exchange2010_SP2, "
            "Exchange2013, Exchange2013_SP1, Exchange2015, Exchange2016",
        }
        errors = "".join(
            "<UserSettingError><ErrorCode>SettingIsNotAvailable</ErrorCode><ErrorMessage>The setting is not available."
            f"</ErrorMessage><SettingName>{escape(name)}</SettingName></UserSettingError>"
            for name in settings
            if name not in known
        )
        values = "".join(
            f'<UserSetting i:type="StringSetting"><Name>{name}</Name><Value>{escape(known[name])}</Value></UserSetting>'
            for name in settings
            if name in known
        )
        return _user_response("NoError", "No error.", errors=errors, values=values)


def _parsed(body: bytes) -> Any:
    """The document, None if there is none; nothing outside it is read."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return None


def _user_response(code: str, message: str, target: str = "", errors: str = "", values: str = "") -> str:
    redirect = f"<RedirectTarget>{escape(target)}</RedirectTarget>" if target else '<RedirectTarget i:nil="true"/>'
    return (
        f"<UserResponse><ErrorCode>{code}</ErrorCode><ErrorMessage>{escape(message)}</ErrorMessage>{redirect}"
        f"<UserSettingErrors>{errors}</UserSettingErrors><UserSettings>{values}</UserSettings></UserResponse>"
    )


def _envelope(code: str, message: str, content: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}"><s:Header>'
        f'<a:Action s:mustUnderstand="1">{NAMESPACE}/Autodiscover/GetUserSettingsResponse</a:Action></s:Header><s:Body>'
        f'<GetUserSettingsResponseMessage xmlns="{NAMESPACE}"><Response xmlns:i="{XSI}"><ErrorCode>{code}</ErrorCode>'
        f"<ErrorMessage>{escape(message)}</ErrorMessage>{content}</Response></GetUserSettingsResponseMessage></s:Body>"
        "</s:Envelope>"
    ).encode()


def _fault(text: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault><faultcode>s:Client</faultcode>'
        f"<faultstring>{escape(text)}</faultstring></s:Fault></s:Body></s:Envelope>"
    ).encode()
