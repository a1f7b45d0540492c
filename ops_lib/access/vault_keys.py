"""The key of a vault, and where it is kept: an environment variable, a file of its owner's alone, or the system's keyring.

A key is 32 random bytes, written as 44 characters of URL-safe base64. It is never kept beside the vault: a copy of the workspace
opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ops_lib.errors import InputError, WorkspaceError

KEY_VARIABLE = "SYNCOPS_VAULT_KEY"
NEW_KEY_VARIABLE = "SYNCOPS_VAULT_NEW_KEY"
KEY_FILE_VARIABLE = "SYNCOPS_VAULT_KEY_FILE"
_SERVICE = "syncops vault"
_NEXT = ".next"

Kind = Literal["environment", "file", "keyring"]


@dataclass(frozen=True, slots=True)
class Key:
    """A vault's key. What is derived from it for one purpose says nothing of the others, and none of them of the key."""

    _secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Key:
        return cls(os.urandom(32))

    @classmethod
    def parse(cls, text: str, where: str) -> Key:
        """The key as it is written. **Raises** `InputError` that names where it was found and does not repeat it."""
        try:
            secret = base64.b64decode(text.strip().encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            secret = b""
        if len(secret) != 32:
            del secret, text
            raise InputError(
                "this is no key of a vault: that is 32 bytes as URL-safe base64, 44 characters",
                subject=where,
                fix="syncops vault new-key prints a new one.",
            )
        return cls(secret)

    def text(self) -> str:
        return base64.urlsafe_b64encode(self._secret).decode()

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    @property
    def fingerprint(self) -> str:
        """What tells keys apart and gives none away."""
        return hashlib.sha256(self.derived("fingerprint")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the key of one vault is kept. ``where`` is a variable's name, a file's path, or the keyring's entry."""

    kind: Kind
    where: str

    @classmethod
    def chosen(cls, vault_id: str, kept: str, environment: Mapping[str, str]) -> KeyPlace:
        """Where to look: what the environment says goes before where the key was ``kept`` when it was last made."""
        if environment.get(KEY_VARIABLE):
            return cls("environment", KEY_VARIABLE)
        if environment.get(KEY_FILE_VARIABLE):
            return cls("file", str(Path(environment[KEY_FILE_VARIABLE]).expanduser().absolute()))
        if kept == "keyring" or (not kept and _keyring_works()):
            return cls("keyring", vault_id)
        folder = Path(environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser())
        return cls("file", str(folder / "syncops" / f"{vault_id}.key"))

    def __str__(self) -> str:
        if self.kind == "environment":
            return f"the environment variable {self.where}"
        return f"the file {self.where}" if self.kind == "file" else f"the system's keyring ({_SERVICE}, {self.where})"

    def read(self, environment: Mapping[str, str]) -> list[Key]:
        """The key, and the next one where a change of keys was broken off. Empty where there is none.

        **Raises** `InputError` for what is no key, `WorkspaceError` for a place that cannot be read.
        """
        if self.kind == "environment":
            found = [environment.get(self.where, "")]
        elif self.kind == "file":
            found = [_read_file(Path(self.where)), _read_file(Path(self.where + _NEXT))]
        else:
            found = [_from_keyring(self.where), _from_keyring(self.where + _NEXT)]
        return [Key.parse(each, str(self)) for each in found if each]

    def write(self, key: Key, *, is_next: bool = False) -> None:
        """Keep a key here; as the next one until `settle` puts it in the first one's place. **Raises** `WorkspaceError`."""
        where = self.where + (_NEXT if is_next else "")
        if self.kind == "environment":
            raise WorkspaceError(
                "a key in the environment cannot be changed from here", subject=self.where, fix=f"set {where} yourself."
            )
        if self.kind == "file":
            _write_file(Path(where), key)
        else:
            _to_keyring(where, key)

    def settle(self) -> None:
        """Put the next key in the first one's place."""
        if self.kind == "file" and Path(self.where + _NEXT).exists():
            Path(self.where + _NEXT).replace(self.where)
        elif self.kind == "keyring" and (following := _from_keyring(self.where + _NEXT)):
            _to_keyring(self.where, Key.parse(following, str(self)))
            _drop_from_keyring(self.where + _NEXT)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _read_file(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise WorkspaceError(
                    f"others may read the vault's key (mode {mode:04o})",
                    subject=str(path),
                    fix=f"chmod 600 {path}, then syncops vault rotate-key if somebody may have seen it.",
                )
            return file.read(200)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise WorkspaceError(
            f"the vault's key cannot be read ({error.strerror})", subject=str(path), fix="make it readable for you."
        ) from None


def _write_file(path: Path, key: Key) -> None:
    """Written beside and moved there: never half a key, never readable for others."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise WorkspaceError(
            f"the vault's key cannot be written ({error.strerror})",
            subject=str(path),
            fix=f"name a file that can be with {KEY_FILE_VARIABLE}.",
        ) from None


# ── the keyring ──────────────────────────────────────────────────────────────────────────────────────────────────────
_KEYRING_FIX = f"unlock the keyring, or give the key with {KEY_VARIABLE} or {KEY_FILE_VARIABLE}."


def _keyring_works() -> bool:
    """Whether this system has a keyring that keeps things: a server mostly has none."""
    import keyring

    try:
        return float(keyring.get_keyring().priority) >= 1
    except Exception:  # noqa: BLE001 - a back end that cannot say so cannot keep a key either
        return False


def _from_keyring(name: str) -> str:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, name) or ""
    except KeyringError as error:
        raise WorkspaceError(
            f"the keyring does not answer ({type(error).__name__})", subject="the vault's key", fix=_KEYRING_FIX
        ) from None


def _to_keyring(name: str, key: Key) -> None:
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, name, key.text())
    except KeyringError as error:
        raise WorkspaceError(
            f"the keyring does not take the key ({type(error).__name__})", subject="the vault's key", fix=_KEYRING_FIX
        ) from None


def _drop_from_keyring(name: str) -> None:
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError):
        keyring.delete_password(_SERVICE, name)
