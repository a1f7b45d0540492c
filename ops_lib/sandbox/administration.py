"""What an administrator may turn off: EWS itself, for all or for one, applications, licences, time zones; and mailboxes that are elsewhere.

**Source** Control access to EWS in Exchange (EwsEnabled, EwsAllowedAppIDs, EwsBlockList, the header X-EWS-Policy-Reason); EWS *ResponseCode*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ops_lib.errors import InputError

POLICY_HEADER = "X-EWS-Policy-Reason"
DISABLED = "EWS is disabled for this user or tenant"
BLOCKED = "EWS is blocked by policy for this user or tenant"
VERSIONS = ("", "Exchange2010_SP2", "Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016")


@dataclass(slots=True)
class Administration:
    """The switches. ``allowed_apps`` None: no list, which allows all; an empty one blocks all, as since October 2026."""

    ews_enabled: bool = True
    ews_disabled_for: set[str] = field(default_factory=set)  # mailboxes by address
    allowed_apps: set[str] | None = None  # client ids
    blocked_agents: set[str] = field(default_factory=set)  # beginnings of User-Agent, in any case
    unlicensed: set[str] = field(default_factory=set)  # mailboxes whose user has lost the licence
    elsewhere: set[str] = field(
        default_factory=set
    )  # users that the directory knows, whose mailbox is on another server
    newest_version: str = ""  # of RequestServerVersion that this server knows; "": all
    missing_zones: set[str] = field(default_factory=set)  # Windows time zones that the server has not

    def closes_ews(self, mailbox: str, caller: str, agent: str) -> str:
        """Why EWS does not take this request, in the header's words; empty where it does."""
        if not self.ews_enabled or mailbox.lower() in self.ews_disabled_for:
            return DISABLED
        is_listed = self.allowed_apps is None or caller.lower() in {each.lower() for each in self.allowed_apps}
        is_blocked = any(agent.lower().startswith(each.lower()) for each in self.blocked_agents if each)
        return BLOCKED if is_blocked or not is_listed else ""

    def document(self) -> dict[str, Any]:
        """The switches as JSON."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: sorted(value) if isinstance(value, set) else value for name, value in found.items()}

    def change(self, document: Mapping[str, Any]) -> None:
        """Turn the switches that a document names. Raises InputError, and then turns none."""
        read = {name: _read(name, value) for name, value in document.items()}
        for name, value in read.items():
            setattr(self, name, value)


_NAMES = tuple(each.name for each in fields(Administration))


def _read(name: str, value: Any) -> Any:
    if name not in _NAMES:
        raise InputError("is not known", subject=f"administration, {name}", fix=f"use one of: {', '.join(_NAMES)}.")
    if name == "ews_enabled":
        if isinstance(value, bool):
            return value
        raise InputError(f"must be true or false (it is {value!r})", subject=f"administration, {name}")
    if name == "newest_version":
        if value in VERSIONS:
            return value
        raise InputError(f"must be one of {', '.join(VERSIONS[1:])}", subject=f"administration, {name}")
    if name == "allowed_apps" and value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"must be a list of texts (it is {value!r})", subject=f"administration, {name}")
    return {each if name == "missing_zones" else each.lower() for each in value}
