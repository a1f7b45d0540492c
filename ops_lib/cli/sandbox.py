"""`syncops sandbox serve`: an Exchange organisation on this machine, for any client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def sandbox() -> None:
    """An Exchange organisation of your own, on this machine."""


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the HTTP listener; 0 takes a free one.")] = 0,
    people: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another population than the usual one.", show_default=False)
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="svc, alice, bob and carol @example.test with empty mailboxes.")
    ] = False,
    like: Annotated[str, typer.Option(metavar="SERVER", help="Behave like exchange or like grommunio.")] = "exchange",
) -> None:
    """Serve until SIGTERM or Ctrl-C. The first line on stdout is one JSON document that says where and as whom."""
    from ops_lib import sandbox
    from ops_lib.workspace import NOW_VARIABLE, clock_of

    now = clock_of(os.environ.get(NOW_VARIABLE, ""))
    sandbox.serve(port=port, people=people, empty=empty, now=now, like=like)
