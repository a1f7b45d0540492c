"""What may stay of URLs, headers and cookies: an allow-list each. What is not listed goes, or gets its stand-in."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ops_lib.mailbox.traffic import words
from ops_lib.mailbox.traffic.standins import GUID, HOST, StandIns, is_address_of_web, listed

_SEGMENTS = listed(
    "ews exchange.asmx services.wsdl autodiscover autodiscover.xml autodiscover.svc owa auth logon.aspx oauth2 v2.0 v1.0 token authorize "
    "devicecode common organizations consumers .well-known openid-configuration discovery keys instance logout login adfs ls proxy error "
    "exchange 2006 outlook requestschema responseschema services messages types errors 2006a deviceauth kerberos me calendar"
)
_PARAMETERS = listed(
    "api-version authorization_endpoint client_id redirect_uri response_type response_mode scope state nonce code code_challenge "
    "code_challenge_method prompt login_hint grant_type error error_description url replacecurrent wa wtrealm wctx"
)
_PLAIN_VALUES = re.compile(
    r"(?:authorization_code|refresh_token|client_credentials|password|query|fragment|form_post|S256|code|id_token|1\.[01]|select_account|login|none|consent|"
    r"urn:ietf:params:oauth:[a-z:-]{4,60}|device_code)"
)
_SCOPES = listed(
    "openid profile offline_access email .default ews.accessasuser.all full_access_as_app user_impersonation user.read "
    "calendars.readwrite mail.send"
)

_NUMBER = re.compile(r"\d{1,9}")
_DATE = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2}[ -][A-Z][a-z]{2}[ -]\d{4} \d\d:\d\d:\d\d GMT")
_MEDIA = re.compile(
    r"(?:text|application)/(?:xml|html|plain|json|soap\+xml|x-www-form-urlencoded|octet-stream|problem\+json)", re.I
)
_CHARSET = re.compile(r"charset=\"?(utf-8|utf-16|iso-8859-1|us-ascii|windows-1252)", re.I)
_PRODUCT = re.compile(
    r"(?:Microsoft-IIS|Microsoft-HTTPAPI|ASP\.NET|nginx|Apache|gromox|syncops-sandbox|uvicorn|envoy|squid|kong)(?:/[\d.]{1,12})?",
    re.I,
)
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,6}){1,4}")
_SCHEME = re.compile(r"^(Basic|NTLM|Negotiate|Bearer|Digest)\b(.*)$", re.I | re.S)


def url(value: str, stand_ins: StandIns) -> str:
    """A URL with its host's stand-in; of path and query only what every server has."""
    try:
        parts = urlsplit(value.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return stand_ins.text(value)
    if parts.scheme.lower() not in ("http", "https") or not host:
        return stand_ins.text(value)
    shown = stand_ins.host(host)
    shown = f"[{shown}]" if ":" in shown else shown
    place = f"{shown}:{port}" if port is not None else shown
    path = "/".join(_segment(unquote(each), stand_ins) for each in parts.path.split("/"))
    query = "&".join(
        f"{_parameter(name, stand_ins)}={quote(_value(name, given, stand_ins), safe='')}"
        for name, given in parse_qsl(parts.query, keep_blank_values=True)
    )
    return f"{parts.scheme.lower()}://{place}{path}" + (f"?{query}" if query else "")


def form(pairs: Iterable[tuple[str, str]], stand_ins: StandIns) -> list[tuple[str, str]]:
    """The fields of a form, as a token is asked for."""
    return [(_parameter(name, stand_ins), _value(name, given, stand_ins)) for name, given in pairs]


def scopes(value: str, stand_ins: StandIns) -> str:
    """Permissions as the directory names them."""
    return " ".join(_scope(each, stand_ins) for each in value.split())


def _segment(segment: str, stand_ins: StandIns) -> str:
    if not segment or segment.lower() in _SEGMENTS:
        return segment
    if GUID.fullmatch(segment):
        return stand_ins.guid(segment)
    if "@" in segment:
        return stand_ins.address(segment)
    if "." in segment and HOST.fullmatch(segment):
        return stand_ins.host(segment)
    return stand_ins.text(segment)


def _parameter(name: str, stand_ins: StandIns) -> str:
    known = _PARAMETERS | _FORM_SECRETS | {"username", "claims", "client_info", "device_code", "assertion_type"}
    return name if name.lower() in known or name.lower() in _CLIENT_FACTS else stand_ins.text(name)


_FORM_SECRETS = listed(
    "client_secret password refresh_token access_token client_assertion code code_verifier device_code assertion "
    "state nonce code_challenge client_info wctx"
)
_CLIENT_FACTS = listed("client_assertion_type x-client-sku x-client-ver x-client-os x-client-cpu")


def _value(name: str, given: str, stand_ins: StandIns) -> str:
    lowered = name.lower()
    if lowered in _FORM_SECRETS:
        return stand_ins.secret(given) if given else ""
    if lowered == "scope":
        return scopes(given, stand_ins)
    if _PLAIN_VALUES.fullmatch(given):
        return given
    if GUID.fullmatch(given):
        return stand_ins.guid(given)
    if is_address_of_web(given):
        return url(given, stand_ins)
    if "@" in given:
        return stand_ins.address(given)
    return stand_ins.text(given)


def _scope(scope: str, stand_ins: StandIns) -> str:
    if scope.lower() in _SCOPES:
        return scope
    if is_address_of_web(scope):
        place, _, permission = scope.rpartition("/")
        return f"{url(place, stand_ins).rstrip('/')}/{_scope(permission, stand_ins)}"
    return stand_ins.text(scope)


# ── headers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def request_headers(headers: Mapping[str, str], stand_ins: StandIns) -> dict[str, str]:
    """What a request said of itself; of a sign-in only its scheme."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lowered = name.lower()
        if lowered == "content-type":
            kept["Content-Type"] = _media(value)
        elif lowered == "x-anchormailbox":
            kept["X-AnchorMailbox"] = stand_ins.address(value)
        elif lowered == "authorization":
            found = _SCHEME.match(value)
            stand_ins.secret(value)
            step = ntlm_step(value)
            kept["Authorization"] = f"{found.group(1) if found else 'Unknown'} REPLACED{f'-{step}' if step else ''}"
        elif lowered not in ("content-length", "host", "connection", "accept", "accept-encoding", "user-agent"):
            stand_ins.secret(value)
    return kept


def ntlm_step(authorization: str) -> int:
    """Which message of an NTLM sign-in a header carries, 1 or 3; 0 for any other header, a scrubbed one too."""
    found = _SCHEME.match(authorization)
    if found is None or found.group(1).lower() not in ("ntlm", "negotiate"):
        return 0
    said = found.group(2).strip()
    if said.startswith("REPLACED-") and said[9:].isdigit():
        return int(said[9:])
    try:
        message = base64.b64decode(said, validate=True)
    except ValueError:
        return 0
    return message[8] if message.startswith(b"NTLMSSP\0") and len(message) > 8 else 0


NTLM_CHALLENGE = base64.b64encode(
    b"NTLMSSP\0" + struct.pack("<I", 2) + struct.pack("<HHI", 0, 0, 48) + struct.pack("<I", 0x00888205) + b"replayed" + b"\0" * 8
    + struct.pack("<HHI", 4, 4, 48) + b"\0" * 4
).decode()  # fmt: skip
"""A server's challenge that names nobody: a client goes on with it as with the one it stands for. Source: MS-NLMP 2.2.1.2."""


def answer_headers(headers: Iterable[tuple[str, str]], stand_ins: StandIns) -> dict[str, list[str]]:
    """What an answer's headers may say. The body is kept decoded and unpacked, so what says how it was packed is dropped."""
    kept: dict[str, list[str]] = {}
    for name, value in headers:
        shown = _header(name.lower(), value, stand_ins)
        if shown is not None:
            kept.setdefault(_spelt(name.lower()), []).append(shown)
    return kept


def _header(name: str, value: str, stand_ins: StandIns) -> str | None:
    """A header's value as it may stay; None where the header goes."""
    if name in ("content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "vary"):
        return None
    if name == "content-type":
        return _media(value)
    if name in ("date", "last-modified", "expires"):
        return value if _DATE.fullmatch(value) else None
    if name == "retry-after":
        return value if _NUMBER.fullmatch(value) or _DATE.fullmatch(value) else None
    if name in ("server", "x-powered-by", "via"):
        return _products(value, stand_ins)
    if name in ("x-owa-version", "x-aspnet-version", "ms-server-version", "x-feproxyinfo-version"):
        return value if _VERSION.fullmatch(value) else None
    if name == "www-authenticate" or name == "proxy-authenticate":
        return _challenge(value, stand_ins)
    if name == "location":
        return url(value, stand_ins) if is_address_of_web(value) else _path(value, stand_ins)
    if name in ("request-id", "client-request-id", "x-ms-request-id", "x-correlation-id", "x-requestid"):
        return stand_ins.guid(value)
    if name in (
        "x-feserver",
        "x-beserver",
        "x-calculatedbetarget",
        "x-calculatedfetarget",
        "x-diaginfo",
        "x-servername",
    ):
        return stand_ins.host(value)
    if name in (
        "x-ews-policy-reason", "x-caserrorcode", "x-ms-diagnostics", "x-calerror", "x-proxyerrormessage", "x-squid-error", "x-error-code",
        "x-rejectreason", "x-ews-error",
    ):  # fmt: skip
        return _diagnostics(value, stand_ins)
    if name in (
        "x-backendhttpstatus",
        "x-proxyerrorhresult",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ms-throttle-backoff",
    ):
        return value if _NUMBER.fullmatch(value) else None
    if name == "set-cookie":
        return _cookie(value, stand_ins)
    stand_ins.secret(value)
    return None


def _spelt(name: str) -> str:
    special = {"www-authenticate": "WWW-Authenticate", "x-ews-policy-reason": "X-EWS-Policy-Reason", "x-feserver": "X-FEServer", "x-beserver": "X-BEServer", "x-caserrorcode": "X-CasErrorCode", "x-owa-version": "X-OWA-Version"}  # fmt: skip
    if name in special or name in ("request-id", "client-request-id", "x-ms-diagnostics"):
        return special.get(name, name)
    return "-".join(part.capitalize() for part in name.split("-"))


def _media(value: str) -> str:
    kind, charset = _MEDIA.match(value.strip()), _CHARSET.search(value)
    shown = kind.group(0).lower() if kind else "application/octet-stream"
    return f"{shown}; charset=utf-8" if charset or "xml" in shown else shown


def _products(value: str, stand_ins: StandIns) -> str | None:
    found = [match.group(0) for match in _PRODUCT.finditer(value)]
    if not found:
        stand_ins.text(value)
    return " ".join(found) or None


def _challenge(value: str, stand_ins: StandIns) -> str:
    """How a server wants to be signed in to: schemes and error words stay; realms, tokens and NTLM's messages go."""
    shown: list[str] = []
    for part in re.split(r",\s*(?=(?:Basic|NTLM|Negotiate|Bearer|Digest)\b)", value, flags=re.I):
        found = _SCHEME.match(part.strip())
        if found is None:
            stand_ins.secret(part)
            continue
        scheme, rest = found.groups()
        known = []
        for name, quoted in re.findall(r"([\w-]+)\s*=\s*\"([^\"]*)\"", rest):
            if name.lower() == "client_id" and GUID.fullmatch(quoted):
                known.append(f'{name}="{stand_ins.guid(quoted)}"')
            elif name.lower() in ("authorization_uri", "token_types", "error", "error_description"):
                shown_value = (
                    url(quoted, stand_ins)
                    if is_address_of_web(quoted)
                    else words.plain(quoted.replace("_", " "), stand_ins)
                )
                known.append(f'{name}="{shown_value.replace(" ", "_") if name.lower() == "error" else shown_value}"')
            else:
                stand_ins.text(quoted)
        if rest.strip() and not known:
            stand_ins.secret(rest.strip())
            if scheme.lower() in ("ntlm", "negotiate"):
                known.append(NTLM_CHALLENGE)
        shown.append(f"{scheme} {', '.join(known)}".strip())
    return ", ".join(shown) or "Unknown"


def _diagnostics(value: str, stand_ins: StandIns) -> str:
    """``2000003;reason="The token has expired.";error_category="token_expired"``: numbers of errors, words and categories."""
    shown = []
    for part in value.split(";"):
        name, equals, said = part.strip().partition("=")
        if not equals:
            is_number = re.fullmatch(r"[1-9]\d{5,6}", name) is not None  # as Exchange numbers its refusals of tokens
            shown.append(name if is_number else words.plain(name, stand_ins))
            continue
        cleaned = words.plain(said.strip('"').replace("_", " "), stand_ins)
        key = name if name in ("reason", "error_category") else words.plain(name, stand_ins)
        shown.append(f'{key}="{cleaned.replace(" ", "_") if name == "error_category" else cleaned}"')
    return ";".join(shown)


def _path(value: str, stand_ins: StandIns) -> str:
    path, _, _ = value.partition("?")
    return "/".join(_segment(unquote(each), stand_ins) for each in path.split("/"))


def _cookie(value: str, stand_ins: StandIns) -> str:
    name, _, rest = value.partition("=")
    known = (
        name.strip()
        if name.strip() in ("exchangecookie", "X-BackEndCookie", "ClientId", "cadata", "X-OWA-CANARY")
        else "cookie"
    )
    return f"{known}={stand_ins.secret(rest)}"
