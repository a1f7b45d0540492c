"""What answers say, read into plain JSON by allow-lists: certificates, clocks, tokens, versions, folders, and what is odd about items."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ops_lib.access import reach
from ops_lib.errors import MailboxError
from ops_lib.mailbox.ews import folder_rights
from ops_lib.mailbox.ews.answers import Answer, Message, child, parse, text_of
from ops_lib.mailbox.ews.transport import is_soap
from ops_lib.model import Kind
from ops_lib.sync.mapping import instant_text

_OLDEST, _LATEST = 1990, 2100
_CLAIMS = (
    "aud",
    "tid",
    "appid",
    "azp",
    "app_displayname",
    "scp",
    "roles",
    "upn",
    "unique_name",
    "preferred_username",
    "ver",
)
_LONGEST_CLAIM = 300


def certificate_seen(certificate: reach.Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "names": list(certificate.names[:10]),
        "issuer": certificate.issuer,
        "ends": instant_text(certificate.ends),
    }


def kind_of(content: bytes, content_type: str) -> str:
    """Which kind of answer it is: ``soap``, ``page``, ``empty`` or ``other``."""
    if is_soap(content):
        return "soap"
    start = content[:2048].lower()
    if b"<html" in start or b"<!doctype html" in start or "html" in content_type.lower():
        return "page"
    return "other" if content.strip() else "empty"


def clock_ahead(date: str) -> float | None:
    """By how much the server's clock is ahead of this machine's, in seconds; None where it does not say."""
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round((moment - datetime.now(UTC)).total_seconds(), 0)


def claims_of(token: str) -> dict[str, Any]:
    """What an access token says of itself, by an allow-list; nothing for one that cannot be read. Never the token, never verified: it is the server's to judge."""
    parts = token.split(".")
    if len(parts) != 3:
        return {"is_readable": False}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        return {"is_readable": False}
    found: dict[str, Any] = {"is_readable": True}
    for name in _CLAIMS:
        value = claims.get(name)
        if isinstance(value, str):
            found[name] = value[:_LONGEST_CLAIM]
        elif isinstance(value, list):
            found[name] = [str(each)[:_LONGEST_CLAIM] for each in value[:20]]
    expires = claims.get("exp")
    if isinstance(expires, (int, float)) and not isinstance(expires, bool) and 0 < expires < 2**35:
        found["expires"] = instant_text(datetime.fromtimestamp(expires, UTC))
    return found


def server_version(answer: Answer) -> str:
    """The server's version as its SOAP header says it; empty where it does not."""
    try:
        roots = parse(answer.content, "")
    except MailboxError:
        return ""
    info = child(roots[0], "Header", "ServerVersionInfo") if roots else None
    if info is None:
        return ""
    parts = [info.get(name, "") for name in ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")]
    return ".".join(part for part in parts if part)


def folder_seen(kind: Kind, message: Message) -> dict[str, Any]:
    if not message.is_success:
        return {"response_code": message.response_code, "opens": False}
    folder = folder_rights.folder_of(message, kind)
    return {
        "response_code": message.response_code,
        "opens": True,
        "name": folder.name,
        "is_right_kind": folder.is_right_kind,
        "rights": asdict(folder.flags) if folder.flags is not None else None,
    }


def items_seen(rows: list[Any]) -> dict[str, Any]:
    """What is odd about the items of a calendar, as counts: no titles, no people."""
    uids: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    largest = 0
    for row in rows:
        start, end = _moment(row, "Start"), _moment(row, "End")
        if start is None or end is None:
            counts["without_times"] += 1
        else:
            counts["end_before_start"] += end < start
            counts["far_off"] += not (_OLDEST <= start.year <= _LATEST and _OLDEST <= end.year <= _LATEST)
        counts["series"] += text_of(child(row, "CalendarItemType")) == "RecurringMaster"
        counts["other_class"] += not text_of(child(row, "ItemClass")).startswith("IPM.Appointment")
        size = text_of(child(row, "Size"))
        largest = max(largest, int(size) if size.isdigit() else 0)
        uid = text_of(child(row, "UID"))
        if uid:
            uids[uid] += 1
    return {
        "looked_at": len(rows),
        "largest_bytes": largest,
        "same_uid": sum(count for count in uids.values() if count > 1),
        **{name: counts[name] for name in ("without_times", "end_before_start", "far_off", "series", "other_class")},
    }


def smtp_of(entry: Any) -> str:
    """The address in an entry of a contact's addresses; empty for one that is none of SMTP."""
    kind, _, address = text_of(entry).rpartition(":")
    return address.lower() if kind.lower() in ("", "smtp") and "@" in address else ""


def _moment(row: Any, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text_of(child(row, name)))
    except ValueError:
        return None
