"""A client that speaks to the face directly: requests as text, answers as elements, every one of them checked against the schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from ops_lib.sandbox.ews import Caller, EwsFace, Reply, SoapFault
from ops_lib.sandbox.store import Organisation
from tests.support.soap import envelope

SHARED = Path(__file__).resolve().parents[4] / "shared"
M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
S = "{http://schemas.xmlsoap.org/soap/envelope/}"
ALICE, BOB, CAROL, SERVICE = (f"{name}@example.test" for name in ("alice", "bob", "carol", "svc"))
SET = "c11ff724-aa03-4555-9952-8fa248a11c3e"
KEY = f'<t:ExtendedFieldURI PropertySetId="{SET}" PropertyName="CrmKey" PropertyType="String"/>'


@lru_cache(maxsize=1)
def schema() -> Any:
    """The schema of EWS, None where it is not at hand."""
    path = SHARED / "ews-schema" / "messages.xsd"
    return etree.XMLSchema(etree.parse(path)) if path.exists() else None


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


def organisation() -> Organisation:
    """alice, bob and carol in New York, and a service account that may impersonate alice and bob."""
    found = Organisation(Clock())
    names = {ALICE: "Alice Archer", BOB: "Bob Baker", CAROL: "Carol Clark", SERVICE: "Sync Service"}
    for address, name in names.items():
        found.add_mailbox(address, password="secret", name=name, zone="Eastern Standard Time")
    found.grant_impersonation(SERVICE, {ALICE, BOB})
    return found


@dataclass
class Client:
    """Requests to the face of one organisation."""

    organisation: Organisation

    def __post_init__(self) -> None:
        self.face = EwsFace(self.organisation)

    def send(self, request: bytes, user: str = ALICE, *, app: bool = False) -> Reply:
        """The reply to an envelope; faults are replies as well."""
        try:
            read = self.face.read(request)
        except SoapFault as fault:
            return fault.reply()
        return self.face.answer(read, Caller(user, app))

    def ask(self, body: str, user: str = ALICE, *, acting_as: str = "", version: str = "Exchange2016") -> Any:
        """The element in the answer's SOAP body, valid by the schema; it must not be a fault."""
        reply = self.send(envelope(body, acting_as=acting_as, version=version), user)
        found = etree.fromstring(reply.body).find(f"{S}Body")[0]
        assert reply.status == 200, reply.body.decode()
        assert_valid(found)
        return found

    def messages(self, body: str, user: str = ALICE, **header: str) -> list[Any]:
        """The response messages of the answer."""
        return list(self.ask(body, user, **header).find(f"{M}ResponseMessages"))

    def codes(self, body: str, user: str = ALICE, **header: str) -> list[str]:
        """The response codes of the answer, one a message."""
        return [message.findtext(f"{M}ResponseCode") for message in self.messages(body, user, **header)]

    def one(self, body: str, user: str = ALICE, **header: str) -> Any:
        """The one message of the answer, which must be a success."""
        (message,) = self.messages(body, user, **header)
        assert message.findtext(f"{M}ResponseCode") == "NoError", etree.tostring(message).decode()
        return message

    def item(self, body: str, user: str = ALICE, **header: str) -> Any:
        """The one item of the one message, which must be a success."""
        (item,) = self.one(body, user, **header).find(f"{M}Items")
        return item

    def get(
        self, item_id: str, *uris: str, base: str = "IdOnly", more: str = "", user: str = ALICE, shape: str = ""
    ) -> Any:
        """The item with this id."""
        return self.item(get_item(f'<t:ItemId Id="{item_id}"/>', *uris, base=base, more=more, shape=shape), user)


def assert_valid(element: Any) -> None:
    """The element is valid by the schema, where that is at hand."""
    found = schema()
    if found is not None and not found.validate(element):
        raise AssertionError(
            f"{found.error_log[0].message}\n{etree.tostring(element, pretty_print=True).decode()[:3000]}"
        )


def fault_code(reply: Reply) -> str:
    """The response code of a fault."""
    assert reply.status == 500, reply.body.decode()
    return etree.fromstring(reply.body).findtext(".//{*}detail/{*}ResponseCode") or ""


def additional(*uris: str, more: str = "") -> str:
    """AdditionalProperties."""
    paths = "".join(f'<t:FieldURI FieldURI="{uri}"/>' for uri in uris) + more
    return f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""


def item_shape(*uris: str, base: str = "IdOnly", more: str = "", shape: str = "") -> str:
    """ItemShape; ``shape`` goes between BaseShape and AdditionalProperties."""
    return f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape>{shape}{additional(*uris, more=more)}</m:ItemShape>"


def get_item(ids: str, *uris: str, base: str = "IdOnly", more: str = "", shape: str = "") -> str:
    """GetItem."""
    return f"<m:GetItem>{item_shape(*uris, base=base, more=more, shape=shape)}<m:ItemIds>{ids}</m:ItemIds></m:GetItem>"


def create(items: str, *, folder: str = "", send: str = "SendToNone", disposition: str = "") -> str:
    """CreateItem."""
    target = f"<m:SavedItemFolderId>{folder}</m:SavedItemFolderId>" if folder else ""
    sending = f' SendMeetingInvitations="{send}"' if send else ""
    disposing = f' MessageDisposition="{disposition}"' if disposition else ""
    return f"<m:CreateItem{disposing}{sending}>{target}<m:Items>{items}</m:Items></m:CreateItem>"


def event(
    inner: str = "", *, start: str = "2026-11-24T15:00:00Z", end: str = "2026-11-24T16:00:00Z", after: str = ""
) -> str:
    """A CalendarItem: ``inner`` before the times, ``after`` behind them."""
    return f"<t:CalendarItem>{inner}<t:Start>{start}</t:Start><t:End>{end}</t:End>{after}</t:CalendarItem>"


def update(
    item_id: Any, changes: str, *, resolution: str = "AutoResolve", send: str = "SendToNone", more: str = ""
) -> str:
    """UpdateItem; ``item_id`` is an id element or its text."""
    named = item_id if isinstance(item_id, str) else etree.tostring(item_id).decode()
    sending = f' SendMeetingInvitationsOrCancellations="{send}"' if send else ""
    return (
        f'<m:UpdateItem ConflictResolution="{resolution}" {more}{sending}><m:ItemChanges><t:ItemChange>{named}'
        f"<t:Updates>{changes}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


def set_field(uri: str, inner: str, element: str = "CalendarItem") -> str:
    """SetItemField of a FieldURI."""
    return f'<t:SetItemField><t:FieldURI FieldURI="{uri}"/><t:{element}>{inner}</t:{element}></t:SetItemField>'


def delete(item_id: str, *, how: str = "HardDelete", more: str = ' SendMeetingCancellations="SendToNone"') -> str:
    """DeleteItem."""
    return f'<m:DeleteItem DeleteType="{how}"{more}><m:ItemIds>{item_id}</m:ItemIds></m:DeleteItem>'


def find(
    *uris: str, folder: str = "calendar", inner: str = "", view: str = "", traversal: str = "Shallow", more: str = ""
) -> str:
    """FindItem in a well-known folder: ``view`` goes before the restriction, ``inner`` is Restriction and SortOrder."""
    return (
        f'<m:FindItem Traversal="{traversal}">{item_shape(*uris, more=more)}{view}{inner}<m:ParentFolderIds>'
        f'<t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
    )


def sync(
    state: str = "",
    *uris: str,
    folder: str = '<t:DistinguishedFolderId Id="calendar"/>',
    most: int = 512,
    inner: str = "",
) -> str:
    """SyncFolderItems."""
    known = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return (
        f"<m:SyncFolderItems>{item_shape(*uris)}<m:SyncFolderId>{folder}</m:SyncFolderId>{known}{inner}"
        f"<m:MaxChangesReturned>{most}</m:MaxChangesReturned></m:SyncFolderItems>"
    )


def id_of(item: Any) -> str:
    """The Id of an item's element."""
    found: str = item.find(f"{T}ItemId").get("Id")
    return found
