"""Who can sign in to a sandbox, and how it is filled: the four accounts of an empty one, or a population."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ops_lib.sandbox.store import Organisation
from ops_lib.sandbox.ways_in import USUAL

DOMAIN = "example.test"
ZONE = "America/New_York"


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in."""

    address: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Residents:
    """The accounts of a sandbox; ``fill`` puts them and what is theirs into a fresh organisation.

    ``skipped`` says in words which events of a population's files Exchange cannot hold, and why; ``sign_in`` are the ways
    EWS offers.
    """

    users: tuple[Account, ...]
    service: Account
    fill: Callable[[Organisation], None]
    skipped: tuple[str, ...] = ()
    sign_in: tuple[str, ...] = USUAL


def nobody_else() -> Residents:
    """Gives the empty sandbox: alice, bob, carol and svc @example.test with empty mailboxes and passwords made just now.

    ``svc`` may impersonate the other three.
    """
    names = {"alice": "Alice Archer", "bob": "Bob Baker", "carol": "Carol Clark", "svc": "Sync Service"}
    accounts = {login: Account(f"{login}@{DOMAIN}", secrets.token_urlsafe(18)) for login in names}
    service = accounts["svc"]
    users = tuple(account for account in accounts.values() if account is not service)

    def fill(organisation: Organisation) -> None:
        for login, account in accounts.items():
            organisation.add_mailbox(account.address, password=account.password, name=names[login], zone=ZONE)
        organisation.grant_impersonation(service.address, {user.address for user in users})

    return Residents(users, service, fill)


def inhabitants(people_file: Path | None = None) -> Residents:
    """Gives the built-in customer, or the population of a file. Raises InputError for a file that cannot be."""
    from ops_lib.sandbox import people

    population = people.population() if people_file is None else people.load(people_file)
    users = tuple(Account(mailbox.address, mailbox.password) for mailbox in population.mailboxes)
    service = Account(population.service.address, population.service.password)

    def fill(organisation: Organisation) -> None:
        people.fill(organisation, population)

    return Residents(users, service, fill, population.skipped, population.sign_in)
