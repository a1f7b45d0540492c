"""A tape: what is recorded of a request, and which record answers one that comes again."""

from __future__ import annotations

import gzip
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from ops_lib.errors import AnswerLost, InputError, Unreachable
from ops_lib.mailbox import traffic
from ops_lib.mailbox.ews.connections import Adapter
from ops_lib.mailbox.traffic import cassettes
from ops_lib.mailbox.traffic.breaking import BREAKS, break_of, raise_break
from ops_lib.mailbox.traffic.recording import Recorder
from ops_lib.mailbox.traffic.replaying import NOT_RECORDED, NotRecorded, Player, playing
from ops_lib.mailbox.traffic.standins import StandIns
from tests.mailbox.stub import Reply, Stub
from tests.mailbox.traffic.planted_texts import envelope, exchange

KEY = b"a key for tests, thirty-two long"


def session() -> requests.Session:
    opened = requests.Session()
    opened.mount("http://", Adapter(max_retries=0))
    return opened


def get_folder(folder: str, address: str = "anna@contoso.test") -> bytes:
    inside = f"<t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox>"
    return envelope(
        f'<m:GetFolder><m:FolderIds><t:DistinguishedFolderId Id="{folder}">{inside}</t:DistinguishedFolderId></m:FolderIds></m:GetFolder>'
    ).encode()


def said(code: str) -> bytes:
    return envelope(
        f'<m:R><m:ResponseMessages><m:M ResponseClass="Error"><m:ResponseCode>{code}</m:ResponseCode></m:M></m:ResponseMessages></m:R>'
    ).encode()


def player(*recorded: tuple[bytes, bytes], stand_ins: StandIns | None = None) -> Player:
    """A tape with these requests and answers, as a capture makes it."""
    recorder = Recorder()
    recorder.exchanges += [exchange(answer, request=request) for request, answer in recorded]
    return Player(cassettes.scrubbed(recorder, {}, stand_ins or StandIns(KEY)))


def ask(body: bytes) -> str:
    opened = requests.Session()
    opened.mount("https://", Adapter(max_retries=0))
    url = StandIns(KEY).host("mail.contoso.test")
    return opened.post(f"https://{url}/EWS/Exchange.asmx", data=body, timeout=1).text


def test_a_request_is_known_by_what_it_means() -> None:
    """Answers come by folder and mailbox, whatever the order, the prefixes and the white space of the questions."""
    someone = StandIns(KEY).address("anna@contoso.test")
    with playing(
        player((get_folder("calendar"), said("ErrorAccessDenied")), (get_folder("tasks"), said("ErrorFolderNotFound")))
    ):
        assert "ErrorFolderNotFound" in ask(get_folder("tasks", someone))
        calendar = (
            get_folder("calendar", someone)
            .replace(b"m:", b"q:")
            .replace(b"xmlns:m", b"xmlns:q")
            .replace(b"><", b">\n  <")
        )
        assert "ErrorAccessDenied" in ask(calendar)


def test_a_question_that_was_asked_twice_has_two_answers_and_then_the_last() -> None:
    """The first answer comes first; who asks more often than the capture did hears the last one again."""
    someone = StandIns(KEY).address("anna@contoso.test")
    tape = player(
        (get_folder("calendar"), said("ErrorServerBusy")), (get_folder("calendar"), said("ErrorAccessDenied"))
    )
    with playing(tape):
        heard = [ask(get_folder("calendar", someone)) for _ in range(3)]
    assert ["ErrorServerBusy" in each for each in heard] == [True, False, False]
    assert ["ErrorAccessDenied" in each for each in heard] == [False, True, True]


@pytest.mark.parametrize(
    "body", [get_folder("inbox"), get_folder("calendar", "somebody@else.test"), b"grant_type=password", b""]
)
def test_what_the_tape_does_not_hold_was_not_recorded(body: bytes) -> None:
    """Another folder, another mailbox, another operation: never the nearest answer, and never the network."""
    tape = player((get_folder("calendar"), said("ErrorAccessDenied")))
    with playing(tape), pytest.raises(NotRecorded) as caught:
        ask(body)
    assert caught.value.response_code == NOT_RECORDED
    assert len(tape.not_recorded) == 1


def test_an_answer_is_handed_on_as_it_came() -> None:
    """Packed, with a cookie, in one piece: who asked sees the same answer, and the tape keeps it unpacked."""
    recorder = Recorder()
    packed = Reply(
        gzip.compress(b"hello"),
        headers={"Content-Encoding": "gzip", "Set-Cookie": "exchangecookie=1", "Content-Type": "text/plain"},
    )
    with Stub([packed, packed]) as server, traffic.using(recorder):
        opened = session()
        answers = [opened.post(server.url, data=b"x", timeout=5) for _ in range(2)]
    assert [each.text for each in answers] == ["hello", "hello"]
    assert opened.cookies.get("exchangecookie") == "1"
    assert [each.content for each in recorder.exchanges] == [b"hello", b"hello"]


def test_a_body_that_breaks_off_breaks_off_for_who_asked() -> None:
    """What came is kept, and how it ended; the caller gets the very exception it would have had."""
    recorder = Recorder()
    with (
        Stub([Reply(b"x" * 1000, cut_after=10), Reply(b"no gzip", headers={"Content-Encoding": "gzip"})]) as server,
        traffic.using(recorder),
    ):
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            session().post(server.url, data=b"x", timeout=5)
        with pytest.raises(requests.exceptions.ContentDecodingError):
            session().post(server.url, data=b"x", timeout=5)
    assert [each.broke for each in recorder.exchanges] == ["cut short", "packed wrongly"]


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_a_break_is_raised_as_what_it_was(name: str) -> None:
    """Each way of getting no answer is named, and raised again as an exception of that name."""
    with pytest.raises(requests.RequestException) as caught:
        raise_break(name, "certificate has expired")
    assert break_of(caught.value)[0] == name
    assert name != "certificate" or break_of(caught.value)[1] == "certificate has expired"


def test_the_transport_makes_of_a_replayed_break_what_it_makes_of_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, or no answer came: the difference on which a create's fate hangs survives the tape."""
    from ops_lib.mailbox.ews import transport

    for name in sorted(BREAKS):
        with pytest.raises(requests.RequestException) as caught:
            raise_break(name)
        made = transport._nothing_was_sent(transport._chain(caught.value))
        expected = name in {
            "no name",
            "refused",
            "no connection",
            "connect timeout",
            "proxy",
            "certificate",
            "handshake",
        }
        assert made is expected, name
    assert issubclass(NotRecorded, AnswerLost)
    assert not issubclass(NotRecorded, Unreachable)


def test_a_servers_clock_keeps_its_distance() -> None:
    """A server whose clock was an hour ahead at the capture is an hour ahead years later."""
    recorder = Recorder()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    ahead = exchange(
        said("NoError"),
        request=get_folder("calendar"),
        headers=(("Date", format_datetime(long_ago + timedelta(hours=1), usegmt=True)),),
    )
    ahead.at = long_ago.timestamp()
    recorder.exchanges.append(ahead)
    cassette = cassettes.scrubbed(recorder, {}, StandIns(KEY))
    opened = requests.Session()
    opened.mount("https://", Adapter(max_retries=0))
    with playing(Player(cassette)):
        answer = opened.post(
            cassette.interactions[0]["request"]["uri"], data=cassette.interactions[0]["request"]["body"], timeout=1
        )
    seen = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
    assert seen == pytest.approx(3600, abs=60)


def test_one_tape_at_a_time() -> None:
    """Another thread's waits for the first, one within the first is refused; without one nothing stands between."""
    order: list[str] = []

    def second() -> None:
        with traffic.using(Recorder()):
            order.append("second")

    with traffic.using(Recorder()):
        thread = threading.Thread(target=second)
        thread.start()
        with pytest.raises(InputError, match="already"), traffic.using(Recorder()):
            order.append("never")
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert traffic.current() is None


def test_a_rubbish_record_does_no_harm(tmp_path: Path) -> None:
    """Entries of any shape in a file with the right digest are passed over: what they hold is not recorded."""
    rubbish: list[dict[str, Any]] = [
        {},
        {"request": None},
        {"request": {"method": 1, "uri": "::", "headers": [], "body": 7}},
        {"request": {"uri": "http://[", "body": b"\xff"}},
    ]
    made = cassettes.Cassette({"format": cassettes.FORMAT, "version": 1}, rubbish[:2], rubbish[2:3], [{"look": None}])
    made.manifest["sha256"] = made.digest
    file = tmp_path / "rubbish.yaml"
    cassettes.write(made, file)
    with playing(Player(cassettes.read(file))), pytest.raises(NotRecorded):
        ask(get_folder("calendar"))
