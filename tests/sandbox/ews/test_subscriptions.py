"""Subscriptions: what is told of, to whom, from where on, and when one is lost."""

from __future__ import annotations

from typing import Any

import pytest

from ops_lib.sandbox.notifications import KEPT_EVENTS, Subscriptions
from ops_lib.sandbox.rights import LEVELS

from .client import ALICE, BOB, CAROL, SERVICE, Client, M, T, create, event

CALENDAR = "<t:DistinguishedFolderId Id='calendar'/>"
KINDS = ("CreatedEvent", "ModifiedEvent", "DeletedEvent", "MovedEvent", "CopiedEvent", "NewMailEvent")


def subscribe(
    *, folders: str = CALENDAR, kinds: tuple[str, ...] = KINDS, how: str = "Pull", minutes: int = 10, mark: str = ""
) -> str:
    """Subscribe; without ``folders`` to all."""
    which = f"><t:FolderIds>{folders}</t:FolderIds>" if folders else ' SubscribeToAllFolders="true">'
    types = "".join(f"<t:EventType>{one}</t:EventType>" for one in kinds)
    watermark = f"<t:Watermark>{mark}</t:Watermark>" if mark else ""
    timeout = f"<t:Timeout>{minutes}</t:Timeout>" if how == "Pull" else ""
    request = f"{how}SubscriptionRequest"
    return f"<m:Subscribe><m:{request}{which}<t:EventTypes>{types}</t:EventTypes>{watermark}{timeout}</m:{request}></m:Subscribe>"


def get_events(subscription: tuple[str, str]) -> str:
    return f"<m:GetEvents><m:SubscriptionId>{subscription[0]}</m:SubscriptionId><m:Watermark>{subscription[1]}</m:Watermark></m:GetEvents>"


def unsubscribe(subscription: tuple[str, str]) -> str:
    return f"<m:Unsubscribe><m:SubscriptionId>{subscription[0]}</m:SubscriptionId></m:Unsubscribe>"


def begin(client: Client, user: str = ALICE, *, acting_as: str = "", **asked: Any) -> tuple[str, str]:
    """Subscribe; its id and watermark."""
    message = client.one(subscribe(**asked), user, acting_as=acting_as)
    return message.findtext(f"{M}SubscriptionId"), message.findtext(f"{M}Watermark")


def pull(
    client: Client, subscription: tuple[str, str], user: str = ALICE, *, of_items: bool = True
) -> tuple[list[tuple[str, str]], tuple[str, str], bool]:
    """What happened, as (kind, the item's or folder's id); where to go on; whether more waits."""
    told = client.one(get_events(subscription), user).find(f"{M}Notification")
    assert told.findtext(f"{T}PreviousWatermark") == subscription[1]
    found = []
    mark = subscription[1]
    for one in told:
        if not one.tag.endswith("Event"):
            continue
        mark = one.findtext(f"{T}Watermark")
        item, folder = one.find(f"{T}ItemId"), one.find(f"{T}FolderId")
        if item is not None or (folder is not None and not of_items):
            found.append((one.tag.removeprefix(T), (item if item is not None else folder).get("Id")))
    return found, (subscription[0], mark), told.findtext(f"{T}MoreEvents") == "true"


def make(client: Client, user: str = ALICE) -> str:
    return client.item(create(event()), user).find(f"{T}ItemId").get("Id")


def delete(client: Client, item_id: str) -> None:
    client.one(
        f"<m:DeleteItem DeleteType='HardDelete' SendMeetingCancellations='SendToNone'><m:ItemIds><t:ItemId Id='{item_id}'/></m:ItemIds></m:DeleteItem>"
    )


def test_what_happens_in_a_folder_is_told_once_and_in_order(client: Client) -> None:
    """Made, changed and deleted events come with their ids; the watermark leads on; a quiet time is a status event."""
    subscription = begin(client)
    quiet, subscription, _ = pull(client, subscription)
    assert quiet == []
    first = make(client)
    second = make(client)
    delete(client, first)
    found, subscription, more = pull(client, subscription)
    assert found == [("CreatedEvent", first), ("CreatedEvent", second), ("DeletedEvent", first)]
    assert not more
    assert pull(client, subscription)[0] == []


def test_a_move_names_both_places_and_concerns_both_folders(client: Client) -> None:
    """Who subscribed to the old folder only hears of the move, with the old id and the new one."""
    item = make(client)
    subscription = begin(client)
    client.one(
        f"<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id='deleteditems'/></m:ToFolderId><m:ItemIds><t:ItemId Id='{item}'/></m:ItemIds></m:MoveItem>"
    )
    told = client.one(get_events(subscription)).find(f"{M}Notification")
    moved = told.find(f"{T}MovedEvent")
    assert moved.find(f"{T}OldItemId").get("Id") == item
    assert moved.find(f"{T}ItemId").get("Id") != item
    assert told.find(f"{T}DeletedEvent") is None


def test_only_the_kinds_and_folders_that_were_asked_for(client: Client) -> None:
    """Another folder's events, and kinds nobody asked for, are not told."""
    deletions = begin(client, kinds=("DeletedEvent",))
    tasks = begin(client, folders="<t:DistinguishedFolderId Id='tasks'/>")
    everything = begin(client, folders="", kinds=("CreatedEvent",))
    item = make(client)
    assert pull(client, deletions)[0] == []
    assert pull(client, tasks)[0] == []
    assert pull(client, everything)[0] == [("CreatedEvent", item)]


def test_the_folder_changes_with_its_items(client: Client) -> None:
    """As on a real server a folder is modified with every item that comes: noise that clients must bear."""
    subscription = begin(client)
    item = make(client)
    found, _, _ = pull(client, subscription, of_items=False)
    assert found[0] == ("CreatedEvent", item)
    assert ("ModifiedEvent", client.organisation.mailbox(ALICE).folder("calendar").id) in found


def test_many_events_come_in_parts(client: Client) -> None:
    """Fifty at a time, with MoreEvents, none lost and none twice."""
    subscription = begin(client, kinds=("CreatedEvent",))
    made = [make(client) for _ in range(120)]
    found: list[str] = []
    more = True
    while more:
        part, subscription, more = pull(client, subscription)
        assert len(part) <= 50
        found += [each for _, each in part]
    assert found == made


def test_who_comes_too_late_hears_that_events_were_missed(client: Client) -> None:
    """Only so many events are kept: what is not there any more is an error, never a gap."""
    subscription = begin(client)
    mailbox = client.organisation.mailbox(ALICE)
    calendar = mailbox.folder("calendar")
    for _ in range(KEPT_EVENTS + 1):
        mailbox.touch_folder(calendar)
    assert client.codes(get_events(subscription)) == ["ErrorMissedNotificationEvents"]


def test_what_a_service_account_may_subscribe_to(client: Client) -> None:
    """In a user's name to their mailbox; by right to a folder it may read, and to no other; the id is its own."""
    theirs = begin(client, SERVICE, acting_as=ALICE)
    assert client.codes(get_events(theirs), BOB) == ["ErrorSubscriptionAccessDenied"]
    carols = f"<t:DistinguishedFolderId Id='calendar'><t:Mailbox><t:EmailAddress>{CAROL}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"
    assert client.codes(subscribe(folders=carols), SERVICE) == ["ErrorFolderNotFound"]
    client.organisation.set_permission(CAROL, "calendar", SERVICE, LEVELS["Contributor"])
    assert client.codes(subscribe(folders=carols), SERVICE) == ["ErrorSubscriptionAccessDenied"]
    client.organisation.set_permission(CAROL, "calendar", SERVICE, LEVELS["Editor"])
    granted = begin(client, SERVICE, folders=carols)
    item = make(client, CAROL)
    assert pull(client, granted, SERVICE)[0] == [("CreatedEvent", item)]


@pytest.mark.parametrize("asked", [subscribe(folders=""), subscribe()])
def test_only_so_many_to_one_mailbox(client: Client, asked: str) -> None:
    """Beyond the limit a subscription is refused, until one ends or its time is over."""
    client.organisation.subscriptions = Subscriptions(client.organisation.now, most_per_mailbox=2)
    first = begin(client, minutes=5)
    begin(client, minutes=60)
    assert client.codes(asked) == ["ErrorExceededSubscriptionCount"]
    client.organisation.now.advance(minutes=6)  # type: ignore[attr-defined]
    assert client.codes(asked) == ["NoError"]
    assert client.codes(get_events(first)) == ["ErrorSubscriptionNotFound"]


def test_ends_and_nonsense(client: Client) -> None:
    """Ended twice, invented, with another's watermark, after a move of the mailbox, for both or neither of folders and all: each has its code."""
    subscription = begin(client)
    assert client.codes(unsubscribe(subscription)) == ["NoError"]
    assert client.codes(unsubscribe(subscription)) == ["ErrorSubscriptionNotFound"]
    other = begin(client, BOB)
    mine = begin(client)
    assert client.codes(get_events((mine[0], other[1]))) == ["ErrorInvalidWatermark"]
    assert client.codes(get_events((mine[0], "nonsense"))) == ["ErrorInvalidWatermark"]
    assert client.codes(get_events(("nonsense", mine[1]))) == ["ErrorSubscriptionNotFound"]
    assert client.codes(
        subscribe().replace("<m:PullSubscriptionRequest>", "<m:PullSubscriptionRequest SubscribeToAllFolders='true'>")
    ) == ["ErrorInvalidSubscriptionRequest"]
    streaming = begin(client, how="Streaming")
    assert client.codes(get_events((streaming[0], mine[1]))) == ["ErrorInvalidPullSubscriptionId"]
    client.organisation.move_mailbox(ALICE)
    assert client.codes(get_events(mine)) == ["ErrorSubscriptionNotFound"]


def test_a_new_subscription_goes_on_where_another_ended(client: Client) -> None:
    """With a watermark nothing between the two is missed."""
    first = begin(client)
    client.one(unsubscribe(first))
    item = make(client)
    again = begin(client, mark=first[1])
    assert again[1] == first[1]
    assert pull(client, again)[0] == [("CreatedEvent", item)]
