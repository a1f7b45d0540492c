"""What a sign-in leaves behind: sessions, authorization codes, refresh tokens and device codes. Values are random, kept in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .scopes import Asked

# Letters and digits that nobody takes for one another when typing a code from another screen.
_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"


@dataclass(slots=True)
class Session:
    """One user's sign-in. ``password`` is what was entered: the sign-in ends when it is changed. ``revoked``: when it was ended."""

    session_id: str
    user: str
    started: datetime
    password: str = field(repr=False)
    second_factor: bool = False
    revoked: datetime | None = None


@dataclass(slots=True)
class Code:
    """An authorization code: good once, for one app, one redirect address and one PKCE verifier."""

    client_id: str
    session: Session
    asked: Asked
    permissions: tuple[str, ...]
    redirect_uri: str
    challenge: str
    challenge_method: str
    nonce: str
    issued: datetime
    redeemed: bool = False

    def is_verified_by(self, verifier: str) -> bool:
        """Whether the verifier is the one whose challenge opened the flow (RFC 7636); a flow without a challenge takes none."""
        if not self.challenge:
            return not verifier
        if self.challenge_method == "S256":
            digest = hashlib.sha256(verifier.encode()).digest()
            verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return hmac.compare_digest(verifier.encode(), self.challenge.encode())


@dataclass(slots=True)
class Refresh:
    """A refresh token. A new one comes with each use; the one before stays good, as Entra's do."""

    client_id: str
    session: Session
    asked: Asked
    public: bool
    issued: datetime


@dataclass(slots=True)
class Device:
    """A device code waiting for somebody to enter ``user_code``; ``session`` is theirs once they agreed."""

    user_code: str
    client_id: str
    asked: Asked
    issued: datetime
    session: Session | None = None
    permissions: tuple[str, ...] = ()
    declined: bool = False
    redeemed: bool = False
    polled: float = (
        -1e9
    )  # by the monotonic clock of the machine: how fast a client asks is no matter of the organisation's


@dataclass(slots=True)
class Grants:
    """Everything issued and not forgotten. ``is_password`` says whether an account's password is still this one."""

    now: Callable[[], datetime]
    is_password: Callable[[str, str], bool]
    sessions: dict[str, Session] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, Refresh] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)

    def open_session(self, user: str, password: str) -> Session:
        """Somebody has signed in with this password."""
        session = Session(secrets.token_hex(16), user, self.now(), password)
        self.sessions[session.session_id] = session
        return session

    def is_good(self, session: Session) -> bool:
        """Whether the sign-in was not ended and the password is still the one it was made with."""
        return session.revoked is None and self.is_password(session.user, session.password)

    def revoke(self, user: str) -> int:
        """Ends every sign-in of a user; says how many there were."""
        ended = [one for one in self.sessions.values() if one.user == user and one.revoked is None]
        for session in ended:
            session.revoked = self.now()
        return len(ended)

    def add_code(self, code: Code) -> str:
        """Keeps an authorization code; gives its value."""
        value = f"1.{secrets.token_urlsafe(64)}"
        self.codes[value] = code
        return value

    def add_refresh(self, refresh: Refresh) -> str:
        """Keeps a refresh token; gives its value."""
        value = f"1.{secrets.token_urlsafe(96)}"
        self.refresh_tokens[value] = refresh
        return value

    def add_device(self, client_id: str, asked: Asked) -> tuple[str, Device]:
        """Keeps a device code; gives its value and what is to be entered."""
        value = secrets.token_urlsafe(48)
        user_code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(9))
        device = self.devices[value] = Device(user_code, client_id, asked, self.now())
        return value, device

    def device_of(self, user_code: str) -> Device | None:
        """The device code somebody entered, in any case and with or without spaces or hyphens."""
        entered = "".join(letter for letter in user_code.upper() if letter.isalnum())
        return next((one for one in self.devices.values() if one.user_code == entered), None)

    def clear(self) -> None:
        """Forgets everything issued."""
        for kept in (self.sessions, self.codes, self.refresh_tokens, self.devices):
            kept.clear()


def is_over(issued: datetime, seconds: float, now: datetime) -> bool:
    """Whether so many seconds have passed since then."""
    return now >= issued + timedelta(seconds=seconds)
