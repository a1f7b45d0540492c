"""The made-up customer half on the way to Exchange Online: one community's mailboxes are there, and one of them has no EWS any more."""

from __future__ import annotations

from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.runbook.demo import Demo, cycle

_TENANT_ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
_CLIENT_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def half_online(demo: Demo) -> str:
    """Everybody synced once; then one mailbox refused for good, and its community's host is Exchange Online. Returns that mailbox' user."""
    accounts = demo.accounts()
    cycle(demo).run(accounts)
    own = f"{demo.population.communities[-1].name} Exchange"
    with demo.workspace.database.read() as connection:
        host = Hosts(connection).get(own)
    refused = next(each for each in accounts if each.host_id == host.host_id)
    headers = {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}
    demo.sandbox.faults.add({"mailbox": refused.mailbox, "fault": {"status": 403, "headers": headers}})
    cycle(demo).run(accounts)
    with demo.workspace.database.begin() as connection:
        Hosts(connection).edit(
            own,
            HostInput(
                url="https://outlook.office365.com/EWS/Exchange.asmx",
                auth="oauth-app",
                version="Office 365",
                service_user="",
                tenant_id=_TENANT_ID,
                client_id=_CLIENT_ID,
                ca_bundle="",
                secret_expires="2027-01-15",  # noqa: S106  a day
            ),
        )
    return refused.user_email
