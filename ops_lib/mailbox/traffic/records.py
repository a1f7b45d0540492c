"""What may stay of our own records: settings, statuses, failures, looks at the network. Keys are ours; values are looked at one by one."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from zoneinfo import available_timezones

from tzlocal.windows_tz import win_tz

from ops_lib.mailbox.traffic import documents, own_words, web
from ops_lib.mailbox.traffic.standins import ADDRESS, GUID, HOST, IP, StandIns, is_address_of_web, listed

_NAMES = listed(
    "name host hosts types inbound_type subject issuer names server proxy owner displayname app_displayname collector_host"
)
_OPAQUE = listed("calendar_state tasks_state sync_state item_id change_key uid stamp")
_SECRETS = listed("access_token refresh_token password secret")
_PATHS = listed("ca_bundle")
_LOGINS = listed("service_user")
_IDS = listed("account_id host_id user_id type_ids community_id inbound_type_id run activity_id")
_KEPT_NAMES = {"syncops"}
_VERSION = re.compile(r"(?:syncops )?[\d.]{1,20}|TLSv[\d.]{1,4}|SE|Office 365")
_KEY = re.compile(r"(activity|item):(.+)", re.DOTALL)
_NUMBER_TEXT = re.compile(r"\d{1,12}")
_DISTINGUISHED_NAME = re.compile(r"(?:[A-Za-z0-9.]{1,20}=[^,]*(?:,|$))+")

REPLACED_PATH = "/replaced/ca-bundle.pem"


def scrubbed(value: Any, stand_ins: StandIns, key: str = "") -> Any:
    """Plain JSON with what may stay."""
    if isinstance(value, dict):
        return {
            name if _is_ours(name) else stand_ins.text(name): scrubbed(each, stand_ins, name)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrubbed(each, stand_ins, key) for each in value]
    if isinstance(value, bool) or value is None or isinstance(value, int | float):
        return value
    return _string(str(value), key, stand_ins)


def _is_ours(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ -]{0,40}", name) is not None and own_words.is_own(name.replace("_", " "))


def _string(value: str, key: str, stand_ins: StandIns) -> str:
    text = value.strip()
    if not text:
        return value
    if key in _SECRETS:
        return documents.token(text, stand_ins) if text.count(".") == 2 else stand_ins.secret(text)
    if key in _PATHS:
        stand_ins.text(text)
        return REPLACED_PATH
    if key in _OPAQUE:
        return stand_ins.opaque(text, "sync state" if key.endswith("_state") else "id")
    if key in ("time_zone", "windows_zone") and (text in available_timezones() or text in win_tz):
        return text
    if key in ("version", "server_version", "ver", "collector") and _VERSION.fullmatch(text):
        return text
    if key in _IDS and _NUMBER_TEXT.fullmatch(text):
        return text
    if _is_moment(text):
        return text
    if GUID.fullmatch(text):
        return stand_ins.guid(text)
    if is_address_of_web(text):
        return web.url(text, stand_ins)
    if ADDRESS.fullmatch(text):
        return stand_ins.address(text)
    if IP.fullmatch(text) or (key in ("addresses", "names", "host") and HOST.fullmatch(text)):
        return stand_ins.host(text)
    if key in _LOGINS:  # one that is no address: a replay signs in with it, so it must stay one
        return "\\".join(
            stand_ins.host(each) if HOST.fullmatch(each) else stand_ins.name(each) for each in text.split("\\")
        )
    named = _KEY.fullmatch(text)
    if named and key in ("key", "keys"):
        return f"{named.group(1)}:{named.group(2) if named.group(2).isdigit() else stand_ins.opaque(named.group(2))}"
    if key in ("scp", "roles"):
        return documents.scopes_or_roles(text, stand_ins)
    if key in ("subject", "issuer") and "=" in text and _DISTINGUISHED_NAME.fullmatch(text):
        return ",".join(_attribute(each, stand_ins) for each in text.split(",") if each)
    if key == "names" and text.startswith("*.") and HOST.fullmatch(text[2:]):
        return f"*.{stand_ins.host(text[2:])}"
    if key == "names" and re.fullmatch(r"[A-Za-z0-9_-]{1,63}", text):
        return stand_ins.host(text)
    if key in _NAMES and text not in _KEPT_NAMES:
        return stand_ins.host(text) if HOST.fullmatch(text) else stand_ins.name(text)
    return own_words.plain(text, stand_ins)


def _attribute(part: str, stand_ins: StandIns) -> str:
    name, _, value = part.partition("=")
    shown = stand_ins.host(value) if HOST.fullmatch(value.removeprefix("*.")) else stand_ins.name(value)
    return f"{name if name in ('CN', 'O', 'OU', 'C', 'L', 'ST', 'DC') else 'OID'}={shown}"


def _is_moment(text: str) -> bool:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return False
    for read in (datetime.fromisoformat, date.fromisoformat):
        try:
            read(text)
        except ValueError:
            continue
        return True
    return False
