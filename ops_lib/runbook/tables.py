"""Tables as a notebook shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its rows numbered from 1, as people count."""
    table = table.reset_index(drop=True)
    table.index += 1
    return table


def without_empty(table: pd.DataFrame) -> pd.DataFrame:
    """The table, numbered, without the columns in which nothing is said."""
    return numbered(table[[name for name in table.columns if table.empty or (table[name].astype("str") != "").any()]])


def text_column(texts: Sequence[str]) -> pd.Series[Any]:
    """A column of texts, of that type even where it is empty."""
    import pandas as pd

    return pd.Series(list(texts), dtype="str")


def widen_tables() -> None:
    """Let a notebook's tables show whole sentences and every row that matters."""
    import pandas as pd

    pd.set_option("display.max_colwidth", 400, "display.max_columns", 30, "display.max_rows", 200, "display.width", 200)


def make_sortable() -> None:
    """Let a person sort and search every table; nothing is fetched for it. Without a person tables stay plain, the same each time."""
    import itables

    itables.options.maxBytes = "1MB"
    itables.options.classes = "display compact"  # long sentences are broken, not cut off
    itables.options.style = "table-layout:auto;width:100%;margin:0"
    itables.options.columnDefs = [{"className": "dt-left", "targets": "_all"}]
    itables.options.lengthMenu = [25, 100, 500]
    itables.init_notebook_mode(all_interactive=True, connected=False)
