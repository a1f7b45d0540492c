"""FindItem: restrictions, sort orders, pages, queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops_lib.sandbox.items import ExtendedName
from ops_lib.sandbox.values import Body, Person

from .client import ALICE, KEY, SET, Client, M, T, find

START = datetime(2027, 1, 4, 9, tzinfo=UTC)
NAME = ExtendedName("String", SET, name="CrmKey")


@pytest.fixture
def filled(client: Client) -> Client:
    """Five events a day apart: a (CRM, key k-a), b, C with a body, d private, é in the lobby."""
    extras: dict[str, dict[str, Any]] = {
        "a": {"item:Categories": ["CRM", "Tour"]},
        "b": {"calendar:LegacyFreeBusyStatus": "Free"},
        "C big": {"item:Body": Body("<p>the brown fox</p>", True)},
        "d": {"item:Sensitivity": "Private", "calendar:Organizer": Person("Dora", "dora@out.example")},
        "café": {"calendar:Location": "Lobby"},
    }
    for day, (subject, more) in enumerate(extras.items()):
        at = START + timedelta(days=day)
        values = {"item:Subject": subject, "calendar:Start": at, "calendar:End": at + timedelta(hours=1), **more}
        client.organisation.create_item(
            ALICE, "calendar", values, extended={NAME: f"k-{subject}"} if subject in ("a", "b") else {}
        )
    return client


def restriction(inner: str) -> str:
    return f"<m:Restriction>{inner}</m:Restriction>"


def compare(name: str, path: str, value: str) -> str:
    path = path if path.startswith("<") else f'<t:FieldURI FieldURI="{path}"/>'
    return f'<t:{name}>{path}<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant></t:{name}>'


def contains(value: str, mode: str = "Substring", how: str = "IgnoreCase", path: str = "item:Subject") -> str:
    return (
        f'<t:Contains ContainmentMode="{mode}" ContainmentComparison="{how}"><t:FieldURI FieldURI="{path}"/>'
        f'<t:Constant Value="{value}"/></t:Contains>'
    )


def subjects(message: Any) -> list[str]:
    return [item.findtext(f"{T}Subject") for item in message.find(f"{M}RootFolder")[0]]


SUBJECT = '<t:FieldURI FieldURI="item:Subject"/>'


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (compare("IsEqualTo", KEY, "k-a"), "a"),
        (compare("IsEqualTo", KEY, "k-z"), ""),
        (f"<t:Exists>{KEY}</t:Exists>", "b a"),
        (f"<t:Not><t:Exists>{KEY}</t:Exists></t:Not>", "café d C"),
        (compare("IsEqualTo", "item:Subject", "A"), "a"),
        (compare("IsNotEqualTo", "item:Subject", "a"), "café d C b"),
        (compare("IsGreaterThan", "calendar:Start", "2027-01-07T09:00:00Z"), "café"),
        (compare("IsGreaterThanOrEqualTo", "calendar:Start", "2027-01-07T10:00:00+01:00"), "café d"),
        (compare("IsLessThan", "calendar:End", "2027-01-05T10:00:00Z"), "a"),
        (compare("IsLessThanOrEqualTo", "calendar:End", "2027-01-05T10:00:00Z"), "b a"),
        (compare("IsEqualTo", "item:Categories", "tour"), "a"),
        (compare("IsEqualTo", "item:Sensitivity", "Private"), "d"),
        (compare("IsEqualTo", "calendar:LegacyFreeBusyStatus", "Free"), "b"),
        (compare("IsEqualTo", "calendar:IsRecurring", "0"), "café d C b a"),
        (compare("IsEqualTo", '<t:ExtendedFieldURI PropertyTag="0x37" PropertyType="String"/>', "b"), "b"),
        (contains("BIG"), "C"),
        (contains("BIG", how="Exact"), ""),
        (contains("c", mode="Prefixed"), "café C"),
        (contains("bi", mode="PrefixOnWords"), "C"),
        (contains("big", mode="ExactPhrase"), "C"),
        (contains("a", mode="FullString", how="Exact"), "a"),
        (contains("cafe", how="Loose"), "café"),
        (contains("brown", path="item:Body"), "C"),
        (contains("dora", path="calendar:Organizer"), "d"),
        (f"<t:And>{compare('IsEqualTo', 'item:Subject', 'b')}<t:Exists>{KEY}</t:Exists></t:And>", "b"),
        (f"<t:Or>{contains('lob', path='calendar:Location')}{compare('IsEqualTo', 'item:Subject', 'a')}</t:Or>", "café a"),
        (
            '<t:IsLessThan><t:FieldURI FieldURI="calendar:Start"/><t:FieldURIOrConstant><t:FieldURI FieldURI="calendar:End"/>'
            "</t:FieldURIOrConstant></t:IsLessThan>",
            "café d C b a",
        ),
        (f'<t:Excludes>{"<t:FieldURI FieldURI=" + chr(34) + "item:ReminderMinutesBeforeStart" + chr(34) + "/>"}<t:Bitmask Value="0x1"/></t:Excludes>', ""),
    ],
)  # fmt: skip
def test_restrictions_find_what_they_say(filled: Client, expression: str, found: str) -> None:
    """Every kind of search expression finds the events it describes, newest first."""
    message = filled.one(find("item:Subject", inner=restriction(expression)))
    assert [subject.partition(" ")[0] for subject in subjects(message)] == found.split()


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        (compare("IsEqualTo", "item:MimeContent", "x"), "ErrorUnsupportedPathForQuery"),
        (compare("IsEqualTo", "calendar:Recurrence", "x"), "ErrorUnsupportedPathForQuery"),
        (contains("x", path="calendar:Start"), "ErrorContainsFilterWrongType"),
        (compare("IsEqualTo", "calendar:Start", "soon"), "ErrorInvalidValueForProperty"),
        ("<t:Not>" * 25 + compare("IsEqualTo", "item:Subject", "x") + "</t:Not>" * 25, "ErrorRestrictionTooComplex"),
        (
            compare(
                "IsEqualTo", '<t:ExtendedFieldURI PropertyTag="0x37" PropertyName="x" PropertyType="String"/>', "x"
            ),
            "ErrorInvalidExtendedProperty",
        ),
    ],
)
def test_restrictions_that_cannot_be(filled: Client, expression: str, code: str) -> None:
    """A restriction on what cannot be searched, or with a constant that does not fit, has its own code."""
    assert filled.codes(find(inner=restriction(expression))) == [code]


def order(*fields: tuple[str, str]) -> str:
    inner = "".join(f'<t:FieldOrder Order="{way}"><t:FieldURI FieldURI="{uri}"/></t:FieldOrder>' for uri, way in fields)
    return f"<m:SortOrder>{inner}</m:SortOrder>"


def test_items_come_in_the_order_asked_for(filled: Client) -> None:
    """Items are sorted by several fields, ascending or descending; without an order the newest comes first."""
    by_state = order(("calendar:LegacyFreeBusyStatus", "Descending"), ("calendar:Start", "Ascending"))
    assert subjects(filled.one(find("item:Subject", inner=by_state))) == ["b", "a", "C big", "d", "café"]
    by_subject = order(("item:Subject", "Ascending"))
    assert subjects(filled.one(find("item:Subject", inner=by_subject))) == ["a", "b", "C big", "café", "d"]
    assert filled.codes(find(inner=order(("item:Categories", "Ascending")))) == ["ErrorUnsupportedPathForSortGroup"]


def indexed(offset: int, most: int, base: str = "Beginning") -> str:
    return f'<m:IndexedPageItemView MaxEntriesReturned="{most}" Offset="{offset}" BasePoint="{base}"/>'


def fractional(numerator: int, denominator: int, most: int) -> str:
    return (
        f'<m:FractionalPageItemView MaxEntriesReturned="{most}" Numerator="{numerator}" Denominator="{denominator}"/>'
    )


BY_START = order(("calendar:Start", "Ascending"))


@pytest.mark.parametrize(
    ("view", "found", "attributes"),
    [
        ("", "a b C d café", {"TotalItemsInView": "5", "IncludesLastItemInRange": "true"}),
        (
            indexed(0, 2),
            "a b",
            {"IndexedPagingOffset": "2", "TotalItemsInView": "5", "IncludesLastItemInRange": "false"},
        ),
        (indexed(4, 2), "café", {"IndexedPagingOffset": "5", "IncludesLastItemInRange": "true"}),
        (indexed(9, 2), "", {"IncludesLastItemInRange": "true"}),
        (indexed(0, 2, "End"), "d café", {"IndexedPagingOffset": "2", "IncludesLastItemInRange": "false"}),
        (indexed(2, 9, "End"), "a b C", {"IndexedPagingOffset": "5", "IncludesLastItemInRange": "true"}),
        (
            fractional(1, 2, 2),
            "C d",
            {"NumeratorOffset": "4", "AbsoluteDenominator": "5", "IncludesLastItemInRange": "false"},
        ),
        (fractional(0, 1, 9), "a b C d café", {"NumeratorOffset": "5", "IncludesLastItemInRange": "true"}),
    ],
)
def test_pages_hold_their_part(filled: Client, view: str, found: str, attributes: dict[str, str]) -> None:
    """A page has the items of its place and says where the next begins, how many there are and whether it is the last."""
    message = filled.one(find("item:Subject", view=view, inner=BY_START))
    assert [subject.partition(" ")[0] for subject in subjects(message)] == found.split()
    root = message.find(f"{M}RootFolder")
    assert {name: root.get(name) for name in attributes} == attributes


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (indexed(-1, 5), "ErrorInvalidIndexedPagingParameters"),
        (indexed(0, 0), "ErrorInvalidPagingMaxRows"),
        (fractional(3, 2, 5), "ErrorInvalidFractionalPagingParameters"),
        (fractional(0, 0, 5), "ErrorInvalidFractionalPagingParameters"),
    ],
)
def test_pages_that_cannot_be(filled: Client, view: str, code: str) -> None:
    """Paging parameters that make no sense have their own codes."""
    assert filled.codes(find(view=view)) == [code]


def test_a_find_without_page_ends_at_the_limit(client: Client) -> None:
    """FindItem gives at most 1000 items at once and says that there are more."""
    for _ in range(1003):
        client.organisation.create_item(ALICE, "tasks", {"item:Subject": "t"})
    root = client.one(find(folder="tasks")).find(f"{M}RootFolder")
    assert len(root[0]) == 1000
    assert [root.get(name) for name in ("TotalItemsInView", "IndexedPagingOffset", "IncludesLastItemInRange")] == [
        "1003", "1000", "false",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("big", "C"), ("subject:bi", "C"), ('body:"brown fox"', "C"), ("fox NOT big", ""), ("lobby", "café"),
        ("subject:a OR location:lobby", "café a"), ("-big body:fox", ""), ("category:tour", "a"),
    ],
)  # fmt: skip
def test_queries_search_as_people_do(filled: Client, query: str, found: str) -> None:
    """A QueryString finds words, phrases and properties, with NOT and OR."""
    body = find("item:Subject").replace("</m:FindItem>", f"<m:QueryString>{query}</m:QueryString></m:FindItem>")
    assert [one.partition(" ")[0] for one in subjects(filled.one(body))] == found.split()


def test_several_folders_answer_one_each(filled: Client) -> None:
    """FindItem over several folders answers with a message for each, errors in their place."""
    body = find("item:Subject").replace(
        "</m:ParentFolderIds>", '<t:FolderId Id="x"/><t:DistinguishedFolderId Id="tasks"/></m:ParentFolderIds>'
    )
    assert filled.codes(body) == ["NoError", "ErrorInvalidIdMalformed", "NoError"]


def test_find_leaves_out_what_only_get_gives(filled: Client) -> None:
    """FindItem with AllProperties has no body, attendees or MIME content."""
    body = find(inner=restriction(compare("IsEqualTo", KEY, "k-a"))).replace("IdOnly", "AllProperties")
    (item,) = filled.one(body).find(f"{M}RootFolder")[0]
    assert item.findtext(f"{T}Subject") == "a"
    assert item.find(f"{T}Body") is None
    assert item.find(f"{T}MimeContent") is None
