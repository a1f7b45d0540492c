"""The CRM's master data: adding what exists changes nothing, names are compared without case, errors list what is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops_lib.crm.directory import Directory, address, text_of, zone_name
from ops_lib.database.engine import Database
from ops_lib.errors import InputError, NotThere


@pytest.fixture
def directory(database: Database) -> Iterator[Directory]:
    with database.begin() as connection:
        yield Directory(connection)


def test_adding_what_exists_returns_it(directory: Directory) -> None:
    """Each kind of master data is added once, however its name is spelt the second time, and nothing of it changes."""
    community = directory.add_community(" Maple Court ", time_zone="America/New_York")
    assert directory.add_community("MAPLE COURT", time_zone="UTC") == community
    tour = directory.add_activity_type("Tour", master_type="Tour", is_face_to_face=True)
    assert directory.add_activity_type("tour") == tour
    ruth = directory.add_individual(
        "Ruth Example", kind="resident", email="Ruth@example.test", community_name="maple court"
    )
    assert (
        directory.add_individual(
            "ruth example", kind="Resident", email="ruth@example.test", community_name="Maple Court"
        )
        == ruth
    )
    hello = directory.add_template("Hello", subject="Hello", body="How are you?")
    assert directory.add_template("hello", subject="Other", body="Other") == hello
    assert (len(directory.communities()), len(directory.activity_types())) == (1, 1)
    assert (directory.individuals(), directory.templates()) == ([ruth], [hello])
    assert (directory.template("HELLO"), directory.community("maple court")) == (hello, community)


def test_people_of_one_name_are_several(directory: Directory) -> None:
    """Individuals who differ in kind, email or community are several, and a name that is not enough asks for the id."""
    first = directory.add_individual("Ruth Example")
    second = directory.add_individual("Ruth Example", email="ruth@example.test")
    assert first != second
    with pytest.raises(InputError, match=f"ids {first.individual_id}, {second.individual_id}"):
        directory.individual("Ruth Example")
    assert directory.individual(second.individual_id) == second


def test_a_user_has_a_time_zone(directory: Directory) -> None:
    """A user's zone is their own, else their first community's, else the workspace's."""
    directory.add_community("Maple Court", time_zone="America/New_York")
    zones = [
        directory.add_user("a@example.test", "A", time_zone="Europe/Zurich", community_names=["Maple Court"]).time_zone,
        directory.add_user("b@example.test", "B", community_names=["maple court"]).time_zone,
        directory.add_user("c@example.test", "C", default_time_zone="America/Denver").time_zone,
    ]
    assert zones == ["Europe/Zurich", "America/New_York", "America/Denver"]


def test_a_user_who_exists_joins_another_community(directory: Directory) -> None:
    """Adding a user again keeps name, zone and rights, and adds the communities that are new to them."""
    maple = directory.add_community("Maple Court", time_zone="UTC")
    birch = directory.add_community("Birch House", time_zone="UTC")
    directory.add_user("alice@example.test", "Alice", community_names=["Maple Court"], is_admin=True)
    again = directory.add_user("Alice@Example.test", "Someone", community_names=["Birch House", "Maple Court"])
    assert (again.name, again.is_admin) == ("Alice", True)
    assert again.community_ids == (maple.community_id, birch.community_id)
    assert directory.users() == [again]
    assert directory.user("ALICE@example.test") == directory.user_by_id(again.user_id) == again


def test_what_is_unknown_is_answered_with_what_is_known(directory: Directory) -> None:
    """A name that does not exist is `NotThere` with the names that do, and how to add it."""
    directory.add_community("Maple Court", time_zone="UTC")
    with pytest.raises(NotThere, match=r"no community Oak \(known: Maple Court\)"):
        directory.community("Oak")
    with pytest.raises(NotThere, match=r"no activity type Tour \(known: none\)"):
        directory.activity_type("Tour")
    with pytest.raises(NotThere, match="no CRM user"):
        directory.user("nobody@example.test")
    with pytest.raises(NotThere, match="no CRM user x"):
        directory.user_by_id("x")
    with pytest.raises(NotThere, match="no individual Ruth"):
        directory.individual("Ruth")
    with pytest.raises(NotThere, match="no community Oak"):
        directory.add_user("a@example.test", "A", community_names=["Oak"])
    assert directory.users() == []


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "alice",
        "@example.test",
        "alice@",
        "a b@example.test",
        "a@example.test, b@example.test",
        "Alice <a@example.test>",
    ],
)
def test_an_address_is_one_address(wrong: str) -> None:
    """What is not exactly one email address is refused, with the form it has."""
    with pytest.raises(InputError, match="no email address"):
        address(wrong)


def test_a_zone_is_a_zone() -> None:
    """Only names of the time zone database are taken, and no path."""
    assert zone_name("America/New_York") == "America/New_York"
    for wrong in ("Eastern", "", "../etc/passwd", "America"):
        with pytest.raises(InputError, match="no time zone"):
            zone_name(wrong)


def test_names_are_one_line(directory: Directory) -> None:
    """An empty name, a long one and one of two lines are refused; an unknown kind of individual lists the kinds."""
    for wrong in ("  ", "x" * 201, "Maple\nCourt"):
        with pytest.raises(InputError):
            directory.add_community(wrong, time_zone="UTC")
    with pytest.raises(InputError, match="prospect, resident, contact, referral"):
        directory.add_individual("Ruth", kind="friend")


@pytest.mark.req("H1")
def test_a_new_workspace_s_types(directory: Directory) -> None:
    """The usual types hold Appointment, for what comes from Outlook, and the face-to-face ones, which go there."""
    directory.add_usual_activity_types()
    directory.add_usual_activity_types()
    types = {each.name: each for each in directory.activity_types()}
    assert {name for name, each in types.items() if each.is_face_to_face} == {
        "Tour",
        "Home Visit",
        "Move In",
        "Outreach Visit",
    }
    assert not types["Appointment"].is_face_to_face
    assert types["Home Visit"].master_type == "Tour"


@pytest.mark.parametrize("wrong", ["\x1b[31malice@example.test", 'a"b@example.test', "alice\x00@example.test"])
def test_an_address_holds_nothing_that_steers_a_terminal(wrong: str) -> None:
    """Control characters and quotation marks in an address are refused, and the refusal does not repeat the former."""
    with pytest.raises(InputError, match="no email address") as caught:
        address(wrong)
    assert "\x1b" not in str(caught.value)
    assert "\x00" not in str(caught.value)


def test_a_name_holds_nothing_that_steers_a_terminal() -> None:
    """A name with a control character in it is refused without repeating it; every letter and sign is a name's."""
    with pytest.raises(InputError, match="control character") as caught:
        text_of("a\x1b[31mb", "the host's name")
    assert "\x1b" not in str(caught.value)
    assert text_of(" Zoë’s 日本 🏠 ", "the host's name") == "Zoë’s 日本 🏠"
