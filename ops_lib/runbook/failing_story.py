"""What failed at the made-up customer from Friday to Monday: rights lost and given back, a mailbox that fails again and again, one being moved,
an entry that the server does not take."""

from __future__ import annotations

from datetime import timedelta

from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.model import Account, Origin, Timed
from ops_lib.runbook.demo import Demo
from ops_lib.sync.fleet import Fleet

_SINCE_FRIDAY = 66 * 60
"""Minutes from Friday afternoon to the demo's Monday morning."""


def since_friday(demo: Demo) -> str:
    """Eleven cycles over the weekend, six hours apart, the last on Monday morning. Returns the email of the user who fails again and again."""
    accounts = demo.accounts()
    service, organisation, faults = (
        demo.sandbox.residents.service.address,
        demo.sandbox.organisation,
        demo.sandbox.faults,
    )
    everybody = {each.mailbox for each in accounts}
    repeats, refused, moved, late = accounts[1], accounts[4], accounts[5], accounts[7]
    shut_out = accounts[-1], accounts[-2]
    with demo.workspace.database.begin() as connection:
        Hosts(connection).edit(f"{demo.population.communities[-1].name} Exchange", HostInput(version="2016"))
    demo.clock.advance(-_SINCE_FRIDAY)
    _cycle(demo, accounts)  # Friday 15:00
    organisation.grant_impersonation(service, everybody - {each.mailbox for each in shut_out})
    _cycle(demo, accounts, hours=6)
    broken = faults.add({"mailbox": repeats.mailbox, "fault": {"response_code": "ErrorMailboxStoreUnavailable"}})
    _cycle(demo, accounts, hours=6)  # Saturday 03:00
    organisation.grant_impersonation(service, everybody - {shut_out[0].mailbox})
    faults.remove(broken.id)
    _cycle(demo, accounts, hours=6)
    _cycle(demo, accounts, hours=6)
    broken = faults.add({"mailbox": repeats.mailbox, "fault": {"response_code": "ErrorMailboxStoreUnavailable"}})
    moving = faults.add({"mailbox": moved.mailbox, "fault": {"response_code": "ErrorMailboxMoveInProgress"}})
    _cycle(demo, accounts, hours=6)
    faults.remove(broken.id)
    _cycle(demo, accounts, hours=6)  # Sunday 03:00
    faults.remove(moving.id)
    _cycle(demo, accounts, hours=6)
    _add_tour(demo, refused)
    faults.add(
        {"operation": "CreateItem", "mailbox": refused.mailbox, "fault": {"response_code": "ErrorMessageSizeExceeded"}}
    )
    _cycle(demo, accounts, hours=6)
    faults.add({"mailbox": repeats.mailbox, "fault": {"response_code": "ErrorMailboxStoreUnavailable"}})
    _cycle(demo, accounts, hours=6)
    faults.add({"mailbox": late.mailbox, "fault": {"response_code": "ErrorNonExistentMailbox"}})
    _cycle(demo, accounts, hours=12)  # Monday 09:00
    return repeats.user_email


def _cycle(demo: Demo, accounts: list[Account], *, hours: float = 0) -> None:
    """A cycle for everybody, so many hours after the last one; a pause between two tries takes no time."""
    demo.clock.advance(hours * 60)
    Fleet(demo.workspace, sleep=lambda _seconds: None).run(accounts, threads=1)


def _add_tour(demo: Demo, account: Account) -> None:
    """An activity that the server will not take."""
    with demo.workspace.database.begin() as connection:
        crm = SqlCrm(connection, demo.clock())
        type_id = Directory(connection).activity_type("Tour").type_id
        start = demo.clock().replace(hour=15, minute=0, second=0, microsecond=0)
        when = Timed(start + timedelta(days=2), start + timedelta(days=2, minutes=45))
        content = ActivityContent(type_id=type_id, description="Tour: the Lindholms", when=when, location="Front desk")
        crm.create(account.user_id, content, origin=Origin.CRM, key=f"demo:{account.user_id}:lindholm")
