"""A server, or what stands before it, answers rubbish to one account's requests: that account fails and says so, nobody else does, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.errors import Defect, MailboxError
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Activity, Origin, Timed
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.audit import audit
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, CAROL
from tests.support.tries import NOW, Organisation

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
OPERATIONS = ("SyncFolderItems", "GetItem", "FindItem", "CreateItem", "UpdateItem", "DeleteItem")


def soap(body: str, soap_namespace: str = _SOAP) -> str:
    return f'<s:Envelope xmlns:s="{soap_namespace}" xmlns:m="{_MESSAGES}" xmlns:t="{_TYPES}"><s:Body>{body}</s:Body></s:Envelope>'


def message(operation: str, inner: str, kind: str = "Success") -> str:
    return soap(
        f'<m:{operation}Response><m:ResponseMessages><m:{operation}ResponseMessage ResponseClass="{kind}">{inner}'
        f"</m:{operation}ResponseMessage></m:ResponseMessages></m:{operation}Response>"
    )


def busy(milliseconds: str) -> str:
    inner = (
        "<m:MessageText>wait</m:MessageText><m:ResponseCode>ErrorServerBusy</m:ResponseCode><m:MessageXml>"
        f'<t:Value Name="BackOffMilliseconds">{milliseconds}</t:Value></m:MessageXml>'
    )
    return message("SyncFolderItems", inner, "Error")


BROKEN_ITEM = (
    "<m:ResponseCode>NoError</m:ResponseCode><m:SyncState>x</m:SyncState><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>"
    "<m:Changes><t:Create><t:CalendarItem><t:Subject>a</t:Subject><t:Start>yesterday</t:Start></t:CalendarItem></t:Create>"
    "<t:Update/><t:Delete/><t:Nonsense/></m:Changes><m:Items><t:CalendarItem/></m:Items>"
)

ONE_ITEMS = "items without ids and dates"
"""The folder was read, one item of it could not be: the cycle is well, and the item waits for its tries."""

RUBBISH: dict[str, dict[str, Any]] = {
    "a login page": {"status": 200, "body": "<!DOCTYPE html><html><body>Sign in</body></html>"},
    "a login page without a word of HTML": {"status": 200, "body": "please sign in"},
    "nothing": {"status": 200, "body": ""},
    "JSON": {"status": 200, "body": '{"error": {"code": "nope"}}'},
    "XML of another kind": {"status": 200, "body": "<a><b/></a>"},
    "2 MB of noise": {"status": 200, "body": "\u00ff<&\x01" * 500_000},
    "an envelope of another namespace": {"status": 200, "body": soap("<x/>", "urn:x")},
    "an empty body": {"status": 200, "body": soap("")},
    "an answer without messages": {"status": 200, "body": soap("<m:SyncFolderItemsResponse/>")},
    "another operation's answer": {
        "status": 200,
        "body": message("GetUserPhoto", "<m:ResponseCode>NoError</m:ResponseCode>"),
    },
    "messages without codes": {"status": 200, "body": message("SyncFolderItems", "")},
    ONE_ITEMS: {"status": 200, "body": message("SyncFolderItems", BROKEN_ITEM)},
    "a code of 10,000 letters": {
        "status": 200,
        "body": message("SyncFolderItems", f"<m:ResponseCode>Error{'x' * 10_000}</m:ResponseCode>", "Error"),
    },
    "entities": {
        "status": 200,
        "body": '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>',
    },
    "10,000 levels": {"status": 200, "body": "<a>" * 10_000 + "</a>" * 10_000},
    "an endless pause": {"status": 200, "body": busy("1e400")},
    "a pause of less than nothing": {"status": 200, "body": busy("-300000")},
    "a pause that is no number": {"status": 200, "body": busy("NaN")},
    "a pause of a year": {"status": 503, "headers": {"Retry-After": "31536000"}},
    "a teapot": {"status": 418, "body": "<html>short and stout</html>"},
    "an empty 500": {"status": 500, "body": ""},
    "half an answer": {"truncate": "length"},
    "a broken chunk": {"truncate": "chunk"},
    "a closed connection": {"drop": "before"},
}


@pytest.fixture
def office(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organisation]:
    for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
        monkeypatch.delenv(name, raising=False)
    organisation = Organisation(sandbox, tmp_path)
    with stamina.set_testing(True, attempts=4):
        yield organisation
    organisation.workspace.close()
    close_connections()


def add(office: Organisation, email: str, title: str) -> Activity:
    with office.workspace.database.begin() as connection:
        directory = Directory(connection)
        content = ActivityContent(
            type_id=directory.activity_type("Tour").type_id,
            description=title,
            when=Timed(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1)),
        )
        crm = SqlCrm(connection, office.now)
        return crm.create(directory.user(email).user_id, content, origin=Origin.CRM, key=f"{email} {title}")


def work(office: Organisation, number: int) -> None:
    """Something for every operation to do, for alice and for bob: a new visit, a changed one, a deleted one, and an event of their own."""
    for email in (ALICE, BOB):
        add(office, email, f"New {number}")
        with office.workspace.database.begin() as connection:
            crm = SqlCrm(connection, office.now)
            visits = [
                each
                for each in crm.changes(Directory(connection).user(email).user_id, 0).activities
                if not each.is_deleted
            ]
            kept = next(each for each in visits if each.description.startswith("Kept"))
            crm.update(kept.activity_id, ActivityContent(description=f"Kept {number}"))
            crm.remove(next(each for each in visits if each.description == f"Going {number}").activity_id)
        office.sandbox.organisation.create_item(
            email, "calendar", {"item:Subject": f"Own {number}", "calendar:Start": NOW, "calendar:End": NOW + timedelta(hours=1)}
        )  # fmt: skip


def titles(office: Organisation, email: str) -> list[str]:
    return sorted(
        str(item.values["item:Subject"])
        for item in office.sandbox.organisation.mailbox(email).folder("calendar").items.values()
    )


@pytest.mark.req("T2", "T3", "Y2")
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_rubbish_is_one_accounts_trouble_and_told_in_words(office: Organisation, rubbish: str) -> None:
    """To whichever operation it comes: the run ends, the others are kept in step, the account says what came in words of a person; and when the
    server is itself again, both sides hold everything once."""
    for email in (ALICE, BOB):
        add(office, email, "Kept")
        for number in range(len(OPERATIONS)):
            add(office, email, f"Going {number}")
    assert office.run().all_well
    for number, operation in enumerate(OPERATIONS):
        work(office, number)
        office.sandbox.faults.add({"operation": operation, "mailbox": ALICE, "fault": RUBBISH[rubbish]})
        run = office.run(minutes=61)
        alice, bob, carol = run.results
        assert (bob.outcome, carol.outcome) == ("ok", "ok"), (operation, str(bob.error))
        assert run.all_well == (alice.outcome == "ok")
        assert not isinstance(alice.error, Defect), (operation, str(alice.error))
        if alice.outcome == "failed":
            assert isinstance(alice.error, MailboxError)
            assert 10 < len(str(alice.error)) < 600
            assert not set("<>\x01\u00ff") & set(str(alice.error)), str(alice.error)
            assert len(alice.error.response_code) <= 128
            assert office.status(ALICE).attempts >= 1
            assert office.status(ALICE).sub_cause
        else:
            assert alice.outcome == "ok"
        office.sandbox.faults.clear()
    for _ in range(3):
        run = office.run(minutes=61)
    assert run.all_well, [str(result.error) for result in run.results]
    assert office.status(ALICE).attempts == 0
    expected = sorted(
        [f"Kept {len(OPERATIONS) - 1}", *(f"{what} {n}" for what in ("New", "Own") for n in range(len(OPERATIONS)))]
    )
    assert titles(office, ALICE) == titles(office, BOB) == expected
    with office.workspace.database.read() as connection:
        account, host = Accounts(connection).one(ALICE), Hosts(connection).get("one")
    found = audit(office.workspace, host, account, office.workspace.open_mailbox(host, account))
    assert (found.equal, found.remarks) == (len(expected), [])


@pytest.mark.req("T1", "T2", "T3")
@pytest.mark.parametrize("rubbish", [each for each in RUBBISH if each != ONE_ITEMS])
def test_the_command_says_what_came_and_no_more(
    office: Organisation, rubbish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After four tries the status is the article's, with what came as its sub-cause; the command ends with 1, one line for the account, and no
    traceback; the status of the others is untouched."""
    office.run()
    office.sandbox.faults.add({"operation": "SyncFolderItems", "mailbox": ALICE, "fault": RUBBISH[rubbish]})
    for _ in range(3):
        office.run(minutes=61)
    office.now += timedelta(minutes=61)
    monkeypatch.setenv("SYNCOPS_NOW", office.now.isoformat())
    command = CommandLine(office.workspace.path)
    answer = command("sync", "--json", exit_code=1)
    outcomes = {each["account"]: each["outcome"] for each in answer.json["accounts"]}
    assert outcomes == {ALICE: "failed", BOB: "ok", CAROL: "ok"}
    assert len([line for line in answer.stderr.splitlines() if line.startswith(ALICE)]) == 1
    assert "Traceback" not in answer.stderr
    kept = office.status(ALICE)
    internal = rubbish == "an empty 500"
    assert kept.status == ("EWS Server giving Internal Server Error" if internal else "Error - Not Syncing")
    assert kept.attempts == 4
    shown = {row["account"]: row for row in command("status", "--json").json if row["process"] == "calendar"}
    assert shown[ALICE]["sub_cause"]
    assert shown[ALICE]["next_step"]
    assert {shown[BOB]["status"], shown[CAROL]["status"]} == {"Unattempted"}
