"""`syncops send`: an email from the CRM, once, and what waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.mail.compose import Composed, Letter
    from ops_lib.mail.outgoing import Kept
    from ops_lib.mail.send import Mailer, Result

_Many = list[str] | None


def send(
    user: Annotated[str | None, typer.Option(metavar="EMAIL", help="Whose email it is.", show_default=False)] = None,
    to: Annotated[
        _Many,
        typer.Option(metavar="INDIVIDUAL", help="Id or name; may be repeated on Office 365 hosts.", show_default=False),
    ] = None,
    template: Annotated[
        str, typer.Option(metavar="NAME", help="Subject and body come from it.", show_default=False)
    ] = "",
    subject: Annotated[str, typer.Option(help="Goes before the template's.", show_default=False)] = "",
    text: Annotated[str, typer.Option(help="The body, as plain text.", show_default=False)] = "",
    body: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Or a file that holds it.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The body, formatted. Office 365 hosts.", show_default=False)
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="May be repeated. Office 365 hosts.", show_default=False)
    ] = None,
    picture: Annotated[
        _Many,
        typer.Option(metavar="CID=FILE", help='Shown by <img src="cid:CID">. Office 365 hosts.', show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(metavar="NAME", help="Through this host.", show_default=False)] = "",
    once: Annotated[
        str,
        typer.Option(
            metavar="WORDS", help="Whoever sends with the same words again sends nothing.", show_default=False
        ),
    ] = "",
    preview: Annotated[bool, typer.Option("--preview", "--dry-run", help="Show it; send and keep nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Take up what waits for another try.")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="The latest messages; those under way first.")] = False,
    was_sent: Annotated[
        str, typer.Option(metavar="ID", help="Of an unclear one: it was sent.", show_default=False)
    ] = "",
    again: Annotated[str, typer.Option(metavar="ID", help="Send one again that waits.", show_default=False)] = "",
    give_up: Annotated[str, typer.Option(metavar="ID", help="Never send one that waits.", show_default=False)] = "",
    as_json: JsonOption = False,
) -> None:
    """Send an email as a CRM user to an individual, and put it on record.

    Exit code 0: sent, or (where sending is not set up) put on record; 1: refused, or it waits; 2: could not start, nothing was sent.
    """
    from ops_lib.mail.compose import Letter
    from ops_lib.mail.send import Mailer

    decided = [(was_sent, "sent"), (again, "again"), (give_up, "not sent")]
    chosen = [bool(user or to), resume, show_list, *(bool(each) for each, _ in decided)]
    if sum(chosen) != 1:
        raise InputError(
            "it is not clear what is to be done",
            fix="give --user and --to, or one of --resume, --list, --was-sent, --again, --give-up.",
        )
    with open_workspace() as workspace:
        mailer = Mailer(workspace)
        if show_list:
            _list(mailer, as_json)
            return
        if resume:
            _show_all(mailer.resume(), as_json, empty="nothing waits whose time has come")
            return
        for message_id, verdict in decided:
            if message_id:
                settled = mailer.settle(message_id, verdict)  # type: ignore[arg-type]
                is_done = verdict == "not sent" and settled.outcome == "refused"  # as it was wanted
                _show_all([settled], as_json, empty="", is_done=is_done)
                return
        if not user or not to:
            raise InputError(
                "a message has a sender and goes to somebody", fix="give --user EMAIL and --to INDIVIDUAL."
            )
        letter = Letter(
            user=user,
            to=tuple(to),
            template=template,
            subject=subject,
            text=_text(text, body),
            html=_file_text(html),
            files=(*_pictures(picture or ()), *_attachments(attach or ())),
            host=host,
            asked_as=once,
        )
        if preview:
            _preview(mailer.preview(letter), as_json)
            return
        _send(mailer, letter, as_json)


def _send(mailer: Mailer, letter: Letter, as_json: bool) -> None:
    result = mailer.send(letter)
    for warning in result.warnings:
        say(f"warning: {warning}")
    if as_json:
        print_json(_as_json(result))
    else:
        typer.echo(_sentence(result))
    if result.outcome == "accepted":  # the server is there: what waits for it can go too
        for other in mailer.resume_beside(result.message_id):
            say(f"message {other.message_id}, which waited: {_sentence(other)}")
    if result.outcome not in ("accepted", "recorded"):
        raise typer.Exit(1)


# ── what was meant ───────────────────────────────────────────────────────────────────────────────────────────────────
def _text(text: str, body: Path | None) -> str:
    if text and body is not None:
        raise InputError("a message has one body", fix="give either --text or --body.")
    return text or _file_text(body)


def _file_text(path: Path | None) -> str:
    from ops_lib.cli.template import read_text

    return "" if path is None else read_text(path)


def _pictures(given: Sequence[str]) -> list[Any]:
    from ops_lib.mail.compose import read_file

    found = []
    for each in given:
        name, equals, path = each.partition("=")
        if not (name and equals and path):
            raise InputError(
                f"{each} does not say which picture is what", subject="--picture", fix="write it as house=house.png."
            )
        found.append(read_file(Path(path), content_id=name))
    return found


def _attachments(paths: Sequence[Path]) -> list[Any]:
    from ops_lib.mail.compose import read_file

    return [read_file(path) for path in paths]


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _preview(composed: Composed, as_json: bool) -> None:
    for warning in composed.warnings:
        say(f"warning: {warning}")
    people = [f"{each.name} <{each.address}>" if each.name else each.address for each in composed.recipients]
    files = [
        {
            "name": each.name,
            "type": each.content_type,
            "bytes": len(each.content),
            "cid": each.content_id or None,
        }
        for each in composed.files
    ]
    if as_json:
        print_json(
            {
                "from": composed.sender,
                "to": [
                    {"individual": each.individual_id, "name": each.name, "address": each.address}
                    for each in composed.recipients
                ],
                "host": composed.host.name if composed.host is not None else None,
                "access": composed.host.access if composed.host is not None else None,
                "would": "record" if composed.not_enabled else "send",
                "subject": composed.subject,
                "text": composed.text,
                "html": composed.html or None,
                "files": files,
                "bytes": composed.size_bytes,
                "warnings": list(composed.warnings),
            }
        )
        return
    way = (
        "nothing is sent, it is put on record"
        if composed.not_enabled or composed.host is None
        else (f"{composed.host.name} ({composed.host.access})")
    )
    lines = [
        f"From:    {composed.sender}",
        f"To:      {', '.join(people)}",
        f"Through: {way}",
        f"Subject: {composed.subject}",
    ]
    lines += [
        f"{'Picture: ' if each['cid'] else 'File:    '}{each['name']}, {each['type']}, {each['bytes']:,} bytes"
        + (f", shown as cid:{each['cid']}" if each["cid"] else "")
        for each in files
    ]
    lines.append(
        f"Size:    {composed.size_bytes / 1000:,.0f} KB on its way; the body is {'formatted' if composed.html else 'plain text'}"
    )
    typer.echo("\n".join([*lines, "", composed.text]))


def _list(mailer: Mailer, as_json: bool) -> None:
    kept = mailer.listed()
    if as_json:
        print_json([_row(each) for each in kept])
        return
    print_table(
        ("id", "written", "from", "to", "subject", "state", "next try", "reason"),
        [
            (r["id"], r["written"], r["user"], ", ".join(r["to"]), r["subject"], r["state"], r["next_try"], r["reason"])
            for r in map(_row, kept)
        ],
        empty="no message has been sent yet",
    )


def _row(shown: tuple[Kept, str]) -> dict[str, Any]:
    kept, user = shown
    is_open = kept.state in ("open", "sending")
    return {
        "id": kept.message_id,
        "written": f"{kept.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "user": user,
        "to": list(dict.fromkeys(address for _, _, address in kept.recipients)),
        "subject": kept.subject,
        "state": kept.state,
        "next_try": f"{kept.next_at:%Y-%m-%dT%H:%M:%SZ}" if is_open else None,
        "response_code": kept.response_code,
        "reason": kept.reason,
        "fix": kept.fix,
    }


def _show_all(results: Sequence[Result], as_json: bool, *, empty: str, is_done: bool = False) -> None:
    if as_json:
        print_json([_as_json(each) for each in results])
    else:
        for each in results:
            typer.echo(f"message {each.message_id}: {_sentence(each)}")
        if not results:
            typer.echo(empty)
    if not is_done and any(each.outcome not in ("accepted", "recorded") for each in results):
        raise typer.Exit(1)


_SAID: dict[Literal["accepted", "refused", "recorded", "waiting", "unclear"], str] = {
    "accepted": "sent",
    "refused": "not sent",
    "recorded": "not sent, only put on record",
    "waiting": "it waits and is tried again (syncops send --resume)",
    "unclear": "it may have been sent",
}


def _sentence(result: Result) -> str:
    to = ", ".join(result.recipients)
    said = f"'{result.subject}' from {result.sender} to {to}: {_SAID[result.outcome]}"
    if result.reason and result.outcome != "recorded":
        code = (
            f" ({result.response_code})" if result.response_code and result.response_code not in result.reason else ""
        )
        said += f": {result.reason}{code}"
    if result.fix and not result.fix.startswith("nothing") and result.outcome != "accepted":
        said += f". To mend it: {result.fix}"
    if result.activity_ids:
        what = "activity" if len(result.activity_ids) == 1 else "activities"
        said += f"{'' if said.endswith('.') else '.'} On record as {what} {', '.join(result.activity_ids)}."
    return said


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "id": result.message_id,
        "outcome": result.outcome,
        "from": result.sender,
        "to": list(result.recipients),
        "host": result.host or None,
        "subject": result.subject,
        "activities": list(result.activity_ids),
        "warnings": list(result.warnings),
        "response_code": result.response_code,
        "reason": result.reason,
        "fix": result.fix,
        "requests": result.requests,
    }
