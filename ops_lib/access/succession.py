"""A user's calendar goes on through another account: what becomes of the links of the one before.

An activity is linked once. On the same mailbox (its host was replaced) the links go over to the new account, and its first cycle finds
their items again as after a lost sync state. On another mailbox they end: what stands in the old one stays there, and is found by its
stamp should the calendar ever come back.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select, update

from ops_lib.database.tables import intents, links, reading_positions, retries, series
from ops_lib.errors import LeaseHeld
from ops_lib.model import Account, LinkState, Origin
from ops_lib.sync.leases import Leases, this_worker

_LEASE_SECONDS = 60.0
_STANDING = (LinkState.ACTIVE.value, LinkState.RESTING.value, LinkState.REPLACED.value)


def take_over(connection: Connection, account: Account, before: Sequence[Account]) -> None:
    """Have ``account`` go on with the calendar that was kept in step through ``before``, the same user's other accounts.

    **Raises** `LeaseHeld` where a worker is at one of these: what it writes would be lost.
    """
    for other in before:
        held_by = select(links.c.account_id).where(links.c.account_id == int(other.account_id)).limit(1)
        open_intents = select(intents.c.account_id).where(intents.c.account_id == int(other.account_id)).limit(1)
        if connection.execute(held_by).first() is None and connection.execute(open_intents).first() is None:
            continue
        worker = this_worker()
        if not Leases(connection).take(other.account_id, worker, _LEASE_SECONDS):
            raise LeaseHeld(
                "another worker is at this account, which the calendar is to leave",
                subject=other.mailbox,
                fix="try again when its cycle is over.",
            )
        if other.mailbox == account.mailbox:
            _go_over(connection, int(other.account_id), int(account.account_id))
        else:
            _end(connection, int(other.account_id))
        Leases(connection).release(other.account_id, worker)


def begin_anew(connection: Connection, account: Account) -> int:
    """Have an account begin as if its mailbox had never been read: how many entries it was linked with.

    For a mailbox whose content did not come along to its server: without this, what is not there would count as deleted. What lies there
    already is found by UID and stamp; what is the CRM's and is not there is made again. Nothing is removed on either side.
    **Raises** `LeaseHeld` where a worker is at the account.
    """
    worker = this_worker()
    if not Leases(connection).take(account.account_id, worker, _LEASE_SECONDS):
        raise LeaseHeld(
            "another worker is at this account, and would go on with what it has read",
            subject=account.mailbox,
            fix="try again when its cycle is over.",
        )
    own = links.c.account_id == int(account.account_id)
    standing = select(func.count()).select_from(links).where(own, links.c.state.in_(_STANDING))
    count = connection.execute(standing).scalar_one()
    # Of a link that ended an activity that stands would be made again; what the user made is theirs to bring along.
    connection.execute(delete(links).where(own, links.c.origin == Origin.EXCHANGE.value))
    _end(connection, int(account.account_id))
    Leases(connection).release(account.account_id, worker)
    return count


def _go_over(connection: Connection, old: int, new: int) -> None:
    for table in (retries, series, reading_positions):
        connection.execute(delete(table).where(table.c.account_id.in_((old, new))))
    for owned in (links, intents):
        connection.execute(update(owned).where(owned.c.account_id == old).values(account_id=new))


def _end(connection: Connection, old: int) -> None:
    for table in (retries, series, reading_positions):
        connection.execute(delete(table).where(table.c.account_id == old))
    connection.execute(
        update(links).where(links.c.account_id == old, links.c.state.in_(_STANDING)).values(state=LinkState.ENDED.value)
    )
    connection.execute(
        update(intents).where(intents.c.account_id == old, intents.c.state == "open").values(state="abandoned")
    )
