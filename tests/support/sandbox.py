"""A running sandbox for any test that needs an Exchange server, and accounts of the real client on it.

One server a test process (and so one for each xdist worker), one fresh organisation a test::

    def test_something(sandbox):
        sandbox.organisation.create_item("alice@example.test", "calendar", {...})   # somebody at Outlook
        account = outlook_account(sandbox, "alice@example.test")                    # the real exchangelib over real HTTP
        sandbox.faults.add({"operation": "CreateItem", "nth": 1, "fault": {"drop": "after"}})
        sandbox.clock.advance(60)
        assert sandbox.requests.total("CreateItem") == 1

``sandbox`` has alice, bob, carol and svc @example.test with empty mailboxes; svc may impersonate the three;
``sandbox.passwords`` has their passwords, ``sandbox.app`` an app registration for OAuth.
The organisation's clock is real time; ``sandbox.clock.set`` fixes it. The next test starts afresh by itself.
``customer_sandbox`` is the same with the built-in customer (12 users, their mailboxes full), its clock at ``people.NOW``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ops_lib.sandbox.server import Sandbox

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
SERVICE = "svc@example.test"


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Sandbox]:
    """The server of this test process. Tests take ``sandbox``, which is this one with a fresh organisation."""
    from ops_lib.sandbox.server import Sandbox  # only processes that test with a server pay for loading one

    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(sandbox_server: Sandbox) -> Sandbox:
    """A running sandbox with a fresh organisation, no rules, nothing counted and the real time."""
    sandbox_server.reset()
    forget_tokens()
    return sandbox_server


def forget_tokens() -> None:
    """As a new process: another test's tokens and refusals, which the client keeps for each app registration, are not this one's."""
    for name, caches in (
        ("ops_lib.mailbox.ews.oauth", ("_sources",)),
        ("ops_lib.access.signin", ("_of_users", "_of_apps")),
    ):
        module = sys.modules.get(name)
        for cache in caches if module else ():
            getattr(module, cache).clear()


@pytest.fixture(scope="session")
def customer_server() -> Iterator[Sandbox]:
    """The server with the built-in customer. Tests take ``customer_sandbox``."""
    from ops_lib.sandbox.people import NOW
    from ops_lib.sandbox.residents import inhabitants
    from ops_lib.sandbox.server import Sandbox

    with Sandbox(inhabitants(), now=lambda: NOW) as running:
        yield running


@pytest.fixture
def customer_sandbox(customer_server: Sandbox) -> Sandbox:
    """A running sandbox with the built-in customer as it is at its fixed "now" (``people.NOW``), which is its clock."""
    customer_server.reset()
    return customer_server


def outlook_account(sandbox: Sandbox, address: str, *, through: str = "", max_connections: int = 1) -> Any:
    """Opens a mailbox with exchangelib: as its own user, or ``through`` an account that impersonates it. Never retries."""
    from exchangelib import (
        BASIC,
        DELEGATE,
        IMPERSONATION,
        Account,
        Build,
        Configuration,
        Credentials,
        FailFast,
        Version,
    )

    login = through or address
    configuration = Configuration(
        service_endpoint=sandbox.ews_url,
        credentials=Credentials(login, sandbox.passwords[login]),
        auth_type=BASIC,
        version=Version(Build(15, 1, 2507, 39), api_version="Exchange2016"),
        retry_policy=FailFast(),
        max_connections=max_connections,
    )
    access = IMPERSONATION if through else DELEGATE
    return Account(address, config=configuration, autodiscover=False, access_type=access)
