"""`syncops diagnose`: why is this account not in step? What was seen, what it means, who must act; also of facts that were saved earlier."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.diagnosis.seen import Facts
    from ops_lib.model import Finding

_LARGEST_FILE_BYTES = 20 * 1024 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a server or a file may hold and a terminal would obey."""

_WORDS = {"fail": "WRONG", "warn": "watch", "unknown": "not seen", "ok": "well"}


def diagnose(
    account: Annotated[
        str | None, typer.Argument(metavar="ACCOUNT", help="The mailbox or the user.", show_default=False)
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="The account's host, where it is on several.", show_default=False)
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Judge facts that were saved earlier; nothing is looked at.", show_default=False
        ),
    ] = None,
    cassette: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Judge what syncops capture has written, from its traffic; offline.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the facts into a new file.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long looking may take as a whole.")] = 90.0,
    as_json: JsonOption = False,
) -> None:
    """Find out why an account is not in step: cause, evidence, who must act, what to do. Only looks; writes nothing anywhere.

    Exit code 0: nothing is wrong; 1: something is, or could not be seen; 2: could not start.
    """
    from ops_lib.diagnosis.checks import judge

    if cassette is not None and (account is not None or facts is not None or host is not None):
        raise InputError("a cassette says itself whose it is", subject="--cassette", fix="leave the others out.")
    if facts is not None and (account is not None or save is not None):
        raise InputError(
            "saved facts say themselves whose they are", subject="--facts", fix="leave ACCOUNT and --save out."
        )
    if facts is None and account is None and cassette is None:
        raise InputError("no account was named", fix="syncops diagnose ACCOUNT; syncops account list shows them.")
    if save is not None and save.exists():
        raise InputError("this file exists already", subject=str(save), fix="name a new one.")
    if cassette is not None:
        from ops_lib.diagnosis.replaying import facts_of

        seen = facts_of(cassette)
    else:
        seen = _read(facts) if facts is not None else _collected(str(account), host, seconds)
    if save is not None:
        _write(save, seen)
    findings = judge(seen)
    if as_json:
        print_json(document(seen, findings))
    else:
        for line in lines(seen, findings):
            typer.echo(_CONTROL.sub("�", line))
    if any(each.verdict in ("fail", "unknown") for each in findings):
        raise typer.Exit(1)


def document(facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """What `diagnose --json` prints."""
    from ops_lib.diagnosis.checks import leading, standing_of
    from ops_lib.sync.mapping import instant_text

    stands, first = standing_of(facts), leading(findings)
    return {
        "account": facts.account,
        "host": facts.host,
        "at": instant_text(facts.at),
        "status": stands.status if stands is not None else None,
        "sub_cause": stands.sub_cause if stands is not None else None,
        "begin_with": first.check if first is not None else None,
        "findings": [asdict(each) for each in findings],
    }


def lines(facts: Facts, findings: Sequence[Finding]) -> list[str]:
    """The diagnosis for a person: how it stands, what to begin with, each finding that is not well, and the list of what is."""
    from ops_lib.diagnosis.checks import FOLLOWS, leading, standing_of

    stands, first = standing_of(facts), leading(findings)
    out = [f"{facts.account} on host {facts.host}, looked at {facts.at:%Y-%m-%d %H:%M:%S} UTC"]
    if stands is not None:
        since = f" since {stands.since:%Y-%m-%d %H:%M} UTC" if stands.since is not None else ""
        last = f"; last success {stands.last_success:%Y-%m-%d %H:%M} UTC" if stands.last_success is not None else ""
        out.append(f"status: {stands.status}{since}{last}")
    if first is None:
        out += ["", "Nothing is wrong, as far as could be seen."]
    elif first.verdict == "unknown":
        out += ["", "Nothing is known to be wrong; not everything could be seen."]
    hidden: dict[str, list[str]] = {}
    for each in findings:
        if each.verdict == "ok":
            continue
        if each.verdict == "unknown" and each.cause.startswith(FOLLOWS):
            hidden.setdefault(each.cause, []).append(each.check)
            continue
        out += [
            "",
            f"{_WORDS[each.verdict]}: {each.check} ({each.layer}, {each.subject})",
            f"  seen      {each.observed}",
        ]
        out.append(f"  expected  {each.expected}")
        if each.cause:
            out.append(f"  cause     {each.cause}")
        if each.next_step:
            out.append(f"  to do     {f'{each.owner}: ' if each.owner else ''}{each.next_step}")
        if each.evidence:
            out.append(f"  evidence  {each.evidence}")
    out += [""] if hidden else []
    out += [f"not seen ({cause}): {', '.join(dict.fromkeys(names))}" for cause, names in hidden.items()]
    well = list(dict.fromkeys(each.check for each in findings if each.verdict == "ok"))
    return [*out, "", f"well: {', '.join(well) or 'nothing'}"]


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _collected(account: str, host: str | None, seconds: float) -> Facts:
    from ops_lib.access.accounts import Accounts
    from ops_lib.diagnosis.facts import collect

    with open_workspace() as workspace:
        with workspace.database.read() as connection:
            found = Accounts(connection).one(account, host=host)
        return collect(workspace, found, deadline_seconds=seconds)


def _read(file: Path) -> Facts:
    from ops_lib.diagnosis.seen import Facts

    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST_FILE_BYTES + 1)
        if len(content) > _LARGEST_FILE_BYTES:
            raise InputError("this is too big for a file of facts", subject=str(file), fix="name the right file.")
        return Facts.from_json(content.decode("utf-8-sig"), where=str(file))
    except UnicodeDecodeError:
        raise InputError("this is no text in UTF-8", subject=str(file), fix="name a file of facts.") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", subject=str(file), fix="name a file of facts.") from None


def _write(file: Path, facts: Facts) -> None:
    """A file of the owner's alone: it holds addresses. Never over another."""
    content = facts.to_json().encode("utf-8", "backslashreplace")  # a lone surrogate becomes JSON's own escape
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", subject=str(file), fix="name another place."
        ) from None
