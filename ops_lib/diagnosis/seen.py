"""What a diagnosis looked at, as values and as plain JSON, so that last week's facts can be judged by today's checks. Pure.

`Facts` holds one `Probe` for each thing that was looked at. A probe that failed is a fact as well, and so is one that was not asked, with the
reason. Nothing in here is a secret; addresses and names are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from ops_lib.errors import InputError

FORMAT = "syncops facts"
VERSION = 1
"""Of the file. An older one is read; what it does not hold is unknown to the checks. A newer one is refused."""

ProbeOutcome = Literal["seen", "failed", "not asked"]
_OUTCOMES = ("seen", "failed", "not asked")
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a probe failed. ``error`` is the class in `ops_lib.errors`; ``response_code`` stands as the server wrote it."""

    error: str
    message: str
    response_code: str = ""
    http_status: int = 0
    fix: str = ""
    back_off_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that was looked at.

    ``asked`` what was sent or read, in words; ``seen`` what came of it, plain JSON; ``headers`` those of the answer by which a server's keeper
    finds the request; ``why`` the reason where it was not asked.
    """

    probe: str
    outcome: ProbeOutcome
    asked: str = ""
    at: str = ""
    seconds: float = 0.0
    seen: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    headers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    failure: Failure | None = None
    why: str = ""

    @property
    def is_seen(self) -> bool:
        return self.outcome == "seen"

    @property
    def code(self) -> str:
        """The failure's response code; empty where there is none."""
        return self.failure.response_code if self.failure is not None else ""

    def get(self, *path: str) -> Any:
        """What was seen at a path of keys; None where nothing is."""
        found: Any = self.seen
        for key in path:
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        return found

    @property
    def evidence(self) -> str:
        """The request, what came of it, and when: one line."""
        parts = [self.asked or self.probe]
        if self.failure is not None:
            status = f"HTTP {self.failure.http_status}" if self.failure.http_status else ""
            code = self.failure.response_code or self.failure.error
            parts.append(code if status in ("", code) else f"{code} ({status})")
        for name in ("request-id", "X-FEServer"):
            if name in self.headers:
                parts.append(f"{name} {self.headers[name]}")
        if self.at:
            parts.append(self.at)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was seen of one account. ``at`` is the moment of the looking, and "now" for whoever judges."""

    account: str
    host: str
    at: datetime
    probes: Mapping[str, Probe]
    collector: str = ""

    def probe(self, name: str) -> Probe:
        """A probe; for one that these facts do not hold, one that was not asked."""
        found = self.probes.get(name)
        return found if found is not None else Probe(probe=name, outcome="not asked", why="these facts do not hold it")

    def to_json(self) -> str:
        """One JSON document."""
        return json.dumps(as_document(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str, *, where: str = "facts") -> Facts:
        """Facts from their JSON. **Raises** `InputError` for what is none, or is newer than this program."""
        try:
            document = _whole(json.loads(text))
        except (ValueError, RecursionError):
            raise _unreadable(where, "this is no JSON") from None
        return from_document(document, where=where)


def as_document(facts: Facts) -> dict[str, Any]:
    """Facts as plain JSON values."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "collector": facts.collector,
        "account": facts.account,
        "host": facts.host,
        "at": facts.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "probes": {name: probe_as_document(probe) for name, probe in facts.probes.items()},
    }


def probe_as_document(probe: Probe) -> dict[str, Any]:
    """A probe as plain JSON values; what is empty is left out."""
    document: dict[str, Any] = {"outcome": probe.outcome}
    for name in ("asked", "at", "seconds", "why"):
        if getattr(probe, name):
            document[name] = getattr(probe, name)
    for name in ("seen", "headers"):
        if getattr(probe, name):
            document[name] = dict(getattr(probe, name))
    if probe.failure is not None:
        document["failure"] = {
            each.name: getattr(probe.failure, each.name)
            for each in fields(Failure)
            if getattr(probe.failure, each.name) or each.name == "error"
        }
    return document


def from_document(document: Any, *, where: str = "facts") -> Facts:
    """Facts from plain JSON values. **Raises** `InputError`."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise _unreadable(where, "this is no file of facts")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _unreadable(where, "its version is no number")
    if version > VERSION:
        raise InputError(
            f"these facts have version {version}, and this syncops reads up to {VERSION}",
            subject=where,
            fix="judge them with a newer syncops.",
        )
    try:
        at = datetime.fromisoformat(str(document.get("at")))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _unreadable(where, "it does not say when it was collected")
    probes = document.get("probes")
    if not isinstance(probes, Mapping):
        raise _unreadable(where, "it holds no probes")
    return Facts(
        account=str(document.get("account", "")),
        host=str(document.get("host", "")),
        at=at.astimezone(UTC),
        collector=str(document.get("collector", "")),
        probes={str(name): probe_from_document(str(name), each, where=where) for name, each in probes.items()},
    )


def probe_from_document(name: str, document: Any, *, where: str = "facts") -> Probe:
    """A probe from plain JSON values; keys of another version are passed over. **Raises** `InputError`."""
    if not isinstance(document, Mapping) or document.get("outcome") not in _OUTCOMES:
        raise _unreadable(where, f"its probe '{name}' cannot be read")
    seen, headers, failure = (document.get(key) for key in ("seen", "headers", "failure"))
    if any(each is not None and not isinstance(each, Mapping) for each in (seen, headers, failure)):
        raise _unreadable(where, f"its probe '{name}' cannot be read")
    return Probe(
        probe=name,
        outcome=document["outcome"],
        asked=str(document.get("asked", "")),
        at=str(document.get("at", "")),
        seconds=_number(document.get("seconds")),
        seen=seen or NOTHING,
        headers={str(key): str(value) for key, value in headers.items()} if headers else NOTHING,
        failure=_failure(failure) if failure is not None else None,
        why=str(document.get("why", "")),
    )


def _failure(document: Mapping[str, Any]) -> Failure:
    return Failure(
        error=str(document.get("error", "")),
        message=str(document.get("message", "")),
        response_code=str(document.get("response_code", "")),
        http_status=int(_number(document.get("http_status"))),
        fix=str(document.get("fix", "")),
        back_off_seconds=_number(document.get("back_off_seconds")),
    )


def _whole(value: Any) -> Any:
    """The same with whole characters only: half of a surrogate pair, which JSON may hold, can be written nowhere."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else 0.0


def _unreadable(where: str, reason: str) -> InputError:
    return InputError(reason, subject=where, fix="name a file that syncops diagnose --save has written.")
