"""The organisation in memory: accounts, grants, content as somebody at Outlook changes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops_lib.errors import InputError, NotThere
from ops_lib.sandbox import ids
from ops_lib.sandbox.changes import ChangeLog, InvalidSyncState, SyncState, decode_state, encode_state
from ops_lib.sandbox.recurrence import Numbered, Recurrence, Weekly
from ops_lib.sandbox.rights import LEVELS, Rights, level_of, rights_of
from ops_lib.sandbox.store import Organisation

ALICE, BOB = "alice@example.test", "bob@example.test"
MONDAY = datetime(2027, 3, 1, 15, tzinfo=UTC)


@pytest.fixture
def organisation() -> Organisation:
    found = Organisation(lambda: datetime(2026, 11, 22, 16, tzinfo=UTC))
    found.add_mailbox(
        ALICE, password="one", name="Alice Archer", zone="America/New_York", aliases=["a.archer@example.test"]
    )
    found.add_mailbox(BOB, password="two", name="Bob Baker", zone="Europe/Copenhagen")
    return found


def test_only_the_right_password_signs_in(organisation: Organisation) -> None:
    """An account signs in by address, alias, bare name or DOMAIN\\name, and only with its own password."""
    logins = [ALICE, ALICE.upper(), "a.archer@example.test", "alice", "EXAMPLE\\alice"]
    assert [organisation.authenticate(login, "one") for login in logins] == [True] * 5
    assert not organisation.authenticate(ALICE, "two")
    assert not organisation.authenticate("nobody@example.test", "one")


def test_a_password_and_a_permission_are_changed(organisation: Organisation) -> None:
    """A new password replaces the old one; a user's permission taken away leaves the default."""
    organisation.set_password("a.archer@example.test", "new")
    assert organisation.authenticate(ALICE, "new")
    assert not organisation.authenticate(ALICE, "one")
    with pytest.raises(NotThere):
        organisation.set_password("nobody@example.test", "x")
    box = organisation.mailbox(ALICE)
    organisation.set_permission(ALICE, "calendar", BOB, "Editor")
    assert box.rights_of(BOB, box.folder("calendar")) == LEVELS["Editor"]
    organisation.remove_permission(ALICE, "calendar", BOB)
    assert box.rights_of(BOB, box.folder("calendar")) == LEVELS["FreeBusyTimeOnly"]


def test_an_address_belongs_to_one_mailbox(organisation: Organisation) -> None:
    """A second mailbox with the address or alias of another is refused."""
    for address in (ALICE, "A.Archer@example.test"):
        with pytest.raises(InputError, match="taken"):
            organisation.add_mailbox(address, password="x", name="X", zone="UTC")


def test_a_removed_mailbox_is_gone_with_its_aliases(organisation: Organisation) -> None:
    """After removal neither address nor alias finds the mailbox, and the account can still sign in."""
    organisation.remove_mailbox("a.archer@example.test")
    assert organisation.find_mailbox(ALICE) is None
    assert organisation.authenticate(ALICE, "one")
    with pytest.raises(NotThere):
        organisation.mailbox("a.archer@example.test")


def test_impersonation_holds_for_its_scope_only(organisation: Organisation) -> None:
    """A grant with a scope covers the users in it; one without a scope covers everybody; none covers nobody."""
    assert not organisation.may_impersonate("svc@example.test", ALICE)
    organisation.grant_impersonation("svc@example.test", {"a.archer@example.test"})
    assert organisation.may_impersonate("SVC@example.test", ALICE)
    assert not organisation.may_impersonate("svc@example.test", BOB)
    organisation.grant_impersonation("svc@example.test", None)
    assert organisation.may_impersonate("svc@example.test", BOB)
    organisation.revoke_impersonation("svc@example.test")
    assert not organisation.may_impersonate("svc@example.test", ALICE)


def test_every_level_is_recognised_by_its_rights() -> None:
    """Each permission level's rights lead back to the level; other combinations are Custom."""
    assert {level_of(found, calendar=True) for found in LEVELS.values()} == set(LEVELS)
    assert level_of(Rights(create_items=True, edit_items="All"), calendar=True) == "Custom"
    with pytest.raises(InputError, match="FreeBusyTimeOnly"):
        rights_of("FreeBusyTimeOnly", calendar=False)


def test_ids_are_long_opaque_and_sealed() -> None:
    """An id has at least 140 characters and reads back; with one character changed it is malformed."""
    guid = ids.mailbox_guid(ALICE)
    text = ids.encode_id(guid, ids.ITEM, 7)
    assert len(text) >= 140
    assert ids.decode_id(text) == ids.ObjectId(guid, ids.ITEM, 7)
    for broken in (text[:-4], text.swapcase(), "", "AAMk", text.replace(text[90], "A" if text[90] != "A" else "B")):
        with pytest.raises(ids.MalformedId):
            ids.decode_id(broken)


def test_a_sync_state_belongs_to_one_folder_and_operation() -> None:
    """A sync state reads back for its folder and operation, and for no other; a cut one is invalid."""
    text = encode_state(SyncState(3, 9, 5), "folder one", 2)
    assert decode_state(text, "folder one", 2) == SyncState(3, 9, 5)
    for state, folder, kind in (
        (text, "folder two", 2),
        (text, "folder one", 1),
        (text[:-8], "folder one", 2),
        ("?", "", 2),
    ):
        with pytest.raises(InvalidSyncState):
            decode_state(state, folder, kind)


def test_the_log_tells_news_since_a_state() -> None:
    """What came is Create, what changed Update, a read flag alone ReadFlagChange, what went Delete, what came and went nothing."""
    log = ChangeLog()
    for number in (1, 2, 3, 4):
        log.record(number, number)
    seen = SyncState(base=4, ceiling=4)
    log.record(1, 5)
    log.record(2, 6, read_flag_only=True)
    log.remove(3, 7)
    log.record(5, 8)
    log.record(6, 9)
    log.remove(6, 10)
    news = list(log.since(SyncState(seen.base, log.last)))
    assert news == [("Create", 5), ("Delete", 3), ("ReadFlagChange", 2), ("Update", 1)]
    assert list(log.since(SyncState(log.last, log.last))) == []


def test_the_clock_makes_the_bytes(organisation: Organisation) -> None:
    """The same steps at the same times make the same ids, change keys and UIDs in another organisation."""
    values = {"item:Subject": "Tour", "calendar:Start": MONDAY, "calendar:End": MONDAY + timedelta(hours=1)}
    other = Organisation(organisation.now)
    other.add_mailbox(ALICE, password="else", name="Alice Archer", zone="America/New_York")
    first, second = (one.create_item(ALICE, "calendar", values) for one in (organisation, other))
    assert (first.id, first.change_key, first.values) == (second.id, second.change_key, second.values)


def test_an_event_needs_start_and_end(organisation: Organisation) -> None:
    """An event without an end is refused by name."""
    with pytest.raises(InputError, match="calendar:End"):
        organisation.create_item(ALICE, "calendar", {"item:Subject": "x", "calendar:Start": MONDAY})


def test_an_all_day_event_goes_to_local_midnights(organisation: Organisation) -> None:
    """An all-day event takes up whole days of its zone, also over a change of the clocks."""
    values = {
        "calendar:Start": datetime(2027, 3, 13, 20, tzinfo=UTC),
        "calendar:End": datetime(2027, 3, 14, 20, tzinfo=UTC),
        "calendar:IsAllDayEvent": True,
    }
    item = organisation.create_item(ALICE, "calendar", values)
    assert item.values["calendar:Start"] == datetime(2027, 3, 13, 5, tzinfo=UTC)
    assert item.values["calendar:End"] == datetime(2027, 3, 15, 4, tzinfo=UTC)


def test_a_moved_item_gets_another_id(organisation: Organisation) -> None:
    """Moving an item, also to Deleted Items, ends its id and begins another; its UID stays."""
    values = {"calendar:Start": MONDAY, "calendar:End": MONDAY + timedelta(hours=1)}
    item = organisation.create_item(ALICE, "calendar", values)
    moved = organisation.delete_item(item)
    assert moved is not None
    assert moved.id != item.id
    assert moved.folder.distinguished_id == "deleteditems"
    assert moved.values["calendar:UID"] == item.values["calendar:UID"]
    assert organisation.delete_item(moved, "HardDelete") is None
    assert organisation.mailbox(ALICE).items == {}


def test_edits_of_a_series_show_on_its_master(organisation: Organisation) -> None:
    """Changing and deleting an occurrence makes a new version of the master."""
    values = {
        "calendar:Start": MONDAY,
        "calendar:End": MONDAY + timedelta(hours=1),
        "calendar:Recurrence": Recurrence(Weekly(1, ("Monday",)), Numbered(MONDAY.date(), 4)),
    }
    item = organisation.create_item(ALICE, "calendar", values)
    keys = [item.change_key]
    organisation.update_occurrence(item, MONDAY + timedelta(days=7), {"item:Subject": "moved"})
    keys.append(item.change_key)
    organisation.delete_occurrence(item, MONDAY)
    keys.append(item.change_key)
    assert len(set(keys)) == 3
    assert item.deleted == {MONDAY}
    assert set(item.exceptions) == {MONDAY + timedelta(days=7)}


def test_what_cannot_be_is_refused_with_a_reason(organisation: Organisation) -> None:
    """An end before the start, and an occurrence that the series does not have, are refused; nothing changes."""
    item = organisation.create_item(ALICE, "calendar", {"calendar:Start": MONDAY, "calendar:End": MONDAY})
    with pytest.raises(InputError, match="ends before it starts"):
        organisation.update_item(item, {"calendar:End": MONDAY - timedelta(hours=1)})
    assert item.values["calendar:End"] == MONDAY
    for change in (
        lambda: organisation.delete_occurrence(item, MONDAY),
        lambda: organisation.update_occurrence(item, MONDAY, {}),
    ):
        with pytest.raises(InputError, match="no occurrence at 2027-03-01T15:00:00"):
            change()


def test_a_folder_is_found_by_both_names(organisation: Organisation) -> None:
    """A folder is found by distinguished id or display name, which may be another language's."""
    box = organisation.add_mailbox(
        "dora@example.test", password="x", name="Dora", zone="UTC", folder_names={"calendar": "Kalender"}
    )
    assert box.folder("calendar") is box.folder("Kalender")
    with pytest.raises(InputError, match="Calendar"):
        box.folder("Calendar")
