"""What an administrator's cmdlets printed, as records: CSV, JSON, or text copied from the console. Pure; no file is opened here.

Text that people paste is wrapped and cut. A value that was cut (``…``, ``...``, a collection's type name instead of its content) is kept
in ``Record.cut`` and never taken for the whole value.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops_lib.access.powershell_console import Block, read_console
from ops_lib.errors import InputError

#: the property names by which the output of a cmdlet is known; all of the first set, or all of another
_BY_COLUMNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Get-MailboxFolderPermission", frozenset({"foldername", "user", "accessrights"})),
    ("Get-RecipientPermission", frozenset({"trustee", "accessrights"})),
    ("Get-RecipientPermission", frozenset({"trustee", "accesscontroltype"})),
    ("Get-ADPermission", frozenset({"user", "extendedrights"})),
    ("Get-ADPermission", frozenset({"user", "deny", "inherited"})),
    ("Test-ServicePrincipalAuthorization", frozenset({"rolename", "inscope"})),
    ("Get-ManagementRoleAssignment", frozenset({"role", "roleassigneename"})),
    ("Get-ManagementRoleAssignment", frozenset({"role", "roleassignee"})),
    ("Get-CASMailbox", frozenset({"ewsenabled", "owaenabled"})),
    ("Get-CASMailbox", frozenset({"ewsenabled", "primarysmtpaddress"})),
    ("Get-CASMailbox", frozenset({"ewsenabled", "serverlegacydn"})),
    ("Get-OrganizationConfig", frozenset({"ewsenabled", "ewsallowedappids"})),
    ("Get-OrganizationConfig", frozenset({"ewsenabled", "publicfoldersenabled"})),
    ("Get-Mailbox", frozenset({"primarysmtpaddress", "grantsendonbehalfto"})),
)
_BY_TYPE = {
    "mailboxfolderpermission": "Get-MailboxFolderPermission",
    "recipientpermission": "Get-RecipientPermission",
    "adacepresentationobject": "Get-ADPermission",
    "exchangeroleassignmentpresentation": "Get-ManagementRoleAssignment",
    "casmailbox": "Get-CASMailbox",
    "organizationconfig": "Get-OrganizationConfig",
    "adorganizationconfig": "Get-OrganizationConfig",
    "serviceprincipalauthorization": "Test-ServicePrincipalAuthorization",
}
CMDLETS = (*dict.fromkeys(name for name, _ in _BY_COLUMNS),)
_SAME_OUTPUT = {name.lower().replace("-", "-exo", 1): name for name in CMDLETS} | {n.lower(): n for n in CMDLETS}
_TYPE_NAME = re.compile(r"^(System|Microsoft|Deserialized)\.[\w.+`]+(\[.*\])?(\[\])?$")
_INNER_NAMES = (
    "PrimarySmtpAddress",
    "UserPrincipalName",
    "RecipientPrincipal",
    "ADRecipient",
    "DisplayName",
    "Name",
    "Value",
    "RawIdentity",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One object that a cmdlet returned. Names of properties in small letters; ``line`` counts from 1; ``text`` is the line, for evidence."""

    values: Mapping[str, str]
    cut: frozenset[str] = frozenset()
    line: int = 0
    text: str = ""

    def get(self, *names: str) -> str | None:
        """The first of these properties that is there and whole; "" where it is there and empty; None where none is known."""
        for name in names:
            if name in self.values and name not in self.cut:
                return self.values[name]
        return None

    def is_cut(self, *names: str) -> bool:
        """Whether one of these properties is there but not whole."""
        return any(name in self.cut for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What one call of a cmdlet returned. ``parameters`` are those of the command line where that was copied too; ``error`` what it said instead."""

    cmdlet: str
    records: tuple[Record, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    source: str = ""


def decode(content: bytes, name: str) -> str:
    """The text of a file as PowerShell writes it: UTF-8 or UTF-16, with a mark or without, or the Windows code page."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise InputError(
                "the file ends in the middle of a character", subject=name, fix="copy the file again, as a whole"
            ) from None
    if b"\x00" in content[:200]:
        high = content[:200:2].count(0) > content[1:200:2].count(0)
        try:
            return content.decode("utf-16-be" if high else "utf-16-le")
        except UnicodeDecodeError:
            raise InputError(
                "this is no text", subject=name, fix="give the cmdlets' output as CSV, JSON or text"
            ) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def read_output(content: bytes | str, name: str = "the output") -> tuple[Output, ...]:
    """Every cmdlet's output found in a file, in its order.

    Raises:
        InputError: there is nothing in it, it is broken, or it cannot be told what it is.
    """
    text = decode(content, name) if isinstance(content, bytes) else content
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    begin = text.lstrip("\ufeff \t\n")
    if not begin:
        raise InputError(
            "there is nothing in it: the cmdlet returned nothing, or its output went elsewhere",
            subject=name,
            fix="take the output with the collecting script (`syncops rights script --collect`): it also writes down what is not there",
        )
    if begin[0] in "[{" and not re.match(r"\[[^\]\n\"{]*\]:? ", begin):
        return _from_json(begin, name)
    if _is_csv(begin):
        return _from_csv(begin, name)
    blocks = read_console(text)
    found = tuple(_of_block(each, name) for each in blocks if not each.cmdlet or known_cmdlet(each.cmdlet))
    if not found:
        raise InputError(
            "nothing in it is a table, a list, CSV or JSON of a known cmdlet",
            subject=name,
            fix=f"give the output of {', '.join(CMDLETS)}, best as `| ConvertTo-Json`",
        )
    return found


def _record(values: Mapping[str, str], line: int, text: str, cut: frozenset[str] = frozenset()) -> Record:
    lowered = {key.strip().lower().replace(" ", ""): value.strip() for key, value in values.items()}
    also = {key for key, value in lowered.items() if _looks_cut(value)}
    return Record(values=lowered, cut=frozenset(name.lower() for name in cut) | also, line=line, text=text.strip())


def _looks_cut(value: str) -> bool:
    if value.startswith("{") and not value.endswith("}"):
        return True
    return "…" in value or "..." in value or value.endswith("..") or bool(_TYPE_NAME.match(value))


def cmdlet_of(names: Sequence[str], type_name: str = "") -> str | None:
    """Which cmdlet returns objects with these properties, by its type's name where that is known. None: it cannot be told."""
    last = type_name.rsplit(".", 1)[-1].lower()
    if last in _BY_TYPE:
        return _BY_TYPE[last]
    have = {name.strip().lower().replace(" ", "") for name in names}
    return next((cmdlet for cmdlet, needed in _BY_COLUMNS if needed <= have), None)


def known_cmdlet(name: str) -> str | None:
    """The cmdlet's own name, for whichever way it is written; None for one that says nothing of rights."""
    return _SAME_OUTPUT.get(name.strip().lower())


def _grouped(records: Sequence[Record], type_name: str, name: str) -> tuple[Output, ...]:
    """Records of one file, by the cmdlet each names itself (the collecting script's files) or all by their properties."""
    outputs: list[Output] = []
    for record in records:
        said = record.values.get("cmdlet", "")
        cmdlet = known_cmdlet(said) if said else cmdlet_of(tuple(record.values), type_name)
        if cmdlet is None:
            raise InputError(
                f"{said} is no cmdlet that speaks of rights"
                if said
                else f"it cannot be told which cmdlet returned {', '.join(record.values)}",
                subject=f"{name}, line {record.line}",
                fix=f"give the whole output of {', '.join(CMDLETS)}; do not leave out columns",
            )
        error = record.values.get("error", "") if said else ""
        outputs.append(
            Output(
                cmdlet=cmdlet,
                records=() if error or record.values.get("nothing") else (record,),
                parameters=_asked(record) if said else {},
                error=error,
                source=name,
            )
        )
    merged: list[Output] = []
    for each in outputs:
        last = merged[-1] if merged else None
        if (
            last
            and not each.error
            and not last.error
            and last.cmdlet == each.cmdlet
            and last.parameters == each.parameters
        ):
            merged[-1] = Output(
                cmdlet=last.cmdlet, records=last.records + each.records, parameters=last.parameters, source=name
            )
        else:
            merged.append(each)
    return tuple(merged)


def _asked(record: Record) -> dict[str, str]:
    """What the collecting script asked for, which it writes beside each record."""
    return {
        key: record.values[f"asked{key}"]
        for key in ("user", "mailbox", "folder", "role")
        if record.values.get(f"asked{key}")
    }


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _from_json(text: str, name: str) -> tuple[Output, ...]:
    try:
        found = json.loads(text)
    except RecursionError:
        raise InputError("the JSON is nested without end", subject=name, fix="give what a cmdlet wrote") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"the JSON breaks off or is broken at line {error.lineno}, column {error.colno} ({error.msg})",
            subject=name,
            fix="write it to a file instead of copying it: `… | ConvertTo-Json -Depth 4 | Out-File rights.json -Encoding utf8`",
        ) from None
    objects = found if isinstance(found, list) else [found]
    if not objects or not all(isinstance(each, dict) for each in objects):
        raise InputError("the JSON holds no objects", subject=name, fix="give what `| ConvertTo-Json` wrote, unchanged")
    records = []
    for number, each in enumerate(objects, start=1):
        flat = {key: _flat(value) for key, value in each.items()}
        records.append(_record(flat, number, json.dumps(each, ensure_ascii=False)[:300]))
    return _grouped(records, "", name)


def _flat(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, list):
        return ", ".join(_flat(each) for each in value)
    if isinstance(value, dict):
        for inner in _INNER_NAMES:
            if value.get(inner) not in (None, "", {}):
                return _flat(value[inner])
        return "…"
    return str(value)


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _header_of(text: str) -> tuple[str, str, str]:
    """The type's name ("" where the line is missing), the header line, and what separates its columns ("" for none)."""
    lines = [line for line in text.split("\n", 3)[:3] if line.strip()]
    type_name = ""
    if lines and lines[0].lstrip('"').startswith("#TYPE"):
        type_name, lines = lines[0].strip('" ').removeprefix("#TYPE").strip(), lines[1:]
    header = lines[0] if lines else ""
    separator = max(",;\t", key=header.count)
    return type_name, header, separator if header.count(separator) else ""


def _is_csv(text: str) -> bool:
    type_name, header, separator = _header_of(text)
    if type_name:
        return True
    if not separator:
        return bool(re.fullmatch(r'"\w+"', header.strip()))
    names = next(csv.reader([header], delimiter=separator))
    return all(re.fullmatch(r"\w[\w ]*", each.strip()) for each in names) and not header.startswith("PS ")


def _from_csv(text: str, name: str) -> tuple[Output, ...]:
    type_name, header, separator = _header_of(text)
    body = text[text.index(header) :] if header else ""
    skipped = text[: len(text) - len(body)].count("\n")
    reader = csv.reader(io.StringIO(body), delimiter=separator or ",")
    try:
        rows = [(reader.line_num + skipped, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(
            f"the CSV is broken ({error})",
            subject=f"{name}, line {reader.line_num + skipped}",
            fix="give the file as Export-Csv wrote it",
        ) from None
    if not rows:
        raise InputError("there is no row of column names", subject=name, fix="give the file as Export-Csv wrote it")
    columns = [each.strip() for each in rows[0][1]]
    records = []
    for line, row in rows[1:]:
        if len(row) != len(columns):
            raise InputError(
                f"the row has {len(row)} columns, the header {len(columns)}",
                subject=f"{name}, line {line}",
                fix="give the file as Export-Csv wrote it; a spreadsheet may have changed its separators",
            )
        records.append(_record(dict(zip(columns, row, strict=True)), line, (separator or ",").join(row)))
    if not records:
        cmdlet = cmdlet_of(columns, type_name)
        if cmdlet is None:
            raise InputError(
                f"it cannot be told which cmdlet has the columns {', '.join(columns)}",
                subject=name,
                fix="give the whole output",
            )
        return (Output(cmdlet=cmdlet, records=(), source=name),)
    return _grouped(records, type_name, name)


# ── the console ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _of_block(block: Block, name: str) -> Output:
    records = tuple(_record(row.values, row.line, row.text, row.cut) for row in block.rows)
    cmdlet = known_cmdlet(block.cmdlet) if block.cmdlet else None
    if cmdlet is None and records:
        cmdlet = cmdlet_of(tuple(records[0].values))
    if cmdlet is None:
        what = (
            f"the output of {block.cmdlet}"
            if block.cmdlet
            else f"a list of {', '.join(records[0].values) if records else 'nothing'}"
        )
        raise InputError(
            f"it cannot be told what this is: {what}",
            subject=f"{name}, line {block.line}",
            fix="copy the line with the command too, or leave out what is not of rights",
        )
    return Output(cmdlet=cmdlet, records=records, parameters=block.parameters, error=block.error, source=name)
