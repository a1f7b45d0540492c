"""ConvertId, ResolveNames, GetServerTimeZones, GetUserConfiguration."""

from __future__ import annotations

import pytest

from .client import ALICE, BOB, Client, M, T, create, event, id_of


def convert(item_id: str, source: str, to: str, mailbox: str = ALICE) -> str:
    return (
        f'<m:ConvertId DestinationFormat="{to}"><m:SourceIds><t:AlternateId Format="{source}" Id="{item_id}" '
        f'Mailbox="{mailbox}"/></m:SourceIds></m:ConvertId>'
    )


@pytest.mark.parametrize("form", ["OwaId", "HexEntryId", "EwsId", "EwsLegacyId", "StoreId", "EntryId"])
def test_an_id_goes_into_every_format_and_back(client: Client, form: str) -> None:
    """An id converted into another format and back is the same id."""
    item_id = id_of(client.item(create(event())))
    there = client.one(convert(item_id, "EwsId", form)).find(f"{M}AlternateId")
    assert (there.get("Format"), there.get("Mailbox")) == (form, ALICE)
    back = client.one(convert(there.get("Id"), form, "EwsId")).find(f"{M}AlternateId")
    assert back.get("Id") == item_id


def test_ids_that_cannot_be_converted(client: Client) -> None:
    """A malformed id has its code; the address beside an id is not looked at, and the id's own comes back."""
    item_id = id_of(client.item(create(event())))
    assert client.codes(convert("rubbish", "EwsId", "OwaId")) == ["ErrorInvalidIdMalformed"]
    assert client.codes(convert("zz", "HexEntryId", "EwsId")) == ["ErrorInvalidIdMalformed"]
    for address in (BOB, "blah@example.com"):
        there = client.one(convert(item_id, "EwsId", "OwaId", address)).find(f"{M}AlternateId")
        assert there.get("Mailbox") == ALICE


def resolve(entry: str, full: str = "true") -> str:
    return f'<m:ResolveNames ReturnFullContactData="{full}"><m:UnresolvedEntry>{entry}</m:UnresolvedEntry></m:ResolveNames>'


@pytest.mark.parametrize("entry", ["alice", "Alice Ar", "archer", ALICE, f"smtp:{ALICE}", f"Somebody &lt;{ALICE}&gt;"])
def test_a_name_is_resolved(client: Client, entry: str) -> None:
    """Somebody is found by the beginning of a name, by address, and by an address in angle brackets."""
    (found,) = client.one(resolve(entry)).find(f"{M}ResolutionSet")
    assert found.findtext(f"{T}Mailbox/{T}EmailAddress") == ALICE
    assert found.findtext(f"{T}Contact/{T}DisplayName") == "Alice Archer"


def test_several_matches_are_a_warning(client: Client) -> None:
    """Several matches come as a Warning with all of them; none is an error."""
    client.organisation.add_mailbox("alicia@example.test", password="x", name="Alicia Ash", zone="UTC")
    (message,) = client.messages(resolve("ali", "false"))
    assert message.get("ResponseClass") == "Warning"
    assert message.findtext(f"{M}ResponseCode") == "ErrorNameResolutionMultipleResults"
    assert [one.findtext(f"{T}Mailbox/{T}Name") for one in message.find(f"{M}ResolutionSet")] == [
        "Alice Archer",
        "Alicia Ash",
    ]
    assert client.codes(resolve("zoe")) == ["ErrorNameResolutionNoResults"]


def test_time_zones_are_listed_in_full_or_by_name(client: Client) -> None:
    """All zones come by id and name; asked for by id with full data, one comes with periods and transitions."""
    short = client.one('<m:GetServerTimeZones ReturnFullTimeZoneData="false"/>').find(f"{M}TimeZoneDefinitions")
    assert len(short) > 100
    assert all(len(one) == 0 and one.get("Name") for one in short)
    ids = "<m:Ids><t:Id>Eastern Standard Time</t:Id></m:Ids>"
    full = f'<m:GetServerTimeZones ReturnFullTimeZoneData="true">{ids}</m:GetServerTimeZones>'
    (eastern,) = client.one(full).find(f"{M}TimeZoneDefinitions")
    assert sorted(period.get("Bias") for period in eastern.find(f"{T}Periods")) == ["PT4H", "PT5H"]
    assert len(eastern.findall(f".//{T}RecurringDayTransition")) == 2
    every = client.one('<m:GetServerTimeZones ReturnFullTimeZoneData="true"/>').find(f"{M}TimeZoneDefinitions")
    assert len(every) == len(short)


def test_a_user_configuration_is_read(client: Client) -> None:
    """A configuration of a folder gives its dictionary; one that is not there is ErrorItemNotFound."""
    box = client.organisation.mailbox(ALICE)
    box.user_configurations[(box.folder("calendar").number, "WorkHours")] = {"start": "09:00"}

    def read(name: str, properties: str = "Dictionary") -> str:
        return (
            f'<m:GetUserConfiguration><m:UserConfigurationName Name="{name}"><t:DistinguishedFolderId Id="calendar"/>'
            f"</m:UserConfigurationName><m:UserConfigurationProperties>{properties}</m:UserConfigurationProperties>"
            "</m:GetUserConfiguration>"
        )

    found = client.one(read("WorkHours")).find(f"{M}UserConfiguration")
    assert [one.text for one in found.iter(f"{T}Value")] == ["start", "09:00"]
    assert client.one(read("WorkHours", "XmlData")).find(f"{M}UserConfiguration/{T}Dictionary") is None
    assert client.codes(read("Nothing")) == ["ErrorItemNotFound"]
