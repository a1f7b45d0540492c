"""Secrets by reference: where one lies, never what it is.

A reference is ``env:NAME``, ``file:PATH`` or ``vault:ID``. It is kept in the database and may be shown; the value is looked up at the moment it
is needed and goes nowhere else: no message, no repr, no log and no traceback of this module holds one.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from ops_lib.access.vault import Vault
from ops_lib.errors import InputError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def env_reference(name: str) -> str:
    """The reference to an environment variable. **Raises** `InputError` for what is no variable's name, without repeating it."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "this is no name of an environment variable",
            fix="put the secret into a variable and give the variable's name, not the secret itself.",
        )
    return f"env:{name}"


def file_reference(path: Path) -> str:
    """The reference to a file. **Raises** `InputError` when it cannot be used as one now."""
    path = path.expanduser().absolute()
    _read(path)
    return f"file:{path}"


def resolve(reference: str) -> str:
    """The secret behind ``env:`` and ``file:``. **Raises** `InputError` that names the variable or file, the reason, and the mend."""
    kind, _, where = reference.partition(":")
    if kind == "env" and where:
        value = os.environ.get(where, "")
        if not value:
            raise InputError(
                f"the environment variable {where} is not set", fix=f"set {where} to the secret and try again."
            )
        return value
    if kind == "file" and where:
        return _read(Path(where))
    if kind == "vault" and where:
        raise InputError("this secret is in the workspace's vault", fix="open the workspace it belongs to.")
    raise InputError("no secret is set", fix="give --password-env or --password-file (--secret-env, --secret-file).")


class Secrets:
    """The secrets of one workspace: called with a reference, the value of any kind; `keep` puts one into the vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __call__(self, reference: str) -> str:
        """The secret itself. **Raises** `InputError`, `WorkspaceError`."""
        kind, _, where = reference.partition(":")
        if kind != "vault" or not where:
            return resolve(reference)
        value = self._vault.get(f"secret/{where}")
        if value is None:
            raise InputError("the vault does not hold this secret", subject=reference, fix="enter the secret again.")
        return value

    def keep(self, value: str) -> str:
        """Put a secret into the vault; its reference. **Raises** `InputError` for none, without repeating what it was."""
        if not value.strip():
            raise InputError("the secret is empty", fix="enter it again.")
        where = os.urandom(8).hex()
        self._vault.put(f"secret/{where}", value)
        return f"vault:{where}"

    def forget(self, reference: str) -> None:
        """Take a secret out of the vault that nothing refers to any more; other references are not ours to remove."""
        kind, _, where = reference.partition(":")
        if kind == "vault":
            self._vault.remove(f"secret/{where}")


def from_bytes(data: bytes, what: str, subject: str = "") -> str:
    """The secret in what a file or a pipe held: its first line, or the whole of a PEM text. ``what`` is named in errors, the content never.

    **Raises** `InputError` for nothing, for more than one line, and for bytes that are no UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None  # not raised from here: the exception holds what was read
    if text is None:
        raise InputError(f"{what} holds no text", subject=subject, fix="write the secret alone, as UTF-8.")
    if text.lstrip().startswith("-----BEGIN "):  # a certificate and its key
        return text.strip()
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise InputError(f"{what} is empty", subject=subject, fix="write the secret into its first line.")
    if any(lines[1:]):
        raise InputError(
            f"{what} holds more than one line", subject=subject, fix="write the secret alone, in its first line."
        )
    return lines[0]


def _read(path: Path) -> str:
    """The secret in a file: one that others may read is refused, whatever it holds."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError("this is no file", subject=str(path), fix="name a file that holds the secret.")
            if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
                raise InputError(
                    f"others may read this file (mode {stat.S_IMODE(status.st_mode):04o})",
                    subject=str(path),
                    fix=f"chmod 600 {path}, and change the secret if somebody may have seen it.",
                )
            data = file.read()
    except OSError as error:
        raise InputError(
            f"the file with the secret cannot be read ({error.strerror})",
            subject=str(path),
            fix="write the secret into it and chmod 600 it.",
        ) from None
    return from_bytes(data, "the file", str(path))
