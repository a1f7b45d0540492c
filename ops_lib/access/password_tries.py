"""Refused passwords: which are not to be sent again, across accounts, processes, machines and cycles, until they are others.

What is remembered of a password is a salted scrypt digest, and only of one that was refused. One worker at a time tries a password
that nobody has proved in its process; the others wait for the verdict.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, select, update

from ops_lib.database.engine import Database, insert_unless_there
from ops_lib.database.tables import password_tries as t
from ops_lib.errors import SignInRefused, Unreachable
from ops_lib.model import Host
from ops_lib.sync.leases import is_dead, this_worker

TRY_SECONDS = 150.0
"""So long a worker may take over its try; one that has not been heard of since is passed over."""

_LOOK_AGAIN_SECONDS = 0.1


class PasswordGate:
    """One user's password at one server, for one process."""

    def __init__(
        self, database: Database, host: Host, user: str, password: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._database = database
        self._host = host.name
        self._who = who(host, user)
        self._user = user
        self._password = _Hidden(password)
        self._sleep = sleep
        self._worker = this_worker()

    @property
    def key(self) -> tuple[str, ...]:
        return (self._database.shown, self._who)

    def enter(self) -> None:
        give_up = time.monotonic() + TRY_SECONDS
        while not self._begun():
            if time.monotonic() > give_up:
                raise Unreachable(
                    "not sent: another worker has been trying this password for too long",
                    subject=self._user,
                    fix="nothing: the next cycle tries again.",
                )
            self._sleep(_LOOK_AGAIN_SECONDS)

    def accepted(self) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(t).where(t.c.who == self._who))

    def refused(self, error: SignInRefused) -> None:
        salt = os.urandom(16).hex()
        values = {
            "salt": salt,
            "digest": self._password.digest(salt),
            "refused_at": datetime.now(UTC),
            "response_code": error.response_code,
            "reason": error.message,
            "trying": "",
            "trying_until": None,
        }
        with self._database.begin() as connection:
            connection.execute(insert_unless_there(connection, t).values(who=self._who, **values))
            connection.execute(update(t).where(t.c.who == self._who).values(values))

    def left(self) -> None:
        with self._database.begin() as connection:
            connection.execute(
                update(t).where(t.c.who == self._who, t.c.trying == self._worker).values(trying="", trying_until=None)
            )

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _begun(self) -> bool:
        """Whether this worker may try now. **Raises** `SignInRefused` for a password that was refused before."""
        now = datetime.now(UTC)
        with self._database.begin() as connection:
            connection.execute(
                insert_unless_there(connection, t).values(who=self._who, salt="", digest="", response_code="", reason="", trying="")
            )  # fmt: skip
            row = connection.execute(select(t).where(t.c.who == self._who).with_for_update()).one()
            if row.digest and hmac.compare_digest(row.digest, self._password.digest(row.salt)):
                raise self._again(row)
            is_tried = row.trying and row.trying != self._worker and row.trying_until > now and not is_dead(row.trying)
            if is_tried:
                return False
            until = now + timedelta(seconds=TRY_SECONDS)
            connection.execute(update(t).where(t.c.who == self._who).values(trying=self._worker, trying_until=until))
            return True

    def _again(self, row: Row[tuple[str]]) -> SignInRefused:
        when = f"{row.refused_at:%Y-%m-%d %H:%M} UTC"
        error = SignInRefused(
            f"{row.reason}; the same password was refused on {when} and is not sent again, so that the account is not locked out",
            subject=self._user,
            response_code=row.response_code,
            fix=f"enter the right password (syncops host edit {self._host!r}); if it was right after all, syncops signin tries it once more.",
            http_status=401,
        )
        error.is_of_password = True
        return error


class _Hidden:
    """A password that no repr shows."""

    def __init__(self, value: str) -> None:
        self._value = value.encode()

    def digest(self, salt: str) -> str:
        """Slow on purpose (some 50 ms): who reads the database should not find the password by trying."""
        return hashlib.scrypt(self._value, salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()


def who(host: Host, user: str) -> str:
    """Whose password it is: the server and the user name, whatever the host is called."""
    return f"{(urlsplit(host.url).netloc or host.url).lower()} {user.lower()}"


def forget(connection: Connection, host: Host, user: str) -> bool:
    """Let the user's password be tried again although it was refused; whether there was anything to forget."""
    found = connection.execute(delete(t).where(t.c.who == who(host, user)).returning(t.c.digest)).scalar()
    return bool(found)
