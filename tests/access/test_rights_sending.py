"""Send As is found out by trying, nothing is mailed, and nothing is left: also when the check is killed at any request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops_lib.access.rights import Holds, Right
from ops_lib.access.rights_sending import Told, service_address, to_try, try_sending
from ops_lib.mailbox.ews.asking import Asker
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Account, Host
from ops_lib.sandbox.ews import sending as sandbox_sending
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE, outlook_account

HOST = Host(
    host_id="1",
    name="exchange",
    url="",
    auth="basic",
    access="delegate",
    service_user=SERVICE,
    secret="env:X",
    send_email=True,
)
Y, N, UNKNOWN = Holds.YES, Holds.NO, Holds.UNKNOWN


def an_account(address: str, **enabled: bool) -> Account:
    """The account of a user whose mail the CRM sends."""
    account = Account(
        account_id=address,
        host_id="1",
        user_id=address,
        user_email=address,
        mailbox=address,
        time_zone="UTC",
        send_email=True,
    )
    return replace(account, **enabled)


Try = Callable[..., tuple[Told, int, list[str]]]


@pytest.fixture
def attempt(run: CommandLine, sandbox: Sandbox) -> Iterator[Try]:
    """``attempt(ALICE, …)``: tries to send as each, signed in as the service account, which may send as alice and on behalf of bob."""
    workspace = Workspace.open(run.workspace)
    sandbox.organisation.grant_sending(ALICE, SERVICE, "SendAs")
    sandbox.organisation.grant_sending(BOB, SERVICE, "SendOnBehalf")

    def tried(*addresses: str) -> tuple[Told, int, list[str]]:
        return try_sending(
            replace(HOST, url=sandbox.ews_url),
            [an_account(each) for each in addresses],
            SERVICE,
            secret=lambda reference: sandbox.passwords[SERVICE],
            sign_ins=workspace.access,
            clock=lambda: datetime(2026, 11, 23, 9, tzinfo=UTC),
            timeout_seconds=10,
        )

    yield tried
    close_connections()
    workspace.close()


def held(told: Told, address: str) -> tuple[Holds, Holds]:
    """Send As and Send on Behalf of one user."""
    return told[address, Right.SEND_AS].holds, told[address, Right.SEND_ON_BEHALF].holds


def items_of(sandbox: Sandbox) -> int:
    """How many items lie in anybody's mailbox."""
    return sum(len(mailbox.items) for mailbox in sandbox.organisation.mailboxes)


@pytest.mark.req("P4")
def test_send_as_on_behalf_and_neither_are_told_apart(sandbox: Sandbox, attempt: Try) -> None:
    """Each of the three kinds of right is found, no message exists afterwards, and none goes when its time has come."""
    told, requests, notes = attempt(ALICE, BOB, CAROL)
    assert held(told, ALICE) == (Y, UNKNOWN)
    assert held(told, BOB) == (N, Y)
    assert held(told, CAROL) == (N, N)
    assert "ErrorSendAsDenied" in told[CAROL, Right.SEND_AS].evidence
    assert (notes, items_of(sandbox)) == ([], 0)
    assert requests == sandbox.requests.total() <= 8
    sandbox.clock.advance(2 * 365 * 86400)
    outlook_account(sandbox, ALICE).inbox.refresh()
    assert sandbox.organisation.sent == sandbox.organisation.outbox == []


class Killed(BaseException):
    """Stands for the process' end: nothing is caught, nothing is tidied up."""


@pytest.mark.req("P4")
@pytest.mark.parametrize("last", range(1, 9))
def test_a_check_killed_at_any_request_mails_nobody_and_is_tidied_up(
    sandbox: Sandbox, attempt: Try, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """Killed after any request was carried out: nothing is sent, only the service account's mailbox holds anything, and the next run removes it."""
    asked = 0
    retried = Asker.retried

    def dying(self: Asker, *arguments: object, **options: object) -> object:
        nonlocal asked
        asked += 1
        answer = retried(self, *arguments, **options)  # type: ignore[arg-type]
        if asked == last:
            raise Killed
        return answer

    monkeypatch.setattr(Asker, "retried", dying)
    with pytest.raises(Killed):
        attempt(ALICE, BOB, CAROL)
    assert sandbox.organisation.sent == []
    assert items_of(sandbox) == len(sandbox.organisation.mailbox(SERVICE).items)
    told, _, notes = attempt(ALICE)
    assert held(told, ALICE)[0] is Y
    assert (notes, items_of(sandbox), sandbox.organisation.sent) == ([], 0, [])


@pytest.mark.req("P4")
def test_what_nobody_removed_reaches_the_service_account_alone(
    sandbox: Sandbox, attempt: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server that sends at once whatever the message says, the only recipient is the service account, and the copy is removed there."""
    monkeypatch.setattr(sandbox_sending, "_waits", lambda extended, session: False)
    told, _, notes = attempt(ALICE, CAROL)
    assert [each.recipients for each in sandbox.organisation.sent] == [(SERVICE,)]
    assert sandbox.organisation.outbox == []
    assert (items_of(sandbox), notes) == (0, [])
    assert held(told, ALICE) == (UNKNOWN, UNKNOWN)
    assert held(told, CAROL) == (N, N)


@pytest.mark.req("P4")
def test_a_service_account_without_a_mailbox_leaves_it_unknown(sandbox: Sandbox, attempt: Try) -> None:
    """Where there is no place for a draft the right is unknown, with the server's code and what tells it instead."""
    sandbox.organisation.remove_mailbox(SERVICE)
    told, _, _ = attempt(ALICE)
    assert held(told, ALICE) == (UNKNOWN, UNKNOWN)
    assert "ErrorMissingEmailAddress" in told[ALICE, Right.SEND_AS].evidence
    assert "Get-RecipientPermission" in told[ALICE, Right.SEND_AS].why


@pytest.mark.req("P4")
def test_what_could_not_be_removed_is_said(sandbox: Sandbox, attempt: Try) -> None:
    """When the server refuses the removal, a note names the mailbox and the drafts, and the next run removes them."""
    sandbox.faults.add({"operation": "DeleteItem", "fault": {"response_code": "ErrorCannotDeleteObject"}})
    _, _, notes = attempt(ALICE)
    assert len(notes) == 1
    assert SERVICE in notes[0]
    assert items_of(sandbox) == 1
    sandbox.faults.clear()
    attempt(ALICE)
    assert items_of(sandbox) == 0


@pytest.mark.req("P4")
def test_a_lost_answer_is_not_taken_for_a_right(sandbox: Sandbox, attempt: Try) -> None:
    """When the answer to the submission is lost the right is unknown, and the message is removed all the same."""
    sandbox.faults.add({"operation": "SendItem", "fault": {"drop": "after"}})
    told, _, _ = attempt(ALICE, CAROL)
    assert held(told, ALICE) == held(told, CAROL) == (UNKNOWN, UNKNOWN)
    assert (items_of(sandbox), sandbox.organisation.sent) == (0, [])


def test_a_draft_that_another_check_removed_proves_nothing(sandbox: Sandbox, attempt: Try) -> None:
    """Where somebody else removed the draft in between, the right is unknown, and the reason says to check again."""
    sandbox.faults.add({"operation": "SendItem", "fault": {"response_code": "ErrorItemNotFound"}})
    told, _, _ = attempt(ALICE)
    assert held(told, ALICE) == (UNKNOWN, UNKNOWN)
    assert "another check removed the draft; check again" in told[ALICE, Right.SEND_AS].why


def test_other_mail_of_that_subject_is_left_alone(sandbox: Sandbox, attempt: Try) -> None:
    """A message in the service account's inbox whose subject only begins like a probe's stays."""
    sandbox.organisation.create_item(SERVICE, "inbox", {"item:Subject": "syncops permission probe: a question"})
    attempt(ALICE)
    assert items_of(sandbox) == 1


def test_only_delegates_whose_users_send_are_tried() -> None:
    """No draft is made for whoever is impersonated, does not send, or has no mailbox."""
    accounts = [an_account(ALICE), an_account(BOB, send_email=False), an_account(CAROL)]
    assert [each.mailbox for each in to_try(HOST, accounts, {ALICE, BOB}, SERVICE)] == [ALICE]
    assert to_try(replace(HOST, access="impersonation"), accounts, {ALICE, BOB, CAROL}, SERVICE) == []


def test_the_service_accounts_mailbox_is_known_by_its_account() -> None:
    """A service account that signs in as DOMAIN\\name has its address from its account on the host; without one nothing is tried."""
    host = replace(HOST, service_user="EXAMPLE\\svc")
    own = an_account(SERVICE, is_impersonation_account=True)
    assert service_address(HOST, []) == SERVICE
    assert service_address(host, [an_account(ALICE), own]) == SERVICE
    assert to_try(host, [an_account(ALICE)], {ALICE}, service_address(host, [an_account(ALICE)])) == []
