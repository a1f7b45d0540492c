"""What a check of permissions found, on the terminal and as JSON: what has changed first, then what is missing, worst first."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ops_lib.access.powershell import to_mend
from ops_lib.cli import print_table, say
from ops_lib.diagnosis.permissions import OUT_OF_SIGHT, lines_of, summary
from ops_lib.reports.words import counted

if TYPE_CHECKING:
    from datetime import datetime

    from ops_lib.access.rights import Cell
    from ops_lib.diagnosis.permissions import Checked


def document(found: Checked, now: datetime) -> dict[str, Any]:
    """The check as `rights check --json` prints it."""
    from ops_lib.sync.mapping import instant_text

    collected = found.collected
    return {
        "host": found.host.name,
        "access": found.host.access,
        "service_user": found.host.service_user,
        "checked_at": instant_text(now),
        "previous_check": instant_text(found.previous) if found.previous else None,
        "requests": collected.requests if collected is not None else 0,
        "stopped": str(collected.halted) if collected is not None and collected.halted is not None else None,
        "matrix": [
            {
                "user": row.user,
                "right": row.right.value,
                "verdict": row.verdict,
                "expected": row.expected.value,
                "red": row.is_red,
                "why": row.why,
                "disagreement": row.disagreement,
                "ews": _side(row.ews),
                "powershell": _side(row.powershell),
            }
            for row in found.matrix.rows()
        ],
        "drift": None
        if found.drift is None
        else [
            {
                "user": each.user,
                "change": each.change,
                "right": each.right.value if each.right else None,
                "before": each.before,
                "after": each.after,
            }
            for each in found.drift
        ],
        "findings": [asdict(each) for each in found.findings],
        "notes": list(found.notes),
    }


def _side(cell: Cell | None) -> dict[str, str] | None:
    if cell is None:
        return None
    return {
        "verdict": cell.verdict,
        "holds": cell.holds.value,
        "observed": cell.observed,
        "evidence": cell.evidence,
        "why": cell.why,
    }


def show(found: Checked, *, only_changes: bool = False) -> None:
    """The check for a person to read; ``only_changes`` leaves out what was the same at the last check."""
    typer.echo(summary(found))
    if found.collected is not None and found.collected.halted is not None:
        typer.echo(f"The server was not asked any further: {found.collected.halted}")
    _show_drift(found)
    if only_changes and found.drift is not None:
        return
    rows = found.matrix.rows()
    print_table(
        ("user", "right", "verdict", "what was seen", "why"),
        [(each.who, ", ".join(each.rights), each.verdict, each.seen, each.why) for each in lines_of(found.matrix)],
        empty="Every right is as the sync needs it, and none is more.",
    )
    for row in rows:
        if row.disagreement:
            typer.echo(f"{row.user}, {row.right.value}: the sources disagree: {row.disagreement}")
    said = [
        (each.verdict, each.subject, each.observed, each.cause, each.next_step)
        for each in found.findings
        if each.verdict != "ok" and each.check != "more_than_needed"  # that is in the table above already
    ]
    if said:
        print_table(("verdict", "about", "what was seen", "cause", "next step"), said, empty="")
    for note in found.notes:
        say(f"note: {note}")
    if to_mend(found.matrix):
        say(f"The script that mends it: syncops rights script --host {found.host.name!r}")


def _show_drift(found: Checked) -> None:
    if found.drift is None:
        typer.echo("This is the first check: the next one shows what has changed since.")
        return
    since = f"{found.previous:%Y-%m-%d %H:%M} UTC" if found.previous else "the last check"
    lost_sight = [each for each in found.drift if each.change in OUT_OF_SIGHT]
    rows = [
        (each.user, each.change, each.right.value.replace("_", " ") if each.right else "", each.before, each.after)
        for each in found.drift
        if each.change not in OUT_OF_SIGHT
    ]
    what = "Nothing that could be seen" if lost_sight else "Nothing"
    print_table(("user", f"since {since}", "right", "before", "now"), rows, empty=f"{what} has changed since {since}.")
    if lost_sight:
        users = len({each.user for each in lost_sight})
        typer.echo(
            f"{counted(len(lost_sight), 'right', 'rights')} of {counted(users, 'user', 'users')} "
            f"{'was' if len(lost_sight) == 1 else 'were'} known at {since} and could not be seen now."
        )
