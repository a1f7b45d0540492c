"""The command line: `syncops …`.

This module holds what every command needs, and `COMMANDS`, the list of them. A command's module is imported when the command is
run, and imports what is heavy inside its functions: `syncops --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from ops_lib import __version__
from ops_lib.errors import OpsError

if TYPE_CHECKING:
    from ops_lib.workspace import Workspace


class Command(NamedTuple):
    """Where a command lives: ``module:attribute`` in this package, a function, or a `typer.Typer` for one with subcommands."""

    name: str
    where: str
    help: str


COMMANDS = (
    Command("demo", "demo:demo", "The whole story on the sandbox, offline: onboard, sync both ways, report."),
    Command("lab", "run:lab", "JupyterLab on the notebooks, with the workspace open."),
    Command("init", "workspace:init", "Make a workspace."),
    Command("host", "host:app", "Connections to Exchange organisations."),
    Command("account", "account:app", "Whose mailbox on which host is kept in step."),
    Command("signin", "signin:signin", "Sign in for an account."),
    Command("banner", "signin:banner", "Who has to sign in, and why."),
    Command("vault", "vault:app", "What the workspace keeps encrypted, and its key."),
    Command("rights", "rights:app", "Who may do what in whose mailbox, and the script that mends it."),
    Command("sync", "sync:sync", "Keep the accounts in step: one cycle each."),
    Command("watch", "watch:watch", "Keep the accounts in step as changes happen, until stopped."),
    Command("status", "sync:status", "How each account stands."),
    Command("diagnose", "diagnose:diagnose", "Why an account is not in step: cause, evidence, who must act."),
    Command("retry", "retry:retry", "Try again what failed or was set aside."),
    Command("check", "sync:check", "The sync's invariants over the ledger and both sides, read-only."),
    Command("capture", "capture:capture", "A diagnosis with its traffic as one scrubbed file."),
    Command("explain", "explain:explain", "Why is this activity not on my calendar, or this event not in the CRM?"),
    Command("activity", "activity:app", "The CRM's calendar."),
    Command("individual", "master_data:individual", "The prospects and residents that activities are for."),
    Command("template", "template:app", "What pre-fills an email."),
    Command("send", "send:send", "An email from the CRM, sent once and put on record."),
    Command("community", "master_data:community", "The sites of the customer."),
    Command("user", "master_data:user", "The CRM's users."),
    Command("activity-type", "master_data:activity_type", "The types of activities."),
    Command("run", "run:run", "Run a runbook's notebook with parameters."),
    Command("runs", "run:runs", "The runs of runbooks so far."),
    Command("schedule", "schedule:app", "Runbooks that run by themselves: when, and running them."),
    Command("report", "run:report", "The sync report as HTML, with its tables as files."),
    Command("sandbox", "sandbox:app", "An Exchange organisation of your own, on this machine."),
)

_chosen_workspace: ContextVar[Path | None] = ContextVar("chosen_workspace", default=None)


class _Commands(TyperGroup):
    """The commands by name; each is loaded when it is run."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        folder = Path(__file__).parent
        self._known = {each.name: each for each in COMMANDS if (folder / f"{each.where.partition(':')[0]}.py").exists()}
        self.commands = {each.name: TyperCommand(name=each.name, help=each.help) for each in self._known.values()}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--workspace`` may stand anywhere on the line."""
        return super().parse_args(ctx, _workspace_first(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and _load(self._known[found.name or ""]), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command. What a person can act on becomes one line on stderr and the error's exit code."""
        try:
            return super().invoke(ctx)
        except OpsError as error:
            fail(str(error), error.exit_code)
        except BrokenPipeError:
            # Whoever read our output has had enough. Nothing is left to say, to anybody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(0) from None


def _load(command: Command) -> Any:
    module, _, attribute = command.where.partition(":")
    target = getattr(import_module(f"ops_lib.cli.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(command.name)(target)
        target = single
    loaded = typer.main.get_command(target)
    loaded.name = command.name
    return loaded


def _workspace_first(args: list[str]) -> list[str]:
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(args)
    for each in remaining:
        if each == "--":
            rest += [each, *remaining]
        elif each == "--workspace":
            first += [each, *([value] if (value := next(remaining, None)) is not None else [])]
        elif each.startswith("--workspace="):
            first.append(each)
        else:
            rest.append(each)
    return first + rest


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Every reading command takes --json. SYNCOPS_NOW=2026-11-23T09:00:00Z fixes the clock of any command.",
)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"syncops {__version__}")
        raise typer.Exit


@app.callback()
def _choose(
    workspace: Annotated[
        Path | None,
        typer.Option(
            help="The workspace's folder; else SYNCOPS_WORKSPACE, else the current folder.", show_default=False
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Keep a CRM's calendar and Outlook in step, and find out why they are not."""
    _chosen_workspace.set(workspace)


def main() -> NoReturn:
    """The entry point. Never a traceback: a fault of our own is one line too, unless SYNCOPS_TRACEBACK is set."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("SYNCOPS_TRACEBACK"):
            raise
        first_line = str(error).strip().partition("\n")[0]
        if isinstance(error, OSError):  # no room, no rights: the machine's fault, not ours
            sys.stderr.write(f"error: {first_line}\n")
        else:
            sys.stderr.write(
                f"error: {type(error).__name__}: {first_line} (a fault of syncops; SYNCOPS_TRACEBACK=1 shows where)\n"
            )
        sys.exit(2)
    sys.exit(0)


# ── what commands use ────────────────────────────────────────────────────────────────────────────────────────────────
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


@contextmanager
def open_workspace() -> Iterator[Workspace]:
    """The workspace that the command line chose, closed at the end. **Raises** `WorkspaceError`."""
    from ops_lib.workspace import Workspace

    workspace = Workspace.open(_chosen_workspace.get())
    try:
        yield workspace
    finally:
        workspace.close()


def chosen_workspace() -> Path | None:
    """The folder of the workspace that was chosen, or that we stand in; None where there is none. **Raises** `WorkspaceError`."""
    from ops_lib.workspace import SETTINGS_FILE, WORKSPACE_VARIABLE, Workspace

    chosen = _chosen_workspace.get()
    if chosen is None and not os.environ.get(WORKSPACE_VARIABLE) and not Path(SETTINGS_FILE).is_file():
        return None
    workspace = Workspace.open(chosen)
    workspace.close()
    return workspace.path


def print_json(document: Any, *, compact: bool = False) -> None:
    """One JSON document on stdout."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, indent=None if compact else 2, ensure_ascii=not is_utf8)
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Rows for a person to read; ``empty`` is what to say when there are none."""
    if not rows:
        typer.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)


def say(message: str) -> None:
    """A remark to the person at the keyboard, on stderr: stdout is for what was asked for."""
    sys.stderr.write(message + "\n")


def fail(message: str, exit_code: int = 2) -> NoReturn:
    """End the command with one line on stderr."""
    say("error: " + " ".join(message.split()))
    raise typer.Exit(exit_code)


def yes_no(value: bool) -> str:
    return "yes" if value else "no"
