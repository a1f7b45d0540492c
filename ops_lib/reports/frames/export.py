"""The tables as files: Parquet with its types, and CSV that no spreadsheet calculates."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd


def write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Each table as Parquet and as CSV, with a note that says what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_private(folder / f"{name}.parquet", table.to_parquet(index=False))
        harmless = table.map(harmless_cell).rename(columns=str)
        # Every text in quotes: a lone carriage return would else begin a row of its own, and what follows it a cell.
        write_private(folder / f"{name}.csv", harmless.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode())
    shape = {
        name: {"rows": len(table), "columns": {c: str(t) for c, t in table.dtypes.items()}}
        for name, table in tables.items()
    }
    write_private(folder / "tables.json", json.dumps(shape, indent=1).encode())
    write_private(folder / "PRIVATE.txt", _NOTICE.encode())


def harmless_cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it, so that it is read as text."""
    return "'" + value if isinstance(value, str) and _FORMULA.match(value) else value


_FORMULA = re.compile(r"[\t\r\n]|[\s\x00-\x1f\u00ad\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠]")
"""What a spreadsheet may take for a formula: also after what it passes over, and in the wide forms of East Asian keyboards."""

_NOTICE = """\
These tables hold people's names, addresses and appointments. Keep them where the CRM's own data may be kept, and remove them when
the question they were made for is answered. In the CSV files a text that begins with = + - @ has an apostrophe before it, so that
no spreadsheet takes it for a formula; the Parquet files hold it unchanged.
"""


def write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
