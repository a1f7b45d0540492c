"""How a secret comes in: by reference, or typed or piped into the workspace's vault. Never as an argument."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_lib.cli import open_workspace, say
from ops_lib.errors import InputError, OpsError


def secret_reference(
    env: str | None,
    file: Path | None,
    other_env: str | None = None,
    other_file: Path | None = None,
    *,
    ask: bool = False,
    stdin: bool = False,
    what: str = "password",
) -> str | None:
    """The one reference that was given, or ``None``; what is typed or piped goes into the vault. **Raises** `InputError` for several."""
    from ops_lib.access import secrets

    given = [secrets.env_reference(each) for each in (env, other_env) if each is not None]
    given += [secrets.file_reference(each) for each in (file, other_file) if each is not None]
    if len(given) + ask + stdin > 1:
        raise InputError("there is one secret, and several places were named", fix="give one of these options only.")
    if ask or stdin:
        return _into_vault(what, ask=ask)
    for each in given:
        kind, _, where = each.partition(":")
        if kind == "env" and not os.environ.get(where):
            say(f"note: {where} is not set here; it must be where the sync runs.")
    return given[0] if given else None


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def only_if_used(reference: str | None) -> Iterator[None]:
    """Take a secret out of the vault again where what it was entered for came to nothing."""
    try:
        yield
    except OpsError:
        forget(reference)
        raise


def forget(reference: str | None) -> None:
    """Remove a secret from the vault that nothing refers to any more; other references are left alone."""
    if reference and reference.startswith("vault:"):
        with open_workspace() as workspace:
            workspace.access.secrets.forget(reference)


def _into_vault(what: str, *, ask: bool) -> str:
    from ops_lib.access import secrets
    from ops_lib.access.checks import client_secret

    if ask and not can_ask():
        raise InputError(
            f"the {what} cannot be asked for: nobody is at a terminal", fix="pipe it in with --password-stdin, or name a file."
        )  # fmt: skip
    value = _typed(what) if ask else secrets.from_bytes(sys.stdin.buffer.read(), "what was piped in")
    if what == "client secret":
        client_secret(value)
    with open_workspace() as workspace:
        return workspace.access.secrets.keep(value)


def _typed(what: str) -> str:
    from getpass import getpass

    first = getpass(f"{what} (not shown): ")
    if getpass("once more: ") != first:
        raise InputError(f"the two are not the same {what}", fix="try again.")
    return first
