"""An organisation of many mailboxes and a CRM of as many users, for tests and benchmarks of whole hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.sandbox import SERVICE


def addresses_of(count: int) -> list[str]:
    """The mailboxes' addresses, in their order."""
    return [f"user{number:03d}@example.test" for number in range(count)]


def settle(sandbox: Sandbox, addresses: Sequence[str]) -> None:
    """Give each address a mailbox in the organisation."""
    for address in addresses:
        sandbox.organisation.add_mailbox(address, password="x", name=address.partition("@")[0], zone="UTC")


def enter(workspace: Path, sandbox: Sandbox, addresses: Sequence[str], *, access: str, send_email: bool = True) -> None:
    """Enter the host ``exchange``, and a user with an account on it for each address. The password is in SVC_PASSWORD: with access direct everybody's."""
    opened = Workspace.open(workspace)
    with opened.database.begin() as connection:
        directory = Directory(connection)
        directory.add_community("Maple Court", time_zone="UTC")
        entered = HostInput(
            url=sandbox.ews_url,
            auth="basic",
            access=access,
            version="2016",
            community="all",
            types=["Tour"],
            service_user=None if access == "direct" else SERVICE,
            secret=None if access == "direct" else "env:SVC_PASSWORD",
            all_day_tasks=True,
            send_email=True,
        )
        Hosts(connection).add("exchange", entered)
        accounts = Accounts(connection)
        for address in addresses:
            directory.add_user(address, address.partition("@")[0], community_names=["Maple Court"])
            secret = "env:SVC_PASSWORD" if access == "direct" else ""
            accounts.add(address, all_day_tasks=True, send_email=send_email, secret=secret)
    opened.close()
