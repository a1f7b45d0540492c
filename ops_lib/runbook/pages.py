"""A runbook's page, `runbooks/STEM.md`: when to use it, what it writes and needs, and when it runs by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from ops_lib.crm.directory import zone_name
from ops_lib.errors import InputError, NotThere
from ops_lib.runbook import library
from ops_lib.runbook.cron import CronLine
from ops_lib.runbook.library import Value

_FIELDS = ("title", "symptoms", "writes", "needs", "cassettes", "schedule")
_WRITES = ("none", "crm", "exchange", "both")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a runbook runs by itself, and with which parameters. ``time_zone``: empty for the workspace's."""

    cron: str
    parameters: dict[str, Value]
    time_zone: str = ""

    def line(self, zone: ZoneInfo) -> CronLine:
        """The cron line in its own zone, or in the one given. **Raises** `InputError`."""
        return CronLine.parse(self.cron, self.time_zone or zone.key)


@dataclass(frozen=True, slots=True)
class Page:
    """The front matter of a runbook's page."""

    stem: str
    title: str
    symptoms: tuple[str, ...]
    writes: str
    needs: tuple[str, ...]
    cassettes: tuple[str, ...]
    schedule: Schedule | None


def page(stem: str) -> Page:
    """The page of a runbook. **Raises** `NotThere`, `InputError`."""
    path = library.folder("runbooks") / f"{stem}.md"
    if not path.is_file():
        raise NotThere(f"the runbook {stem} has no page", subject=path.name, fix="write it; CONTRIBUTING says how.")
    return _read(path)


def pages() -> list[Page]:
    """The pages of all runbooks, by name. **Raises** `NotThere`, `InputError`."""
    return [page(stem) for stem in library.stems()]


def _read(path: Path) -> Page:
    parts = path.read_text(encoding="utf-8").split("---\n", 2)
    try:
        front = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    except yaml.YAMLError as error:
        raise InputError(f"its front matter is no YAML ({' '.join(str(error).split())})", subject=path.name) from None
    if not isinstance(front, dict) or sorted(front) != sorted(_FIELDS):
        raise InputError("its front matter is not complete", subject=path.name, fix=f"give {', '.join(_FIELDS)}.")
    if front["writes"] not in _WRITES:
        raise InputError("writes is none of those there are", subject=path.name, fix=f"use {', '.join(_WRITES)}.")
    lists = {name: tuple(map(str, front[name] or ())) for name in ("symptoms", "needs", "cassettes")}
    return Page(
        path.stem, str(front["title"]), **lists, writes=front["writes"], schedule=_schedule(front["schedule"], path)
    )


def _schedule(given: object, path: Path) -> Schedule | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not {"cron"} <= set(given) <= {"cron", "parameters", "time_zone"}:
        raise InputError(
            "schedule has fields that it may not have", subject=path.name, fix="give cron, parameters, time_zone."
        )
    parameters = dict(given.get("parameters") or {})
    known = library.parameters(library.notebook(path.stem))
    for name, value in parameters.items():
        if name not in known or type(value) is not type(known[name].default):
            raise InputError(
                f"the schedule's parameter {name} is none of the notebook's, or of another kind", subject=path.name,
                fix=f"use {', '.join(f'{each.name} ({each.kind})' for each in known.values())}.",
            )  # fmt: skip
    zone = str(given.get("time_zone") or "")
    CronLine.parse(str(given["cron"]), "UTC")
    return Schedule(str(given["cron"]), parameters, zone and zone_name(zone))
