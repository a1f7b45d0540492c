"""Accounts from a table (A10): what each row would do, and all of it or nothing.

A preview judges every row against the workspace and the rows before it; nothing is written unless every row that was asked for is good.
Importing the same file again finds everything there already and says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from ops_lib.access import secrets
from ops_lib.access.accounts import Accounts
from ops_lib.access.roll import AccountInput, Place, Roll
from ops_lib.access.sheets import Line, Sheet, read_sheet
from ops_lib.crm.directory import address
from ops_lib.errors import InputError, NotThere
from ops_lib.model import Account

SYNONYMS: dict[str, tuple[str, ...]] = {
    "user": ("user", "useremail", "crmuser", "crmuseremail", "username", "login", "benutzer"),
    "mailbox": ("mailbox", "mailboxaddress", "primarysmtpaddress", "postfach"),
    "email": ("email", "emailaddress", "mail", "emailadresse"),
    "host": ("host", "hostname", "server", "exchangehost"),
    "impersonation": ("impersonation", "impersonationuser", "impersonationaccount", "serviceaccount"),
    "calendar": ("calendar", "synccalendar", "calendarsync", "kalender"),
    "send email": ("sendemail", "syncemail", "emailsync"),
    "all-day tasks": ("alldaytasks", "syncalldaytasks", "syncofalldaytasks", "tasks", "aufgaben"),
    "password": ("password", "passwort", "secret"),
    "password env": ("passwordenv", "passwordvariable"),
    "password file": ("passwordfile",),
}
"""The columns. ``email`` is the mailbox where there is a column ``user``, and the user where there is none."""

_YES = frozenset(("yes", "y", "true", "t", "1", "x", "on", "checked", "ja", "wahr", "oui", "vrai", "si", "sí"))
_NO = frozenset(("no", "n", "false", "f", "0", "-", "off", "unchecked", "nein", "falsch", "non", "faux"))

Outcome = Literal["new", "exists", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """What one row means: ``new`` or ``exists`` (``reason`` then says what is set otherwise), or the fault of one ``field``."""

    line: int
    user: str
    mailbox: str = ""
    host: str = ""
    outcome: Outcome
    field: str = ""
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would do. ``placed`` is what `apply` writes."""

    sheet: Sheet
    rows: tuple[ImportRow, ...]
    placed: tuple[tuple[Place, AccountInput], ...]

    def count(self, outcome: Outcome) -> int:
        return sum(row.outcome == outcome for row in self.rows)


def preview(
    connection: Connection, data: bytes, *, subject: str, host: str | None = None, lines: Collection[range] = ()
) -> Preview:
    """What the table in ``data`` would do now. ``host`` is for rows that name none; ``lines`` chooses rows by their line.

    **Raises** `InputError` for a file that is no such table, and for chosen lines that are not there.
    """
    sheet = read_sheet(data, SYNONYMS, subject=subject)
    chosen = [line for line in sheet.lines if not lines or any(line.number in each for each in lines)]
    for each in lines:
        if not any(line.number in each for line in chosen):
            raise InputError(
                f"there is no row on line {_span(each)}",
                subject=subject,
                fix="choose lines as the preview numbers them.",
            )
    if not chosen:
        raise InputError("the file has no row below its first line", subject=subject, fix="add a line for each user.")
    if not sheet.fields & {"user", "email"}:
        raise InputError(
            "no column says who", subject=subject, fix="name the column with the CRM users' addresses: user."
        )
    judge = _Judge(Accounts(connection).roll(), host, has_user="user" in sheet.fields)
    rows = tuple(judge.row(line) for line in chosen)
    return Preview(sheet, rows, tuple(judge.placed))


def apply(connection: Connection, found: Preview) -> None:
    """Write what a preview of this same transaction found. **Raises** `InputError` where a row has a fault; nothing is written then."""
    faults = found.count("fault")
    if faults:
        first = next(row for row in found.rows if row.outcome == "fault")
        raise InputError(
            f"{faults} of {len(found.rows)} rows have a fault (the first on line {first.line}: {first.reason}); nothing was written",
            fix="correct them, or choose the good rows with --lines.",
        )
    Accounts(connection).insert(found.placed)


class _Judge:
    """Judges row after row; what was found good counts for those that follow."""

    def __init__(self, roll: Roll, host: str | None, *, has_user: bool) -> None:
        self._roll = roll
        self._host = host
        self._user_field = "user" if has_user else "email"
        self._seen: dict[tuple[str, str], int] = {}
        self._has_user = has_user
        self._field = ""
        self.placed: list[tuple[Place, AccountInput]] = []

    def row(self, line: Line) -> ImportRow:
        user = line.cells.get(self._user_field, "")
        try:
            return self._good(line)
        except (InputError, NotThere) as error:
            return ImportRow(
                line=line.number,
                user=user,
                mailbox=self._mailbox(line),
                host=line.cells.get("host", "") or self._host or "",
                outcome="fault",
                field=self._field,
                reason=error.message,
                fix=error.fix,
            )

    def _good(self, line: Line) -> ImportRow:
        wanted = self._wanted(line)
        place = self._roll.place(wanted, reached=self._reached)
        key = (place.host.host_id, place.mailbox)
        if key in self._seen:
            self._reached("mailbox")
            raise InputError(f"line {self._seen[key]} is the same account already", fix="remove one of the two lines.")
        self._seen[key] = line.number
        row = {"line": line.number, "user": place.user.email, "mailbox": place.mailbox, "host": place.host.name}
        if place.existing is not None:
            return ImportRow(**row, outcome="exists", reason=_differences(place.existing, wanted))  # type: ignore[arg-type]
        self.placed.append((place, wanted))
        self._roll.enter(_as_account(line, place, wanted))
        return ImportRow(**row, outcome="new")  # type: ignore[arg-type]

    def _wanted(self, line: Line) -> AccountInput:
        cells = line.cells
        for self._field, cell in cells.items():
            _refuse_formula(cell)
        if line.surplus:
            self._reached("")
            raise InputError(
                "the row has more cells than there are columns",
                fix="put cells that hold a separator into quotation marks.",
            )
        self._reached("user")
        user = address(cells.get(self._user_field, ""))
        self._reached("password")
        if cells.get("password"):
            raise InputError(
                "a password stands in the file",
                fix="take it out; name a variable (password env) or a file (password file) that holds it.",
            )
        self._reached("password env" if cells.get("password env") else "password file")
        secret = _reference(cells)
        return AccountInput(
            user_email=user,
            host=cells.get("host") or self._host,
            mailbox=self._mailbox(line) or None,
            is_impersonation_account=self._switch(cells, "impersonation", default=False),
            calendar=self._switch(cells, "calendar", default=True),
            send_email=self._switch(cells, "send email", default=False),
            all_day_tasks=self._switch(cells, "all-day tasks", default=False),
            secret=secret,
        )

    def _mailbox(self, line: Line) -> str:
        return line.cells.get("mailbox", "") or (line.cells.get("email", "") if self._has_user else "")

    def _switch(self, cells: Mapping[str, str], field: str, *, default: bool) -> bool:
        value = cells.get(field, "").casefold()
        if not value:
            return default
        self._reached(field)
        if value in _YES or value in _NO:
            return value in _YES
        raise InputError("the cell is neither yes nor no", fix="write yes or no, or leave the cell empty.")

    def _reached(self, field: str) -> None:
        self._field = field


def _reference(cells: Mapping[str, str]) -> str:
    """Where the account's own password lies; empty where nothing is said."""
    variable, file = cells.get("password env", ""), cells.get("password file", "")
    if variable and file:
        raise InputError("the password can lie in one place only", fix="fill in password env or password file.")
    if variable:
        return secrets.env_reference(variable)
    return secrets.file_reference(Path(file)) if file else ""


def _refuse_formula(cell: str) -> None:
    if cell[:1] in ("=", "@") or (cell[:1] in ("+", "-") and len(cell) > 1):
        raise InputError("the cell holds a formula, not its value", fix="paste the column as values before saving it.")
    if cell[:1] == "#" and cell[-1:] in ("!", "?", "A"):
        raise InputError(
            f"the spreadsheet could not compute this cell ({cell})", fix="mend the formula, then save it again."
        )


def _differences(existing: Account, wanted: AccountInput) -> str:
    """What the account that is there has set otherwise: an import changes nothing."""
    names = {"calendar": "calendar", "send_email": "send email", "all_day_tasks": "all-day tasks"}
    other = [
        f"{words} {'yes' if getattr(existing, name) else 'no'}"
        for name, words in names.items()
        if getattr(existing, name) != getattr(wanted, name)
    ]
    return f"it stays as it is: {', '.join(other)}" if other else ""


def _as_account(line: Line, place: Place, wanted: AccountInput) -> Account:
    return Account(
        account_id=f"line {line.number}",
        host_id=place.host.host_id,
        user_id=place.user.user_id,
        user_email=place.user.email,
        mailbox=place.mailbox,
        time_zone=place.user.time_zone,
        calendar=wanted.calendar,
    )


def _span(lines: range) -> str:
    return str(lines.start) if len(lines) == 1 else f"{lines.start}-{lines.stop - 1}"
