"""E7: a message goes out once, whatever fails and whenever the process dies; and the record says what happened.

Every single failure, and every pair of a failure and a death, at every step there is, on a server in memory that may also carry out a request long
after it has told nobody.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import update

from ops_lib.access.signin import Access
from ops_lib.database import tables as t
from ops_lib.errors import AccessRefused, InputError, ItemRefused, ServerFailed, SignInRefused, WorkspaceError
from ops_lib.mail.compose import Letter
from ops_lib.mail.send import Mailer, Result
from ops_lib.mailbox.outgoing import Draft
from ops_lib.sync.leases import this_machine
from ops_lib.workspace import Workspace
from tests.mail.conftest import activities, add_host
from tests.support.memory_post import Fault, MemoryPost, MemoryServer
from tests.support.sandbox import ALICE
from tests.support.workers import Killed, Life, MortalDatabase

LETTER = Letter(user=ALICE, to=("Ruth Example",), subject="Your visit", text="Dear Ruth")
STEPS = 16
"""More than a message that is sent without trouble takes."""

FAULTS: list[Fault] = ["lost before", "lost after", "late", "busy", "busy after"]


@pytest.fixture
def office(workspace: Workspace) -> Workspace:
    add_host(workspace)
    return workspace


def fresh(workspace: Workspace) -> None:
    """As before anything was sent."""
    with workspace.database.begin() as connection:
        for table in (t.outgoing_files, t.outgoing_messages, t.activities, t.account_statuses):
            connection.execute(table.delete())


def bury(workspace: Workspace) -> None:
    """What others see of a worker that was killed."""
    with workspace.database.begin() as connection:
        m = t.outgoing_messages
        connection.execute(update(m).where(m.c.worker != "").values(worker=f"{this_machine()}/1/0/dead"))


def mortal(workspace: Workspace, server: MemoryServer, life: Life) -> Mailer:
    mailer = Mailer(workspace, posts=lambda host, account, service: MemoryPost(server, life))
    mailer._database = MortalDatabase(workspace.database, life)  # type: ignore[assignment]
    return mailer


def to_the_end(workspace: Workspace, server: MemoryServer) -> None:
    """Whoever comes after: what waits is taken up until nothing waits; at the end the server has carried everything out."""
    now = workspace.now()
    try:
        for days in range(1, 5):
            workspace.clock = lambda days=days: now + timedelta(days=days)
            bury(workspace)
            server.catch_up()
            Mailer(workspace, posts=lambda host, account, service: MemoryPost(server)).resume()
    finally:
        workspace.clock = lambda: now
    server.catch_up()


def judge(workspace: Workspace, server: MemoryServer, story: Any) -> str:
    """At most one message; a Completed activity exactly when there is one, a Cancelled one exactly when it was refused."""
    with workspace.database.read() as connection:
        states = list(connection.execute(t.outgoing_messages.select()))
        statuses = [row.status for row in connection.execute(t.activities.select())]
    sent = Counter(message.key for message in server.delivered)
    assert all(count == 1 for count in sent.values()), story
    state = states[0].state if states else "never written down"
    expected = {"accepted": ["Completed"], "refused": ["Cancelled"], "never written down": []}
    assert statuses == expected[state], (story, state)
    assert (state == "accepted") == bool(server.delivered), (story, state)
    # A draft that is made long after everything is over stays for its user to see, and one that could not be removed.
    assert server.cannot_clear or len(server.drafts) <= server.made_late, (story, server.drafts)
    return str(state)


@pytest.mark.req("E7")
def test_killed_at_every_step(office: Workspace) -> None:
    """Killed before or after any request and any commit, and taken up again: one message and one Completed activity, or nothing at all."""
    ends = Counter()
    for steps in range(STEPS):
        fresh(office)
        server, life = MemoryServer(), Life(steps)
        try:
            mortal(office, server, life).send(LETTER)
        except Killed:
            to_the_end(office, server)
        ends[judge(office, server, steps)] += 1
    assert set(ends) == {"accepted", "never written down"}
    assert ends["never written down"] <= 2  # before the intent was committed, nobody knows of the message


@pytest.mark.req("E7")
@pytest.mark.parametrize("copies_appear_late", [False, True])
def test_every_failure_with_every_death(office: Workspace, copies_appear_late: bool) -> None:
    """Any answer lost, late or refused for a while, and a death at any step after it: never two messages, never a record that is not true."""
    ends: Counter[str] = Counter()
    for call, fault, steps in product(range(4), FAULTS, (None, 3, 6, 9, 12)):
        fresh(office)
        server = MemoryServer(faults={call: fault}, copies_appear_late=copies_appear_late)
        with contextlib.suppress(Killed):
            mortal(office, server, Life(steps)).send(LETTER)
        to_the_end(office, server)
        ends[judge(office, server, (call, fault, steps))] += 1
    assert ends["accepted"] > 60, ends


@pytest.mark.req("E7")
def test_every_pair_of_failures(office: Workspace) -> None:
    """Two requests that go wrong, whichever and however: never two messages, never a record that is not true."""
    ends: Counter[str] = Counter()
    pairs = [(first, second) for first in range(4) for second in range(first + 1, 4)]
    for (first, second), one, other in product(pairs, FAULTS, FAULTS):
        fresh(office)
        server = MemoryServer(faults={first: one, second: other})
        mortal(office, server, Life()).send(LETTER)
        to_the_end(office, server)
        ends[judge(office, server, (first, one, second, other))] += 1
    assert set(ends) == {"accepted"}


@pytest.mark.req("E3", "E7")
@pytest.mark.parametrize(
    "refusal",
    [
        AccessRefused("the account may not send as this user", response_code="ErrorSendAsDenied"),
        ItemRefused("the mailbox is full", response_code="ErrorQuotaExceeded"),
        ItemRefused("the item is larger than the server allows", response_code="ErrorMessageSizeExceeded"),
        SignInRefused("the password is refused", response_code="HTTP 401"),
    ],
)
def test_refused_before_and_after_an_answer_was_lost(office: Workspace, refusal: Exception) -> None:
    """A refusal cancels the activity; where an earlier submission is in doubt, the draft is withdrawn first, and one that had gone out counts as sent."""
    ends: Counter[tuple[str, str]] = Counter()
    for fault, call in product(("", *FAULTS), range(5)):
        fresh(office)
        server = MemoryServer(faults={call: refusal} | ({1: fault} if fault else {}))  # type: ignore[dict-item]
        server.cannot_clear = isinstance(refusal, SignInRefused)
        result = mortal(office, server, Life()).send(LETTER)
        to_the_end(office, server)
        ends[result.outcome, judge(office, server, (fault, call))] += 1
    assert ends["refused", "refused"] >= 5, ends


@pytest.mark.req("E3", "E7")
def test_a_server_that_never_answers(office: Workspace) -> None:
    """Every answer is lost for ever: nothing is said to have been sent or refused, and when the server is back it is seen which."""
    for keeps in ("lost before", "lost after"):
        fresh(office)
        server = MemoryServer(faults=dict.fromkeys(range(400), keeps))  # type: ignore[arg-type]
        server.cannot_clear = True
        result = mortal(office, server, Life()).send(LETTER)
        assert result.outcome == "waiting"
        to_the_end(office, server)
        server.faults.clear()
        to_the_end(office, server)
        judge(office, server, keeps)


@pytest.mark.req("E3")
def test_a_server_that_fails_for_hours_ends_in_a_refusal(office: Workspace) -> None:
    """Four rounds without success, and it is certain that nothing went out: the activity is Cancelled, with the reason."""
    server = MemoryServer(faults=dict.fromkeys(range(100), "busy"))
    mailer = mortal(office, server, Life())
    assert mailer.send(LETTER).outcome == "waiting"
    assert activities(office) == []
    to_the_end(office, server)
    server.faults.clear()
    assert judge(office, server, "busy") == "refused"
    [(description, status, _, note)] = activities(office)
    assert (description, status) == ("Your visit Failed to Send", "Cancelled")
    assert note == "Not sent: the server asks for a pause (ErrorServerBusy)\n\nDear Ruth"


@pytest.mark.req("E2", "E7")
def test_carried_out_by_a_server_that_says_it_was_busy(office: Workspace) -> None:
    """The answer says that nothing was done, and it was: the copy decides; where somebody filed it, a person does, and nothing is sent again."""
    for is_filed, verdict in ((False, "sent"), (True, "sent"), (True, "again"), (True, "not sent")):
        fresh(office)
        server = MemoryServer(faults={1: "busy after"})
        mailer = mortal(office, server, Life())
        result = mailer.send(LETTER)
        assert (result.outcome, activities(office)) == ("waiting", [])
        if is_filed:
            server.sent.clear()
        to_the_end(office, server)
        assert len(server.delivered) == 1
        if not is_filed:
            assert judge(office, server, "busy after") == "accepted"
            continue
        with office.database.read() as connection:
            [row] = connection.execute(t.outgoing_messages.select())
        assert "its draft is gone" in row.reason
        assert f"--again {result.message_id}" in row.fix
        settled = mailer.settle(result.message_id, verdict)  # type: ignore[arg-type]
        assert settled.outcome == ("refused" if verdict == "not sent" else "accepted")
        assert len(server.delivered) == (2 if verdict == "again" else 1)


@pytest.mark.req("E2", "E3")
def test_carried_out_by_a_server_that_refuses_it(office: Workspace) -> None:
    """A refusal is believed only after a look: a message whose copy is there was sent, and is on record as that."""
    for refusal in (AccessRefused("forbidden", response_code="HTTP 403"), ItemRefused("no", response_code="ErrorX")):
        fresh(office)
        server, life = MemoryServer(faults={1: refusal}), Life()
        life.at["before submit"] = lambda server=server: server.submit(Draft("draft-1", "1"))
        assert mortal(office, server, life).send(LETTER).outcome == "accepted"
        assert judge(office, server, refusal) == "accepted"


@pytest.mark.req("E7")
def test_a_draft_that_was_put_off_is_the_one_that_goes(office: Workspace) -> None:
    """The server was busy: the same draft is submitted when it is back, and no other is ever made."""
    server = MemoryServer(faults={1: "busy"})
    mortal(office, server, Life()).send(LETTER)
    to_the_end(office, server)
    assert judge(office, server, "busy") == "accepted"
    assert server.made == 1


@pytest.mark.req("E7")
def test_a_draft_that_somebody_threw_away_is_not_sent(office: Workspace) -> None:
    """Killed before it was submitted, and its user empties Drafts into Deleted Items: it is refused with that reason, not sent."""
    server, life = MemoryServer(), Life(None)
    life.at["before submit"] = lambda: setattr(life, "is_over", True)
    with pytest.raises(Killed):
        mortal(office, server, life).send(LETTER)
    server.thrown_away, server.drafts = server.drafts, {}
    to_the_end(office, server)
    assert judge(office, server, "thrown away") == "refused"
    assert "thrown away" in activities(office)[0][3]


@pytest.mark.req("E7")
def test_two_processes_at_once(office: Workspace) -> None:
    """While one is at a message, another leaves it alone; one that slept past its claim, and was overtaken, sends nothing."""
    server, life = MemoryServer(), Life()
    overtaken: list[Result] = []

    def overtake() -> None:
        other = Mailer(office, posts=lambda host, account, service: MemoryPost(server))
        assert other.resume() == []  # it is being sent now
        bury(office)
        overtaken.extend(other.resume())

    life.at["after draft"] = overtake
    result = mortal(office, server, life).send(LETTER)
    assert [each.outcome for each in overtaken] == ["accepted"]
    assert result.outcome == "waiting"
    assert "another process" in result.reason
    assert judge(office, server, "two") == "accepted"


@pytest.mark.req("E7")
def test_asked_for_twice_with_the_same_words(office: Workspace) -> None:
    """Whoever asks again with the same words is told what became of it; one that waits is taken up."""
    server = MemoryServer(faults={0: "busy"})
    mailer = mortal(office, server, Life())
    letter = Letter(user=ALICE, to=("1",), subject="Once", text="x", asked_as="invoice 7")
    first, second, third = mailer.send(letter), mailer.send(letter), mailer.send(letter)
    assert [each.outcome for each in (first, second, third)] == ["waiting", "accepted", "accepted"]
    assert second.activity_ids == third.activity_ids
    assert "nothing is sent a second time" in third.warnings[0]
    assert len(server.delivered) == 1


@pytest.mark.req("E7")
def test_words_that_were_used_for_another_message(office: Workspace) -> None:
    """The same words for somebody else are refused, not answered with what became of the first: a message would be lost without a word."""
    server = MemoryServer()
    mailer = mortal(office, server, Life())
    mailer.send(Letter(user=ALICE, to=("Ruth Example",), subject="Once", text="x", asked_as="visit"))
    with pytest.raises(InputError, match="used for message") as error:
        mailer.send(Letter(user=ALICE, to=("Otto Öz",), subject="Once", text="x", asked_as="visit"))
    assert error.value.fix.startswith("give other words")
    assert len(server.delivered) == 1


@pytest.mark.req("E7")
def test_where_drafts_stay_a_person_decides(workspace: Workspace) -> None:
    """On a server that leaves submitted drafts where they are, a lost answer is unclear: nothing is sent again until somebody says so."""
    add_host(workspace, version="2016")
    for fault, verdict, sent, state in (
        ("lost after", "sent", 1, "accepted"),
        ("lost before", "again", 1, "accepted"),
        ("lost before", "not sent", 0, "refused"),
    ):
        fresh(workspace)
        server = MemoryServer(keeps_drafts=True, faults={1: fault})  # type: ignore[dict-item]
        mailer = mortal(workspace, server, Life())
        result = mailer.send(LETTER)
        assert result.outcome == "unclear"
        assert f"--was-sent {result.message_id}" in result.fix
        to_the_end(workspace, server)
        assert len(server.delivered) == (1 if fault == "lost after" else 0)
        settled = mailer.settle(result.message_id, verdict)  # type: ignore[arg-type]
        assert (settled.outcome, len(server.delivered)) == (state, sent)


@pytest.mark.req("E7")
def test_a_server_is_believed_once_it_was_seen_to_take_a_draft(workspace: Workspace) -> None:
    """On premises the first message shows whether drafts leave; after that a lost answer is settled without a person."""
    add_host(workspace, version="2016")
    server = MemoryServer()
    mailer = mortal(workspace, server, Life())
    assert mailer.send(LETTER).requests == 3  # draft, submission, one look
    server.faults[server.calls + 1] = "lost before"
    assert mailer.send(LETTER).outcome == "accepted"
    assert len(server.delivered) == 2


@pytest.mark.req("E7")
def test_giving_up_withdraws_what_lies_there(office: Workspace) -> None:
    """A message in doubt that is given up is removed from the drafts, so that no late request sends it; one that was out counts as sent."""
    for fault, state in (("lost before", "refused"), ("lost after", "accepted")):
        fresh(office)
        server = MemoryServer(faults={1: fault, 2: ServerFailed("away")})  # type: ignore[dict-item]
        mailer = mortal(office, server, Life())
        result = mailer.send(LETTER)
        assert result.outcome == "waiting"
        assert mailer.settle(result.message_id, "not sent").outcome == state
        assert judge(office, server, fault) == state


@pytest.mark.req("E7")
def test_only_the_draft_that_was_submitted_is_submitted_again(office: Workspace) -> None:
    """A second draft of the message turns up while it is in doubt and its copy is not to be seen yet: that one is not sent; the copy decides."""
    server = MemoryServer(faults={0: "late", 3: "lost after"}, copies_appear_late=True)
    life = Life()
    life.at["before submit"] = lambda: [one() for one in server.late]
    result = mortal(office, server, life).send(LETTER)
    assert result.outcome == "unclear"
    assert len(server.drafts) == len(server.delivered) == 1
    server.made_late, server.late = 1, []
    to_the_end(office, server)
    assert judge(office, server, "second draft") == "accepted"


@pytest.mark.req("E7")
def test_a_mailbox_that_moved_while_it_was_in_doubt(office: Workspace) -> None:
    """The draft lies there under another id, never sent: it does not count as sent, and a person decides."""
    server, life = MemoryServer(), Life()
    life.at["before submit"] = lambda: setattr(life, "is_over", True)
    with pytest.raises(Killed):
        mortal(office, server, life).send(LETTER)
    server.drafts = dict(zip(["moved"], server.drafts.values(), strict=True))
    bury(office)
    mailer = mortal(office, server, Life())
    [result] = mailer.resume()
    assert (result.outcome, server.delivered) == ("unclear", [])
    assert mailer.settle(result.message_id, "again").outcome == "accepted"
    assert judge(office, server, "moved") == "accepted"


@pytest.mark.req("E7")
def test_sent_at_the_very_moment_it_is_withdrawn(office: Workspace) -> None:
    """A submission that nobody answered is carried out between the look and the withdrawal: the message counts as sent."""
    server = MemoryServer(faults={1: "late", 2: ServerFailed("away")})
    life = Life()
    mailer = mortal(office, server, life)
    result = mailer.send(LETTER)
    assert result.outcome == "waiting"
    life.at["before remove"] = server.catch_up
    assert mailer.settle(result.message_id, "not sent").outcome == "accepted"
    assert judge(office, server, "withdrawn") == "accepted"


@pytest.mark.req("E2")
def test_what_is_noted_beside_it_does_not_undo_a_message(office: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is out, and noting how the sign-in stands fails: it is accepted all the same."""

    def fail(*arguments: object) -> None:
        raise WorkspaceError("the database is away")

    monkeypatch.setattr(Access, "note", fail)
    server = MemoryServer()
    assert mortal(office, server, Life()).send(LETTER).outcome == "accepted"
    assert judge(office, server, "noted") == "accepted"
