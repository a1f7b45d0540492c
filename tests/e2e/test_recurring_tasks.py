"""A task of ours that the user lets come again in Outlook, over real HTTP."""

from __future__ import annotations

import pytest

from ops_lib.database.engine import Database
from ops_lib.model import ActivityStatus, AllDay
from ops_lib.sandbox import recurring_tasks
from ops_lib.sandbox.recurrence import Numbered, Recurrence, Weekly
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk
from tests.sync.desk import NOW, days


@pytest.mark.req("C3", "Y1")
@pytest.mark.parametrize("reschedule", ["replace", "update"])
def test_a_task_made_recurring_and_ticked_off_goes_on_once(
    reschedule: str, sandbox: Sandbox, sqlite_database: Database
) -> None:
    """Ticked off, it stands a week later in Outlook and so in the CRM, once; the completed copy is the user's; the last one completes it."""
    sandbox.clock.set(NOW)
    desk = ServerDesk(sqlite_database, sandbox=sandbox, reschedule=reschedule)
    desk.add("Call Ruth", days(0))
    desk.settle()
    [item] = desk.stored("tasks")
    rule = Recurrence(Weekly(1, ("Monday",), "Monday"), Numbered(NOW.date(), 2))
    sandbox.organisation.update_item(item, {"task:Recurrence": rule})
    desk.settle()
    done = {**item.values, "task:Status": "Completed", "task:PercentComplete": 100.0}
    assert recurring_tasks.complete(item, done, sandbox.organisation, by=ALICE)
    item.mailbox.touch_item(item, ALICE, ["task:DueDate"])
    desk.settle()
    [activity] = desk.activities()
    assert isinstance(activity.when, AllDay)
    assert (activity.when.start, activity.status) == (days(7).start, ActivityStatus.SCHEDULED)
    assert len(desk.stored("tasks")) == 2
    sandbox.organisation.update_item(item, {"task:Status": "Completed"})
    desk.settle()
    [activity] = desk.activities()
    assert activity.status is ActivityStatus.COMPLETED
    assert len(desk.stored("tasks")) == 2
