"""Extended properties: every kind of name and of value, and other names of first-class properties."""

from __future__ import annotations

import base64

import pytest

from .client import ALICE, SET, Client, M, T, create, event, get_item, id_of, update


def path(
    kind: str = "String", *, tag: str = "", name: str = "", number: str = "", guid: str = "", known: str = ""
) -> str:
    attributes = {
        "DistinguishedPropertySetId": known, "PropertySetId": guid, "PropertyTag": tag, "PropertyName": name,
        "PropertyId": number, "PropertyType": kind,
    }  # fmt: skip
    return "<t:ExtendedFieldURI " + " ".join(f'{key}="{text}"' for key, text in attributes.items() if text) + "/>"


def value(name: str, *texts: str, many: bool = False) -> str:
    inner = "".join(f"<t:Value>{text}</t:Value>" for text in texts)
    return f"<t:ExtendedProperty>{name}{f'<t:Values>{inner}</t:Values>' if many else inner}</t:ExtendedProperty>"


NAMES = {
    "a name in a set": path(guid=SET, name="CrmKey"),
    "a number in a set": path(guid=SET, number="33333"),
    "a name in a known set": path(known="PublicStrings", name="Crm & Co"),
    "a number in a known set": path(known="Appointment", number="33332"),
    "a tag": path(tag="0x3a45"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_name_holds_a_value(client: Client, name: str) -> None:
    """A property by set and name, set and number, known set or tag is written, found and read back under the same name."""
    named = NAMES[name].replace("&", "&amp;")
    item = client.item(create(event(value(named, "v 1"))))
    found = client.get(id_of(item), more=named).find(f"{T}ExtendedProperty")
    assert found.findtext(f"{T}Value") == "v 1"
    written = found.find(f"{T}ExtendedFieldURI")
    for attribute, text in (("PropertySetId", SET), ("PropertyTag", "0x3a45"), ("PropertyType", "String")):
        assert written.get(attribute) in (None, text)
    other = client.item(create(event()))
    assert client.get(id_of(other), more=named).find(f"{T}ExtendedProperty") is None


def test_names_are_the_same_however_they_are_written(client: Client) -> None:
    """A tag in decimal and hexadecimal, a GUID in any case and a known set and its GUID name the same; echoes are lower-case."""
    item = id_of(
        client.item(create(event(value(path(tag="14917"), "t") + value(path(guid=SET.upper(), name="N"), "n"))))
    )
    found = client.get(item, more=path(tag="0X3A45")).find(f"{T}ExtendedProperty")
    assert (found[0].get("PropertyTag"), found[1].text) == ("0x3a45", "t")
    found = client.get(item, more=path(guid=SET, name="N")).find(f"{T}ExtendedProperty")
    assert (found[0].get("PropertySetId"), found[1].text) == (SET, "n")
    public = id_of(client.item(create(event(value(path(known="PublicStrings", name="P"), "p")))))
    guid = path(guid="00020329-0000-0000-C000-000000000046", name="P")
    assert client.get(public, more=guid).findtext(f"{T}ExtendedProperty/{T}Value") == "p"


TYPES = {
    "String": ("ä < b", "ä &lt; b"), "Integer": ("-5", "-5"), "Long": (str(2**40), str(2**40)), "Short": ("7", "7"),
    "Double": ("1.5", "1.5"), "Float": ("2", "2"), "Boolean": ("true", "1"), "Currency": ("100", "100"),
    "Binary": (base64.b64encode(b"\x00\xff").decode(), base64.b64encode(b"\x00\xff").decode()),
    "SystemTime": ("2027-01-05T15:00:00Z", "2027-01-05T10:00:00-05:00"),
    "CLSID": (SET, SET.upper()), "ApplicationTime": ("0.25", "0.25"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_value_comes_back(client: Client, kind: str) -> None:
    """A value of each type, alone and in an array, is given back in the type's own form."""
    expected, written = TYPES[kind]
    names = [path(kind, guid=SET, name="One")]
    values = value(names[0], written)
    if kind != "Boolean":
        names.append(path(f"{kind}Array", guid=SET, name="Many"))
        values += value(names[1], written, written, many=True)
    item = client.get(id_of(client.item(create(event(values)))), more="".join(names))
    found = item.findall(f"{T}ExtendedProperty")
    assert found[0].findtext(f"{T}Value") == expected
    assert all([one.text for one in entry.find(f"{T}Values")] == [expected] * 2 for entry in found[1:])


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        (value(path("Integer", guid=SET, name="A"), "five"), "ErrorInvalidExtendedPropertyValue"),
        (value(path("Integer", guid=SET, name="A"), str(2**31)), "ErrorInvalidExtendedPropertyValue"),
        (value(path("Binary", guid=SET, name="A"), "not base64!"), "ErrorInvalidExtendedPropertyValue"),
        (value(path("StringArray", guid=SET, name="A"), "x"), "ErrorInvalidExtendedPropertyValue"),
        (value(path("Object", guid=SET, name="A"), "x"), "ErrorUnsupportedMapiPropertyType"),
        (value(path(guid=SET), "x"), "ErrorInvalidExtendedProperty"),
        (value(path(name="A"), "x"), "ErrorInvalidExtendedProperty"),
        (value(path(guid=SET, name="A", number="5"), "x"), "ErrorInvalidExtendedProperty"),
        (value(path(guid=SET, known="Common", name="A"), "x"), "ErrorInvalidExtendedProperty"),
        (value(path(tag="0x37", guid=SET), "x"), "ErrorInvalidExtendedProperty"),
        (value(path(tag="0x8001"), "x"), "ErrorInvalidExtendedProperty"),
    ],
)
def test_properties_that_cannot_be(client: Client, properties: str, code: str) -> None:
    """A name whose parts cannot go together, and a value that does not fit its type, are refused before anything is made."""
    assert client.codes(create(event(properties))) == [code]
    assert client.organisation.mailbox(ALICE).items == {}


def test_first_class_properties_have_other_names(client: Client) -> None:
    """Subject, body, class, times and flags can be read as extended properties by their MAPI names."""
    item = client.item(
        create(
            event(
                '<t:Subject>Tour</t:Subject><t:Sensitivity>Private</t:Sensitivity><t:Body BodyType="HTML">&lt;b&gt;hi&lt;/b&gt;</t:Body>',
                after="<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus><t:Location>Lobby</t:Location>",
            )
        )
    )
    names = {
        path(tag="0x37"): "Tour", path(tag="0x1000"): "hi", path(tag="0x1a"): "IPM.Appointment",
        path("SystemTime", tag="0x3008"): "2026-11-22T16:00:00Z", path("Integer", tag="0xe23"): "1",
        path("SystemTime", known="Appointment", number="33293"): "2026-11-24T15:00:00Z",
        path("Integer", known="Appointment", number="33285"): "3",
        path(known="Appointment", number="33288"): "Lobby",
        path("Boolean", known="Common", number="34054"): "true",
    }  # fmt: skip
    found = client.get(id_of(item), more="".join(names)).findall(f"{T}ExtendedProperty")
    assert [one.findtext(f"{T}Value") for one in found] == list(names.values())
    second = client.item(create(event()))
    assert client.get(id_of(second), more=path("Integer", tag="0xe23")).findtext(f"{T}ExtendedProperty/{T}Value") == "2"


def test_a_subject_written_by_its_other_name_is_the_subject(client: Client) -> None:
    """Writing tag 0x37 sets the subject; writing the name of a computed property is refused."""
    item_id = client.item(create(event("<t:Subject>old</t:Subject>"))).find(f"{T}ItemId")

    def change(name: str, text: str) -> str:
        return f"<t:SetItemField>{name}<t:CalendarItem>{value(name, text)}</t:CalendarItem></t:SetItemField>"

    client.one(update(item_id, change(path(tag="0x37"), "new"), resolution="AlwaysOverwrite"))
    assert client.get(item_id.get("Id"), "item:Subject").findtext(f"{T}Subject") == "new"
    refused = change(path("Integer", tag="0xe23"), "5")
    assert client.codes(update(item_id, refused, resolution="AlwaysOverwrite")) == ["ErrorInvalidPropertySet"]


def test_the_global_object_id_follows_the_uid(client: Client) -> None:
    """The meeting's global object id is the UID's bytes, for an Exchange UID and for another program's."""
    name = path("Binary", known="Meeting", number="3")
    own = client.get(id_of(client.item(create(event()))), "calendar:UID", more=name)
    raw = base64.b64decode(own.findtext(f"{T}ExtendedProperty/{T}Value"))
    assert raw.hex().upper() == own.findtext(f"{T}UID")
    foreign = client.item(create(event("").replace("<t:Start>", "<t:UID>abc@example.test</t:UID><t:Start>", 1)))
    raw = base64.b64decode(client.get(id_of(foreign), more=name).findtext(f"{T}ExtendedProperty/{T}Value"))
    assert raw.endswith(b"vCal-Uid\x01\x00\x00\x00abc@example.test\x00")


def test_asking_for_an_impossible_property_is_refused(client: Client) -> None:
    """GetItem with an extended property that cannot be, or a folder's property, has its code."""
    item = f'<t:ItemId Id="{id_of(client.item(create(event())))}"/>'
    assert client.codes(get_item(item, more=path(tag="0x8001"))) == ["ErrorInvalidExtendedProperty"]
    assert client.codes(get_item(item, "folder:DisplayName")) == ["ErrorInvalidPropertyRequest"]
    assert client.one(get_item(item, "task:DueDate")).find(f"{M}Items")[0].find(f"{T}DueDate") is None


@pytest.mark.parametrize(
    ("name", "written", "property_name", "expected"),
    [
        (path(tag="0x1000"), "plain words", "item:Body", "plain words"),
        (path("Integer", known="Appointment", number="33285"), "0", "calendar:LegacyFreeBusyStatus", "Free"),
        (path("Integer", tag="0x36"), "2", "item:Sensitivity", "Private"),
        (path("Boolean", known="Common", number="34054"), "true", "item:Sensitivity", "Private"),
    ],
)
def test_other_names_write_their_property(
    client: Client, name: str, written: str, property_name: str, expected: str
) -> None:
    """The body, free/busy and sensitivity can be set through their MAPI names, as CalDAV gateways do."""
    item = id_of(client.item(create(event())))
    field = f"<t:SetItemField>{name}<t:CalendarItem>{value(name, written)}</t:CalendarItem></t:SetItemField>"
    client.item(update(f'<t:ItemId Id="{item}"/>', field, resolution="AlwaysOverwrite"))
    element = property_name.partition(":")[2]
    found = client.get(item, more=f'<t:FieldURI FieldURI="{property_name}"/>').findtext(f"{T}{element}")
    assert expected in found


def test_a_series_is_known_by_its_mapi_names(client: Client) -> None:
    """Single, master and occurrence are told apart by `instancetype` and the recurring flag."""
    names = path("Integer", known="PublicStrings", name="urn:schemas:calendar:instancetype")
    names += path("Boolean", known="Appointment", number="33315")
    single = client.get(id_of(client.item(create(event()))), more=names)
    assert [found.text for found in single.iter(f"{T}Value")] == ["0", "false"]
    weekly = (
        "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence>"
        "<t:StartDate>2027-01-05</t:StartDate><t:NumberOfOccurrences>3</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
    )
    master = client.get(id_of(client.item(create(event(after=weekly)))), more=names)
    assert [found.text for found in master.iter(f"{T}Value")] == ["1", "true"]
