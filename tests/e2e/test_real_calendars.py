"""Must show 2: real calendars, loaded into a mailbox, appear in the CRM as an independent program says they take place."""

from __future__ import annotations

import base64
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import requests

from ops_lib.database.engine import Database
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.mapping import one_line
from tests.support.judge import CALENDARS, occurrences, pieces
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk

FILES = sorted(CALENDARS.glob("*.ics")) if CALENDARS.is_dir() else []

pytestmark = [
    pytest.mark.skipif(not FILES, reason="the real calendars are not beside the repository (../shared/calendars)"),
    pytest.mark.req("O1", "O5", "O6"),
]

QUARTERS = [datetime(year, month, 20, 9, tzinfo=UTC) for year in range(2012, 2027) for month in (2, 5, 8, 11)]


@cache
def moments(path: Path) -> list[datetime]:
    """Three days to stand on, early, middle and late, with something in the window around each."""
    shown = timedelta(days=85)
    everything = occurrences(path, QUARTERS[0], QUARTERS[-1] + shown)
    busy = [now for now in QUARTERS if any(one.start < now + shown and one.end > now for one in everything)]
    return sorted({busy[0], busy[len(busy) // 2], busy[-1]})


_CREATE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:RequestServerVersion Version="Exchange2016"/></s:Header><s:Body>
<m:CreateItem SendMeetingInvitations="SendToNone"><m:SavedItemFolderId><t:DistinguishedFolderId Id="calendar"/></m:SavedItemFolderId>
<m:Items><t:CalendarItem><t:MimeContent CharacterSet="UTF-8">{mime}</t:MimeContent></t:CalendarItem></m:Items></m:CreateItem></s:Body></s:Envelope>"""


def upload(sandbox: Sandbox, text: str) -> str:
    """Put one iCalendar into alice's calendar as any client does, by its MimeContent. Answers why it was refused, or nothing."""
    mime = base64.b64encode(text.encode()).decode()
    answer = requests.post(
        sandbox.ews_url,
        data=_CREATE.format(mime=mime).encode(),
        headers={"Content-Type": "text/xml; charset=utf-8"},
        auth=(ALICE, sandbox.passwords[ALICE]),
        timeout=20,
    )
    found = re.search(r"<m:MessageText>(.*?)</m:MessageText>", answer.text)
    assert answer.status_code == 200, answer.text
    return "" if "<m:ResponseCode>NoError<" in answer.text else found[1] if found else answer.text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_real_calendar(path: Path, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Every occurrence of the window, instant by instant; what Exchange cannot hold is refused with a reason and counted."""
    compare_calendar(path, sandbox, sqlite_database)


def compare_calendar(path: Path, sandbox: Sandbox, sqlite_database: Database) -> None:
    """Load a file into alice's mailbox and compare the CRM's calendar with what another program says, on three days."""
    refused = {uid: reason for uid, text in pieces(path) if (reason := upload(sandbox, text))}
    desk = ServerDesk(sqlite_database, sandbox=sandbox)
    compared = 0
    for desk.now in moments(path):
        desk.cycle()
        start, end = desk.now.replace(hour=0) - timedelta(days=2), desk.now.replace(hour=0) + timedelta(days=91)
        expected = Counter(
            (o.start, o.end, o.all_day, one_line(o.summary))
            for o in occurrences(path, start, end)
            if o.uid not in refused
        )
        shown = Counter(
            row
            for row in (
                (_instant(begin), _instant(finish), all_day, title) for begin, finish, all_day, title in desk.shown()
            )
            if row[0] < end and (row[1] > start or row[0] == row[1] >= start)
        )
        assert shown == expected
        compared += sum(expected.values())
        desk.settle()
    assert compared > 0
    print(f"{path.stem}: {compared} occurrences compared, {len(refused)} refused {sorted(set(refused.values()))}")


def _instant(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)  # type: ignore[attr-defined]
