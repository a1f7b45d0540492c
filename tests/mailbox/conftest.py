"""What the mailbox' tests share: hosts and accounts of nobody, the schema, retries that do not sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stamina
from lxml import etree

from ops_lib.mailbox.ews.mailbox import EwsMailbox
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Account, Host

SHARED = Path(__file__).parents[2].parent / "shared"

HOST = Host(
    host_id="h1",
    name="Example",
    url="",
    auth="basic",
    access="impersonation",
    service_user="svc@example.test",
    secret="env:X",
)
ACCOUNT = Account(
    account_id="a1",
    host_id="h1",
    user_id="u1",
    user_email="alice@example.test",
    mailbox="alice@example.test",
    time_zone="America/New_York",
)

Open = Callable[..., EwsMailbox]


@pytest.fixture(autouse=True)
def _no_sleep() -> Iterator[None]:
    """Tries are counted as in earnest, without the pauses between them."""
    with stamina.set_testing(True, attempts=4):
        yield
    close_connections()


@pytest.fixture
def open_at() -> Open:
    """``open_at(url, access="delegate", …)``: a mailbox at a URL; what is a field of the account goes there, the rest to the host."""

    def opened(url: str, *, timeout_seconds: float = 5.0, secret: str = "x", **changes: Any) -> EwsMailbox:
        of_account = {
            name: changes.pop(name) for name in ("mailbox", "user_email", "is_impersonation_account") if name in changes
        }
        host = replace(HOST, url=url, **changes)
        return EwsMailbox(host, replace(ACCOUNT, **of_account), lambda reference: secret, timeout_seconds)

    return opened


@pytest.fixture(scope="session")
def schema() -> etree.XMLSchema:
    path = SHARED / "ews-schema" / "messages.xsd"
    if not path.exists():
        pytest.skip("the EWS schema is not beside the repository (../shared/ews-schema)")
    return etree.XMLSchema(etree.parse(path))
