"""A workspace: settings, database and clock, opened once and handed down.

It is a folder with `syncops.toml`. `syncops init DIR` makes one; commands find it by ``--workspace``, by ``SYNCOPS_WORKSPACE``, or
by standing in it.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ops_lib.access.vault import Vault
from ops_lib.crm.directory import Directory, zone_name
from ops_lib.database.engine import Database
from ops_lib.errors import InputError, WorkspaceError

if TYPE_CHECKING:
    from ops_lib.access.signin import Access
    from ops_lib.mailbox import Mailbox
    from ops_lib.model import Account, Host

SETTINGS_FILE = "syncops.toml"
DATABASE_VARIABLE = "SYNCOPS_DATABASE_URL"
WORKSPACE_VARIABLE = "SYNCOPS_WORKSPACE"
NOW_VARIABLE = "SYNCOPS_NOW"


class Settings(BaseModel):
    """What `syncops.toml` holds. A key that is not listed here is an error: a misspelt setting would be silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database_url: str = Field(default="sqlite:///syncops.db", repr=False)
    crm_url: str = "https://crm.example"
    default_time_zone: str = "UTC"
    request_timeout_seconds: float = Field(default=120, gt=0, le=3600)
    now: str = ""
    """The moment at which the workspace's clock stands still, as a demo's does; empty: the real time."""
    alert_on: tuple[str, ...] = ("findings", "blocked", "failed")
    alert_command: str = ""
    alert_webhook: str = Field(default="", repr=False)
    keep_runs: int = Field(default=200, ge=1)

    @field_validator("crm_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http://)")
        return value.rstrip("/")

    @field_validator("now")
    @classmethod
    def _is_moment(cls, value: str) -> str:
        try:
            clock_of(value)
        except InputError as error:
            raise ValueError(f"{error.message}; {error.fix}") from None
        return value

    @field_validator("default_time_zone")
    @classmethod
    def _is_time_zone(cls, value: str) -> str:
        try:
            return zone_name(value)
        except InputError as error:
            raise ValueError(str(error)) from None

    @field_validator("alert_on")
    @classmethod
    def _are_outcomes(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [each for each in values if each not in ("ok", "findings", "blocked", "failed")]:
            raise ValueError(f"{unknown[0]} is no outcome; they are ok, findings, blocked, failed")
        return values

    @field_validator("alert_command")
    @classmethod
    def _is_command(cls, value: str) -> str:
        try:
            shlex.split(value)
        except ValueError as error:
            raise ValueError(f"is no command line ({error})") from None
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_webhook(cls, value: str) -> str:
        address = urlsplit(value)
        if value and (not address.hostname or address.scheme != "https") and not _is_here(address):
            raise ValueError("must begin with https:// (or http:// on this machine)")
        return value


class Workspace:
    """One customer's settings, database and clock."""

    def __init__(self, path: Path, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.path = path
        self.settings = settings
        self.clock = clock
        self.database = Database(_absolute(settings.database_url, path))
        self.vault = Vault(path)

    def __repr__(self) -> str:
        return f"Workspace({str(self.path)!r})"

    @classmethod
    def open(cls, path: Path | str | None = None) -> Workspace:
        """The workspace at ``path``, or where ``SYNCOPS_WORKSPACE`` or the current folder says.

        The database is opened, and brought up to date, when it is first used. **Raises** `WorkspaceError`, `InputError`.
        """
        folder = _folder(path)
        settings = _settings(folder)
        return cls(folder, settings, clock_of(os.environ.get(NOW_VARIABLE, "") or settings.now))

    @classmethod
    def create(cls, path: Path | str, database_url: str | None = None) -> Workspace:
        """Make the folder, its settings, its database and the usual activity types; on a workspace, add what is missing.

        **Raises** `WorkspaceError` for a folder that holds anything else.
        """
        folder = Path(path).expanduser().absolute()
        file = folder / SETTINGS_FILE
        if not file.exists():
            if folder.exists() and not folder.is_dir():
                raise WorkspaceError("this is a file", subject=str(folder), fix="name a folder that is new or empty.")
            if folder.is_dir() and any(folder.iterdir()):
                raise WorkspaceError(
                    "the folder holds other things already",
                    subject=str(folder),
                    fix="name a folder that is new or empty.",
                )
            _write_settings(folder, database_url)
        elif database_url is not None and _settings(folder, environment={}).database_url != database_url:
            raise WorkspaceError(
                "the workspace has another database already",
                subject=str(file),
                fix="change database_url there, or make a workspace in another folder.",
            )
        workspace = cls.open(folder)
        with workspace.database.begin() as connection:
            Directory(connection).add_usual_activity_types()
        return workspace

    def now(self) -> datetime:
        """The present moment, aware and in UTC; fixed where ``SYNCOPS_NOW`` says so."""
        return self.clock()

    def zone(self, name: str = "") -> ZoneInfo:
        """The time zone of that name, or the workspace's own."""
        return ZoneInfo(name or self.settings.default_time_zone)

    @property
    def access(self) -> Access:
        """The credentials of the workspace's accounts, and how they are got."""
        from ops_lib.access.signin import Access  # exchangelib takes most of a second

        return Access(self.database, self.vault, self.clock, self.settings.request_timeout_seconds)

    def open_mailbox(self, host: Host, account: Account) -> Mailbox:
        """An account's mailbox, with the secrets and sign-ins of this workspace. Nothing is sent yet. **Raises** `OpsError`."""
        from ops_lib.mailbox import open_mailbox

        access = self.access
        return open_mailbox(host, account, access.secrets, self.settings.request_timeout_seconds, access)

    def close(self) -> None:
        self.database.close()


def clock_of(fixed: str) -> Callable[[], datetime]:
    """The system's clock, or one that stands still at ``fixed`` (ISO 8601 with a zone). **Raises** `InputError`."""
    if not fixed:
        return lambda: datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(fixed)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InputError(
            f"{fixed} is no moment",
            subject=NOW_VARIABLE,
            fix="write it as 2026-11-23T09:00:00Z, or unset the variable.",
        )
    moment = instant.astimezone(UTC)
    return lambda: moment


def _is_here(address: SplitResult) -> bool:
    return address.scheme == "http" and address.hostname in ("localhost", "127.0.0.1", "::1")


def _folder(path: Path | str | None) -> Path:
    given = path or os.environ.get(WORKSPACE_VARIABLE)
    folder = Path(given or ".").expanduser().absolute()
    if not (folder / SETTINGS_FILE).is_file():
        raise WorkspaceError(
            f"{folder} is no workspace: it has no {SETTINGS_FILE}",
            fix="syncops init DIR makes one; --workspace DIR or SYNCOPS_WORKSPACE chooses one.",
        )
    return folder


def _settings(folder: Path, environment: dict[str, str] | None = None) -> Settings:
    file = folder / SETTINGS_FILE
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"this is no TOML: {error}", subject=str(file), fix="correct that line.") from None
    except OSError as error:
        raise WorkspaceError(f"cannot be read ({error.strerror})", subject=str(file)) from None
    override = (os.environ if environment is None else environment).get(DATABASE_VARIABLE)
    if override:
        read["database_url"] = override
    try:
        return Settings.model_validate(read)
    except ValidationError as error:
        # Field and reason, never the value: a database URL may hold a password.
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)
        )
        known = ", ".join(Settings.model_fields)
        raise WorkspaceError(faults, subject=str(file), fix=f"correct it; the settings are {known}.") from None


def _absolute(url: str, folder: Path) -> str:
    """A SQLite file is named relative to the workspace, wherever the command is started from."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return url  # `Database` says what is wrong with it
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return url
    return parsed.set(database=str(folder / parsed.database)).render_as_string(hide_password=False)


def _write_settings(folder: Path, database_url: str | None) -> None:
    Database(_absolute(database_url or "sqlite:///syncops.db", folder))  # refuse a bad URL before anything is written
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / SETTINGS_FILE
        file.touch(mode=0o600)  # the URL may hold a password
        file.write_text(
            _TEMPLATE.replace("DATABASE_URL", _toml(database_url or "sqlite:///syncops.db")), encoding="utf-8"
        )
    except OSError as error:
        raise WorkspaceError(
            f"the folder cannot be made ({error.strerror})",
            subject=str(folder),
            fix="name another, or make it writable.",
        ) from None


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TEMPLATE = """\
# A syncops workspace. Times of users without a zone of their own are shown in default_time_zone.

# SQLite in this folder, or PostgreSQL: postgresql://USER@HOST/DATABASE
# SYNCOPS_DATABASE_URL in the environment goes before this, and is the better place for a password.
database_url = DATABASE_URL

# The CRM's web address: links in Outlook lead to {crm_url}/activity/ID and {crm_url}/individual/ID.
crm_url = "https://crm.example"

# An IANA name, such as "America/New_York". Communities and users may have their own.
default_time_zone = "UTC"

# How long one request to Exchange may take.
request_timeout_seconds = 120

# Whom to tell when a runbook ends so. The command gets one JSON document on stdin and its text in SYNCOPS_ALERT; the webhook gets the document.
alert_on = ["findings", "blocked", "failed"]
# alert_command = "/usr/local/bin/tell-the-desk --urgent"
# alert_webhook = "https://chat.customer.example/hooks/…"

# So many runs of each runbook are kept, with their notebooks and pages.
keep_runs = 200
"""
