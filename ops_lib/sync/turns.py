"""Whose turn it is in a run: who asks first where something may be wrong for many, and who need not ask any more (T2).

Of accounts that share a sign-in or a server, one goes alone as long as it is in doubt whether anybody is answered; the others wait, and accounts
that share nothing with them go on. Once enough of them have met the same failure, the rest get it without asking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime

from ops_lib.errors import MailboxError, OpsError, ServerBusy, Unreachable
from ops_lib.model import Account, Host
from ops_lib.sync.pauses import Pause, Scope, keys_of, scope_of, witnesses_needed

PAUSES_SECONDS = (1.0, 4.0, 10.0)
"""How long is waited before the next account asks a server that did not answer: it may be starting."""


@dataclass(slots=True)
class _Shared:
    """How one thing that accounts share stands in this run."""

    is_in_doubt: bool = False
    is_asked_now: bool = False
    was_found_before: bool = False
    strikes: int = 0
    last: OpsError | None = None
    closed_by: tuple[OpsError, Account] | None = None


class Turns:
    """The accounts of one run, handed out one by one to its threads. Every one that was taken is given back by ``done``."""

    def __init__(
        self,
        accounts: Sequence[Account],
        hosts: Mapping[str, Host],
        pauses: Mapping[str, Pause],
        last_success: Mapping[str, datetime],
    ) -> None:
        self._accounts = accounts
        self._keys = [keys_of(hosts[account.host_id], account) for account in accounts]
        self._hosts = hosts
        self._noted = frozenset(pauses)
        self._shared: dict[str, _Shared] = {}
        proved = {
            keys["credential"]
            for account, keys in zip(accounts, self._keys, strict=True)
            if account.account_id in last_success
        }
        for keys in self._keys:
            for scope in ("credential", "server"):
                key = keys[scope]
                before = key in pauses
                is_new = key not in proved  # a sign-in that never worked is tried by one account first
                doubted = before or (is_new and scope == "credential")
                self._shared.setdefault(key, _Shared(is_in_doubt=doubted, was_found_before=before))
        self._waiting = in_order(accounts, self._keys, pauses, last_success)
        self._changed = threading.Condition()

    def take(self) -> int | None:
        """The next account's place, once there is one that may be asked or need not be; None when none is left."""
        with self._changed:
            while self._waiting:
                place = next((each for each in self._waiting if self._may_go(each)), None)
                if place is not None:
                    self._waiting.remove(place)
                    for shared in self._of(place):
                        shared.is_asked_now |= shared.is_in_doubt and self.verdict(place) is None
                    return place
                self._changed.wait()
            return None

    def stop(self) -> None:
        """Nobody else is handed out: the run is broken off."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def verdict(self, place: int) -> OpsError | None:
        """What the account is told without being asked about, if others that share something with it have found out."""
        for shared in self._of(place):
            if shared.closed_by is not None:
                error, seen_by = shared.closed_by
                return _as_told(error, seen_by, self._accounts[place])
        return None

    def pause_seconds(self, place: int) -> float:
        """How long to wait before this account asks, because the last one that did had no answer."""
        strikes = [each.strikes for each in self._of(place) if each.strikes and isinstance(each.last, Unreachable)]
        return PAUSES_SECONDS[min(max(strikes), len(PAUSES_SECONDS)) - 1] if strikes else 0.0

    def done(self, place: int, error: OpsError | None, *, was_answered: bool) -> list[tuple[str, OpsError | None]]:
        """The account has been asked: it was answered well, met an error, or neither (a fault of ours, a lease).

        Gives what is to be remembered for later runs: names under which a failure stands (with it) or stands no more (None).
        """
        news: list[tuple[str, OpsError | None]] = []
        account, keys = self._accounts[place], self._keys[place]
        if was_answered and keys["account"] in self._noted:
            news.append((keys["account"], None))
        elif isinstance(error, ServerBusy) and scope_of(error, self._hosts[account.host_id]) == "account":
            news.append((keys["account"], error))
        with self._changed:
            for scope in ("credential", "server"):
                key, shared = keys[scope], self._shared[keys[scope]]
                shared.is_asked_now = False
                if was_answered or (scope == "server" and _is_from_server(error)):
                    if shared.was_found_before or shared.closed_by is not None:
                        news.append((key, None))
                    self._shared[key] = _Shared()
                elif error is not None and scope_of(error, self._hosts[account.host_id]) == scope:
                    shared.is_in_doubt, shared.last = True, error
                    shared.strikes += 1
                    if shared.closed_by is None and (
                        shared.was_found_before or shared.strikes >= witnesses_needed(error)
                    ):
                        shared.closed_by = (error, account)
                        news.append((key, error))
            self._changed.notify_all()
        return news

    def _of(self, place: int) -> list[_Shared]:
        return [self._shared[self._keys[place][scope]] for scope in ("credential", "server")]

    def _may_go(self, place: int) -> bool:
        return self.verdict(place) is not None or not any(
            each.is_in_doubt and each.is_asked_now for each in self._of(place)
        )


def in_order(
    accounts: Sequence[Account],
    keys: Sequence[Mapping[Scope, str]],
    pauses: Mapping[str, Pause],
    last_success: Mapping[str, datetime],
) -> list[int]:
    """In which order a run takes its accounts: as given, but of those that share a sign-in the two that were answered last come first. Pure.

    They are the best witnesses: what they meet is hardly their own matter. Where something stood against the sign-in before, it is another
    one that asks first each time, so that one broken mailbox cannot speak for all.
    """
    groups: dict[str, list[int]] = {}
    for place, each in enumerate(keys):
        groups.setdefault(each["credential"], []).append(place)
    witnesses: list[int] = []
    for key, places in groups.items():
        known = [place for place in places if accounts[place].account_id in last_success]
        known.sort(key=lambda place: last_success[accounts[place].account_id], reverse=True)
        stands = next((pauses[each] for each in (key, keys[places[0]]["server"]) if each in pauses), None)
        candidates = known or (places if stands is not None else [])
        turned = (stands.tries - 1) % len(candidates) if stands is not None and candidates else 0
        witnesses += [*candidates[turned:], *candidates[:turned]][:2]
    return [*witnesses, *(place for place in range(len(accounts)) if place not in set(witnesses))]


def _is_from_server(error: OpsError | None) -> bool:
    """Whether an Exchange server was there to say so, whatever it said."""
    return isinstance(error, MailboxError) and error.http_status > 0 and not isinstance(error, Unreachable)


def _as_told(error: OpsError, seen_by: Account, account: Account) -> OpsError:
    """Another account's failure as this one's: the same kind and code, about this mailbox, and honest about who met it."""
    if account.account_id == seen_by.account_id:
        return error
    told = copy(error)
    told.subject = account.mailbox
    told.message = f"{error.message} (met by {seen_by.mailbox}; not asked again for this account)"
    return told


def work_off(turns: Turns, one: Callable[[int], None]) -> None:
    """Take accounts until none is left. What ``one`` raises ends the run for all threads."""
    try:
        while (place := turns.take()) is not None:
            one(place)
    except BaseException:
        turns.stop()
        raise
