"""Workspaces: made once, found again, with settings that are checked and a clock that can be fixed."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError, WorkspaceError
from ops_lib.workspace import Workspace, clock_of


@pytest.fixture(autouse=True)
def _no_workspace_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SYNCOPS_WORKSPACE", "SYNCOPS_DATABASE_URL", "SYNCOPS_NOW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _types(workspace: Workspace) -> list[str]:
    with workspace.database.read() as connection:
        return [each.name for each in Directory(connection).activity_types()]


def test_a_new_workspace_is_ready(tmp_path: Path) -> None:
    """It has settings, a database in its own folder and the usual activity types, and is opened again from anywhere."""
    made = Workspace.create(tmp_path / "customers" / "acme")
    assert "Appointment" in _types(made)
    made.close()
    opened = Workspace.open(tmp_path / "customers" / "acme")
    assert _types(opened) == _types(made)
    assert (opened.path / "syncops.db").is_file()
    assert opened.settings.crm_url == "https://crm.example"
    assert opened.settings.request_timeout_seconds == 120
    opened.close()


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    """A second `create` keeps settings and data, and adds what is missing."""
    Workspace.create(tmp_path / "acme").close()
    file = tmp_path / "acme" / "syncops.toml"
    file.write_text(file.read_text().replace('"UTC"', '"America/Chicago"'))
    again = Workspace.create(tmp_path / "acme")
    assert again.settings.default_time_zone == "America/Chicago"
    assert _types(again).count("Tour") == 1
    again.close()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds something and is no workspace is refused and stays as it is; so is a file."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "ruth.jpg").touch()
    with pytest.raises(WorkspaceError, match="holds other things"):
        Workspace.create(tmp_path / "photos")
    assert [each.name for each in (tmp_path / "photos").iterdir()] == ["ruth.jpg"]
    with pytest.raises(WorkspaceError, match="this is a file"):
        Workspace.create(tmp_path / "photos" / "ruth.jpg")


def test_a_workspace_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path, else by SYNCOPS_WORKSPACE, else by standing in it; nowhere says how to make one."""
    for name in ("one", "two", "three"):
        Workspace.create(tmp_path / name).close()
    with pytest.raises(WorkspaceError, match="syncops init DIR"):
        Workspace.open()
    monkeypatch.chdir(tmp_path / "one")
    assert Workspace.open().path.name == "one"
    monkeypatch.setenv("SYNCOPS_WORKSPACE", str(tmp_path / "two"))
    assert Workspace.open().path.name == "two"
    assert Workspace.open(tmp_path / "three").path.name == "three"
    with pytest.raises(WorkspaceError, match="missing is no workspace"):
        Workspace.open(tmp_path / "missing")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("crm_ulr = 'https://crm.example'", "crm_ulr: Extra inputs"),
        ("crm_url = 'crm.example'", "crm_url: .*must begin with https"),
        ("default_time_zone = 'Eastern'", "default_time_zone: .*Eastern is no time zone"),
        ("request_timeout_seconds = 0", "request_timeout_seconds: .*greater than 0"),
        ("request_timeout_seconds = \n", "this is no TOML: .*line 1"),
        ("now = 'Monday'", "now: .*Monday is no moment"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, line: str, words: str) -> None:
    """A misspelt key, an impossible value and a file that is no TOML are errors that name the file and the place."""
    (tmp_path / "syncops.toml").write_text(line)
    with pytest.raises(WorkspaceError, match=words) as caught:
        Workspace.open(tmp_path)
    assert str(tmp_path / "syncops.toml") in str(caught.value)


def test_a_workspace_may_have_a_clock_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``now`` in the settings fixes the workspace's clock, as a demo leaves it; SYNCOPS_NOW goes before it."""
    (tmp_path / "syncops.toml").write_text('now = "2026-11-23T09:00:00Z"')
    assert Workspace.open(tmp_path).now() == datetime(2026, 11, 23, 9, tzinfo=UTC)
    monkeypatch.setenv("SYNCOPS_NOW", "2026-12-24T09:00:00Z")
    assert Workspace.open(tmp_path).now() == datetime(2026, 12, 24, 9, tzinfo=UTC)


@pytest.mark.req("R9")
def test_a_password_in_the_settings_is_not_repeated(tmp_path: Path) -> None:
    """An error about the settings, and their repr, hold no database password; the file is for its owner only."""
    (tmp_path / "syncops.toml").write_text("database_url = 'postgresql://ann:hunter2@db.example/crm'\nwrong = 1\n")
    with pytest.raises(WorkspaceError) as caught:
        Workspace.open(tmp_path)
    assert "hunter2" not in str(caught.value)
    (tmp_path / "syncops.toml").write_text("database_url = 'postgresql://ann:hunter2@db.example/crm'\n")
    workspace = Workspace.open(tmp_path)
    assert (
        "hunter2"
        not in repr(workspace) + repr(workspace.settings) + repr(workspace.database) + workspace.database.shown
    )


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_settings_are_their_owner_s(tmp_path: Path) -> None:
    """The settings may hold a database password: nobody else may read them."""
    Workspace.create(tmp_path / "acme").close()
    assert stat.S_IMODE((tmp_path / "acme" / "syncops.toml").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_database_is_its_owner_s(tmp_path: Path) -> None:
    """A new database, what SQLite puts beside it, and a folder that is made for them are nobody else's to read, whatever the umask."""
    before = os.umask(0o022)
    try:
        workspace = Workspace.create(tmp_path / "acme")
        with workspace.database.begin() as connection:
            Directory(connection).add_user("alice@example.test", "alice")
            beside = sorted(file for file in workspace.path.iterdir() if file.name.startswith("syncops.db"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in beside}
        workspace.close()
    finally:
        os.umask(before)
    assert modes == {"syncops.db": 0o600, "syncops.db-shm": 0o600, "syncops.db-wal": 0o600}
    assert stat.S_IMODE((tmp_path / "acme").stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_database_that_others_were_let_into_stays_open_to_them(tmp_path: Path) -> None:
    """Who shares a workspace sets the mode of its folder and file; it is not taken back."""
    (tmp_path / "acme").mkdir(mode=0o750)
    Workspace.create(tmp_path / "acme").close()
    (tmp_path / "acme" / "syncops.db").chmod(0o640)
    with Workspace.open(tmp_path / "acme").database.read():
        pass
    assert stat.S_IMODE((tmp_path / "acme" / "syncops.db").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "acme").stat().st_mode) == 0o750


def test_the_environment_chooses_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNCOPS_DATABASE_URL goes before the file; a SQLite file's name is relative to the workspace."""
    Workspace.create(tmp_path / "acme").close()
    monkeypatch.setenv("SYNCOPS_DATABASE_URL", "sqlite:///other.db")
    assert Workspace.open(tmp_path / "acme").database.shown == f"sqlite:///{tmp_path / 'acme' / 'other.db'}"


def test_another_database_is_not_put_under_a_workspace(tmp_path: Path) -> None:
    """`create` with another database than the workspace has is refused; a URL that is none leaves no folder behind."""
    Workspace.create(tmp_path / "acme", "sqlite:///mine.db").close()
    Workspace.create(tmp_path / "acme", "sqlite:///mine.db").close()
    with pytest.raises(WorkspaceError, match="another database already"):
        Workspace.create(tmp_path / "acme", "sqlite:///theirs.db")
    with pytest.raises(InputError, match="no database URL"):
        Workspace.create(tmp_path / "new", "nonsense")
    assert not (tmp_path / "new").exists()


def test_the_clock_can_be_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNCOPS_NOW stands still, in UTC whatever zone it is given in; without it time passes; nonsense is refused."""
    workspace = Workspace.create(tmp_path / "acme")
    assert abs(workspace.now() - datetime.now(UTC)) < timedelta(minutes=1)
    workspace.close()
    monkeypatch.setenv("SYNCOPS_NOW", "2026-11-23T10:00:00+01:00")
    fixed = Workspace.open(tmp_path / "acme").now()
    assert fixed == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert fixed.tzinfo is UTC
    for wrong in ("now", "2026-11-23T09:00:00", "2026-11-23"):
        with pytest.raises(InputError, match="SYNCOPS_NOW"):
            clock_of(wrong)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_workspace_can_be_on_postgresql(tmp_path: Path, database_url: str) -> None:
    """A workspace's database may be a PostgreSQL, named by a plain postgresql:// URL."""
    workspace = Workspace.create(tmp_path / "acme", database_url)
    assert "Tour" in _types(workspace)
    assert workspace.database.shown.startswith("postgresql://")
    workspace.close()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('alert_on = ["fine"]', "fine is no outcome"),
        ("alert_command = 'tell \"me'", "is no command line"),
        ('alert_webhook = "http://chat.example/s3cret"', "must begin with https://"),
        ('alert_webhook = "file:///etc/passwd"', "must begin with https://"),
        ("keep_runs = 0", "greater than or equal to 1"),
    ],
)
def test_an_alert_that_could_not_be_sent_is_refused_before_it_is_needed(tmp_path: Path, line: str, why: str) -> None:
    """The setting is named with what is wrong with it; an address, which is a secret as a rule, is not repeated."""
    Workspace.create(tmp_path / "w").close()
    file = tmp_path / "w" / "syncops.toml"
    name = line.partition(" ")[0]
    kept = [each for each in file.read_text().splitlines() if not each.startswith(f"{name} ")]
    file.write_text("\n".join([*kept, line]) + "\n")
    with pytest.raises(WorkspaceError, match=why) as refused:
        Workspace.open(tmp_path / "w")
    assert name in str(refused.value)
    assert "s3cret" not in str(refused.value)
