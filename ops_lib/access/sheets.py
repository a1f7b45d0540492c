"""A table as people save it: which encoding, which separator, what its columns mean. Every row with the line it stands on.

Spreadsheets write what they like: UTF-8 with a mark and without, UTF-16, the old Windows code page, commas, semicolons or tabs, and a
first line that names the separator. What a cell means is read leniently; what cannot be read is refused with its line.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ops_lib.errors import InputError

LARGEST_BYTES = 32 * 1024 * 1024
_SEPARATORS = ",;\t|"
_WHITE = re.compile(r"[\s\u200b\u2060\ufeff]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the line it begins on, and its cells by field; ``surplus`` are filled cells that no column names."""

    number: int
    cells: Mapping[str, str]
    surplus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it was read. ``fields`` are the columns that mean something, ``ignored`` the names of the others."""

    encoding: str
    separator: str
    fields: frozenset[str]
    ignored: tuple[str, ...]
    lines: tuple[Line, ...]


def read_sheet(data: bytes, synonyms: Mapping[str, tuple[str, ...]], *, subject: str) -> Sheet:
    """The table in ``data``. ``synonyms`` gives each field's spellings, in lower case, letters and digits only.

    **Raises** `InputError` for what is no such table, with the line where there is one.
    """
    text, encoding = _decoded(data, subject)
    text, skipped, separator = _separator(text)
    records = _records(text, separator, skipped, subject)
    first = next(records, None)
    if first is None:
        raise InputError(
            "the file is empty",
            subject=subject,
            fix="give it a first line that names the columns, and a line for each user.",
        )
    fields, ignored = _columns(first[1], synonyms, subject)
    lines = tuple(
        Line(
            number,
            {field: cell for field, cell in zip(fields, cells, strict=False) if field},
            tuple(filter(None, cells[len(fields) :])),
        )
        for number, cells in records
    )
    return Sheet(encoding, "tab" if separator == "\t" else separator, frozenset(filter(None, fields)), ignored, lines)


def _decoded(data: bytes, subject: str) -> tuple[str, str]:
    if len(data) > LARGEST_BYTES:
        raise InputError(
            f"the file has {len(data) // 2**20} MB", subject=subject, fix="export the columns that are needed, as CSV."
        )
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError("this is a spreadsheet, not a CSV file", subject=subject, fix="save it as CSV UTF-8.")
    encodings = [
        name
        for mark, name in (
            (codecs.BOM_UTF8, "utf-8-sig"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        )
        if data.startswith(mark)
    ]
    if not encodings and data[:200].count(0) > len(data[:200]) // 4:
        encodings = ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    for encoding in encodings or ["utf-8", "cp1252"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise InputError(
        "the file is no text in UTF-8, UTF-16 or Windows-1252", subject=subject, fix="save it as CSV UTF-8."
    )


def _separator(text: str) -> tuple[str, int, str]:
    """The text, how many lines before it were taken off, and what separates its cells."""
    first, _, rest = text.partition("\n")
    named = re.fullmatch(r'\s*"?sep=(.)"?\s*', first.rstrip("\r"), re.IGNORECASE)
    if named:
        return rest, 1, named.group(1)
    header = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip()), ""))
    return text, 0, max(_SEPARATORS, key=header.count)


def _records(text: str, separator: str, skipped: int, subject: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, each with the line it begins on; a quoted cell may go over several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1 + skipped
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"line {number} cannot be read: {error}",
                subject=subject,
                fix="close its quotation marks; a quotation mark within quotation marks is written twice.",
            ) from None
        if cells is None:
            return
        cells = [_WHITE.sub(" ", cell).strip() for cell in cells]
        if any(cells):
            yield number, cells


def _columns(
    header: list[str], synonyms: Mapping[str, tuple[str, ...]], subject: str
) -> tuple[list[str], tuple[str, ...]]:
    """Each column's field ("" for one that means nothing here), and the names of those."""
    known = {spelling: field for field, spellings in synonyms.items() for spelling in spellings}
    fields: list[str] = []
    ignored: list[str] = []
    for name in header:
        plain = "".join(each for each in name.casefold() if each.isalnum())
        field = known.get(plain, "")
        if not field and name:
            near = difflib.get_close_matches(plain, known, n=1, cutoff=0.85)
            if near:
                raise InputError(
                    f"the column {name} is not known; is it {known[near[0]]}?",
                    subject=subject,
                    fix=f"write {known[near[0]]} in the first line, or give the column another name.",
                )
            ignored.append(name)
        if field and field in fields:
            raise InputError(
                f"two columns say {field}, the second is {name}", subject=subject, fix="remove one of them."
            )
        fields.append(field)
    if not any(fields):
        raise InputError(
            "the first line names no column that is known"
            + (": it looks like data" if any("@" in each for each in header) else ""),
            subject=subject,
            fix=f"begin with a line of names: {', '.join(synonyms)}.",
        )
    return fields, tuple(ignored)
