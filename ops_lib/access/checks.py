"""Is what was entered for a host possible? Each refusal gives the reason and the mend (H5)."""

from __future__ import annotations

import ipaddress
import re
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from ops_lib.errors import InputError

OFFICE_365_URL = "https://outlook.office365.com/EWS/Exchange.asmx"
VERSIONS = ("2013", "2016", "2019", "SE", "Office 365")
AUTHS = ("oauth-code", "oauth-device", "oauth-app", "ntlm", "basic")
ACCESSES = ("impersonation", "delegate", "direct")


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
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise InputError(
            f"{value} is no authority",
            subject="authority",
            fix="give an https address, such as https://login.microsoftonline.us.",
        )
    return value


def guid(value: str, what: str) -> str:
    """A tenant id or client id: a GUID, in lower case."""
    try:
        parsed = uuid.UUID(value.strip())
    except ValueError:
        parsed = None
    if parsed is None or not _looks_like_guid(value):
        raise InputError(
            f"{value} is no {what}",
            subject=what,
            fix="copy it from the app registration's Overview: 32 hexadecimal digits with four hyphens.",
        )
    return str(parsed)


def client_secret(value: str) -> None:
    """Refuse what is surely no client secret: the portal shows a secret's *id*, a GUID, beside its *value*."""
    if _looks_like_guid(value):
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


def _looks_like_guid(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value.strip()))


def _is_this_machine(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
