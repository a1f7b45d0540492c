"""What may stay of a body, whatever it is: SOAP, Autodiscover, JSON, a form, a web page, a text. What is not understood is replaced whole."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from lxml import etree, html

from ops_lib.mailbox.ews.transport import is_soap
from ops_lib.mailbox.traffic import soap, web, words
from ops_lib.mailbox.traffic.standins import ADDRESS, GUID, StandIns, is_address_of_web, listed

CUT_SHORT = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><cut'
"""What stands for SOAP that is not well-formed: it is none either."""

WITH_DOCUMENT_TYPE = "<!DOCTYPE replaced><replaced/>"

_LARGEST_PAGE = 500_000
_TAGS = listed("html head title body form input button h1 h2 h3 p div span a ul li table tr td pre b i br hr label")
_JWT = re.compile(r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*")

_KEPT_NUMBERS = listed("expires_in ext_expires_in interval not_before expires_on error_codes exp nbf iat refresh_in")
_KEPT_WORDS = listed(
    "error suberror token_type response_type response_types_supported response_modes_supported subject_types_supported ver appidacr idtyp "
    "id_token_signing_alg_values_supported token_endpoint_auth_methods_supported cloud_instance_name tenant_region_scope azpacr alg typ "
    "claims_supported tenant_region_sub_scope"
)
_WORD = re.compile(r"[A-Za-z0-9_.+ -]{1,60}")
_KNOWN_VALUES = listed(
    "bearer pairwise code id_token query fragment form_post rs256 client_secret_post private_key_jwt client_secret_basic sub iss aud exp iat "
    "jwt app user none token na eu as ww 1.0 2.0 0 1 2 microsoftonline.com code_id_token".replace(
        "_id_token", " id_token"
    )
)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ")
_SECRET_KEYS = re.compile(
    r"token|secret|password|code$|assertion|client_info|cookie|^x5|^kid$|nonce|^uti$|^rh$|^sid$", re.I
)


def body(content: bytes, content_type: str, stand_ins: StandIns) -> str:
    """The body as text, with what may stay. What the scrubber itself stumbles over is replaced whole."""
    try:
        return _body(content, content_type, stand_ins)
    except Exception:  # noqa: BLE001  whatever it is, nothing unscrubbed may come of it
        return _gone(content, stand_ins)


def _body(content: bytes, content_type: str, stand_ins: StandIns) -> str:
    if not content.strip():
        return ""
    start = content[:2048].lstrip(b"\xef\xbb\xbf \r\n\t")
    if "json" in content_type.lower() or start[:1] in (b"{", b"["):
        shown = _json(content, stand_ins)
        if shown is not None:
            return shown
    if "x-www-form-urlencoded" in content_type.lower():
        return _form(content, stand_ins)
    shown = soap.scrubbed(content, stand_ins)
    if shown is not None:
        return shown
    if is_soap(content):
        _gone(content, stand_ins)
        return CUT_SHORT
    lowered = start.lower()
    if b"<html" in lowered or b"<!doctype html" in lowered:
        return _page(content, stand_ins)
    if b"<!doctype" in lowered:
        _gone(content, stand_ins)
        return WITH_DOCUMENT_TYPE
    if content_type.lower().startswith("text/") or not content_type:
        return _plain(content, stand_ins)
    return _gone(content, stand_ins)


def _gone(content: bytes, stand_ins: StandIns) -> str:
    stand_ins.counts["body"] += 1
    return f"[replaced: {len(content)} bytes]"


def _decoded(content: bytes) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _plain(content: bytes, stand_ins: StandIns) -> str:
    text = _decoded(content)
    return _gone(content, stand_ins) if text is None or "\0" in text else words.plain(text, stand_ins)


def _form(content: bytes, stand_ins: StandIns) -> str:
    text = _decoded(content)
    return (
        _gone(content, stand_ins)
        if text is None
        else urlencode(web.form(parse_qsl(text, keep_blank_values=True), stand_ins))
    )


# ── web pages ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _page(content: bytes, stand_ins: StandIns) -> str:
    """The page's skeleton and the words that servers' pages use."""
    if len(content) > _LARGEST_PAGE:
        return f"<html><body>{_gone(content, stand_ins)}</body></html>"
    try:
        root = html.document_fromstring(content)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return f"<html><body>{_gone(content, stand_ins)}</body></html>"
    copy = etree.Element("html")
    _skeleton(root, copy, stand_ins, [300])
    return "<!DOCTYPE html>" + str(etree.tostring(copy, encoding="unicode", method="html"))


def _skeleton(element: Any, copy: Any, stand_ins: StandIns, left: list[int]) -> None:
    def add(text: str) -> None:
        shown = words.plain(text, stand_ins) if text.strip() else ""
        if not shown:
            return
        last = copy[-1] if len(copy) else None
        if last is None:
            copy.text = f"{copy.text or ''} {shown}".strip()
        else:
            last.tail = f"{last.tail or ''} {shown}".strip()

    add(element.text or "")
    for part in element:
        if (
            isinstance(part.tag, str)
            and part.tag not in ("script", "style", "svg", "noscript", "template")
            and left[0] > 0
        ):
            left[0] -= 1
            if part.tag in _TAGS:
                shown = etree.SubElement(copy, part.tag)
                if part.tag == "input" and part.get("type", "").lower() in (
                    "password",
                    "text",
                    "email",
                    "submit",
                    "hidden",
                ):
                    shown.set("type", part.get("type").lower())
                _skeleton(part, shown, stand_ins, left)
            else:
                _skeleton(part, copy, stand_ins, left)
        add(part.tail or "")


# ── JSON and tokens ──────────────────────────────────────────────────────────────────────────────────────────────────
def _json(content: bytes, stand_ins: StandIns) -> str | None:
    text = _decoded(content)
    try:
        document = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return json.dumps(_value("", document, stand_ins))


def _value(key: str, value: Any, stand_ins: StandIns) -> Any:
    if isinstance(value, dict):
        return {_key(name, stand_ins): _value(name, each, stand_ins) for name, each in value.items()}
    if isinstance(value, list):
        return [_value(key, each, stand_ins) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        if key in _KEPT_NUMBERS and abs(value) < 10**11:
            return value
        stand_ins.text(str(value))
        return 0
    return _string(key, str(value), stand_ins)


def _key(name: str, stand_ins: StandIns) -> str:
    pieces = re.findall(r"[A-Za-z]+", name)
    known = all(words.is_known(each) or each.lower() in _JSON_WORDS for each in pieces)
    return name if known and re.fullmatch(r"[A-Za-z_@.]{1,60}", name) else stand_ins.text(name)


_JSON_WORDS = listed(
    """
    ext id jwks msgraph graph cloud instance rbac sub subs tid oid upn unique ver aud iss iat nbf exp aio appid appidacr idp idtyp rh uti wids
    xms scp roles kid typ alg endpoint endpoints modes algs values types supported frontchannel logout session pairwise region tenant device
    issuer userinfo expires in refresh info client token trace correlation timestamp codes description preferred username name given family
    end http https url uri ipaddr acct puid amr azp azpacr signin state login hint verification kerberos subject
    """
)


def _string(key: str, value: str, stand_ins: StandIns) -> str:
    if not value:
        return value
    if _JWT.fullmatch(value):
        return token(value, stand_ins)
    if key in ("error_description", "message"):
        return words.plain(value, stand_ins)
    if key == "client_info":
        return _client_info(value, stand_ins)
    if key in ("scp", "scope", "scopes_supported", "roles"):
        return scopes_or_roles(value, stand_ins)
    if key in _KEPT_WORDS and _WORD.fullmatch(value) and _is_of_protocol(value):
        return value
    if key in _KEPT_NUMBERS and re.fullmatch(r"\d{1,11}", value):
        return value
    if key == "timestamp" and _TIMESTAMP.fullmatch(value):
        return value
    if _SECRET_KEYS.search(key) and not is_address_of_web(value):
        return stand_ins.secret(value)
    if GUID.fullmatch(value):
        return stand_ins.guid(value)
    if is_address_of_web(value):
        return _address(value, stand_ins)
    if ADDRESS.fullmatch(value):
        return stand_ins.address(value)
    return stand_ins.name(value) if key in ("name", "given_name", "family_name") else stand_ins.text(value)


def scopes_or_roles(value: str, stand_ins: StandIns) -> str:
    """Permissions as the directory names them."""
    return value if _is_right(value) else web.scopes(value, stand_ins)


def _is_right(value: str) -> bool:
    return value in (
        "full_access_as_app",
        "EWS.AccessAsApp",
        "Application EWS.AccessAsApp",
        "Mail.Send",
        "Calendars.ReadWrite",
    )


def _is_of_protocol(value: str) -> bool:
    pieces = re.split(r"[_ .-]+", value.lower())
    return (
        all(not each or each in _KNOWN_VALUES or words.is_known(each) for each in pieces)
        or value.lower() in _KNOWN_VALUES
    )


def _address(value: str, stand_ins: StandIns) -> str:
    """A URL; ``{tenantid}`` in it is no tenant's."""
    shown = web.url(value.replace("{tenantid}", "common"), stand_ins)
    return shown.replace("/common", "/{tenantid}", 1) if "{tenantid}" in value else shown


def _client_info(value: str, stand_ins: StandIns) -> str:
    """Whose tokens they are: MSAL reads it, so it stays what it is."""
    try:
        read = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except (ValueError, binascii.Error):
        return stand_ins.secret(value)
    if not isinstance(read, dict):
        return stand_ins.secret(value)
    stand_ins.secret(value)
    return _packed({key: stand_ins.guid(str(read.get(key, ""))) for key in ("uid", "utid")})


def token(value: str, stand_ins: StandIns) -> str:
    """A token that carries claims: the same claims with their stand-ins, and no signature. Any other becomes a secret's stand-in."""
    head, claims, _ = value.split(".")
    stand_ins.secret(value)
    try:
        read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return stand_ins.secret(value)
    if not isinstance(read, dict):
        return stand_ins.secret(value)
    return f"{_packed({'alg': 'none', 'typ': 'JWT'})}.{_packed(_value('', read, stand_ins))}.replaced"


def _packed(document: dict[str, Any]) -> str:
    """As in a token, but for a space before it: who searches a folder for real tokens does not stop at a stand-in."""
    return base64.urlsafe_b64encode(b" " + json.dumps(document).encode()).decode().rstrip("=")
