"""How fast the sandbox's EWS face is, without HTTP: requests a second on one core, in a calendar of 1000 events.

The envelope is read, checked against the schema's rules, answered and written; sign-in and the network are left out.

    python benchmarks/bench_sandbox.py
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ops_lib.sandbox.ews import Caller, EwsFace
from ops_lib.sandbox.items import ExtendedName
from ops_lib.sandbox.recurrence import NoEnd, Recurrence, Weekly
from ops_lib.sandbox.store import Organisation
from ops_lib.sandbox.values import Body
from tests.support.soap import envelope

ALICE = "alice@example.test"
SET = "6f0a2c54-3d1e-4b7a-9c65-2e8d7b1f4a90"
KEY = f'<t:ExtendedFieldURI PropertySetId="{SET}" PropertyName="Key" PropertyType="String"/>'
START = datetime(2026, 12, 1, tzinfo=UTC)
TWELVE = [
    "item:Subject",
    "item:Sensitivity",
    "item:Categories",
    "item:LastModifiedTime",
    "calendar:Start",
    "calendar:End",
    "calendar:Location",
    "calendar:IsAllDayEvent",
    "calendar:LegacyFreeBusyStatus",
    "calendar:StartTimeZone",
    "calendar:UID",
    "calendar:CalendarItemType",
]
CALENDAR = '<t:DistinguishedFolderId Id="calendar"/>'


def filled() -> tuple[Organisation, list[str]]:
    """alice's calendar with 1000 single events and 20 weekly series; the ids of the single ones."""
    organisation = Organisation(lambda: datetime(2026, 11, 22, 16, tzinfo=UTC))
    organisation.add_mailbox(ALICE, password="x", name="Alice", zone="America/New_York")
    name = ExtendedName("String", SET, name="Key")
    ids = []
    for number in range(1000):
        at = START + timedelta(hours=number)
        values = {
            "item:Subject": f"Tour {number}",
            "item:Body": Body("hello"),
            "calendar:Start": at,
            "calendar:End": at + timedelta(hours=1),
        }
        ids.append(organisation.create_item(ALICE, "calendar", values, extended={name: f"k{number}"}).id)
    for number in range(20):
        at = START + timedelta(hours=number)
        rule = Recurrence(Weekly(1, ("Tuesday",)), NoEnd(START.date()))
        values = {"calendar:Start": at, "calendar:End": at + timedelta(hours=1), "calendar:Recurrence": rule}
        organisation.create_item(ALICE, "calendar", values)
    return organisation, ids


def shape(*uris: str, base: str = "IdOnly", more: str = "") -> str:
    paths = "".join(f'<t:FieldURI FieldURI="{uri}"/>' for uri in uris) + more
    additional = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
    return f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape>{additional}</m:ItemShape>"


def get_item(ids: list[str], shown: str) -> str:
    named = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
    return f"<m:GetItem>{shown}<m:ItemIds>{named}</m:ItemIds></m:GetItem>"


def find_item(inner: str) -> str:
    folder = f"<m:ParentFolderIds>{CALENDAR}</m:ParentFolderIds>"
    return f'<m:FindItem Traversal="Shallow">{shape(*TWELVE, more=KEY)}{inner}{folder}</m:FindItem>'


def main() -> None:
    organisation, ids = filled()
    face, caller = EwsFace(organisation), Caller(ALICE, app=False)
    constant = '<t:FieldURIOrConstant><t:Constant Value="k77"/></t:FieldURIOrConstant>'
    requests = {
        "GetItem, 4 properties": (get_item(ids[:1], shape(*TWELVE[:4])), 3000),
        "GetItem, AllProperties": (get_item(ids[5:6], shape(base="AllProperties")), 300),
        "GetItem of 100, 12 properties": (get_item(ids[:100], shape(*TWELVE, more=KEY)), 50),
        "SyncFolderItems, 512 of 12 properties": (
            f"<m:SyncFolderItems>{shape(*TWELVE, more=KEY)}<m:SyncFolderId>{CALENDAR}</m:SyncFolderId>"
            "<m:MaxChangesReturned>512</m:MaxChangesReturned></m:SyncFolderItems>",
            20,
        ),
        "FindItem by extended property": (
            find_item(f"<m:Restriction><t:IsEqualTo>{KEY}{constant}</t:IsEqualTo></m:Restriction>"),
            100,
        ),
        "FindItem, CalendarView of 10 days": (
            find_item('<m:CalendarView StartDate="2026-12-01T00:00:00Z" EndDate="2026-12-11T00:00:00Z"/>'),
            50,
        ),
    }
    print(f"{'request':<40}{'a second':>10}{'ms each':>10}{'KB':>8}")
    for name, (body, rounds) in requests.items():
        request = envelope(body)
        began = time.perf_counter()
        for _ in range(rounds):
            reply = face.answer(face.read(request), caller)
        seconds = (time.perf_counter() - began) / rounds
        assert b'ResponseClass="Error"' not in reply.body, reply.body
        print(f"{name:<40}{1 / seconds:>10.0f}{seconds * 1000:>10.2f}{len(reply.body) / 1024:>8.1f}")


if __name__ == "__main__":
    main()
