"""Is what was entered for a host possible? Each refusal gives the reason and the mend (H5)."""

from __future__ import annotations

import ipaddress
import re
import uuid
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops_lib.access import secrets
from ops_lib.errors import InputError
from ops_lib.model import Host

OFFICE_365_URL = "https://outlook.office365.com/EWS/Exchange.asmx"
VERSIONS = ("2013", "2016", "2019", "SE", "Office 365")
AUTHS = ("oauth-code", "oauth-device", "oauth-app", "ntlm", "basic")
ACCESSES = ("impersonation", "delegate", "direct")

EXCHANGE_ONLINE = (
    "outlook.office365.com",
    "outlook.office.com",
    "outlook.office365.us",
    "outlook-dod.office365.us",
    "partner.outlook.cn",
)
"""Where Exchange Online answers EWS: worldwide, the US government's two clouds, China."""

_SHARED_BY_TENANTS = frozenset({"common", "organizations", "consumers"})

EARLY_DAYS = 30
"""A secret that ends within so many days is spoken of: making a new one takes somebody's time."""


def ews_url(value: str) -> str:
    """The address of Exchange Web Services. Plain http is for this machine only: a password would cross the network in clear."""
    value = value.strip()
    fix = f"give the organisation's own, such as {OFFICE_365_URL}."
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InputError("this is no URL", subject="url", fix=fix) from None
    if parts.username or parts.password:
        raise InputError(
            "the URL holds a user name or a password",
            subject="url",
            fix="give them with --service-user and --password-env.",
        )
    if parts.scheme not in ("http", "https") or not host or any(each.isspace() for each in value):
        raise InputError(f"{value} is no http or https URL", subject="url", fix=fix)
    if parts.query or parts.fragment or not parts.path.lower().endswith(".asmx"):
        raise InputError(
            f"{value} does not end in .asmx, as the address of Exchange Web Services does", subject="url", fix=fix
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise InputError(
            f"{value} is not encrypted: passwords would cross the network in clear",
            subject="url",
            fix="use https; a private certificate authority goes into --ca-bundle.",
        )
    return value


def authority_url(value: str) -> str:
    """Where tokens come from, when it is not the usual place: https, without a path or with the tenant's."""
    value = value.strip().rstrip("/")
    fix = "give an https address, such as https://login.microsoftonline.us."
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme != "https" or not host or parts.username or parts.query or parts.fragment:
        raise InputError(f"{value} is no authority", subject="authority", fix=fix)
    path = parts.path.strip("/")
    if "/" in path or any(each.isspace() for each in value):
        raise InputError(
            f"{value} is no authority: it is an address beneath one", subject="authority", fix="leave the path out."
        )
    if path.lower() in _SHARED_BY_TENANTS:
        raise InputError(
            f"{value} is where people of every tenant sign in",
            subject="authority",
            fix="leave the path out; the tenant id takes its place.",
        )
    return value


def redirect_uri(value: str) -> str:
    """Where the directory sends the browser after a sign-in, exactly as registered: https, or http on this machine only."""
    value = value.strip()
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.fragment or parts.username:
        raise InputError(
            f"{value} is no redirect URI",
            subject="redirect uri",
            fix="copy it from the app registration's Authentication page, such as http://localhost.",
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise InputError(
            f"{value} is not encrypted: the sign-in's code would cross the network in clear",
            subject="redirect uri",
            fix="register an https URI, or http://localhost.",
        )
    return value


def guid(value: str, what: str) -> str:
    """A tenant id or client id: a GUID, in lower case."""
    try:
        parsed = uuid.UUID(value.strip())
    except ValueError:
        parsed = None
    if parsed is None or not looks_like_guid(value):
        raise InputError(
            f"{value} is no {what}",
            subject=what,
            fix="copy it from the app registration's Overview: 32 hexadecimal digits with four hyphens.",
        )
    return str(parsed)


def client_secret(value: str) -> None:
    """Refuse what is surely no client secret: the portal shows a secret's *id*, a GUID, beside its *value*."""
    if looks_like_guid(value):
        raise InputError(
            "this is the id of a client secret, not its value",
            subject="client secret",
            fix="copy the column Value of Certificates & secrets; it is shown only once, so make a new secret if it is gone.",
        )


def ca_bundle(value: str) -> str:
    """A file of certificates, by its full path."""
    path = Path(value).expanduser().absolute()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the CA bundle cannot be read ({error.strerror})", subject=str(path), fix="name a PEM file that exists."
        ) from None
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InputError(
            "the CA bundle holds no certificate in PEM form",
            subject=str(path),
            fix="export the certificate authority's certificate as Base-64 (PEM).",
        )
    return str(path)


def version(value: str) -> str:
    """The Exchange version as the host's form names it."""
    spellings = {each.lower().replace(" ", ""): each for each in VERSIONS} | {"o365": "Office 365", "365": "Office 365"}
    known = spellings.get(value.lower().replace(" ", "").replace("exchange", "").replace("server", ""))
    if known is None:
        raise InputError(
            f"{value} is no Exchange version that this works with",
            subject="version",
            fix=f"use one of: {', '.join(VERSIONS)}.",
        )
    return known


def last_day(value: str, today: date | None) -> date:
    """The day a secret ends. **Raises** `InputError` for what is no date, and, where ``today`` is known, for a day that is past."""
    try:
        day = date.fromisoformat(value.strip())
    except ValueError:
        raise InputError(
            f"{value} is no date",
            subject="secret expires",
            fix="write it as 2027-05-31, as the portal's column Expires says.",
        ) from None
    if today is not None and day < today:
        raise InputError(
            f"the secret ended on {day}",
            subject="secret expires",
            fix="make a new one under Certificates & secrets (or set a new password), and enter that.",
        )
    return day


def is_exchange_online(url: str) -> bool:
    """Whether Microsoft runs the server at this address."""
    return (urlsplit(url).hostname or "") in EXCHANGE_ONLINE


def together(host: dict[str, Any]) -> None:
    """Refuse what each by itself is possible and together is not. ``host`` has the columns of a host."""
    subject, auth, access, secret = host["name"], host["auth"], host["access"], host["secret"]
    if auth in ("basic", "ntlm"):
        _password(host)
    else:
        if host["url"].startswith("http://"):
            raise InputError("a token must not travel without TLS", subject=subject, fix="give the https URL.")
        for name, option in (("tenant_id", "--tenant-id"), ("client_id", "--client-id")):
            if not host[name]:
                raise InputError(
                    f"signing in with {auth} needs a {name.replace('_', ' ')}", subject=subject, fix=f"give {option}."
                )
        if host["tenant_id"] == host["client_id"]:
            raise InputError(
                "tenant id and client id are the same: one of them was copied twice",
                subject=subject,
                fix="copy both from the app registration's Overview: Directory (tenant) ID and Application (client) ID.",
            )
        named = urlsplit(host.get("authority") or "").path.strip("/")
        if looks_like_guid(named) and named.lower() != host["tenant_id"]:
            raise InputError(
                f"the authority names the tenant {named}, and the tenant id is another",
                subject=subject,
                fix="leave the path of the authority out, or give that --tenant-id.",
            )
    if is_exchange_online(host["url"]) and host["version"] != "Office 365":
        raise InputError(
            f"the URL is Exchange Online's, and version {host['version']} is a server's of your own",
            subject=subject,
            fix="give --version 'Office 365', or the organisation's own URL.",
        )
    if auth == "oauth-app":
        if access != "impersonation":
            raise InputError(
                f"an app signs in as nobody, so it can only impersonate: access {access} is not possible",
                subject=subject,
                fix="use --access impersonation, or another --auth.",
            )
        if not secret:
            raise InputError("the client secret is missing", subject=subject, fix="give --secret-env or --secret-file.")
    if auth.startswith("oauth") and secret:
        try:
            value = secrets.resolve(secret)
        except InputError:
            return  # not there now: whoever signs in is told
        client_secret(value)


def _password(host: dict[str, Any]) -> None:
    subject, auth, access, secret = host["name"], host["auth"], host["access"], host["secret"]
    if is_exchange_online(host["url"]):
        raise InputError(
            f"Exchange Online takes no passwords: signing in with {auth} was turned off there",
            subject=subject,
            fix="register an app and use --auth oauth-app, oauth-code or oauth-device.",
        )
    if access == "direct" and secret:
        raise InputError(
            "with access direct every account signs in with its own password, and none acts for the others",
            subject=subject,
            fix="give the passwords with syncops account add --password-env, or use --access impersonation.",
        )
    if access != "direct" and not host["service_user"]:
        raise InputError("the service account's name is missing", subject=subject, fix="give --service-user.")
    if access != "direct" and not secret:
        raise InputError(
            "the service account's password is missing", subject=subject, fix="give --password-env or --password-file."
        )


def remarks(host: Host, today: date) -> list[str]:
    """What is possible and will hardly work, or not for long: each with the reason and the mend."""
    found = []
    if host.secret_expires is not None and (days := (host.secret_expires - today).days) <= EARLY_DAYS:
        when = f"ends in {days} days, on" if days > 0 else "ends today," if days == 0 else "ended on"
        found.append(
            f"the secret of host {host.name} {when} {host.secret_expires}."
            f" Make a new one and enter it: syncops host rotate {host.name!r}."
        )
    if is_exchange_online(host.url) and host.access == "impersonation" and host.auth in ("oauth-code", "oauth-device"):
        found.append(
            "Exchange Online withdrew the role ApplicationImpersonation in February 2025: a service account that signs in"
            f" with {host.auth} can act for nobody there. Use --auth oauth-app with full_access_as_app (or the role"
            " Application EWS.AccessAsApp), or --access direct."
        )
    if (
        host.version == "Office 365"
        and not is_exchange_online(host.url)
        and not _is_this_machine(urlsplit(host.url).hostname or "")
    ):
        found.append(
            f"the version is Office 365 and {host.url} is no address of Exchange Online's: a server of your own wants its"
            " own version (--version)."
        )
    return found


def looks_like_guid(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value.strip()))


def _is_this_machine(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
