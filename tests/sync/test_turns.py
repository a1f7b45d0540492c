"""Whose turn it is in a run: one asks first where something is in doubt, the rest follow or are told; nobody waits for what they do not share."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from ops_lib.errors import (
    AccessRefused,
    AnswerLost,
    InputError,
    ItemGone,
    MailboxMissing,
    OpsError,
    ServerBusy,
    ServerFailed,
    SignInRefused,
    Unreachable,
    WrongUrl,
)
from ops_lib.model import Account, Host
from ops_lib.sync.pauses import Pause, is_over, keys_of, scope_of, witnesses_needed
from ops_lib.sync.turns import PAUSES_SECONDS, Turns, in_order, work_off
from tests.sync.desk import NOW

HOST = Host(
    host_id="1",
    name="one",
    url="https://one.test/EWS/Exchange.asmx",
    auth="basic",
    access="impersonation",
    service_user="svc",
)
OTHER = replace(HOST, host_id="2", name="two", url="https://two.test/EWS/Exchange.asmx")
HOSTS = {"1": HOST, "2": OTHER}


def account(number: int, host: str = "1") -> Account:
    email = f"user{number}@example.test"
    return Account(
        account_id=str(number), host_id=host, user_id=str(number), user_email=email, mailbox=email, time_zone="UTC"
    )


def pause(key: str, tries: int = 1, minutes: float = -1) -> Pause:
    return Pause(
        key=key,
        since=NOW,
        until=NOW + timedelta(minutes=minutes),
        tries=tries,
        account_id="1",
        response_code="",
        reason="x",
    )


def turns_of(accounts: list[Account], **pauses: Pause) -> Turns:
    return Turns(accounts, HOSTS, {each.key: each for each in pauses.values()}, {})


@pytest.mark.req("T2")
@pytest.mark.parametrize(
    ("error", "access", "scope", "witnesses"),
    [
        (SignInRefused("x", http_status=401), "impersonation", "credential", 1),
        (AccessRefused("x", http_status=403), "impersonation", "credential", 2),
        (
            AccessRefused("x", response_code="ErrorImpersonateUserDenied", http_status=200),
            "impersonation",
            "account",
            2,
        ),
        (ServerBusy("x"), "impersonation", "account", 1),
        (ServerBusy("x"), "direct", "account", 1),
        (ServerBusy("x"), "delegate", "credential", 1),
        (ServerBusy("x", response_code="AADSTS90055"), "impersonation", "credential", 1),
        (Unreachable("x"), "impersonation", "server", 4),
        (Unreachable("x", response_code="sign-in address unreachable"), "impersonation", "credential", 4),
        (WrongUrl("x", http_status=404), "impersonation", "server", 2),
        (ServerFailed("x", http_status=500), "impersonation", "account", 1),
        (AnswerLost("x"), "delegate", "account", 1),
        (MailboxMissing("x"), "impersonation", "account", 1),
        (ItemGone("x"), "delegate", "account", 1),
        (InputError("x"), "direct", "account", 1),
    ],
)
def test_whose_matter_a_failure_is(error: OpsError, access: str, scope: str, witnesses: int) -> None:
    """A sign-in is everybody's who shares it, a server everybody's who goes there; the rest is the account's own."""
    assert scope_of(error, replace(HOST, access=access)) == scope  # type: ignore[arg-type]
    assert witnesses_needed(error) == witnesses


@pytest.mark.req("T2")
def test_a_silent_server_is_asked_by_four_with_growing_pauses() -> None:
    """The first four accounts ask, each a little later; the others are told who met what, without asking; an answer in between ends the doubt."""
    accounts = [account(number) for number in range(8)]
    turns = turns_of(accounts)
    waits, told = [], []
    while (place := turns.take()) is not None:
        verdict = turns.verdict(place)
        if verdict is not None:
            told.append(verdict)
            turns.done(place, None, was_answered=False)
            continue
        waits.append(turns.pause_seconds(place))
        turns.done(place, Unreachable("no connection", subject=accounts[place].mailbox), was_answered=False)
    assert waits == [0.0, *PAUSES_SECONDS]
    assert [each.subject for each in told] == [each.mailbox for each in accounts[4:]]
    assert all(isinstance(each, Unreachable) and "met by user3@example.test" in str(each) for each in told)
    turns = turns_of(accounts)
    for place, error in enumerate((Unreachable("x"), Unreachable("x"), Unreachable("x"), None, Unreachable("x"))):
        assert turns.take() == place
        turns.done(place, error, was_answered=error is None)
    assert turns.verdict(7) is None


@pytest.mark.req("T2")
def test_what_stood_before_is_asked_by_one_alone_and_others_go_on() -> None:
    """While one asks whether a closed sign-in works again, those who share it are not handed out, those on another host are; when it works all
    follow, and it is forgotten."""
    accounts = [account(1), account(2), account(3, "2")]
    key = keys_of(HOST, accounts[0])["credential"]
    turns = turns_of(accounts, before=pause(key))
    assert turns.take() == 0
    assert turns.take() == 2
    waiting: list[int | None] = []
    thread = threading.Thread(target=lambda: waiting.append(turns.take()), daemon=True)
    thread.start()
    assert turns.done(2, None, was_answered=True) == []
    assert waiting == []
    assert turns.done(0, None, was_answered=True) == [(key, None)]
    thread.join(10)
    assert waiting == [1]
    assert turns.verdict(1) is None


@pytest.mark.req("T2")
def test_who_finds_it_still_closed_speaks_for_all() -> None:
    """One account is enough where it stood so before; a failure of another kind says nothing about it, and the next one asks."""
    accounts = [account(number) for number in range(3)]
    key = keys_of(HOST, accounts[0])["credential"]
    turns = turns_of(accounts, before=pause(key))
    assert turns.take() == 0
    assert turns.done(0, MailboxMissing("x", http_status=200), was_answered=False) == []
    assert turns.take() == 1
    refused = AccessRefused("closed", http_status=403)
    assert turns.done(1, refused, was_answered=False) == [(key, refused)]
    assert turns.take() == 2
    assert isinstance(turns.verdict(2), AccessRefused)


@pytest.mark.req("T2")
def test_the_best_witnesses_ask_first() -> None:
    """The two that were answered last; where something stood before, another one each time; without any success the order is kept."""
    accounts = [account(number) for number in range(4)]
    keys = [keys_of(HOST, each) for each in accounts]
    successes = {"1": NOW - timedelta(days=1), "2": NOW, "3": NOW - timedelta(hours=1)}
    assert in_order(accounts, keys, {}, successes) == [2, 3, 0, 1]
    assert in_order(accounts, keys, {}, {}) == [0, 1, 2, 3]
    key = keys[0]["credential"]
    first = [in_order(accounts, keys, {key: pause(key, tries)}, successes)[0] for tries in (1, 2, 3, 4)]
    assert first == [2, 3, 1, 2]
    first = [in_order(accounts, keys, {key: pause(key, tries)}, {})[0] for tries in (1, 2, 3, 4, 5)]
    assert first == [0, 1, 2, 3, 0]


def test_a_run_that_is_broken_off_hands_out_nobody_else() -> None:
    """What is raised in one thread ends the others' work after the account they are at."""
    turns = turns_of([account(number) for number in range(3)])
    seen: list[int] = []

    def one(place: int) -> None:
        seen.append(place)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_off(turns, one)
    assert seen == [0]
    assert turns.take() is None


@pytest.mark.req("T2")
def test_a_pause_ends_when_it_should() -> None:
    """Not before its time, at its time, and at once where it lies further ahead than any pause that is believed."""
    assert not is_over(pause("k", minutes=5), NOW)
    assert is_over(pause("k", minutes=0), NOW)
    assert is_over(pause("k", minutes=-5), NOW)
    assert is_over(pause("k", minutes=24 * 60), NOW)
