"""App registrations: redirect addresses, secrets, certificates, permissions, and how an app proves who it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ops_lib.errors import InputError, NotThere

from .refusals import Refused, stamp
from .scopes import ACCESS_AS_USER, DELEGATED, FULL_ACCESS

NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Secret:
    """A client secret. The portal shows ``secret_id`` for ever beside it, ``value`` only once."""

    secret_id: str
    value: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate an app may sign with; the thumbprints are base64url, as in a JWT's header."""

    certificate: x509.Certificate = field(repr=False)
    sha1: str
    sha256: str

    @classmethod
    def read(cls, pem: str) -> Certificate:
        """Reads a PEM certificate with an RSA key. Raises InputError."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            raise InputError(
                "this is no certificate in PEM form", subject="certificate", fix="Send the public part, as PEM."
            ) from None
        if not isinstance(certificate.public_key(), RSAPublicKey):
            raise InputError("its key is not RSA", subject="certificate", fix="Make a certificate with an RSA key.")
        # Thumbprints are names, and SHA-1 is how the protocol writes the older of the two.
        der = certificate.public_bytes(serialization.Encoding.DER)
        sha1 = hashlib.sha1(der, usedforsecurity=False).digest()
        return cls(certificate, _base64url(sha1), _base64url(certificate.fingerprint(hashes.SHA256())))

    @property
    def thumbprint(self) -> str:
        """The SHA-1 thumbprint in hex, as the portal shows it."""
        return base64.urlsafe_b64decode(self.sha1 + "==").hex().upper()


@dataclass(slots=True)
class App:
    """An app registration.

    ``roles``: application permissions an administrator granted. ``delegated``: permissions it may ask users for.
    ``redirect_uris`` are of a web app (its secret is needed), ``public_redirect_uris`` of a desktop app (a secret is refused);
    an address in both serves both. ``public_flows``: whether it may use device codes without a secret.
    """

    client_id: str
    name: str
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    roles: tuple[str, ...] = (FULL_ACCESS,)
    delegated: tuple[str, ...] = (ACCESS_AS_USER,)
    redirect_uris: tuple[str, ...] = ()
    public_redirect_uris: tuple[str, ...] = ()
    public_flows: bool = True
    enabled: bool = True
    multi_tenant: bool = False
    assignment_required: bool = False
    assigned: frozenset[str] = frozenset()
    generation: int = 0  # one more each time its tokens are withdrawn

    @property
    def secret(self) -> str:
        """The newest secret's value, "" without one."""
        return self.secrets[-1].value if self.secrets else ""

    def registered(self, redirect_uri: str) -> str:
        """How a redirect address is registered: "web", "public", "both" or "" (not at all)."""
        web = any(_same_address(known, redirect_uri) for known in self.redirect_uris)
        public = any(_same_address(known, redirect_uri) for known in self.public_redirect_uris)
        return "both" if web and public else "web" if web else "public" if public else ""


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _same_address(registered: str, given: str) -> bool:
    """Whether the addresses are the same to the letter; of a loopback address the port does not count (RFC 8252)."""
    if registered == given:
        return True
    try:
        known, asked = urlsplit(registered), urlsplit(given)
    except ValueError:
        return False
    if known.scheme != "http" or known.hostname not in ("localhost", "127.0.0.1"):
        return False
    paths = {known.path or "/", asked.path or "/"}
    return (asked.scheme, asked.hostname, asked.query) == (known.scheme, known.hostname, known.query) and len(
        paths
    ) == 1


class Apps:
    """The registrations of one tenant. ``now`` decides over the expiry of secrets."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._apps: dict[str, App] = {}

    def __iter__(self) -> Any:
        return iter(list(self._apps.values()))

    def clear(self) -> None:
        """Forgets every registration."""
        self._apps.clear()

    def put(self, app: App) -> None:
        """Adds a registration, or puts it in the place of the one with its id."""
        self._apps[app.client_id.lower()] = app

    def find(self, client_id: str) -> App:
        """The registration with this id. Raises NotThere."""
        try:
            return self._apps[client_id.lower()]
        except KeyError:
            raise NotThere("no such app", subject=client_id, fix="GET /apps lists them.") from None

    def of(self, client_id: str, tenant: str) -> App:
        """The registration a request names. Raises Refused (700016, 7000112, or 50194 at a shared address)."""
        app = self._apps.get(client_id.lower())
        if app is None:
            raise Refused(700016, client_id=client_id, tenant=tenant)
        if not app.enabled:
            raise Refused(7000112, client_id=app.client_id, name=app.name)
        if tenant.lower() in ("common", "organizations") and not app.multi_tenant:
            raise Refused(50194, client_id=app.client_id, name=app.name)
        return app

    def add_secret(self, app: App, days: float = 180) -> Secret:
        """Gives an app another secret, valid for so many days (negative: expired already)."""
        secret = Secret(str(uuid.uuid4()), secrets.token_urlsafe(30), self._now() + timedelta(days=days))
        app.secrets.append(secret)
        return secret

    # -- who asks ------------------------------------------------------------------------------------------------------

    def authenticate(self, app: App, form: Mapping[str, str], token_url: str) -> None:
        """Checks the secret or the signed assertion of a confidential client. Raises Refused."""
        if form.get("client_assertion"):
            self._check_assertion(app, form, token_url)
            return
        given = form.get("client_secret", "").encode()
        if not given:
            raise Refused(7000218)
        matching = [one for one in app.secrets if hmac.compare_digest(given, one.value.encode())]
        if not matching:
            raise Refused(7000215, client_id=app.client_id)
        if self._now() >= max(one.expires for one in matching):
            raise Refused(7000222, client_id=app.client_id)

    def _check_assertion(self, app: App, form: Mapping[str, str], token_url: str) -> None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refused(900144, parameter="client_assertion_type")
        assertion = form["client_assertion"]
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.InvalidTokenError:
            raise Refused(50027) from None
        certificate = self._signed_with(app, header)
        try:
            claims = jwt.decode(
                assertion,
                _rsa_key(certificate),
                algorithms=["RS256", "PS256"],
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except jwt.InvalidTokenError:
            raise self._bad_certificate(app, "The key used to sign does not match", certificate.thumbprint) from None
        if not claims.get("iss") == claims.get("sub") == app.client_id:
            raise Refused(700021)
        audience = str(claims.get("aud", "")).rstrip("/")
        if audience not in (token_url, token_url.replace("/oauth2/v2.0/token", "/v2.0")):
            raise Refused(700023)
        # The client writes these by its own clock, which nobody can set to the organisation's.
        now, begins, expires = time.time(), claims.get("nbf") or claims.get("iat") or 0, claims.get("exp") or 0
        if not isinstance(begins, int | float) or not isinstance(expires, int | float):
            raise Refused(50027)
        if not begins - _SKEW_SECONDS <= now < expires + _SKEW_SECONDS:
            raise Refused(700024, now=_moment(now), expires=_moment(expires))

    def _signed_with(self, app: App, header: Mapping[str, Any]) -> Certificate:
        named = str(header.get("x5t#S256") or header.get("x5t") or header.get("kid") or "")
        for one in app.certificates:
            if named.rstrip("=") in (one.sha256, one.sha1) or named.upper() == one.thumbprint:
                ends = one.certificate.not_valid_after_utc
                if self._now() >= ends:
                    reason = f"The key used is expired., Found key 'End={stamp(ends)}'"
                    raise self._bad_certificate(app, reason, one.thumbprint)
                return one
        raise self._bad_certificate(app, "The key was not found.", named)

    @staticmethod
    def _bad_certificate(app: App, reason: str, thumbprint: str) -> Refused:
        return Refused(700027, reason=reason, thumbprint=thumbprint, client_id=app.client_id)


def _moment(seconds: float) -> str:
    """An instant in seconds since 1970 as Entra writes it; one that no calendar has as the number."""
    try:
        return stamp(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _rsa_key(certificate: Certificate) -> RSAPublicKey:
    key = certificate.certificate.public_key()
    assert isinstance(key, RSAPublicKey)  # read() takes no other
    return key


def client_from(authorization: str) -> dict[str, str]:
    """Reads client id and secret from a Basic header, the other way OAuth lets a client name itself."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # not base64, or not UTF-8
        return {}
    return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}


def addresses(values: Iterable[Any], what: str) -> tuple[str, ...]:
    """Reads redirect addresses: https, or http on loopback. Raises InputError."""
    read = []
    for value in values:
        if not isinstance(value, str) or not _can_be_address(value):
            raise InputError(
                f"{value!r} can be no redirect address", subject=what, fix="Give https://…, or http://localhost."
            )
        read.append(value)
    return tuple(read)


def _can_be_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    loopback = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
    plain = value.isascii() and value.isprintable() and " " not in value
    return plain and bool(parts.hostname) and not parts.fragment and (parts.scheme == "https" or loopback)


def permissions(values: Iterable[Any]) -> tuple[str, ...]:
    """Reads delegated permissions by name. Raises InputError."""
    names = tuple(str(value) for value in values)
    unknown = sorted(set(names) - DELEGATED)
    if unknown:
        fix = f"Use one of: {', '.join(sorted(DELEGATED))}."
        raise InputError(f"there is no delegated permission {unknown[0]}", subject="app, delegated", fix=fix)
    return names
