"""The made-up customer with email from the CRM: the company's host sends, one community's own does not yet, and there is somebody to write to."""

from __future__ import annotations

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.runbook.demo import COMPANY_HOST, Demo

RECIPIENT = "Tess Test"


def ready_to_send(demo: Demo) -> str:
    """Sending is on for the company's host and its accounts. Returns the email of the first user who can send."""
    community = demo.population.communities[0]
    with demo.workspace.database.begin() as connection:
        Hosts(connection).edit(COMPANY_HOST, HostInput(send_email=True))
        accounts = Accounts(connection)
        sending = [accounts.enable(each, send_email=True) for each in accounts.accounts(host=COMPANY_HOST)]
        Directory(connection).add_individual(
            RECIPIENT, kind="prospect", email="tess.test@example.test", community_name=community.name
        )
    return sending[0].user_email
