"""The vault: passwords, client secrets and token caches, encrypted in one file of the workspace.

Every entry is sealed by AES-256-GCM under a key that lies elsewhere (`vault_keys`), together with its name: entries cannot be exchanged
for each other, and names, which hold addresses, cannot be read. The file is SQLite: changes are whole or not at all, and any number of
processes may use it. What is overwritten or removed is wiped from the file.
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ops_lib.access.locks import file_lock
from ops_lib.access.vault_keys import KEY_VARIABLE, NEW_KEY_VARIABLE, Key, KeyPlace
from ops_lib.errors import InputError, WorkspaceError

FILE = "vault.db"
_FORMAT = "1"
_BUSY_SECONDS = 30.0
_LOCK_SECONDS = 90.0


class Vault:
    """The vault of one workspace, usable from any number of threads and processes. The file is made with its first entry.

    **Raises** `WorkspaceError` where the key is missing or another one, the file is damaged, or others may read it.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.path = folder / FILE
        self._environment = os.environ if environment is None else environment
        self._key: Key | None = None
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def get(self, name: str) -> str | None:
        """The entry of that name, or None."""
        if not self.exists:
            return None
        with self._open() as (connection, key):
            row = connection.execute("SELECT sealed FROM entries WHERE id = ?", (_id(key, name),)).fetchone()
            return None if row is None else self._unsealed(key, _id(key, name), row[0])[1]

    def put(self, name: str, value: str) -> None:
        """Keep a value under a name, in place of what was there."""
        with self._open(writing=True) as (connection, key):
            connection.execute(
                "INSERT OR REPLACE INTO entries (id, sealed) VALUES (?, ?)",
                (_id(key, name), _sealed(key, _id(key, name), name, value)),
            )

    def make_ready(self) -> None:
        """Make sure that something can be kept, before anybody begins what ends with it. **Raises** as `put` would."""
        with self._open(writing=True):
            pass

    def take(self, name: str) -> str | None:
        """The entry, removed in the same step: of two that take it one gets it."""
        if not self.exists:
            return None
        with self._open(writing=True) as (connection, key):
            row = connection.execute("SELECT sealed FROM entries WHERE id = ?", (_id(key, name),)).fetchone()
            connection.execute("DELETE FROM entries WHERE id = ?", (_id(key, name),))
            return None if row is None else self._unsealed(key, _id(key, name), row[0])[1]

    def remove(self, name: str) -> None:
        """Forget an entry; one that is not there is forgotten already."""
        self.take(name)

    def names(self) -> list[str]:
        """The names of all entries."""
        if not self.exists:
            return []
        with self._open() as (connection, key):
            rows = connection.execute("SELECT id, sealed FROM entries").fetchall()
            return sorted(self._unsealed(key, identity, sealed)[0] for identity, sealed in rows)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Do something with an entry alone: whoever else holds it, in this process or another, comes after. Not to be nested."""
        folder = self.path.with_name(self.path.name + ".locks")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        with self._open(writing=True) as (_, key):
            file = folder / _id(key, name)[:24]
        with file_lock(file, _LOCK_SECONDS, "this entry of the vault"):
            yield

    def rotate_key(self) -> str:
        """Seal everything under a new key; what was read with the old one becomes worthless. Says where the new key is.

        A key in the environment is changed by setting ``SYNCOPS_VAULT_NEW_KEY`` to the new one. Broken off at any point, the vault
        opens with one of the two keys, and finds it.
        """
        if not self.exists:
            raise InputError("there is no vault yet", subject=str(self.path), fix="it is made with its first entry.")
        with self._open(writing=True) as (connection, old):
            place = self._place(connection)
            if place.kind == "environment":
                given = self._environment.get(NEW_KEY_VARIABLE, "")
                if not given:
                    raise InputError(
                        f"the key is in {KEY_VARIABLE}, and the new one is not given",
                        fix=f"syncops vault new-key prints one; set {NEW_KEY_VARIABLE} to it and try again.",
                    )
                new = Key.parse(given, NEW_KEY_VARIABLE)
            else:
                new = Key.new()
                place.write(new, is_next=True)
            rows = connection.execute("SELECT id, sealed FROM entries").fetchall()
            connection.execute("DELETE FROM entries")
            for identity, sealed in rows:
                name, value = self._unsealed(old, identity, sealed)
                connection.execute(
                    "INSERT INTO entries (id, sealed) VALUES (?, ?)",
                    (_id(new, name), _sealed(new, _id(new, name), name, value)),
                )
                del value
            _set(connection, fingerprint=new.fingerprint, kept=place.kind)
        with self._guard:
            self._key = new
        place.settle()
        if place.kind == "environment":
            return f"the new key opens the vault from now on: set {KEY_VARIABLE} to it everywhere"
        return f"the new key is in {place}"

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def _open(self, *, writing: bool = False) -> Iterator[tuple[sqlite3.Connection, Key]]:
        """The file in a transaction, and the key that opens it."""
        self._make_sure_of_file(writing)
        try:
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                if writing:
                    self._make_tables(connection)
                yield connection, self._opening(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()  # rolls back what was not committed
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                message, fix = "another process holds the vault", "wait for it to end and try again."
            elif "no such table" in str(error):  # cut off to nothing
                raise self._damaged() from None
            else:
                message, fix = (
                    f"the vault cannot be used: {error}",
                    "check that its folder may be written and has room.",
                )
            raise WorkspaceError(message, subject=str(self.path), fix=fix) from None
        except sqlite3.DatabaseError:
            raise self._damaged() from None

    def _make_sure_of_file(self, writing: bool) -> None:
        try:
            if writing and not self.exists:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except OSError as error:
            raise WorkspaceError(
                f"the vault cannot be used ({error.strerror})", subject=str(self.path), fix="make its folder writable."
            ) from None
        if os.name == "posix" and mode & 0o077:
            raise WorkspaceError(
                f"others may read the vault (mode {mode:04o})", subject=str(self.path), fix=f"chmod 600 {self.path}."
            )

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'vault'").fetchone():
            return
        vault_id = os.urandom(8).hex()
        place = KeyPlace.chosen(vault_id, "", self._environment)
        keys = place.read(self._environment)
        if not keys:
            keys = [Key.new()]
            place.write(keys[0])
        connection.execute("CREATE TABLE vault (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute("CREATE TABLE entries (id TEXT PRIMARY KEY, sealed BLOB NOT NULL)")
        _set(connection, format=_FORMAT, id=vault_id, fingerprint=keys[0].fingerprint, kept=place.kind)

    def _opening(self, connection: sqlite3.Connection) -> Key:
        """The key that the file was sealed with: kept from last time, or read from where it lies."""
        known = _get(connection)
        if not known.get("id") or not known.get("fingerprint"):
            raise self._damaged()
        if known["format"] != _FORMAT:
            raise WorkspaceError(
                "the vault was written by a newer version of syncops", subject=str(self.path), fix="install the newer version."
            )  # fmt: skip
        with self._guard:
            if self._key is not None and self._key.fingerprint == known["fingerprint"]:
                return self._key
            place = self._place(connection)
            keys = place.read(self._environment)
            for each in keys:
                if each.fingerprint == known["fingerprint"]:
                    self._key = each
                    if each is not keys[0]:
                        place.settle()  # a change of keys was broken off after the file was sealed anew
                    return each
        if not keys:
            raise WorkspaceError(
                f"the vault's key is missing from {place}",
                subject=str(self.path),
                fix=f"put it back, or give it with {KEY_VARIABLE}; without it, move the vault away, enter the secrets and sign in again.",
            )
        raise WorkspaceError(
            f"the key in {place} is another one: it does not open this vault",
            subject=str(self.path),
            fix="give the key it was sealed with; after a change of keys that is the new one.",
        )

    def _place(self, connection: sqlite3.Connection) -> KeyPlace:
        known = _get(connection)
        return KeyPlace.chosen(known["id"], known.get("kept", ""), self._environment)

    def _unsealed(self, key: Key, identity: str, sealed: bytes) -> tuple[str, str]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            opened = AESGCM(key.derived("entries")).decrypt(sealed[:12], sealed[12:], identity.encode())
        except (InvalidTag, ValueError, TypeError):
            opened = None
        if opened is None:
            raise self._damaged()
        name, value = json.loads(opened)
        return name, value

    def _damaged(self) -> WorkspaceError:
        return WorkspaceError(
            "the vault is damaged",
            subject=str(self.path),
            fix="restore it from a backup, or move it away, enter the secrets and sign in again.",
        )


def _id(key: Key, name: str) -> str:
    return hmac.digest(key.derived("names"), name.encode(), "sha256").hex()


def _sealed(key: Key, identity: str, name: str, value: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # loading it takes longer than most commands

    nonce = os.urandom(12)
    return nonce + AESGCM(key.derived("entries")).encrypt(nonce, json.dumps([name, value]).encode(), identity.encode())


def _get(connection: sqlite3.Connection) -> dict[str, Any]:
    return dict(connection.execute("SELECT name, value FROM vault").fetchall())


def _set(connection: sqlite3.Connection, **values: str) -> None:
    connection.executemany("INSERT OR REPLACE INTO vault (name, value) VALUES (?, ?)", values.items())
