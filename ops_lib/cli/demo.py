"""`syncops demo`: the whole story on the sandbox, offline, in words a support engineer understands."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops_lib.cli import fail
from ops_lib.cli.progress import account_progress
from ops_lib.cli.sync import failure_words

if TYPE_CHECKING:
    from ops_lib.model import Account
    from ops_lib.runbook.demo import Demo
    from ops_lib.sync.fleet import RunResult


def demo(
    dir: Annotated[
        Path,
        typer.Option(
            "--dir", metavar="DIR", help="Where the workspace is made; an earlier demo's folder is made anew."
        ),
    ] = Path("demo"),
) -> None:
    """A made-up customer on an Exchange organisation of its own: onboard, verify, sync both ways, break, diagnose, report.

    Everything is real but the people: HTTP, SOAP, an SQL database, Outlook edits by another client. Nothing leaves this machine.
    Exit code 0: both sides agree at the end; 1: they do not, or the report could not be made.
    """
    from ops_lib.runbook import demo as customer

    folder = dir.expanduser().absolute()
    _step("1. A customer", "an Exchange organisation on this machine, and a CRM with the same people")
    running = customer.make(folder)
    try:
        well = _story(running, folder)
    finally:
        running.close()
    _tell_where(running, folder)
    if not well:
        fail("the demo did not end as it should; see above", 1)


def _story(running: Demo, folder: Path) -> bool:
    from ops_lib.runbook import story

    population, accounts = running.population, running.accounts()
    _tell(
        f"{len(population.communities)} communities, {len(population.users)} CRM users, {len(population.individuals)} individuals,"
        f" {len(population.activities)} activities in the CRM, {sum(len(each.contents) for each in population.mailboxes)} items in Outlook"
    )
    _tell(
        f"2 hosts, {len(accounts)} accounts; one service account impersonates every user (Basic over HTTPS, its password in a file)"
    )

    _step("2. The permissions", "what the service account may do in each mailbox; nothing is written, nobody is mailed")
    permitted = _permissions(running)

    _step("3. A dry run", "what the first cycle would do; nothing is written on either side")
    _dry_run(running)

    _step("4. The first cycle", "every account: read both sides, decide, write, record")
    before = running.sandbox.requests.total()
    with account_progress("   keeping accounts in step", len(accounts)) as advance:
        first = story.run_cycle(running, progress=lambda result: advance(result.account))
    _tell_counts(first)
    _tell(f"{running.sandbox.requests.total() - before} requests to Exchange in all")

    account = story.protagonist(running)
    _step(
        "5. People edit their calendars",
        f"{account.mailbox}, in the CRM and, with a client of the user's own, in Outlook",
    )
    edits = story.edits(running, account)
    for edit in edits:
        _tell(f"in {edit.where}: {edit.words}: {edit.title}")

    _step("6. The second cycle", "each edit reaches the other side")
    second = story.run_cycle(running)
    _tell_counts(second)
    seen = [story.seen(running, edit) for edit in edits]
    for edit, is_seen in zip(edits, seen, strict=True):
        _tell(f"{'both sides agree' if is_seen else 'NOT ON BOTH SIDES'}: {edit.title}")

    _step("7. The third cycle", "nothing is left to do")
    before = story.writes(running)
    third = story.run_cycle(running)
    written = story.writes(running) - before
    _tell(f"{written} writes to Exchange, {sum(result.requests for result in third.results)} requests to read")

    _step("8. Check both sides", "what `syncops check` does: every pair is read again and compared")
    audits = story.check(running)
    pairs, equal = sum(each.links for each in audits), sum(each.equal for each in audits)
    remarks = [remark for each in audits for remark in each.remarks]
    _tell(f"{equal} of {pairs} pairs are equal, {len(remarks)} remarks")
    for remark in remarks:
        _tell(f"  {remark.account}: {remark.verdict}: {remark.reason}")

    _step("9. Something breaks", f"the administrator narrows the impersonation role and forgets {account.mailbox}")
    mended = _break_and_diagnose(running, account)

    _step("10. The report", "the notebook report_sync, run without a person")
    outcome = _report(running, folder, account.user_email)
    runs_well = permitted and mended and all(run.all_well for run in (first, second, third))
    return runs_well and all(seen) and written == 0 and pairs == equal > 0 and not remarks and outcome == "ok"


def _permissions(running: Demo) -> bool:
    from ops_lib.diagnosis import permissions
    from ops_lib.runbook import trouble

    found = trouble.check_permissions(running)
    for checked in found:
        _tell(permissions.summary(checked))
    return all(checked.is_well for checked in found)


def _break_and_diagnose(running: Demo, account: Account) -> bool:
    """The failure as a support engineer meets it: the run, the diagnosis, the mend, the run after it. Whether it went so."""
    from ops_lib.runbook import story, trouble

    trouble.lock_out(running, account)
    _tell_counts(story.run_cycle(running))
    status, finding = trouble.diagnose(running, account)
    _tell(f"syncops diagnose {account.mailbox}: {status}")
    if finding is not None:
        _tell(f"   {finding.check}: {finding.observed}")
        _tell(f"   {finding.owner}: {finding.next_step}")
    trouble.let_in_again(running)
    after = story.run_cycle(running)
    _tell("the administrator mends the role; the next cycle:")
    _tell_counts(after)
    return finding is not None and finding.verdict == "fail" and after.all_well


def _dry_run(running: Demo) -> None:
    from collections import Counter

    from ops_lib.sync.cycle import Options
    from ops_lib.sync.fleet import Fleet

    account = running.accounts()[0]
    plan = Fleet(running.workspace).run([account], Options(dry_run=True)).results[0]
    tally = Counter((change.action, change.side) for change in plan.changes)
    for (action, side), number in sorted(tally.items()):
        where = {"crm": "in the CRM", "exchange": "in Outlook"}[side]
        would = f"leave out {number} by a rule" if action == "skip" else f"{action} {number} {where}"
        _tell(f"{account.mailbox}: would {would}")


def _report(running: Demo, folder: Path, user: str) -> str:
    from ops_lib.runbook import runner
    from ops_lib.sync.mapping import instant_text
    from ops_lib.workspace import DATABASE_VARIABLE, NOW_VARIABLE

    # The notebook's own process looks at the demo's clock, and at no other database than the demo's.
    with runner.environment({NOW_VARIABLE: instant_text(running.clock()), DATABASE_VARIABLE: None}):
        record = runner.run_runbook(
            runner.Wish("report_sync", {"workspace": str(folder), "user": user}),
            folder=folder / "runs",
            now=running.clock(),
            show_progress=sys.stderr.isatty(),
        )
    _tell(f"outcome {record.outcome}{f': {record.message}' if record.message else ''}")
    for what, path in (
        ("report", record.report),
        ("executed notebook", record.notebook),
        ("the notebook as a page", record.html),
    ):
        if path:
            _tell(f"{what}: {folder / 'runs' / path}")
    return record.outcome


# ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _step(title: str, what: str) -> None:
    typer.echo(f"\n{title}: {what}.")


def _tell(line: str) -> None:
    typer.echo(f"   {line}")


def _tell_counts(run: RunResult) -> None:
    from ops_lib.reports.words import done_words

    counts = [result.counts() for result in run.results]
    verbs, sides = ("created", "updated", "deleted"), ("crm", "exchange")
    said = done_words({(verb, side): sum(each[verb][side] for each in counts) for verb in verbs for side in sides})
    left_out = sum(each["skipped"] for each in counts)
    said += [f"{left_out} left out by a rule"] if left_out else []
    failed = sum(each["failed"] for each in counts)
    said += [f"{failed} failed"] if failed else []
    refused = sum(result.outcome == "failed" for result in run.results)
    said += [f"{refused} could not be kept in step"] if refused else []
    _tell(f"{len(run.results)} accounts: " + (", ".join(said) or "nothing to do"))
    for result in run.results:
        if result.error is not None:
            _tell(failure_words(result.account, result.error))


def _tell_where(running: Demo, folder: Path) -> None:
    """The commands that show what is left, and what they are to say."""
    from collections import Counter

    from ops_lib.reports import frames

    accounts = frames.accounts(running.workspace)
    statuses = Counter(accounts.loc[accounts["process"] == "calendar", "status"])
    in_step = int((frames.links(running.workspace)["state"] == "active").sum())
    running.leave()
    running.workspace.close()
    shown = shlex.quote(str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder))
    typer.echo("\nLook for yourself. The Exchange organisation has ended; the CRM, the ledger and the runs are kept.")
    _tell(f"syncops status --json --workspace {shown}")
    _tell(f"   calendars: {', '.join(f'{number} {status}' for status, number in sorted(statuses.items()))}")
    _tell(f"syncops runs --workspace {shown}")
    _tell(f"   1 run of report_sync, {in_step} entries in step")
    _tell(f"syncops activity list --json --workspace {shown}")
