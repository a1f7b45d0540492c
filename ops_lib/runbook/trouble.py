"""What can go wrong at the made-up customer, and how it is found: the demo's permissions, its failure and its diagnosis."""

from __future__ import annotations

from ops_lib.diagnosis import checks, facts, permissions
from ops_lib.diagnosis.permissions import Checked
from ops_lib.model import Account, Finding
from ops_lib.runbook.demo import Demo


def check_permissions(demo: Demo) -> list[Checked]:
    """What `syncops rights check` finds, host by host; nothing is written in any mailbox."""
    return [
        permissions.check(demo.workspace, host, accounts)
        for host, accounts in permissions.by_host(demo.workspace, demo.accounts())
    ]


def lock_out(demo: Demo, account: Account) -> None:
    """The customer's administrator narrows the scope of the impersonation role, and forgets one user."""
    _impersonates(demo, {mailbox.address for mailbox in demo.population.mailboxes} - {account.mailbox})


def let_in_again(demo: Demo) -> None:
    """The administrator mends it."""
    _impersonates(demo, {mailbox.address for mailbox in demo.population.mailboxes})


def diagnose(demo: Demo, account: Account) -> tuple[str, Finding | None]:
    """What `syncops diagnose` says: the status, and the finding to begin with (None: nothing is wrong)."""
    seen = facts.collect(demo.workspace, account)
    stands = checks.standing_of(seen)
    return (stands.status if stands is not None else "", checks.leading(checks.judge(seen)))


def _impersonates(demo: Demo, users: set[str]) -> None:
    demo.sandbox.organisation.grant_impersonation(demo.population.service.address, users)
