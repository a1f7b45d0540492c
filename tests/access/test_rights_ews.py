"""What EWS tells of a service account's rights: read off answers, never guessed, and cheap for the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ops_lib.access.rights import Cell, Holds, Matrix, Right, judge
from ops_lib.access.rights_ews import Collected, collect
from ops_lib.mailbox import STAMP_NAME, STAMP_PROPERTY_SET
from ops_lib.mailbox.ews import folder_rights
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Access, Account, Host, Kind
from ops_lib.sandbox.ews import folders as sandbox_folders
from ops_lib.sandbox.ews.permissions import permission_set
from ops_lib.sandbox.items import ExtendedName
from ops_lib.sandbox.rights import Rights
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.mailbox.cassettes import load, messages
from tests.mailbox.stub import Asked, Reply, Stub, response, success
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOST = Host(
    host_id="1",
    name="exchange",
    url="",
    auth="basic",
    access="delegate",
    service_user=SERVICE,
    secret="env:X",
    all_day_tasks=True,
)
Y, N, MORE, UNKNOWN = Holds.YES, Holds.NO, Holds.EXCESS, Holds.UNKNOWN

#: permission level: what it lets a delegate read, and write
LEVELS = {
    "None": (N, N),
    "Contributor": (N, N),
    "Reviewer": (Y, N),
    "NoneditingAuthor": (Y, N),
    "Author": (Y, N),
    "PublishingAuthor": (Y, N),
    "Editor": (Y, Y),
    "PublishingEditor": (Y, Y),
    "Owner": (Y, MORE),
}


def an_account(address: str, **enabled: bool) -> Account:
    """The account of a mailbox, with calendar and tasks kept in step."""
    account = Account(
        account_id=address,
        host_id="1",
        user_id=address,
        user_email=address,
        mailbox=address,
        time_zone="UTC",
        all_day_tasks=True,
    )
    return replace(account, **enabled)


Look = Callable[..., Collected]


@pytest.fixture
def look(run: CommandLine, sandbox: Sandbox) -> Iterator[Look]:
    """``look(ALICE, BOB, access=…)``: collects over EWS, signed in as the service account."""
    workspace = Workspace.open(run.workspace)
    sandbox.organisation.revoke_impersonation(SERVICE)

    def looked(*addresses: str, access: Access = "delegate", password: str = "", **host: object) -> Collected:
        return collect(
            replace(HOST, access=access, **({"url": sandbox.ews_url} | host)),  # type: ignore[arg-type]
            [an_account(each) for each in addresses],
            secret=lambda reference: password or sandbox.passwords[SERVICE],
            sign_ins=workspace.access,
            clock=lambda: NOW,
            timeout_seconds=10,
        )

    yield looked
    close_connections()
    workspace.close()


def held(found: Collected, address: str = ALICE) -> dict[Right, Holds]:
    """What was seen of one mailbox."""
    return {each.right: each.holds for each in found.observations if each.user == address}


def cells(found: Collected, *addresses: str, access: Access = "delegate") -> dict[tuple[str, Right], Cell]:
    """The judged cells by user and right."""
    judged = judge(replace(HOST, access=access), [an_account(each) for each in addresses], found.observations, "ews")
    return {(cell.user, cell.right): cell for cell in judged}


def without_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox answers as a server that does not know PidTagRights."""
    monkeypatch.setattr(sandbox_folders, "_RIGHTS_TAG", ExtendedName("Integer", tag=0x7FFF))


# ── levels ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P4")
@pytest.mark.parametrize("has_number", [True, False], ids=["with the number", "by items"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_delegates_level_is_read_off_the_folder_and_its_items(
    sandbox: Sandbox, look: Look, monkeypatch: pytest.MonkeyPatch, level: str, has_number: bool
) -> None:
    """Reading and writing come out as the permission level says, on servers that tell the caller's rights as a number and on others."""
    if not has_number:
        without_the_number(monkeypatch)
    times = {"calendar": {"calendar:Start": NOW, "calendar:End": NOW + timedelta(hours=1)}, "tasks": {}}
    for folder, values in times.items():
        sandbox.organisation.create_item(ALICE, folder, {"item:Subject": "hers", **values})
        sandbox.organisation.set_permission(ALICE, folder, SERVICE, level)
    found = held(look(ALICE))
    read, write = LEVELS[level]
    if level == "Contributor" and not has_number:
        read = write = UNKNOWN  # it sees the folder and no item in it, as anybody does in an empty one
    assert (found[Right.CALENDAR_READ], found[Right.CALENDAR_WRITE]) == (read, write)
    assert (found[Right.TASKS_READ], found[Right.TASKS_WRITE]) == (read, write)


@pytest.mark.req("P4")
def test_an_owner_in_name_only_may_nothing(sandbox: Sandbox, look: Look) -> None:
    """A delegate who owns the folder and was given no right on its items can neither read nor write, whatever EffectiveRights of the folder say."""
    bare = Rights(folder_owner=True, folder_visible=True, create_items=True)
    sandbox.organisation.set_permission(ALICE, "calendar", SERVICE, bare)
    found = held(look(ALICE))
    assert (found[Right.CALENDAR_READ], found[Right.CALENDAR_WRITE]) == (N, N)


@pytest.mark.req("P4")
def test_the_mailboxs_own_user_is_judged_by_the_folder(
    sandbox: Sandbox, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who acts as the user has the user's rights, whether or not the server tells them as a number, in one request."""
    without_the_number(monkeypatch)
    sandbox.organisation.grant_impersonation(SERVICE, {ALICE})
    found = look(ALICE, access="impersonation")
    assert set(held(found).values()) == {Y}
    assert found.requests == 1


@pytest.mark.req("P4")
def test_an_authors_own_items_prove_nothing_about_the_users(
    sandbox: Sandbox, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all items are the sync's own and nobody shows the permissions, writing is unknown: an Author may change those as well."""
    without_the_number(monkeypatch)
    stamp = ExtendedName("String", STAMP_PROPERTY_SET, name=STAMP_NAME)
    for folder in ("calendar", "tasks"):
        sandbox.organisation.set_permission(ALICE, folder, SERVICE, "Author")
        place = sandbox.organisation.mailbox(ALICE).folder(folder)
        values = {"item:Subject": "ours", "calendar:Start": NOW, "calendar:End": NOW + timedelta(hours=1)}
        element = {"calendar": "CalendarItem", "tasks": "Task"}[folder]
        wanted = values if folder == "calendar" else {"item:Subject": "ours"}
        sandbox.organisation.add_item(place, element, wanted, {stamp: "1/1/x"}, by=SERVICE)
    found = held(look(ALICE))
    assert found[Right.CALENDAR_WRITE] is found[Right.TASKS_WRITE] is UNKNOWN


@pytest.mark.req("P4")
@pytest.mark.parametrize("level", ["Editor", "Author", "Reviewer"])
def test_in_an_empty_folder_the_permission_set_decides(
    sandbox: Sandbox, look: Look, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    """Without the number and without items, the service account's entry in a permission set says it, where a server shows that to delegates."""
    without_the_number(monkeypatch)

    def shown(folder: Any, session: Any) -> str:
        owner = SimpleNamespace(user=folder.mailbox.address, name_of=session.name_of, organisation=session.organisation)
        return permission_set(folder, owner)  # type: ignore[arg-type]

    monkeypatch.setitem(sandbox_folders._WRITE, "folder:PermissionSet", shown)
    for folder in ("calendar", "tasks"):
        sandbox.organisation.set_permission(ALICE, folder, SERVICE, level)
    found = look(ALICE)
    read, write = LEVELS[level]
    assert (held(found)[Right.CALENDAR_READ], held(found)[Right.CALENDAR_WRITE]) == (read, write)
    assert found.requests <= 4


RECORDED = {
    ("calendar", "reviewer"): (True, False),
    ("calendar", "author"): (True, False),
    ("calendar", "editor"): (True, True),
    ("calendar", "owner"): (False, False),  # that server's Owner has no rights but to create
    ("tasks", "reviewer"): (None, False),  # no permission set is shown there, and no item was asked for
    ("tasks", "author"): (None, None),
    ("tasks", "editor"): (True, True),
    ("tasks", "owner"): (False, False),
}


@pytest.mark.req("P4")
@pytest.mark.parametrize(("folder", "level"), RECORDED, ids=["-".join(each) for each in RECORDED])
def test_recorded_traffic_of_another_server_is_judged_by_its_own_outcome(folder: str, level: str) -> None:
    """What GetFolder told the delegate on a real server agrees with what its writes came to in the same recording; else it is unknown."""
    kind = Kind.EVENT if folder == "calendar" else Kind.TASK
    recorded = load(f"get_{folder}_rights_{level}")
    looks = [each for each in recorded if each.operation == "GetFolder"]
    (message,) = messages(looks[-1])
    seen = folder_rights.folder_of(message, kind)
    may = folder_rights.may(seen, SERVICE)
    assert seen.is_right_kind
    assert (may.read, may.write) == RECORDED[folder, level]
    writes = [
        message.is_success
        for each in recorded
        if each.operation in ("UpdateItem", "DeleteItem")
        for message in messages(each)
    ]
    if may.write is not None:
        assert may.write == all(writes)


@pytest.mark.req("P4")
@pytest.mark.parametrize("folder", ["calendar", "tasks"])
def test_a_recorded_refusal_of_the_folder_is_no_right(folder: str) -> None:
    """Level None on the real server is refused with ErrorAccessDenied, which counts as no right to read or write."""
    (message,) = messages([each for each in load(f"get_{folder}_rights_none") if each.operation == "GetFolder"][-1])
    assert message.response_code == "ErrorAccessDenied"


def replayed(asked: Asked, _: int) -> Reply:
    """The recorded server: each mailbox is named after the level that the service account has in it; nobody may be impersonated."""
    body = asked.body.decode()
    if "ExchangeImpersonation" in body:
        return Reply(load("impersonate_carol_denied")[-1].body)
    if "GetFolder" not in body:
        return Reply(status=500)  # nothing else was recorded of these mailboxes
    level = re.search(r">(\w+)@example\.test<", body)
    assert level is not None
    answers = []
    for kind in re.findall(r'DistinguishedFolderId Id="(calendar|tasks)"', body):
        recorded = [each for each in load(f"get_{kind}_rights_{level[1]}") if each.operation == "GetFolder"]
        answers += re.findall(rb"<m:GetFolderResponseMessage .*?</m:GetFolderResponseMessage>", recorded[-1].body, re.S)
    return Reply(response("GetFolder", b"".join(answers).decode()))


@pytest.mark.req("P4", "P5")
def test_the_matrix_is_judged_from_a_real_servers_traffic(look: Look) -> None:
    """Played the answers that a real server gave at each level, the check finds red what its writes were refused, and leaves open what they cannot tell."""
    levels = ["none", "reviewer", "author", "editor", "owner"]
    users = [f"{level}@example.test" for level in levels]
    with Stub(replayed) as stub:
        found = look(*users, url=stub.url)
    accounts = [an_account(each) for each in users]
    cells = judge(HOST, accounts, found.observations, "ews")
    matrix = Matrix(host="exchange", access="delegate", service_user=SERVICE, cells=cells)
    calendar, tasks = [Right.CALENDAR_READ, Right.CALENDAR_WRITE], [Right.TASKS_READ, Right.TASKS_WRITE]

    def of(verdict: str, user: str) -> list[Right]:
        rows = [row for row in matrix.rows() if row.user == user and row.expected == "needed"]
        return sorted((row.right for row in rows if row.verdict == verdict), key=list(Right).index)

    assert {level: of("missing", user) for level, user in zip(levels, users, strict=True)} == {
        "none": calendar + tasks,
        "reviewer": [Right.CALENDAR_WRITE, Right.TASKS_WRITE],
        "author": [Right.CALENDAR_WRITE],
        "editor": [],
        "owner": calendar + tasks,  # by name alone: that server gives an Owner no right on the items
    }
    assert {level: of("unknown", user) for level, user in zip(levels, users, strict=True)} == {
        "none": [],
        "reviewer": [Right.TASKS_READ],
        "author": tasks,
        "editor": [],
        "owner": [],
    }
    assert not [row for row in matrix.rows() if row.verdict == "more"]
    assert len(stub.asked) <= 4 * len(users)


# ── the mailbox ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P4")
def test_impersonation_is_told_apart_from_a_missing_mailbox(sandbox: Sandbox, look: Look) -> None:
    """One who may be impersonated is green in one request; one who may not and one who does not exist are red in different cells."""
    sandbox.organisation.grant_impersonation(SERVICE, {ALICE})
    gone = "gone@example.test"
    found = look(ALICE, BOB, gone, access="impersonation")
    judged = cells(found, ALICE, BOB, gone, access="impersonation")
    assert {judged[ALICE, right].verdict for right in Right} == {"ok"}
    assert judged[BOB, Right.IMPERSONATION].verdict == judged[gone, Right.MAILBOX].verdict == "missing"
    assert "ErrorImpersonateUserDenied" in judged[BOB, Right.IMPERSONATION].evidence
    assert "2026-11-23T09:00:00Z" in judged[BOB, Right.IMPERSONATION].evidence
    assert judged[BOB, Right.MAILBOX].verdict == "ok"
    assert {judged[BOB, right].verdict for right in (Right.CALENDAR_READ, Right.SEND_AS)} == {"unknown"}
    assert sandbox.requests.total("GetFolder", ALICE) == sandbox.requests.total("*", ALICE) == 1


@pytest.mark.req("P4")
def test_an_app_out_of_its_scope_asks_once(sandbox: Sandbox, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that may act for alice alone is green there; of bob impersonation is missing, and whether he has a mailbox is unknown."""
    monkeypatch.setenv("X", sandbox.app.secret)
    sandbox.organisation.grant_impersonation(sandbox.app.client_id, {ALICE})
    found = look(
        ALICE,
        BOB,
        access="impersonation",
        auth="oauth-app",
        url=sandbox.ews_url_https,
        ca_bundle=str(sandbox.ca_file),
        tenant_id=sandbox.directory.tenant_id,
        client_id=sandbox.app.client_id,
        authority=sandbox.entra_url,
        service_user="",
    )
    assert set(held(found).values()) == {Y}, found.observations[0]
    assert held(found, BOB)[Right.IMPERSONATION] is N
    assert held(found, BOB)[Right.MAILBOX] is UNKNOWN
    assert found.requests == 2


@pytest.mark.req("P4", "P7")
def test_a_delegate_who_could_act_as_the_user_has_more_than_needed(sandbox: Sandbox, look: Look) -> None:
    """With delegate access, a leftover right to impersonate is found and is more than the host needs."""
    for folder in ("calendar", "tasks"):
        for address in (ALICE, BOB):
            sandbox.organisation.set_permission(address, folder, SERVICE, "Editor")
    sandbox.organisation.grant_impersonation(SERVICE, {BOB})
    found = look(ALICE, BOB)
    judged = cells(found, ALICE, BOB)
    assert judged[ALICE, Right.IMPERSONATION].verdict == "ok"
    assert judged[BOB, Right.IMPERSONATION].verdict == "more"
    assert found.requests == 4


@pytest.mark.req("P4")
def test_folders_are_found_by_their_kind(sandbox: Sandbox, look: Look) -> None:
    """A calendar called Kalender is the calendar; a default folder that holds mail is not."""
    organisation = sandbox.organisation
    organisation.mailbox(ALICE).folder("calendar").name = "Kalender"
    organisation.mailbox(ALICE).folder("tasks").folder_class = "IPF.Note"
    organisation.grant_impersonation(SERVICE, {ALICE})
    found = look(ALICE, access="impersonation")
    seen = {each.right: each for each in found.observations}
    assert seen[Right.CALENDAR_READ].holds is Y
    assert "'Kalender'" in seen[Right.CALENDAR_READ].observed
    assert seen[Right.TASKS_READ].holds is seen[Right.TASKS_WRITE].holds is N


@pytest.mark.req("P4")
@pytest.mark.parametrize("is_allowed", [True, False])
def test_private_items_are_seen_by_the_switch(sandbox: Sandbox, look: Look, is_allowed: bool) -> None:
    """Whether a delegate sees private items is told by ViewPrivateItems."""
    sandbox.organisation.set_permission(ALICE, "calendar", SERVICE, "Editor")
    sandbox.organisation.set_private_viewer(ALICE, SERVICE, allowed=is_allowed)
    assert held(look(ALICE))[Right.PRIVATE_ITEMS] is (Y if is_allowed else N)


@pytest.mark.req("P4")
def test_ews_switched_off_is_believed_by_the_servers_own_words(sandbox: Sandbox, look: Look) -> None:
    """A 403 with the policy header says that EWS is off for the mailbox; a bare 403 leaves it unknown."""
    sandbox.organisation.grant_impersonation(SERVICE, {ALICE, BOB, CAROL})
    reason = {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}
    sandbox.faults.add({"mailbox": ALICE, "fault": {"status": 403, "headers": reason}})
    sandbox.faults.add({"mailbox": BOB, "fault": {"status": 403}})
    found = look(ALICE, BOB, CAROL, access="impersonation")
    assert held(found)[Right.EWS_ENABLED] is N
    assert held(found, BOB)[Right.EWS_ENABLED] is UNKNOWN
    assert set(held(found, CAROL).values()) == {Y}


# ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.req("P4")
def test_a_host_that_is_down_is_asked_once(look: Look) -> None:
    """With nobody at the address every cell is unknown, for one reason, and nothing counts as asked."""
    found = look(ALICE, BOB, CAROL, url="http://127.0.0.1:9/EWS/Exchange.asmx")
    assert {each.holds for each in found.observations} == {UNKNOWN}
    assert len(found.observations) == 3 * len(Right)
    assert len({each.why for each in found.observations}) == 1
    assert found.requests == 0
    assert found.halted is not None


@pytest.mark.req("P4", "T2")
def test_a_refused_password_is_sent_once(sandbox: Sandbox, look: Look) -> None:
    """With a wrong password one request goes out for any number of mailboxes, and nothing is ok."""
    found = look(ALICE, BOB, CAROL, password="wrong")
    assert {each.holds for each in found.observations} == {UNKNOWN}
    assert sandbox.requests.total() == 1


@pytest.mark.req("P4")
def test_a_server_that_leaves_requests_unanswered_is_given_up(sandbox: Sandbox, look: Look) -> None:
    """After three mailboxes in a row without an answer the others are not asked."""
    sandbox.faults.add({"fault": {"drop": "before"}})
    addresses = [ALICE, BOB, CAROL, "dan@example.test", "eve@example.test"]
    found = look(*addresses)
    assert sandbox.requests.total() == 3
    assert {each.holds for each in found.observations} == {UNKNOWN}


@pytest.mark.req("P4")
def test_a_mailbox_that_is_being_moved_is_unknown_alone(sandbox: Sandbox, look: Look) -> None:
    """A failure that concerns one mailbox leaves the others seen."""
    sandbox.organisation.grant_impersonation(SERVICE, {ALICE, BOB})
    sandbox.faults.add({"mailbox": ALICE, "fault": {"response_code": "ErrorMailboxMoveInProgress"}})
    found = look(ALICE, BOB, access="impersonation")
    assert set(held(found).values()) == {UNKNOWN}
    assert set(held(found, BOB).values()) == {Y}
    assert any("ErrorMailboxMoveInProgress" in each.evidence for each in found.observations)


@pytest.mark.req("P4")
def test_an_answer_for_one_folder_of_two_proves_nothing(look: Look) -> None:
    """A server that answers for fewer folders than it was asked for leaves the mailbox unknown."""

    with Stub([Reply(response("GetFolder", success("GetFolder", "<m:Folders/>")))]) as stub:
        found = look(ALICE, url=stub.url)
    assert {each.holds for each in found.observations} == {UNKNOWN}


@pytest.mark.req("P5")
def test_every_account_has_a_cell_for_every_right(sandbox: Sandbox, look: Look) -> None:
    """The matrix has ten cells a user, in whatever state the mailboxes are, worst first."""
    found = look(ALICE, BOB, "gone@example.test")
    accounts = [an_account(each) for each in (ALICE, BOB, "gone@example.test")]
    matrix = Matrix(
        host="exchange", access="delegate", service_user=SERVICE, cells=judge(HOST, accounts, found.observations, "ews")
    )
    rows = matrix.rows()
    assert len(rows) == len(accounts) * len(Right)
    assert [row.is_red for row in rows] == sorted((row.is_red for row in rows), reverse=True)


@pytest.mark.req("P4")
def test_with_direct_access_each_is_the_owner_and_one_refusal_stops_nobody_else(
    sandbox: Sandbox, run: CommandLine
) -> None:
    """Where each user signs in, one wrong password leaves that mailbox unknown and the others are seen."""
    workspace = Workspace.open(run.workspace)
    found = collect(
        replace(HOST, url=sandbox.ews_url, access="direct", service_user=""),
        [replace(an_account(each), secret=each) for each in (ALICE, BOB)],
        secret=lambda reference: "wrong" if reference == ALICE else sandbox.passwords[reference],
        sign_ins=workspace.access,
        clock=lambda: NOW,
        timeout_seconds=10,
    )
    close_connections()
    workspace.close()
    assert set(held(found).values()) == {UNKNOWN}
    assert {right for right, holds in held(found, BOB).items() if holds is not Y} == {Right.IMPERSONATION}
    assert found.halted is None
