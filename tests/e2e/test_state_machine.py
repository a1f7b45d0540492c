"""The state machine, the other side being the sandbox over real HTTP: as Exchange is, and as a server is that shows no occurrences.

``SYNCOPS_STEPS=1000 SYNCOPS_SEED=5`` plays more, other examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings

from ops_lib.database.engine import Database
from ops_lib.mailbox import Mailbox, open_mailbox
from ops_lib.model import Host
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.cycle import CycleResult
from tests.support.sandbox import SERVICE
from tests.support.server_outlook import ServerOutlook
from tests.support.workers import Life
from tests.sync.machine import TwoSides, fresh
from tests.sync.office import FOREVER, Office

STEPS_PER_EXAMPLE = 25
EXAMPLES = {"exchange": 9, "grommunio": 7}


class Stepping:
    """A mailbox each of whose calls is a step of its worker's life, once before and once after."""

    def __init__(self, mailbox: Mailbox, life: Life) -> None:
        self._mailbox = mailbox
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._mailbox, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            self._life.step(f"before {name}")
            answer = found(*arguments)
            self._life.step(f"after {name}")
            return answer

        return call


@dataclass
class ServerOffice(Office):
    """Alice's account on the sandbox, whose clock is the desk's."""

    sandbox: Sandbox = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.outlook = ServerOutlook(self.sandbox, self.mailbox)  # type: ignore[assignment]
        self.sandbox.clock.set(self.now)

    @property
    def host(self) -> Host:
        return replace(super().host, url=self.sandbox.ews_url, service_user=SERVICE, secret="env:UNUSED")

    def mailbox(self) -> Mailbox:
        return open_mailbox(self.host, self.account, lambda reference: self.sandbox.passwords[SERVICE], 20.0)

    def mailbox_of(self, life: Life) -> Mailbox:
        return Stepping(self.mailbox(), life)  # type: ignore[return-value]

    def work(self, life: Life = FOREVER, **options: Any) -> CycleResult | None:
        """A cycle whose requests meet what `fail` ordered."""
        self.sandbox.clock.set(self.now)
        with self.outlook.as_workers_find_it():  # type: ignore[attr-defined]
            return super().work(life, **options)

    def undisturbed(self) -> AbstractContextManager[None]:
        return self.outlook.undisturbed()  # type: ignore[attr-defined, no-any-return]

    def check(self) -> None:
        """What the desk compares it reads from a mailbox in memory; here the diary and the audit compare. Nobody was mailed."""
        assert self.sandbox.organisation.outbox == []


class OverHttp(TwoSides):
    """The rules, without those that only a mailbox in memory can play: the refusal of one item once, an item that arrives late by itself, a sync
    state that is refused or forgotten while all ids stay."""

    lets_occurrences_cross = False

    def become(self, is_microsoft: bool) -> None:
        """The server is what it is."""

    an_item_is_refused = None
    late_items_arrive = None
    sync_states_are_forgotten = None
    a_sync_state_is_silently_forgotten = None


@pytest.fixture(scope="module", params=["exchange", "grommunio"])
def server(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(like=request.param) as running:
        yield running


@pytest.mark.slow
@pytest.mark.req("Y1", "Y2", "Y8", "O5")
def test_any_interleaving_ends_in_agreement(server: Sandbox, sqlite_database: Database, request: Any) -> None:
    """Over HTTP too: after any edits, faults and killed workers, two quiet cycles leave both sides equal, and nobody was mailed."""

    class Machine(OverHttp):
        def make_office(self, **chosen: Any) -> ServerOffice:
            server.reset()
            fresh(sqlite_database)
            return ServerOffice(sqlite_database, sandbox=server, **(chosen | {"time_zone": "UTC"}))

    asked = int(os.environ.get("SYNCOPS_STEPS", "0"))
    if asked:
        seed(int(os.environ.get("SYNCOPS_SEED", "0")))(Machine)
    Machine.TestCase.settings = settings(
        max_examples=asked // STEPS_PER_EXAMPLE or EXAMPLES[request.node.callspec.params["server"]],
        stateful_step_count=STEPS_PER_EXAMPLE,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not asked,
        database=None,
        phases=(Phase.generate,),  # over HTTP, shrinking takes longer than reading the steps
    )
    Machine.TestCase().runTest()
