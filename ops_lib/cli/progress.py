"""A bar on the terminal for what goes on account by account."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_lib.model import Account


@contextmanager
def account_progress(what: str, total: int) -> Iterator[Callable[[Account], None]]:
    """A bar on stderr that is moved on with each account; silent where stderr is no terminal, or there is only one."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda account: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda account: bar.update(task, advance=1, description=account.mailbox)
