"""`syncops sync | status | check`: cycles, how the accounts stand, and whether both sides agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table, say
from ops_lib.cli.progress import account_progress

if TYPE_CHECKING:
    from ops_lib.errors import OpsError
    from ops_lib.model import Account, Change
    from ops_lib.sync.cycle import CycleResult
    from ops_lib.workspace import Workspace

AccountOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ACCOUNT", help="Only this mailbox or user; may be repeated.", show_default=False),
]
HostOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only this host's accounts.", show_default=False)]


def sync(
    account: AccountOption = None,
    host: HostOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what a cycle would do; write nothing anywhere.")
    ] = False,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only accounts that are due for their first cycle; none is no error.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="How many accounts at a time.")] = 4,
    allow_deletions: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Let each cycle remove so many entries; without it, a fifth of the links or five.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the accounts in step: one cycle each. Exit code 0: all well; 1: some failed; 2: could not start."""
    from ops_lib.sync.cycle import Options
    from ops_lib.sync.fleet import Fleet

    with open_workspace() as workspace:
        accounts = chosen_accounts(workspace, account, host, must_exist=not pending)
        if pending:
            accounts = _pending(workspace, accounts)
        fleet = Fleet(workspace)
        with account_progress("keeping accounts in step", len(accounts)) as advance:
            run = fleet.run(
                accounts,
                Options(dry_run=dry_run, allow_deletions=allow_deletions),
                threads=min(threads, len(accounts)),
                progress=lambda result: advance(result.account),
            )
        if dry_run:
            _show_plan(run.results, as_json)
        elif as_json:
            print_json({"run": run.run_id, "accounts": [result_as_json(result) for result in run.results]})
        else:
            _show(run.results)
        for result in run.results:
            if result.error is not None:
                say(failure_words(result.account, result.error))
            for note in result.notes:
                say(f"{result.account.mailbox}: {note}")
        if not run.all_well:
            raise typer.Exit(1)


def failure_words(account: Account, error: OpsError) -> str:
    """Whose failure it is, and what: an error that names the mailbox itself is not made to say it twice."""
    words = str(error)
    return words if error.subject == account.mailbox else f"{account.mailbox}: {words}"


def status(account: AccountOption = None, host: HostOption = None, as_json: JsonOption = False) -> None:
    """How each account's calendar and email stand: status, since when, who must act, and what to do next."""
    from ops_lib.cli.retry import print_failures
    from ops_lib.sync.failures import failures

    with open_workspace() as workspace:
        accounts = chosen_accounts(workspace, account, host, must_exist=False)
        rows = statuses(workspace, accounts)
        with workspace.database.read() as connection:
            found = [failure for each in accounts for failure in failures(connection, each, workspace.now())]
        if as_json:
            print_json(rows)
            return
        print_table(
            ("account", "host", "process", "status", "since", "last success", "next step"),
            [
                (r["account"], r["host"], r["process"], _with_cause(r), r["since"], r["last_success"], r["next_step"])
                for r in rows
            ],
            empty="There are no accounts yet: syncops account add makes one.",
        )
        print_failures(found)


def _with_cause(row: dict[str, Any]) -> str:
    """A status with the first words of its sub-cause beneath it: why, without all that the server said."""
    why = row["sub_cause"].partition(": ")[0].partition(". To mend it")[0]
    return f"{row['status']}\n({why})" if why else str(row["status"])


def check(account: AccountOption = None, host: HostOption = None, as_json: JsonOption = False) -> None:
    """Compare the ledger with what both sides hold now, read-only. Exit code 1 when an invariant is broken or could not be seen."""
    from ops_lib.access.hosts import Hosts
    from ops_lib.sync.audit import audit

    with open_workspace() as workspace:
        accounts = [each for each in chosen_accounts(workspace, account, host) if each.calendar]
        with workspace.database.read() as connection:
            hosts = {each.host_id: each for each in Hosts(connection).all()}
        audits = [
            audit(
                workspace,
                hosts[each.host_id],
                each,
                workspace.open_mailbox(hosts[each.host_id], each),
            )
            for each in accounts
        ]
        remarks = [remark for each in audits for remark in each.remarks]
        if as_json:
            print_json(
                [
                    {
                        "account": each.account,
                        "links": each.links,
                        "equal": each.equal,
                        "remarks": [
                            {"verdict": r.verdict, "activity": r.activity_id, "item": r.item_id, "reason": r.reason}
                            for r in each.remarks
                        ],
                    }
                    for each in audits
                ]
            )
        else:
            print_table(
                ("account", "links", "equal"),
                [(each.account, each.links, each.equal) for each in audits],
                empty="There are no accounts.",
            )
            print_table(
                ("account", "verdict", "activity", "reason"),
                [(r.account, r.verdict, r.activity_id, r.reason) for r in remarks],
                empty="Both sides hold what the ledger says.",
            )
        if any(remark.verdict != "waiting" for remark in remarks):
            raise typer.Exit(1)


# ── which accounts ───────────────────────────────────────────────────────────────────────────────────────────────────
def chosen_accounts(
    workspace: Workspace, names: Sequence[str] | None, host: str | None, *, must_exist: bool = True
) -> list[Account]:
    from ops_lib.access.accounts import Accounts
    from ops_lib.errors import InputError

    with workspace.database.read() as connection:
        known = Accounts(connection)
        if names:
            found = [each for name in names for each in known.accounts(host=host, who=name)]
        else:
            found = known.accounts(host=host)
    if not found and must_exist:
        raise InputError("there are no accounts to keep in step", fix="syncops account add --user EMAIL makes one.")
    return list({each.account_id: each for each in found}.values())


def _pending(workspace: Workspace, accounts: Sequence[Account]) -> list[Account]:
    from ops_lib.access.accounts import Accounts

    with workspace.database.read() as connection:
        return Accounts(connection).pending(accounts)


def statuses(workspace: Workspace, accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """One row per account and process, as `status --json` prints them."""
    from ops_lib.cli.retry import as_document
    from ops_lib.diagnosis.shown import standings
    from ops_lib.sync.failures import failures
    from ops_lib.sync.mapping import instant_text

    rows = []
    with workspace.database.read() as connection:
        for account, host, process, shown in standings(workspace, connection, accounts):
            failed = failures(connection, account, workspace.now()) if process == "calendar" else []
            rows.append(
                {
                    "account": account.mailbox,
                    "host": host.name,
                    "process": process,
                    "status": shown.status,
                    "sub_cause": shown.said,
                    "since": instant_text(shown.since) if shown.since is not None else None,
                    "last_success": instant_text(shown.last_success) if shown.last_success is not None else None,
                    "owner": shown.owner,
                    "next_step": shown.next_step,
                    "failures": [as_document(each) for each in failed],
                }
            )
    return rows


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def result_as_json(result: CycleResult) -> dict[str, Any]:
    """One account's cycle as `sync --json` shows it."""
    document: dict[str, Any] = {
        "account": result.account.mailbox,
        "outcome": result.outcome,
        **result.counts(),
        "requests": result.requests,
        "seconds": round(result.seconds, 3),
    }
    if result.notes:
        document["notes"] = result.notes
    if result.error is not None:
        document["error"] = {
            "response_code": result.error.response_code,
            "message": result.error.message,
            "fix": result.error.fix,
        }
    return document


def _show(results: Sequence[CycleResult]) -> None:
    rows = []
    for result in results:
        counts = result.counts()
        both = [f"{counts[verb]['crm']} / {counts[verb]['exchange']}" for verb in ("created", "updated", "deleted")]
        rows.append(
            (
                result.account.mailbox,
                result.outcome,
                *both,
                counts["skipped"],
                counts["failed"],
                result.requests,
                f"{result.seconds:.1f}",
            )
        )
    columns = (
        "account",
        "outcome",
        "created CRM/Exchange",
        "updated",
        "deleted",
        "skipped",
        "failed",
        "requests",
        "seconds",
    )
    print_table(columns, rows, empty="There are no accounts.")


def _show_plan(results: Sequence[CycleResult], as_json: bool) -> None:
    from ops_lib.sync.mapping import entry_as_json

    shown = {
        result.account.mailbox: [c for c in result.changes if c.writes or c.action == "skip"] for result in results
    }
    if as_json:
        print_json(
            {
                "accounts": [
                    {
                        "account": result.account.mailbox,
                        "changes": [
                            {
                                "action": c.action,
                                "side": c.side,
                                "kind": c.kind.value,
                                "key": c.key,
                                "reason": c.reason,
                                "before": entry_as_json(c.before) if c.before else None,
                                "after": entry_as_json(c.after) if c.after else None,
                            }
                            for c in shown[result.account.mailbox]
                        ],
                    }
                    for result in results
                ]
            }
        )
        return
    rows = [
        (mailbox, c.action, c.side, c.kind, _title(c), c.reason) for mailbox, changes in shown.items() for c in changes
    ]
    print_table(
        ("account", "action", "side", "kind", "what", "why"),
        rows,
        empty="Both sides agree: a cycle would write nothing.",
    )


def _title(change: Change) -> str:
    entry = change.after or change.before
    if entry is not None:
        return entry.description
    if change.activity is not None:
        return change.activity.description
    return change.item.subject if change.item is not None else change.key
