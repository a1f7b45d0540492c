"""A message put together from what was asked for, with everything that is wrong with it said before anything is sent.

Who sends, through which host, to whom; subject and body, by hand or from a template; pictures and attachments. What cannot be is an `InputError`;
what a person should know first is a warning.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError
from ops_lib.mail import addresses, formatting, templates
from ops_lib.mail.outgoing import Outgoing
from ops_lib.mailbox.outgoing import File
from ops_lib.model import Account, Community, Host, Individual, Template, User
from ops_lib.sync.mapping import clean

RICH = "Office 365"
"""The version of hosts that send more than plain text to one individual."""

MOST_RECIPIENTS = 500
"""Of one message, on Exchange Online and by default on premises."""

USUAL_SIZE = {RICH: 35_000_000}
USUAL_SIZE_ON_PREMISES = 10_000_000
"""What a server takes by default, in bytes as they travel; an administrator may have changed it, so it is a warning."""

MOST_SIZE = 150_000_000
"""What no server takes: the most that Exchange Online can be set to."""

MESSAGES_A_MINUTE = 30

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
}
_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}\Z")
_NOT_OPENED = frozenset(
    [".bat", ".cmd", ".com", ".cpl", ".exe", ".hta", ".iso", ".js", ".jse", ".lnk", ".msi", ".ps1", ".reg", ".scr", ".vbs", ".wsf"]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What somebody asks to be sent. ``to``: ids or names of individuals. ``subject`` and the body go before the template's.

    ``text`` or ``html``, not both; pictures are files with a ``content_id`` that the HTML shows. ``asked_as``: the same words never send twice.
    """

    user: str
    to: tuple[str, ...]
    template: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    files: tuple[File, ...] = ()
    host: str = ""
    asked_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """An individual with the address as it goes on the wire and the name beside it."""

    individual_id: str
    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message that can be sent; where ``not_enabled`` says why, it can only be put on record. ``text`` is what the note holds."""

    user: User
    account: Account | None
    host: Host | None
    not_enabled: str
    recipients: tuple[Recipient, ...]
    subject: str
    text: str
    html: str
    files: tuple[File, ...]
    size_bytes: int
    warnings: tuple[str, ...]
    asked_as: str = ""

    @property
    def sender(self) -> str:
        """The address that recipients see."""
        return self.account.mailbox if self.account is not None else self.user.email


@dataclass(slots=True)
class _WayOut:
    account: Account | None = None
    host: Host | None = None
    not_enabled: str = ""
    warnings: list[str] = field(default_factory=list)


def compose(connection: Connection, letter: Letter, now: datetime) -> Composed:
    """Put a message together. **Raises** `InputError`, `NotThere`: what is wrong, and how to mend it; nothing was sent and nothing is kept."""
    directory = Directory(connection)
    user = directory.user(letter.user)
    individuals = _individuals(directory, letter.to)
    way = _way_out(connection, user, individuals, letter.host)
    recipients = tuple(
        Recipient(
            individual_id=each.individual_id,
            name=addresses.shown_name(each.name),
            address=_address_of(each),
        )
        for each in individuals
    )
    subject, text, html = _content(directory, letter, user, individuals)
    if way.host is not None:
        _refuse_more_than_plain(way.host, recipients, html, letter.files)
    subject = addresses.subject_line(subject)
    files = tuple(_checked_file(each) for each in letter.files)
    if html:
        _match_pictures(formatting.pictures_in(html), files)
        html = formatting.whole(clean(html))
        text = formatting.text_of(html)
    else:
        if any(each.content_id for each in files):
            raise InputError(
                "a picture in the body needs a formatted body that shows it",
                fix="give --html, or --attach the picture.",
            )
        text = clean(text)
        if not text.strip():
            raise InputError(
                "the body is empty", subject="the message", fix="give --text, --body, --html or a template."
            )
    size = _size(subject, text, html, files)
    warnings = [*way.warnings, *_limits(size, recipients, files, way.host)]
    if way.account is not None and not way.not_enabled:
        recent = Outgoing(connection).sent_since(way.account.account_id, now)
        if recent >= MESSAGES_A_MINUTE:
            warnings.append(
                f"{recent} messages of {way.account.mailbox} in the last minute: Exchange Online sends {MESSAGES_A_MINUTE} a minute"
                " and keeps the rest in its outbox, so this one may go out later"
            )
    return Composed(
        user=user,
        account=way.account,
        host=way.host,
        not_enabled=way.not_enabled,
        recipients=recipients,
        subject=subject,
        text=text,
        html=html,
        files=files,
        size_bytes=size,
        warnings=tuple(warnings),
        asked_as=letter.asked_as,
    )


def fill(directory: Directory, template: Template, user: User, individuals: Sequence[Individual]) -> templates.Filled:
    """A template filled in for everybody a message goes to. **Raises** `InputError` where it would not say the same to all of them."""
    filled = [templates.fill(template, each, user, _community(directory, each, user)) for each in individuals]
    for each, individual in zip(filled, individuals, strict=True):
        if each != filled[0]:
            raise InputError(
                f"it reads otherwise for {individual.name} than for {individuals[0].name}, and they would get one message",
                subject=f"template {template.name}",
                fix="send one message to each, or leave the individual's fields out.",
            )
    return filled[0]


# ── who, to whom, through what ───────────────────────────────────────────────────────────────────────────────────────
def _individuals(directory: Directory, named: Sequence[str]) -> list[Individual]:
    if not named:
        raise InputError("the message goes to nobody", fix="name an individual with --to.")
    if len(named) > MOST_RECIPIENTS:
        raise InputError(
            f"{len(named)} individuals are more than one message takes",
            fix=f"send to at most {MOST_RECIPIENTS} at once.",
        )
    found = {each.individual_id: each for each in map(directory.individual, named)}
    return list(found.values())


def _address_of(individual: Individual) -> str:
    if not individual.email.strip():
        raise InputError(
            "there is no email address, so nothing can be sent",
            subject=f"individual {individual.name}",
            fix="enter the address in the CRM.",
        )
    return addresses.mail_address(individual.email, f"individual {individual.name}")


def _way_out(connection: Connection, user: User, individuals: Sequence[Individual], host_name: str) -> _WayOut:
    """The account a user's mail goes through: on a host of the individual's community, else on one that serves the user's, else on any."""
    hosts = {each.host_id: each for each in Hosts(connection).all()}
    serving = {each.host_id for each in Hosts(connection).serving(user.community_ids)}
    communities = {each.community_id for each in individuals if each.community_id is not None}
    known = Accounts(connection).of_user(user.user_id)
    if host_name:
        wanted = Hosts(connection).get(host_name)
        known = [each for each in known if each.host_id == wanted.host_id]

    def rank(account: Account) -> tuple[int, bool, bool, int]:
        host = hosts[account.host_id]
        own = host.community_id is not None and communities == {host.community_id}
        return (
            0 if own else 1 if account.host_id in serving else 2,
            not account.calendar,
            host.is_retired,
            int(account.account_id),
        )

    enabled = [each for each in known if each.send_email and hosts[each.host_id].send_email]
    if enabled:
        account = min(enabled, key=rank)
        return _WayOut(account, hosts[account.host_id])
    if not known:
        where = f" on host {host_name}" if host_name else ""
        reason, fix = f"{user.email} has no account{where}", "syncops account add makes one (with --send-email)"
    else:
        nearest = min(known, key=rank)
        host = hosts[nearest.host_id]
        if host.is_retired:
            reason, fix = f"host {host.name} is retired", f"syncops host restore {host.name!r}"
        elif not host.send_email:
            reason, fix = f"host {host.name} does not send email", f"syncops host edit {host.name!r} --send-email"
        else:
            reason, fix = (
                f"the account {nearest.mailbox} does not send email",
                f"syncops account enable {nearest.mailbox} --send-email",
            )
    host_of = hosts[min(known, key=rank).host_id] if known else None
    warning = (
        f"sending is not set up: {reason}. The message is put on record only and nobody gets it. To mend it: {fix}."
    )
    return _WayOut(None, host_of, reason, [warning])


def _community(directory: Directory, individual: Individual, user: User) -> Community | None:
    known = {each.community_id: each for each in directory.communities()}
    if individual.community_id is not None:
        return known.get(individual.community_id)
    return known.get(user.community_ids[0]) if len(user.community_ids) == 1 else None


# ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _content(
    directory: Directory, letter: Letter, user: User, individuals: Sequence[Individual]
) -> tuple[str, str, str]:
    """Subject, text and HTML; one of the last two."""
    if letter.text and letter.html:
        raise InputError(
            "a message has one body", fix="give plain text or --html, not both; mail programs make the other."
        )
    if not letter.template:
        return letter.subject, letter.text, letter.html
    filled = fill(directory, directory.template(letter.template), user, individuals)
    subject = letter.subject or filled.subject
    if letter.text or letter.html:
        return subject, letter.text, letter.html
    return (subject, "", filled.body) if filled.is_html else (subject, filled.body, "")


def _refuse_more_than_plain(host: Host, recipients: Sequence[Recipient], html: str, files: Sequence[File]) -> None:
    """Only Office 365 hosts send more than plain text to one individual (E6)."""
    if host.version == RICH:
        return
    wanted = [
        what
        for what, is_wanted in (
            ("several individuals", len(recipients) > 1),
            ("formatted text", bool(html)),
            ("pictures in the body", any(each.content_id for each in files)),
            ("attachments", any(not each.content_id for each in files)),
        )
        if is_wanted
    ]
    if wanted:
        raise InputError(
            f"it sends plain text to one individual ({host.version}); {', '.join(wanted)} need an Office 365 host",
            subject=f"host {host.name}",
            fix="send plain text to one individual at a time.",
        )


def _checked_file(file: File) -> File:
    name = addresses.file_name(file.name)
    if not file.content_id:
        return replace(file, name=name)
    if not _CONTENT_ID.match(file.content_id):
        raise InputError(
            f"{file.content_id!r} cannot be a picture's name in the body", fix="use letters, digits, dots and hyphens."
        )
    kind = next((kind for start, kind in _PICTURES.items() if file.content.startswith(start)), "")
    if file.content[:4] == b"RIFF" and file.content[8:12] == b"WEBP":
        kind = "image/webp"
    if not kind:
        raise InputError(
            "it is no picture that mail programs show (PNG, JPEG, GIF, BMP, WebP)",
            subject=name,
            fix="save it as PNG or JPEG, or --attach it.",
        )
    return replace(file, name=name, content_type=kind)


def _match_pictures(shown: Sequence[str], files: Sequence[File]) -> None:
    given = [each.content_id for each in files if each.content_id]
    twice = sorted({each for each in given if given.count(each) > 1})
    missing = [each for each in shown if each not in given]
    unused = [each for each in given if each not in shown]
    if twice:
        raise InputError(f"two pictures are called {', '.join(twice)}", fix="give each a name of its own.")
    if missing:
        raise InputError(
            f"the body shows cid:{', cid:'.join(missing)}, and there is no such picture",
            subject="the message",
            fix=f"add --picture {missing[0]}=FILE.",
        )
    if unused:
        raise InputError(
            f"the body does not show {', '.join(unused)}",
            subject="the message",
            fix=f'write <img src="cid:{unused[0]}"> where it belongs, or --attach it.',
        )


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def _size(subject: str, text: str, html: str, files: Sequence[File]) -> int:
    """Bytes on their way: everything that is no plain ASCII grows by a third and its line ends, each part has a header."""
    bodies = [text, html] if html else [text]
    return (
        2_000
        + len(subject) * 4
        + sum(_grown(len(each.encode())) for each in bodies)
        + sum(_grown(len(each.content)) + 400 for each in files)
    )


def _grown(size: int) -> int:
    return -(-size // 3) * 4 * 78 // 76


def _limits(size: int, recipients: Sequence[Recipient], files: Sequence[File], host: Host | None) -> list[str]:
    warnings = []
    if size > MOST_SIZE:
        raise InputError(
            f"it has {_megabytes(size)} on its way, and no server takes more than {_megabytes(MOST_SIZE)}",
            subject="the message",
            fix="send a link instead of the attachment.",
        )
    usual = USUAL_SIZE.get(host.version if host is not None else "", USUAL_SIZE_ON_PREMISES)
    if size > usual:
        warnings.append(
            f"the message has {_megabytes(size)} on its way (attachments grow by a third), and a server like this takes {_megabytes(usual)}"
            " unless its administrator allows more: it may be refused"
        )
    several = {each.address for each in recipients}
    if len(several) > 1:
        warnings.append(f"{len(several)} people get one message, and each sees the others' names and addresses")
    warnings += [
        f"Outlook does not let its users open files like {each.name}"
        for each in files
        if Path(each.name).suffix.lower() in _NOT_OPENED
    ]
    return warnings


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


def read_file(path: Path, content_id: str = "") -> File:
    """A file to send. **Raises** `InputError` where it cannot be read."""
    try:
        if path.stat().st_size > MOST_SIZE:
            raise InputError(f"it has more than {_megabytes(MOST_SIZE)}", subject=str(path), fix="send a link instead.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"it cannot be read ({error.strerror})", subject=str(path), fix="name a file that is there."
        ) from None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(name=path.name, content_type=kind, content=content, content_id=content_id)
