"""What happened to the permissions at the made-up customer since Friday: rights lost, too many given, a user who came, one who left.

The company's host acts by impersonation; one community's own host became a delegate's, with rights on folders and Send As.
"""

from __future__ import annotations

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.diagnosis.permissions import by_host, check
from ops_lib.model import Account
from ops_lib.runbook.demo import COMPANY_HOST, Demo

_SINCE_FRIDAY = 66 * 60
"""Minutes from Friday afternoon to the demo's Monday morning."""


def since_friday(demo: Demo) -> str:
    """A check on Friday, when all was well but one leftover; then what went wrong over the weekend. Returns the email of a user who lacks a right."""
    delegated, acted_for = _as_on_friday(demo)
    demo.clock.advance(-_SINCE_FRIDAY)
    for host, accounts in by_host(demo.workspace, [*acted_for, *delegated]):
        check(demo.workspace, host, accounts)
    demo.clock.advance(_SINCE_FRIDAY)
    _over_the_weekend(demo, delegated, acted_for)
    return delegated[1].user_email


def _as_on_friday(demo: Demo) -> tuple[list[Account], list[Account]]:
    """Everybody with what the sync needs; one delegate owns a calendar where Editor would do."""
    own_host = f"{demo.population.communities[-1].name} Exchange"
    service, organisation = demo.sandbox.residents.service.address, demo.sandbox.organisation
    with demo.workspace.database.begin() as connection:
        Hosts(connection).edit(own_host, HostInput(access="delegate", send_email=True))
        accounts = Accounts(connection)
        delegated = [accounts.enable(each, send_email=True) for each in accounts.accounts(host=own_host)]
        acted_for = accounts.accounts(host=COMPANY_HOST)
    for account in delegated:
        organisation.set_private_viewer(account.mailbox, service)
        organisation.grant_sending(account.mailbox, service)
        for folder in ("calendar", "tasks"):
            organisation.set_permission(account.mailbox, folder, service, "Editor")
    organisation.set_permission(delegated[2].mailbox, "calendar", service, "Owner")
    organisation.grant_impersonation(service, {each.mailbox for each in acted_for})
    return delegated, acted_for


def _over_the_weekend(demo: Demo, delegated: list[Account], acted_for: list[Account]) -> None:
    service, organisation = demo.sandbox.residents.service.address, demo.sandbox.organisation
    reader_only, no_longer_sends = delegated[1], delegated[3]
    organisation.set_permission(reader_only.mailbox, "calendar", service, "Reviewer")
    organisation.revoke_sending(no_longer_sends.mailbox, service)
    organisation.set_private_viewer(delegated[0].mailbox, service, allowed=False)
    left, out_of_scope, being_moved = acted_for[0], acted_for[-2], acted_for[-1]
    organisation.grant_impersonation(service, {each.mailbox for each in acted_for if each is not out_of_scope})
    demo.sandbox.faults.add({"mailbox": being_moved.mailbox, "fault": {"response_code": "ErrorMailboxMoveInProgress"}})
    community = demo.population.communities[0]
    new = "nora.diaz@sunrise.example"
    organisation.add_mailbox(new, password=demo.sandbox.passwords[service], name="Nora Diaz", zone=community.time_zone)
    with demo.workspace.database.begin() as connection:
        Directory(connection).add_user(new, "Nora Diaz", community_names=[community.name])
        accounts = Accounts(connection)
        accounts.add(new, all_day_tasks=True)
        accounts.disable(left)
