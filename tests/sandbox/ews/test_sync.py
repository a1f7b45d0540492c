"""SyncFolderItems: everything once, in pages, and then only what is new."""

from __future__ import annotations

from typing import Any

import pytest

from ops_lib.sandbox.values import Person

from .client import ALICE, BOB, Client, M, T, create, delete, event, get_item, id_of, set_field, sync, update


def news(message: Any) -> list[tuple[str, str]]:
    """The changes as (kind, id)."""
    return [(one.tag.partition("}")[2], next(one.iter(f"{T}ItemId")).get("Id")) for one in message.find(f"{M}Changes")]


def state_of(message: Any) -> str:
    found: str = message.findtext(f"{M}SyncState")
    return found


def fill(client: Client, count: int) -> list[str]:
    items = "".join(event(f"<t:Subject>{number}</t:Subject>") for number in range(count))
    return [id_of(message.find(f"{M}Items")[0]) for message in client.messages(create(items))]


def drain(client: Client, state: str, most: int, between: Any = None) -> tuple[list[tuple[str, str]], str]:
    """All pages until the last; ``between`` is called after each page but the last."""
    seen: list[tuple[str, str]] = []
    while True:
        message = client.one(sync(state, "item:Subject", most=most))
        seen += news(message)
        state = state_of(message)
        if message.findtext(f"{M}IncludesLastItemInRange") == "true":
            return seen, state
        if between:
            between()


def test_a_first_sync_gives_everything_in_pages(client: Client) -> None:
    """Pages of 10 of 25 items: each item once as Create, newest first, and then nothing any more."""
    ids = fill(client, 25)
    seen, state = drain(client, "", 10)
    assert seen == [("Create", one) for one in reversed(ids)]
    assert drain(client, state, 10) == ([], state)


def test_what_changed_since_is_told_once(client: Client) -> None:
    """An update, a deletion, a creation and an item that came and went are told as such, once."""
    ids = fill(client, 4)
    _, state = drain(client, "", 512)
    subject = set_field("item:Subject", "<t:Subject>new</t:Subject>")
    client.one(update(f'<t:ItemId Id="{ids[0]}"/>', subject, resolution="AlwaysOverwrite"))
    client.one(delete(f'<t:ItemId Id="{ids[1]}"/>'))
    client.one(delete(f'<t:ItemId Id="{ids[2]}"/>', how="MoveToDeletedItems"))
    (new, brief) = fill(client, 2)
    client.one(delete(f'<t:ItemId Id="{brief}"/>'))
    seen, state = drain(client, state, 512)
    assert sorted(seen) == sorted([("Update", ids[0]), ("Delete", ids[1]), ("Delete", ids[2]), ("Create", new)])
    assert drain(client, state, 512)[0] == []


def test_changes_between_pages_are_not_lost(client: Client) -> None:
    """Items changed, deleted and created between two pages are all as they are at the end, after one more round."""
    ids = fill(client, 12)
    left = list(ids)

    def meddle() -> None:
        gone = left.pop()
        client.one(delete(f'<t:ItemId Id="{gone}"/>'))
        client.one(
            update(
                f'<t:ItemId Id="{left[0]}"/>',
                set_field("item:Subject", "<t:Subject>n</t:Subject>"),
                resolution="AlwaysOverwrite",
            )
        )
        left.extend(fill(client, 1))

    known: set[str] = set()
    seen, state = drain(client, "", 5, meddle)
    later, _ = drain(client, state, 512)
    for kind, one in seen + later:
        if kind == "Delete":
            known.discard(one)
        else:
            assert kind != "Create" or one not in known
            known.add(one)
    assert known == {item.id for item in client.organisation.mailbox(ALICE).folder("calendar").items.values()}


def test_a_read_flag_alone_is_told_as_such(client: Client) -> None:
    """When only IsRead changed, the change is a ReadFlagChange with the flag."""
    message = client.organisation.create_item(ALICE, "inbox", {"item:Subject": "m", "message:From": Person("B", BOB)})
    inbox = '<t:DistinguishedFolderId Id="inbox"/>'
    state = state_of(client.one(sync(folder=inbox)))
    named = f'<t:ItemId Id="{message.id}" ChangeKey="{message.change_key}"/>'
    read = set_field("message:IsRead", "<t:IsRead>true</t:IsRead>", "Message")
    client.one(update(named, read, send="", more='MessageDisposition="SaveOnly"'))
    answer = client.one(sync(state, folder=inbox))
    assert news(answer) == [("ReadFlagChange", message.id)]
    assert answer.findtext(f"{M}Changes/{T}ReadFlagChange/{T}IsRead") == "true"


def test_ignored_items_are_not_told(client: Client) -> None:
    """Changes of the items in Ignore are left out."""
    ids = fill(client, 3)
    ignore = f'<m:Ignore><t:ItemId Id="{ids[1]}"/></m:Ignore>'
    assert [one for _, one in news(client.one(sync(inner=ignore)))] == [ids[2], ids[0]]


def test_a_state_that_is_none_is_refused_with_what_clients_read(client: Client) -> None:
    """Rubbish, a cut state and another folder's state are ErrorInvalidSyncStateData, with SyncState and the last-item flag."""
    state = state_of(client.one(sync()))
    tasks = '<t:DistinguishedFolderId Id="tasks"/>'
    for body in (sync("rubbish"), sync(state[:-12]), sync(state, folder=tasks), sync(folder='<t:FolderId Id="AAMk"/>')):
        (message,) = client.messages(body)
        assert message.get("ResponseClass") == "Error"
        assert message.find(f"{M}SyncState") is not None
        assert message.findtext(f"{M}IncludesLastItemInRange") == "true"
    assert client.codes(sync("rubbish")) == ["ErrorInvalidSyncStateData"]


def test_a_folder_that_is_gone_cannot_be_synchronised(client: Client) -> None:
    """SyncFolderItems of a deleted folder is ErrorSyncFolderNotFound."""
    box = client.organisation.mailbox(ALICE)
    folder = box.add_folder(box.folder("calendar"), "Gone", "IPF.Appointment")
    box.remove_folder(folder)
    assert client.codes(sync(folder=f'<t:FolderId Id="{folder.id}"/>')) == ["ErrorSyncFolderNotFound"]


@pytest.mark.parametrize("most", [1, 2, 7, 512])
def test_any_page_size_gives_the_same(client: Client, most: int) -> None:
    """Whatever the page size, a round tells the same changes in the same order."""
    ids = fill(client, 7)
    assert drain(client, "", most)[0] == [("Create", one) for one in reversed(ids)]


def test_a_moved_mailbox_has_other_ids_and_forgets_its_states(client: Client) -> None:
    """After a move to another database old ids are not found, old states are refused, and UIDs are as before."""
    (item_id,) = fill(client, 1)
    uid = client.get(item_id, "calendar:UID").findtext(f"{T}UID")
    state = state_of(client.one(sync()))
    client.organisation.move_mailbox(ALICE)
    assert client.codes(get_item(f'<t:ItemId Id="{item_id}"/>')) == ["ErrorItemNotFound"]
    assert client.codes(sync(state)) == ["ErrorInvalidSyncStateData"]
    ((kind, new_id),) = news(client.one(sync()))
    assert kind == "Create"
    assert new_id != item_id
    assert client.get(new_id, "calendar:UID").findtext(f"{T}UID") == uid
