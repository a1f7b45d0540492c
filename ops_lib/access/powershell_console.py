"""Text copied from a PowerShell console: command lines, tables, lists and errors, also wrapped and cut. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_PROMPT = re.compile(r"^\s*(?:\[[^\]]*\]:?\s*)?PS\s?[^>]*>+\s?(?P<command>.*)$|^\s*\[PS\]\s?[^>]*>+\s?(?P<shell>.*)$")
_BARE = re.compile(r"^\s*(?P<command>(?:Get|Test)-[A-Za-z]+\b.*)$")
_CMDLET = re.compile(r"\b(?P<name>(?:Get|Test)-[A-Za-z]+)\b(?P<rest>[^|;}]*)")
_PARAMETER = re.compile(
    r"""-(?P<name>[A-Za-z]+)(?:[:\s]+(?P<value>"[^"]*"|'(?:[^']|'')*'|[^\s\-'"][^\s|;]*))?|(?P<bare>"[^"]*"|'(?:[^']|'')*'|[^\s-][^\s|;]*)"""
)
_DASHES = re.compile(r"^\s*-+(?: +-+)*\s*$")
_PAIR = re.compile(r"^(?P<name>[A-Za-z]\w*)(?P<gap>\s*) :(?: (?P<value>.*))?$")
_ERROR = re.compile(r"CategoryInfo|FullyQualifiedErrorId|\|Microsoft\.Exchange\.|Exception\b|^(?:Get|Test)-\w+\s?: ")
_SWITCHES = {"geteffectiveusers", "retrieveewsoperationaccesspolicy", "owner", "groupmailbox"}

#: property names that a console's edge may break in two
_NAMES = frozenset(
    (
        "identity",
        "user",
        "trustee",
        "accessrights",
        "accesscontroltype",
        "extendedrights",
        "deny",
        "inherited",
        "isinherited",
        "foldername",
        "sharingpermissionflags",
        "name",
        "role",
        "roleassigneename",
        "roleassigneetype",
        "assignmentmethod",
        "effectiveusername",
        "recipientwritescope",
        "customrecipientwritescope",
        "rolename",
        "grantedpermissions",
        "allowedresourcescope",
        "scopetype",
        "inscope",
        "ewsenabled",
        "primarysmtpaddress",
        "displayname",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object of a table or list. ``cut`` are the properties whose value is not whole."""

    values: dict[str, str]
    cut: frozenset[str]
    line: int
    text: str


@dataclass(slots=True, kw_only=True)
class Block:
    """What belongs to one command, or one table or list that stands alone."""

    line: int
    cmdlet: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    error: str = ""


def read_console(text: str) -> list[Block]:
    """The blocks of a copied console, in their order: one for each command that reads, and one for each table or list without a command."""
    lines = [line.rstrip().replace("\t", "    ") for line in text.split("\n")]
    blocks: list[Block] = []
    current: Block | None = None
    position = 0
    while position < len(lines):
        line = lines[position]
        command = _command(line)
        if command is not None:
            command, after = _whole_command(lines, position, command)
            current = _called(command, position + 1)
            if current is not None:
                blocks.append(current)
            position = after
            continue
        if not line.strip():
            position += 1
            continue
        end = _paragraph_end(lines, position)
        paragraph = lines[position:end]
        rows, problem = _read_paragraph(paragraph, position + 1)
        if current is None:
            if rows:
                blocks.append(Block(line=position + 1, rows=rows))
                current = None
        elif current.cmdlet:
            current.rows += rows
            if problem and not current.error:
                current.error = problem
        position = end
    return blocks


def _command(line: str) -> str | None:
    found = _PROMPT.match(line)
    if found:
        return (found["command"] or found["shell"] or "").strip()
    bare = _BARE.match(line)
    if bare and not _ERROR.search(line):
        return bare["command"].strip()
    return None


def _whole_command(lines: Sequence[str], position: int, command: str) -> tuple[str, int]:
    """The command with the lines it went on in: until a blank line, what it printed, or the next prompt."""
    after = position + 1
    while after < len(lines) and command:
        line = lines[after]
        if (
            not line.strip()
            or _command(line) is not None
            or _PAIR.match(line)
            or _ERROR.search(line)
            or _DASHES.match(line)
        ):
            break
        if after + 1 < len(lines) and _DASHES.match(lines[after + 1]):
            break
        # A console breaks a line at its edge, in the middle of a word: what goes on is put right after it, unless it begins a parameter or a pipe.
        command += (
            " " if line.startswith((" ", "-", "|", ">>")) or command.endswith(("|", "`", ",")) else ""
        ) + line.strip().removeprefix(">>").strip()
        command = command.replace("`", "")
        after += 1
    return command, after


def _called(command: str, line: int) -> Block | None:
    for found in _CMDLET.finditer(command):
        name = found["name"]
        if (
            name.lower() in {"get-mailbox", "get-exomailbox", "get-content", "get-credential"}
            and "|" in command[found.end() :]
        ):
            continue  # it only feeds what comes after the pipe
        return Block(line=line, cmdlet=name, parameters=_parameters(found["rest"]))
    return None


def _parameters(text: str) -> dict[str, str]:
    """The parameters by name in small letters; what stands without a name is ``identity``. Variables are left out: their value is unknown."""
    found: dict[str, str] = {}
    for each in _PARAMETER.finditer(text):
        name = (each["name"] or "identity").lower()
        value = each["value"] if each["name"] else each["bare"]
        if name in _SWITCHES or value is None:
            found[name] = "true"
            continue
        value = value[1:-1].replace("''", "'") if value[0] in "\"'" else value
        if "$" not in value and name not in found:
            found[name] = value
    return found


def _paragraph_end(lines: Sequence[str], begin: int) -> int:
    end = begin
    while end < len(lines) and lines[end].strip() and (end == begin or _command(lines[end]) is None):
        end += 1
    return end


def _read_paragraph(lines: Sequence[str], first: int) -> tuple[list[Row], str]:
    """The rows of a table or a list, or the words of an error."""
    dashes = next((n for n, line in enumerate(lines) if n and _DASHES.match(line)), None)
    if dashes is not None:
        return _table(lines, dashes, first), ""
    if any(_ERROR.search(line) for line in lines):
        return [], " ".join(line.strip() for line in lines)
    if _PAIR.match(lines[0]):
        return [_list(lines, first)], ""
    return [], " ".join(line.strip() for line in lines)


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def _columns(headers: Sequence[str], dashes: str) -> list[tuple[str, int, int]]:
    """Name, begin and end of each column; the last one is open. A long name may stand in two lines, the one below the other."""
    begins = [found.start() for found in re.finditer(r"-+", dashes)]
    ends = [*begins[1:], 10_000]
    columns = []
    for begin, end in zip(begins, ends, strict=True):
        parts = [header[begin:end].strip() for header in headers]
        whole = "".join(parts)
        columns.append((whole if whole.lower() in _NAMES else parts[-1], begin, end))
    return columns


def _table(lines: Sequence[str], dashes: int, first: int) -> list[Row]:
    pieces = 1
    while dashes + pieces < len(lines) and _DASHES.match(lines[dashes + pieces]):
        pieces += 1
    if pieces > 1:
        return _broken_table(lines, dashes, pieces, first)
    columns = _columns(lines[max(0, dashes - 2) : dashes], lines[dashes])
    rows: list[Row] = []
    widths = [end - begin - 1 for _, begin, end in columns]
    filled = [False] * len(columns)
    for offset, line in enumerate(lines[dashes + 1 :], start=dashes + 1):
        cells, is_certain = _cells(line, columns)
        continues = bool(rows) and (not cells[0] or (not any(cells[1:]) and len(columns) > 1))
        if continues:
            rows[-1] = _joined(rows[-1], cells, columns, filled, line)
        else:
            names = [name for name, _, _ in columns]
            cut = frozenset() if is_certain else frozenset(names)
            rows.append(
                Row(values=dict(zip(names, cells, strict=True)), cut=cut, line=first + offset, text=line.strip())
            )
        filled = [len(cell) >= width for cell, width in zip(cells, widths, strict=True)]
    return rows


def _cells(line: str, columns: Sequence[tuple[str, int, int]]) -> tuple[list[str], bool]:
    """The line's values, and whether each column's edge was found where the header has it."""
    if all(begin == 0 or begin > len(line) or line[begin - 1] == " " for _, begin, _ in columns):
        return [line[begin:end].strip() for _, begin, end in columns], True
    apart = re.split(r" {2,}", line.strip())
    if len(apart) == len(columns):
        return apart, True
    return [line[begin:end].strip() for _, begin, end in columns], False


def _joined(
    row: Row, cells: Sequence[str], columns: Sequence[tuple[str, int, int]], filled: Sequence[bool], line: str
) -> Row:
    """The row with a line that goes on below it. A value that did not reach its column's edge cannot have been broken there."""
    values, cut = dict(row.values), set(row.cut)
    for (name, _, _), cell, was_filled in zip(columns, cells, filled, strict=True):
        if not cell:
            continue
        if not was_filled and not values[name].endswith((",", "-", " ", "{")):
            cut.add(name)
        values[name] += cell if was_filled else f" {cell}"
    return Row(values=values, cut=frozenset(cut), line=row.line, text=f"{row.text} {line.strip()}")


def _broken_table(lines: Sequence[str], dashes: int, pieces: int, first: int) -> list[Row]:
    """A table whose every line the console's edge broke into as many pieces as its line of dashes."""
    headers = lines[max(0, dashes - pieces) : dashes]
    body = lines[dashes + pieces :]
    if len(headers) != pieces or len(body) % pieces:
        text = " ".join(line.strip() for line in body)
        names = re.findall(r"[A-Za-z]\w+", " ".join(headers))
        return [Row(values=dict.fromkeys(names, "…"), cut=frozenset(names), line=first + dashes + pieces, text=text)]
    layouts = [_columns([header], line) for header, line in zip(headers, lines[dashes : dashes + pieces], strict=True)]
    rows = []
    for begin in range(0, len(body), pieces):
        group = body[begin : begin + pieces]
        named: list[tuple[str, str, bool]] = []
        for layout, line in zip(layouts, group, strict=True):
            cells, is_certain = _cells(line, layout)
            for number, ((name, _, _), cell) in enumerate(zip(layout, cells, strict=True)):
                last = named[-1] if named else None
                if number == 0 and last and (last[0] + name).lower() in _NAMES and name.lower() not in _NAMES:
                    named[-1] = (last[0] + name, last[1] + cell, last[2] and is_certain)
                else:
                    named.append((name, cell, is_certain))
        rows.append(
            Row(
                values={name: cell for name, cell, _ in named},
                cut=frozenset(name for name, _, is_certain in named if not is_certain),
                line=first + dashes + pieces + begin,
                text=" ".join(line.strip() for line in group),
            )
        )
    return rows


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _list(lines: Sequence[str], first: int) -> Row:
    values: dict[str, str] = {}
    cut: set[str] = set()
    name, edge = "", max(len(line) for line in lines)
    for number, line in enumerate(lines):
        found = _PAIR.match(line)
        if found:
            name = found["name"]
            values[name] = (found["value"] or "").strip()
            continue
        # The value goes on: indented by Format-List, or at the line's begin by the console's edge.
        was_full = len(lines[number - 1]) >= edge - 1
        values[name] += line.strip() if was_full else f" {line.strip()}"
        if not was_full and not line.startswith(" "):
            cut.add(name)
    return Row(values=values, cut=frozenset(cut), line=first, text=" · ".join(line.strip() for line in lines)[:300])
