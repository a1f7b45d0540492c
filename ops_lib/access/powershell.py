"""PowerShell for the customer's administrator: mends exactly the red cells, takes it back, and collects what to check. Pure.

A script runs as often as one likes: it looks before it writes, changes an entry instead of adding a second, and writes down what stood there
before the change (``$UndoFile``), which the undo script reads. Names are single-quoted; nothing in them is ever run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from ops_lib.access import powershell_parts as parts
from ops_lib.access.powershell_collecting import collecting
from ops_lib.access.rights import FOLDER_RIGHTS, OTHER_KIND, Matrix, Need, Right, Row
from ops_lib.errors import InputError
from ops_lib.model import Access, Host

_WORDS = {
    Right.MAILBOX: "no mailbox answers",
    Right.EWS_ENABLED: "EWS is switched off",
    Right.IMPERSONATION: "the service account may not act for this user",
    Right.CALENDAR_READ: "the calendar cannot be read",
    Right.CALENDAR_WRITE: "the calendar cannot be written to",
    Right.TASKS_READ: "the tasks cannot be read",
    Right.TASKS_WRITE: "the tasks cannot be written to",
    Right.PRIVATE_ITEMS: "private events cannot be seen",
    Right.SEND_AS: "mail cannot be sent as this user",
    Right.SEND_ON_BEHALF: "mail cannot be sent on behalf of this user",
}
_QUOTES = "'\u2018\u2019\u201a\u201b"


def quote(text: str) -> str:
    """The text as a PowerShell literal in which nothing is run or replaced.

    PowerShell ends such a literal at any of five signs (the typographic ones too), and reads two of the same as one.

    Raises:
        InputError: the text has a line break or another control character, which no name or address has.
    """
    bad = next((each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp", "Cs"}), None)
    if bad is not None:
        raise InputError(
            f"the name has the control character U+{ord(bad):04X} in it",
            subject=ascii(text),
            fix="correct the name in the CRM; it is not written into a script like this",
        )
    return "'" + "".join(each * 2 if each in _QUOTES else each for each in text) + "'"


def _own(host: Host) -> str:
    """The host's name as a part of names in Exchange and of files: two hosts of one organisation never share one."""
    plain = re.sub(r"[^A-Za-z0-9 .]+", "-", host.name).strip()[:30]
    return plain if plain == host.name else f"{plain} {host.host_id}"[:40]


def group_of(host: Host) -> str:
    """The group whose members the service account may act for, and the name of the scope made of it."""
    return f"syncops {_own(host)} accounts"


def assignment_of(host: Host) -> str:
    """The name of the role's assignment; Exchange takes 64 signs."""
    return f"syncops {_own(host)} impersonation"


def undo_file_of(host: Host) -> str:
    """Where the mending script keeps what stood before."""
    return f"syncops-undo-{_own(host).replace(' ', '-')}.csv"


def script_name(host: Host, kind: str) -> str:
    """The file of a host's script; ``kind``: mend, undo, collect, setup."""
    return f"{kind}-{_own(host).replace(' ', '-')}.ps1"


def _settings(host: Host, *, acts: bool) -> str:
    group, assignment = (quote(group_of(host)), quote(assignment_of(host))) if acts else ("", "")
    return parts.settings(quote(host.service_user), quote(undo_file_of(host)), group, assignment)


def is_online(host: Host) -> bool:
    """Whether the host is Exchange Online, whose cmdlets differ."""
    return host.version == "Office 365"


def file_bytes(script: str) -> bytes:
    """The script as a file that Windows PowerShell 5.1 reads rightly: with a byte order mark and its own line ends."""
    return b"\xef\xbb\xbf" + script.replace("\n", "\r\n").encode("utf-8")


def to_mend(matrix: Matrix) -> tuple[Row, ...]:
    """The red rows for which the script does something: no more than a grant or a switch is missing."""
    red = matrix.red()
    without_mailbox = {row.user for row in red if row.right is Right.MAILBOX}
    refused = _refused(red)
    return tuple(
        row for row in red if row.user not in without_mailbox and not _why_by_hand(row, matrix.access, refused)
    )


def _refused(rows: Iterable[Row]) -> set[str]:
    """The users for whom the service account may not act."""
    return {row.user for row in rows if row.right is Right.IMPERSONATION}


def _why_by_hand(row: Row, access: Access, refused: Collection[str]) -> str:
    """Why no grant mends the row, and who can; "" where one does. ``refused``: the users for whom nobody may act."""
    if row.right is Right.MAILBOX:
        return "correct the address in the CRM, no script can mend it"
    if row.right not in FOLDER_RIGHTS:
        return ""
    if OTHER_KIND in row.why:
        return "its default folder is of another kind, no right can mend that; look at it in Outlook"
    acts_as_user = access == "impersonation" and row.user not in refused
    if access == "direct" or acts_as_user:
        return "its own user may not, no right of anybody else can mend that; look at it in Outlook"
    return ""


# ── mending ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def mend_script(matrix: Matrix, host: Host, *, private_items: bool = False, enterprise_object_id: str = "") -> str:
    """The script for exactly the red cells. ``private_items`` takes up the wanted ones too.

    Raises:
        InputError: the host names no service account (or, in Exchange Online, no application) to give rights to.
    """
    rows = [
        row
        for row in matrix.rows()
        if row.is_red or (private_items and row.verdict == "missing" and row.expected is Need.WANTED)
    ]
    rows.sort(key=lambda row: (row.user, list(Right).index(row.right)))
    if not rows:
        return parts.header(f"{host.name}: nothing to mend", host.version) + "\nWrite-Output 'Nothing to mend.'\n"
    steps, needed = _steps(rows, matrix, host)
    if needed - {"ews"} and "impersonation" not in needed:
        _require_service(host)
    return _script(f"{host.name}: gives what is missing", host, steps, needed, enterprise_object_id)


def impersonation_script(
    host: Host, mailboxes: Iterable[str], *, whole_organisation: bool = False, enterprise_object_id: str = ""
) -> str:
    """The set-up of acting for others (P1), scoped to the mailboxes; ``whole_organisation`` is the article's own command.

    Exchange Online has withdrawn the role: there the application gets RBAC for Applications, always scoped.
    """
    if host.access != "impersonation":
        raise InputError(
            f"its access is {host.access}: nobody acts for others, and there is nothing to set up",
            subject=f"host {host.name}",
            fix="syncops rights check, then syncops rights script, gives what is missing; "
            "or `syncops host edit … --access impersonation`.",
        )
    _require_actor(host)
    if whole_organisation:
        if is_online(host):
            raise InputError(
                "Exchange Online has withdrawn that role; an application gets its rights over a scope",
                subject=f"host {host.name}",
                fix="leave --whole-organisation out.",
            )
        return _whole(f"{host.name}: lets the service account act for everybody", host, [parts.COMMON, parts.EVERYBODY])
    steps = [f"Step {{ Add-Account {quote(each)} }}" for each in sorted({m.lower() for m in mailboxes})]
    return _script(
        f"{host.name}: lets the {'application' if is_online(host) else 'service account'} act for its accounts",
        host,
        steps,
        {"impersonation"},
        enterprise_object_id,
    )


def undo_script(host: Host) -> str:
    """Takes back what the mending script did, from the file it kept: in reverse order, and only what still stands as it was made."""
    undo = parts.UNDO_ONLINE if is_online(host) else parts.UNDO_ON_PREMISES
    return _whole(f"{host.name}: takes back what the mending script did", host, [parts.FIND_FOLDER, undo], footer="")


def _whole(title: str, host: Host, pieces: list[str], *, footer: str | None = None) -> str:
    """The script from its pieces. The session's preference for errors is set for its time alone."""
    said = parts.footer() if footer is None else footer
    acts = any("$Assignment" in piece for piece in pieces)
    return "\n".join((parts.header(title, host.version), _settings(host, acts=acts), *pieces, said + parts.END))


def _script(title: str, host: Host, steps: list[str], needed: set[str], enterprise_object_id: str) -> str:
    functions = []
    if "folder" in needed or "private" in needed:
        functions += [parts.FIND_FOLDER, parts.GRANT_FOLDER]
    if "private" in needed:
        functions.append(parts.GRANT_PRIVATE)
    if "send" in needed:
        functions.append(parts.SEND_AS_ONLINE if is_online(host) else parts.SEND_AS_ON_PREMISES)
    if "ews" in needed:
        functions.append(parts.ENABLE_EWS)
    if "impersonation" in needed:
        _require_actor(host)
        functions.append(parts.GROUP_AND_SCOPE)
        if is_online(host):
            functions.append(parts.application(quote(host.client_id), quote(host.name), quote(enterprise_object_id)))
        else:
            functions.append(parts.ROLE)
    if not functions:
        return "\n".join(
            (parts.header(title, host.version), *steps, "Write-Output 'Nothing here that a script can mend.'\n")
        )
    if enterprise_object_id:
        _require_guid(enterprise_object_id)
    missing = ["# ---- what is missing ----", *steps] if steps else []
    return _whole(title, host, [parts.COMMON, *functions, *missing])


def _steps(rows: list[Row], matrix: Matrix, host: Host) -> tuple[list[str], set[str]]:
    """One line per thing to do, with its reason as a comment above; and which functions they need."""
    comments: dict[str, list[str]] = {}
    needed: set[str] = set()
    without_mailbox = {row.user for row in rows if row.right is Right.MAILBOX}
    refused = _refused(rows)
    by_hand: list[str] = []
    for row in rows:
        user, what = quote(row.user), _WORDS[row.right]
        reason = _why_by_hand(row, matrix.access, refused)
        if row.user in without_mailbox and row.right is not Right.MAILBOX:
            continue
        if reason:
            by_hand.append(f"# {row.user}: {what}; {reason}")
        elif row.right is Right.PRIVATE_ITEMS and not is_online(host):
            by_hand.append(
                f"# {row.user}: {what}; no cmdlet gives this here, the user ticks it in Outlook (Delegate Access)"
            )
        else:
            part, line = _line(row.right, user, host)
            needed.add(part)
            comments.setdefault(line, [f"# {row.user}: {what}"]).append(what)
    steps = by_hand
    for line, words in comments.items():
        steps += ["; ".join((words[0], *words[2:])), line]
    return steps, needed


def _line(right: Right, user: str, host: Host) -> tuple[str, str]:
    if right is Right.EWS_ENABLED:
        return "ews", f"Step {{ Enable-Ews {user} }}"
    if right is Right.IMPERSONATION or host.access == "impersonation":
        return "impersonation", f"Step {{ Add-Account {user} }}"
    if right in {Right.CALENDAR_READ, Right.CALENDAR_WRITE}:
        return "folder", f"Step {{ Grant-Folder {user} 'Calendar' }}"
    if right in {Right.TASKS_READ, Right.TASKS_WRITE}:
        return "folder", f"Step {{ Grant-Folder {user} 'Tasks' }}"
    if right is Right.PRIVATE_ITEMS:
        return "private", f"Step {{ Grant-PrivateItems {user} }}"
    return "send", f"Step {{ Grant-SendAs {user} }}"


def _require_guid(text: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise InputError(
            "it is no object id: those look like 00000000-0000-0000-0000-000000000000",
            subject=f"enterprise application {text}",
            fix="copy it from Entra > Enterprise applications > the application > Object ID.",
        )


def _require_service(host: Host) -> None:
    if not host.service_user:
        raise InputError(
            "the host names no service account to give rights to",
            subject=host.name,
            fix="name it: `syncops host edit … --service-user ADDRESS`",
        )


def _require_actor(host: Host) -> None:
    if not is_online(host):
        _require_service(host)
    elif not host.client_id:
        raise InputError(
            "the host names no application; Exchange Online lets only applications act for others",
            subject=host.name,
            fix="enter the app registration: `syncops host edit … --client-id ID`",
        )


# ── collecting ───────────────────────────────────────────────────────────────────────────────────────────────────────
def collect_script(host: Host, mailboxes: Iterable[str]) -> str:
    """Writes down, in one JSON file, everything that the check reads, with what is not there. Changes nothing."""
    listed = ",\n".join(f"    {quote(each)}" for each in sorted({m.lower() for m in mailboxes}))
    online = is_online(host)
    return "\n".join(
        (
            parts.header(f"{host.name}: collects permissions; changes nothing", host.version),
            f"$Service = {quote(host.service_user)}",
            *([f"$Application = {quote(host.client_id)}"] if online and host.client_id else []),
            "$File = 'syncops-rights.json'",
            f"$Mailboxes = @(\n{listed}\n)" if listed else "$Mailboxes = @()",
            collecting(online=online, with_service=bool(host.service_user), with_application=bool(host.client_id)),
        )
    )
