"""Servers that say the same in other words, and servers that can do less: the sync keeps both sides equal on each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

import pytest

from ops_lib.database.engine import Database
from ops_lib.mailbox.ews import transport
from ops_lib.model import ActivityStatus, Host
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Body
from tests.support.dialects import DIALECTS, speaking
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, at, days

DAY = timedelta(days=1)


@dataclass
class DialectDesk(ServerDesk):
    """Alice's account on a server that speaks a dialect."""

    url: str = ""

    @property
    def host(self) -> Host:
        return replace(super().host, url=self.url)


@pytest.fixture(params=DIALECTS)
def desk(request: pytest.FixtureRequest, sandbox: Sandbox, sqlite_database: Database) -> Iterator[DialectDesk]:
    sandbox.clock.set(NOW)
    with speaking(DIALECTS[request.param], sandbox.ews_url) as url:
        yield DialectDesk(sqlite_database, sandbox=sandbox, url=url)
    transport.close_connections()


def in_outlook(sandbox: Sandbox, subject: str, day: int, hour: int, **more: object) -> object:
    """Somebody makes an event at Outlook."""
    when = at(day, hour)
    values = {"item:Subject": subject, "calendar:Start": when.start, "calendar:End": when.end, **more}
    return sandbox.organisation.create_item(ALICE, "calendar", values)


@pytest.mark.req("Y1", "Y2")
def test_both_sides_become_equal_and_stay_so(desk: DialectDesk) -> None:
    """Entries of both sides, a series, edits and removals on both, a lost answer: equal after each settling, nothing twice."""
    tours = [desk.add(f"Tour {number} – ∆ & <b>", at(1 + number, 10), notes="Bring ☂ & keys") for number in range(9)]
    tasks = [desk.add(f"Call {number}", days(1 + number)) for number in range(3)]
    own = [
        in_outlook(desk.sandbox, f"Own {number}", 1 + number, 14, **{"item:Body": Body("words")}) for number in range(9)
    ]
    desk.settle()
    assert len(desk.shown()) == 21
    assert {activity.notes for activity in desk.activities() if activity.description.startswith("Own")} == {"words"}

    desk.edit(tours[0], description="Tour, edited")
    desk.cancel(tours[1])
    desk.move(tours[2], at(20, 9))
    desk.edit(tasks[0], status=ActivityStatus.COMPLETED)
    organisation = desk.sandbox.organisation
    stored = {item.values["item:Subject"]: item for item in desk.stored()}
    organisation.update_item(stored["Own 0"], {"item:Subject": "Own, edited"})
    organisation.update_item(
        stored["Own 1"], {"calendar:Start": at(30, 8).start.astimezone(UTC), "calendar:End": at(30, 9).start}
    )
    organisation.delete_item(stored["Own 2"])
    desk.now += timedelta(minutes=20)
    desk.sandbox.faults.add({"operation": "CreateItem", "nth": 1, "fault": {"drop": "after"}})
    late = desk.add("Late", at(5, 16))
    desk.settle()
    titles = sorted(item.values["item:Subject"] for item in desk.stored())
    assert titles.count("Late") == 1
    assert desk.get(late).description == "Late"
    assert "Own, edited" in [row[3] for row in desk.shown()]
    assert len(titles) == len(set(titles))
    assert own
