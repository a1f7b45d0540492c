"""Secrets by reference: where one lies, never what it is.

A reference is ``env:NAME`` or ``file:PATH``. It is kept in the database and may be shown; the value is looked up at the moment it
is needed and goes nowhere else: no message, no repr and no log of this module holds one.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

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
    """The secret itself. **Raises** `InputError` that names the variable or file, the reason, and the mend."""
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
    raise InputError("no secret is set", fix="give --password-env or --password-file (--secret-env, --secret-file).")


def _read(path: Path) -> str:
    """The file's first line: a file that others may read is refused, whatever it holds."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError("this is no file", subject=str(path), fix="name a file that holds the secret.")
            if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
                raise InputError(
                    f"others may read this file (mode {stat.S_IMODE(status.st_mode):04o})",
                    subject=str(path),
                    fix=f"chmod 600 {path}, and change the secret if somebody may have seen it.",
                )
            lines = file.read().splitlines()
    except UnicodeDecodeError:
        raise InputError(
            "this file holds no text", subject=str(path), fix="write the secret alone, as UTF-8."
        ) from None
    except OSError as error:
        raise InputError(
            f"the file with the secret cannot be read ({error.strerror})",
            subject=str(path),
            fix="write the secret into it and chmod 600 it.",
        ) from None
    if not lines or not lines[0]:
        raise InputError("the file is empty", subject=str(path), fix="write the secret into its first line.")
    if any(lines[1:]):
        raise InputError(
            "the file holds more than one line", subject=str(path), fix="write the secret alone, in its first line."
        )
    return lines[0]
