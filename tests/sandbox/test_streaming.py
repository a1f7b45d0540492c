"""GetStreamingEvents over real HTTP: what comes, when it ends, how many may listen, and which server they reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from lxml import etree

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, SERVICE, outlook_account
from tests.support.soap import envelope

M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
DAY = datetime(2026, 11, 23, 15, tzinfo=UTC)


@pytest.fixture
def quick() -> Iterator[Sandbox]:
    """A sandbox of three servers whose minutes are short and whose streams are few."""
    with Sandbox(servers=3, minute_seconds=0.2, most_streams=2) as sandbox:
        yield sandbox


def post(
    sandbox: Sandbox,
    body: str,
    *,
    acting_as: str = ALICE,
    headers: dict[str, str] | None = None,
    stream: bool = False,
    to: requests.Session | None = None,
) -> requests.Response:
    """A request of the service account in a user's name."""
    return (to or requests).post(
        sandbox.ews_url,
        envelope(body, acting_as=acting_as),
        auth=(SERVICE, sandbox.passwords[SERVICE]),
        headers={"Content-Type": "text/xml; charset=utf-8", **(headers or {})},
        stream=stream,
        timeout=20,
    )


def subscribe(sandbox: Sandbox, user: str = ALICE, **options: Any) -> tuple[str, requests.Response]:
    """A streaming subscription to a user's calendar; its id, and the answer."""
    answer = post(
        sandbox,
        "<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id='calendar'/></t:FolderIds>"
        "<t:EventTypes><t:EventType>CreatedEvent</t:EventType></t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>",
        acting_as=user,
        **options,
    )
    return etree.fromstring(answer.content).findtext(f".//{M}SubscriptionId"), answer


def make(sandbox: Sandbox, subject: str) -> Any:
    """Somebody makes an event in Outlook."""
    values = {"item:Subject": subject, "calendar:Start": DAY, "calendar:End": DAY + timedelta(hours=1)}
    with sandbox.organisation.lock:
        return sandbox.organisation.create_item(ALICE, "calendar", values)


def listen(*subscriptions: str, minutes: int = 1) -> str:
    ids = "".join(f"<t:SubscriptionId>{one}</t:SubscriptionId>" for one in subscriptions)
    return f"<m:GetStreamingEvents><m:SubscriptionIds>{ids}</m:SubscriptionIds><m:ConnectionTimeout>{minutes}</m:ConnectionTimeout></m:GetStreamingEvents>"


def parts(answer: requests.Response) -> list[Any]:
    """The envelopes of an answer that is over."""
    whole = answer.content.decode()
    return [etree.fromstring(("<?xml" + one).encode()) for one in whole.split("<?xml")[1:]]


def words(answer: requests.Response) -> list[str]:
    """What each part says: how the connection stands, a code, or how many events it has."""
    found = []
    for part in parts(answer):
        code = part.findtext(f".//{M}ResponseCode")
        status = part.findtext(f".//{M}ConnectionStatus")
        events = part.findall(f".//{T}CreatedEvent")
        found.append(f"{len(events)} made" if events else status if code == "NoError" else code)
    return found


def test_what_happens_is_told_while_it_happens(quick: Sandbox) -> None:
    """The first part says OK, each event comes in one of its own or with its neighbours, the last part says Closed."""
    subscription, _ = subscribe(quick)
    with post(quick, listen(subscription, minutes=2), stream=True) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        made = [make(quick, f"Tour {n}").id for n in range(3)]
        found = words(answer)
        told = [one.get("Id") for part in parts(answer) for one in part.iter(f"{T}ItemId")]
    assert (found[0], found[-1]) == ("OK", "Closed")
    assert told == made
    assert len(quick.streams) == 0


def test_nothing_is_lost_between_two_connections(quick: Sandbox) -> None:
    """What happens while nobody listens is told to who listens next."""
    subscription, _ = subscribe(quick)
    assert words(post(quick, listen(subscription))) == ["OK", "Closed"]
    make(quick, "Tour")
    assert words(post(quick, listen(subscription))) == ["OK", "1 made", "Closed"]


def test_a_new_connection_takes_the_place_of_the_old_one(quick: Sandbox) -> None:
    """Two connections on one subscription: the first ends once there is news, the second has it."""
    subscription, _ = subscribe(quick)
    answers: list[list[str]] = []

    def first() -> None:
        answers.append(words(post(quick, listen(subscription, minutes=20))))

    thread = threading.Thread(target=first)
    thread.start()
    while not len(quick.streams):
        time.sleep(0.01)
    with post(quick, listen(subscription, minutes=4), stream=True) as second:
        make(quick, "Tour")
        assert words(second) == ["OK", "1 made", "Closed"]
    thread.join(10)
    assert answers == [["OK"]]


def test_an_id_that_will_not_do(quick: Sandbox) -> None:
    """One that is not known, beside one that is: the answer is an error that names it, and it ends at once."""
    subscription, _ = subscribe(quick)
    answer = post(quick, listen(subscription, "invented", minutes=30))
    (part,) = parts(answer)
    assert part.findtext(f".//{M}ResponseCode") == "ErrorSubscriptionNotFound"
    assert [one.text for one in part.iter(f"{T}SubscriptionId")] == ["invented"]


def test_ending_a_subscription_ends_its_stream(quick: Sandbox) -> None:
    """Who listens is told that the subscription is gone."""
    subscription, _ = subscribe(quick)
    with post(quick, listen(subscription, minutes=30), stream=True) as answer:
        post(quick, f"<m:Unsubscribe><m:SubscriptionId>{subscription}</m:SubscriptionId></m:Unsubscribe>")
        make(quick, "Tour")
        assert words(answer) == ["OK", "ErrorSubscriptionNotFound"]


def test_only_so_many_listen_for_one_caller(quick: Sandbox) -> None:
    """The third connection in one user's name is refused; in another's it is not."""
    mine = [subscribe(quick)[0] for _ in range(3)]
    bobs, _ = subscribe(quick, BOB)
    with post(quick, listen(mine[0], minutes=30), stream=True), post(quick, listen(mine[1], minutes=30), stream=True):
        while len(quick.streams) < 2:
            time.sleep(0.01)
        refused = post(quick, listen(mine[2]))
        assert refused.status_code == 500
        assert "ErrorExceededConnectionCount" in refused.text
        assert words(post(quick, listen(bobs), acting_as=BOB)) == ["OK", "Closed"]
        assert quick.streams.cut() == 2


def test_a_subscription_lives_on_one_server(quick: Sandbox) -> None:
    """Without the cookie another mailbox's anchor leads to another server, which does not know it; with the cookie it is found."""
    anchors = [f"user{n}@example.test" for n in range(40)]
    affine = {"X-PreferServerAffinity": "true"}
    subscription, answer = subscribe(quick, headers={**affine, "X-AnchorMailbox": anchors[0]})
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    codes = {words(post(quick, listen(subscription), headers={"X-AnchorMailbox": one}))[0] for one in anchors[:6]}
    assert codes == {"OK", "ErrorSubscriptionNotFound"}
    assert {
        words(post(quick, listen(subscription), headers={**affine, "X-AnchorMailbox": one, "Cookie": cookie}))[0]
        for one in anchors[:6]
    } == {"OK"}


def test_cut_and_stopped(quick: Sandbox) -> None:
    """A cut connection breaks off in the client's hands; a sandbox that stops does not wait for who listens."""
    subscription, _ = subscribe(quick)
    with post(quick, listen(subscription, minutes=30), stream=True) as answer:
        assert requests.get(f"{quick.control_url}/streams", timeout=5).json() == {"connections": 1, "subscriptions": 1}
        assert requests.delete(f"{quick.control_url}/streams", timeout=5).json() == {"cut": 1}
        with pytest.raises(requests.RequestException):
            answer.content  # noqa: B018
    with post(quick, listen(subscription, minutes=30), stream=True):
        began = time.monotonic()
        quick.stop()
    assert time.monotonic() - began < 8


def test_exchangelib_listens(sandbox: Sandbox) -> None:
    """The real client subscribes, hears of an event that is made meanwhile, and pulls others."""
    account = outlook_account(sandbox, ALICE, max_connections=2)
    subscription = account.calendar.subscribe_to_streaming()
    made = [make(sandbox, "Tour").id]
    for notification in account.calendar.get_streaming_events(
        subscription, connection_timeout=1, max_notifications_returned=1
    ):
        assert [one.item_id.id for one in notification.events if one.ELEMENT_NAME == "CreatedEvent"] == made
    account.calendar.unsubscribe(subscription)
    pulled, watermark = account.calendar.subscribe_to_pull()
    made = [make(sandbox, "Call").id]
    (notification,) = account.calendar.get_events(pulled, watermark)
    assert [one.item_id.id for one in notification.events if one.ELEMENT_NAME == "CreatedEvent"] == made
    account.protocol.close()
