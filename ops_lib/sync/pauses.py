"""Which failures accounts share, and until when nobody asks again (T2).

A refused sign-in is the matter of all accounts that sign in alike, a URL where nothing answers of all that go there. A throttled mailbox is its own
matter, unless the service account is what is throttled: under delegate access Exchange counts requests against whoever signed in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, delete, select

from ops_lib.database import tables as t
from ops_lib.database.engine import upsert
from ops_lib.errors import AccessRefused, OpsError, ServerBusy, SignInRefused, Unreachable, WrongUrl
from ops_lib.mailbox.ews.failures import LONGEST_BACK_OFF_SECONDS
from ops_lib.model import Account, Host

Scope = Literal["account", "credential", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """What stands against asking: since when, whose request showed it, and until when the server wants nobody to ask (a past moment: no such wish).

    ``tries`` counts the runs that found it so.
    """

    key: str
    since: datetime
    until: datetime
    tries: int
    account_id: str
    response_code: str
    reason: str


def keys_of(host: Host, account: Account) -> dict[Scope, str]:
    """What an account has in common with others: a name for each scope."""
    user = account.user_email if host.access == "direct" else host.service_user
    return {
        "account": f"account:{account.account_id}",
        "credential": f"credential:{host.host_id}:{user}",
        "server": f"server:{host.url}",
    }


def scope_of(error: OpsError, host: Host) -> Scope:
    """Whose matter a failure is. Pure."""
    if isinstance(error, SignInRefused) or error.response_code.startswith("sign-in address"):
        return "credential"
    if isinstance(error, Unreachable):
        return "server"
    if isinstance(error, AccessRefused) and error.http_status == 403:
        return "credential"
    if isinstance(error, ServerBusy) and (host.access == "delegate" or error.response_code.startswith("AADSTS")):
        return "credential"
    return "account"


def witnesses_needed(error: OpsError) -> int:
    """How many accounts must meet a shared failure, one after the other and none faring better, before the others are not tried.

    One for a sign-in (each further one counts towards a lock-out) and for a throttled service account. A 403, or an address where nothing fit
    answers, may be one mailbox' own matter: two. A server that does not answer at all may be starting: four.
    """
    if isinstance(error, WrongUrl | AccessRefused):
        return 2
    if isinstance(error, Unreachable):
        return 4
    return 1


class Pauses:
    """The pauses over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, keys: Collection[str]) -> dict[str, Pause]:
        """Those that stand under these names."""
        rows = self._connection.execute(select(t.pauses))
        return {
            row.key: Pause(**{**row._mapping, "account_id": str(row.account_id)}) for row in rows if row.key in keys
        }

    def begin(self, key: str, account: Account, error: OpsError, now: datetime) -> None:
        """Note that a failure of this name was met, and until when the server wants nobody to ask."""
        before = self.all([key]).get(key)
        seconds = error.back_off_seconds if isinstance(error, ServerBusy) else 0.0
        until = now + timedelta(seconds=min(seconds, LONGEST_BACK_OFF_SECONDS))
        values = {
            "since": before.since if before is not None else now,
            "until": until,
            "tries": before.tries + 1 if before is not None else 1,
            "account_id": int(account.account_id),
            "response_code": error.response_code,
            "reason": error.message,
        }
        upsert(self._connection, t.pauses, {"key": key}, values)

    def end(self, keys: Collection[str]) -> None:
        """Somebody was answered: what stood under these names is over."""
        if keys:
            self._connection.execute(delete(t.pauses).where(t.pauses.c.key.in_(list(keys))))


def is_over(pause: Pause, now: datetime) -> bool:
    """Whether the server may be asked again; so too where the clock was set back further than any pause lasts."""
    return not now < pause.until <= now + timedelta(seconds=LONGEST_BACK_OFF_SECONDS)
