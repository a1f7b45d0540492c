"""Requests that break the schema are refused as Exchange refuses them, before anything is done."""

from __future__ import annotations

import pytest
from lxml import etree

from ops_lib.sandbox.ews import OPERATIONS, SoapFault
from ops_lib.sandbox.ews import envelope as envelopes
from ops_lib.sandbox.ews.grammar import check
from tests.support.soap import envelope, get_folder

from .client import ALICE, SHARED, Client, create, event, fault_code, find, get_item, item_shape, schema, sync, update

BROKEN = {
    "an attribute of no such value": (
        get_folder().replace('Id="calendar"', 'Id="kalender"'),
        "DistinguishedFolderIdNameType",
    ),
    "a missing attribute": (
        find().replace(' Traversal="Shallow"', ""),
        "The required attribute 'Traversal' is missing",
    ),
    "an unknown attribute": (
        find().replace("Traversal=", 'Colour="red" Traversal='),
        "'Colour' attribute is not declared",
    ),
    "a child too many": (get_item("<t:ItemId Id='x'/><t:Subject/>"), "invalid child element 'Subject'"),
    "children in another order": (
        create("<t:CalendarItem><t:Start>2027-01-01T00:00:00Z</t:Start><t:Subject>late</t:Subject></t:CalendarItem>"),
        "invalid child element 'Subject'",
    ),
    "a missing child": ("<m:GetItem>" + item_shape() + "</m:GetItem>", "incomplete content"),
    "an empty list": (get_item(""), "incomplete content"),
    "a text of another type": (
        create(event("<t:ReminderIsSet>perhaps</t:ReminderIsSet>")),
        "not a valid Boolean value",
    ),
    "a date that is none": (create(event(start="tomorrow")), "not a valid DateTime value"),
    "an unknown property": (get_item("<t:ItemId Id='x'/>", "item:Colour"), "UnindexedFieldURIType"),
    "too many changes at once": (sync(most=513), "MaxSyncChangesReturnedType"),
    "text between elements": (get_item("stray<t:ItemId Id='x'/>"), "cannot contain text"),
    "a task's pattern in an event": (
        create(
            event(
                after="<t:Recurrence><t:DailyRegeneration><t:Interval>1</t:Interval></t:DailyRegeneration>"
                "<t:NoEndRecurrence><t:StartDate>2027-01-01</t:StartDate></t:NoEndRecurrence></t:Recurrence>"
            )
        ),
        "invalid child element 'DailyRegeneration'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_request_that_breaks_the_schema_is_refused(client: Client, case: str) -> None:
    """The fault is ErrorSchemaValidation with HTTP 500; it says where and how the schema was broken. The schema agrees."""
    body, words = BROKEN[case]
    request = envelope(body)
    assert not schema().validate(etree.fromstring(request).find("{*}Body")[0])
    reply = client.send(request)
    assert fault_code(reply) == "ErrorSchemaValidation"
    detail = etree.fromstring(reply.body).find(".//{*}MessageXml")
    assert words in detail.findtext("{*}Violation")
    assert int(detail.findtext("{*}LineNumber")) > 0
    assert client.organisation.mailbox(ALICE).items == {}


def test_the_fault_says_where_the_schema_is_broken(client: Client) -> None:
    """Line and position are those of the element's name, of the second one where the first is well."""
    items = event("<t:Sensitivity>Normal</t:Sensitivity>") + "\n  " + event("<t:Sensitivity>Secret</t:Sensitivity>")
    request = envelope(create(items))
    detail = etree.fromstring(client.send(request).body).find(".//{*}MessageXml")
    line, column = int(detail.findtext("{*}LineNumber")), int(detail.findtext("{*}LinePosition"))
    assert request.split(b"\n")[line - 1][column - 1 :].startswith(b"t:Sensitivity>Secret")


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        (b"", "ErrorSchemaValidation"),
        (b"<s:Envelope", "ErrorSchemaValidation"),
        (b"<a>&nbsp;</a>", "ErrorSchemaValidation"),
        (b"<hello/>", "ErrorInvalidRequest"),
        (envelope(""), "ErrorInvalidRequest"),
        (envelope("<m:MakeCoffee/>"), "ErrorInvalidRequest"),
        (envelope("<m:GetUserOofSettingsRequest/>"), "ErrorInvalidOperation"),
        (envelope("<m:GetRoomLists/>"), "ErrorInvalidOperation"),
        (envelope("<t:GetFolder/>"), "ErrorInvalidRequest"),
        (envelope(get_folder(), version="Exchange2030_Nonsense"), "ErrorInvalidServerVersion"),
        (envelope("<m:GetServerTimeZones/>", version="Exchange2007_SP1"), "ErrorIncorrectSchemaVersion"),
        (envelope(get_folder(), acting_as=" "), "ErrorInvalidExchangeImpersonationHeaderData"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "ErrorInvalidRequest"),
    ],
    ids=["nothing", "cut short", "an entity", "no SOAP", "empty body", "no operation", "not here by another name", "not here", "namespace", "version", "old version",
         "impersonation of nobody", "a DTD"],
)  # fmt: skip
def test_what_is_no_request_is_a_fault(client: Client, request_body: bytes, code: str) -> None:
    """Malformed XML, no SOAP, unknown operations and impossible headers are faults with HTTP 500 and the documented code."""
    assert fault_code(client.send(request_body)) == code


def test_a_dtd_in_an_envelope_is_refused(client: Client) -> None:
    """An envelope with a document type is refused, whatever its entities say."""
    request = b'<!DOCTYPE x [<!ENTITY b "calendar">]>' + envelope(get_folder()).partition(b"?>")[2]
    assert fault_code(client.send(request)) == "ErrorSchemaValidation"


def test_the_rules_agree_with_the_schema_on_recorded_requests() -> None:
    """Every request recorded of a real client, valid or not, is judged as the schema judges it."""
    wire = SHARED / "wire"
    if schema() is None or not wire.exists():
        pytest.skip("the schema or the recorded traffic (../shared) is not here")
    yaml = pytest.importorskip("yaml")
    bodies = [path.read_bytes() for path in wire.glob("microsoft/*.request.xml")]
    for path in wire.glob("gromox/[cdfg]*.yaml"):
        for interaction in yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))[
            "interactions"
        ]:
            bodies.append((interaction["request"]["body"] or "").encode())
    judged = {True: 0, False: 0}
    for body in bodies:
        try:
            request = envelopes.parse(body)
        except SoapFault:
            continue
        if request.operation not in OPERATIONS:
            continue
        try:
            check(request)
            accepted = True
        except SoapFault:
            accepted = False
        assert schema().validate(request.root) == accepted, body.decode()
        judged[accepted] += 1
    assert judged[True] > 150
    assert judged[False] > 0


def test_a_refused_request_in_a_batch_applies_nothing(client: Client) -> None:
    """One item that breaks the schema keeps the whole batch from being applied."""
    items = event("<t:Subject>fine</t:Subject>") + event("<t:Sensitivity>Secret</t:Sensitivity>")
    assert fault_code(client.send(envelope(create(items)))) == "ErrorSchemaValidation"
    assert client.organisation.mailbox(ALICE).items == {}


def test_update_needs_a_conflict_resolution(client: Client) -> None:
    """UpdateItem without ConflictResolution breaks the schema."""
    body = update('<t:ItemId Id="x"/>', "<t:DeleteItemField><t:FieldURI FieldURI='item:Body'/></t:DeleteItemField>")
    reply = client.send(envelope(body.replace(' ConflictResolution="AutoResolve"', "")))
    assert fault_code(reply) == "ErrorSchemaValidation"
