"""A made-up customer on a sandbox of its own: the same people and the same moment every time, nothing outside this machine.

`make` builds it in a folder: a sandbox with everybody's mailbox, a workspace whose CRM holds the same people, two hosts and an account for
each user. `for_notebook` is what ``workspace = "demo"`` opens: that customer on a Monday morning, after a few cycles, with something to find.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.access.secrets import file_reference
from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.errors import WorkspaceError
from ops_lib.model import Account, ActivityStatus, AllDay, Origin, Timed, When
from ops_lib.runbook.runner import environment
from ops_lib.sandbox import people
from ops_lib.sandbox.residents import inhabitants
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet
from ops_lib.sync.mapping import instant_text
from ops_lib.workspace import DATABASE_VARIABLE, SETTINGS_FILE, Workspace

MARKER = ".syncops-demo"
"""A folder that holds this was made by a demo, and may be made anew by one."""

COMPANY_HOST = "Company Exchange"

AUTHORITY_FILE = "sandbox-ca.pem"
PASSWORD_FILE = "service-password"  # noqa: S105  a file's name

_KINDS = {"referral source": "referral"}
"""What the population calls a kind of individual, where the CRM has another word."""


class DemoClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = people.NOW) -> None:
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            return self._now

    def advance(self, minutes: float) -> None:
        with self._lock:
            self._now += timedelta(minutes=minutes)


@dataclass
class Demo:
    """The customer, running. ``close`` ends the sandbox; the workspace stays and can still be read."""

    workspace: Workspace
    sandbox: Sandbox
    clock: DemoClock
    population: people.Population

    def accounts(self) -> list[Account]:
        with self.workspace.database.read() as connection:
            return Accounts(connection).accounts(enabled_only=True)

    def leave(self) -> None:
        """Let the workspace's clock stand where it is: whoever looks at it later finds it as it was left, not a customer whose sync has stopped."""
        with (self.workspace.path / SETTINGS_FILE).open("a", encoding="utf-8") as settings:
            settings.write(f'\n# A demo\'s clock stands still.\nnow = "{instant_text(self.clock())}"\n')

    def close(self) -> None:
        self.sandbox.stop()
        self.workspace.close()


def make(folder: Path, *, onboarded: bool = True) -> Demo:
    """Build the customer in ``folder``, which is emptied first where an earlier demo made it. **Raises** `WorkspaceError` for anybody else's.

    Not ``onboarded``, its CRM holds the people and their activities, and there is no host and no account yet.
    """
    _clear(folder)
    folder.mkdir(parents=True, mode=0o700)  # the mailboxes are made up, but the folder is what a real one should be
    clock = DemoClock()
    population = people.population()
    sandbox = Sandbox(inhabitants(), now=clock).start()
    try:
        _remove_when_we_end(sandbox.ca_file.parent)
        workspace = _workspace(folder, clock)
        load_crm(workspace, population)
        demo = Demo(workspace, sandbox, clock, population)
        _leave_credentials(demo)
        if onboarded:
            _onboard(demo)
    except BaseException:
        sandbox.stop()
        raise
    return demo


def load_crm(workspace: Workspace, population: people.Population) -> None:
    """Fill the workspace's CRM with a population's own part, in one transaction; what is there already stays."""
    with workspace.database.begin() as connection:
        directory, crm = Directory(connection), SqlCrm(connection, workspace.now())
        for community in population.communities:
            directory.add_community(community.name, time_zone=community.time_zone)
        users = {
            user.email: directory.add_user(
                user.email,
                user.name,
                community_names=[user.community],
                time_zone=user.time_zone,
                is_admin=user.is_admin,
            ).user_id
            for user in population.users
        }
        types = {
            each.name: directory.add_activity_type(
                each.name, master_type=each.master_type, is_face_to_face=each.is_face_to_face
            ).type_id
            for each in population.activity_types
        }
        individuals = {
            each.individual_id: directory.add_individual(
                each.name, kind=_KINDS.get(each.kind, each.kind), email=each.email, community_name=each.community
            ).individual_id
            for each in population.individuals
        }
        for activity in population.activities:
            content = ActivityContent(
                type_id=types[activity.type],
                status=ActivityStatus(activity.status),
                description=activity.description,
                when=_when(activity),
                location=activity.location,
                notes=activity.notes,
                individual_id=individuals[activity.individual] if activity.individual else None,
            )
            crm.create(users[activity.user], content, origin=Origin.CRM, key=f"population:{activity.activity_id}")


def for_notebook(tell: Callable[[Demo], str] | None = None) -> tuple[Workspace, str]:
    """The workspace behind ``workspace = "demo"``: three cycles, then a right that was taken away and edits that no cycle has seen yet.

    ``tell`` is what happens at the customer instead. Also the email of the user worth looking at. Sandbox and folder are gone with the process.
    """
    from ops_lib.runbook import story

    folder = Path(tempfile.mkdtemp(prefix="syncops-demo-")) / "demo"
    demo = make(folder)
    atexit.register(_end, demo, folder.parent)
    _remove_when_we_end(folder.parent)
    return demo.workspace, (tell or story.monday_morning)(demo)


def before_onboarding() -> Demo:
    """The customer on the day before: an Exchange organisation, a CRM with people, and nothing that joins them. Gone with the process."""
    folder = Path(tempfile.mkdtemp(prefix="syncops-demo-")) / "demo"
    demo = make(folder, onboarded=False)
    atexit.register(_end, demo, folder.parent)
    _remove_when_we_end(folder.parent)
    return demo


def add_host(demo: Demo, name: str = COMPANY_HOST, community: str = "all") -> None:
    """Add a host of the customer that signs in with the service account."""
    with demo.workspace.database.begin() as connection:
        Hosts(connection).add(
            name,
            HostInput(
                url=demo.sandbox.ews_url_https,
                auth="basic",
                access="impersonation",
                version="2019",
                community=community,
                service_user=demo.sandbox.residents.service.address,
                secret=file_reference(demo.workspace.path / PASSWORD_FILE),
                ca_bundle=str(demo.workspace.path / AUTHORITY_FILE),
                all_day_tasks=True,
            ),
        )


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def cycle(demo: Demo, *, minutes: float = 15) -> Fleet:
    """A fleet at the next due time."""
    demo.clock.advance(minutes)
    return Fleet(demo.workspace)


def _workspace(folder: Path, clock: DemoClock) -> Workspace:
    with environment({DATABASE_VARIABLE: None}):  # made-up people never go into the database that somebody works with
        made = Workspace.create(folder)
    made.close()
    (folder / MARKER).write_text("Made by syncops demo: the next one removes this folder.\n", encoding="utf-8")
    return Workspace(made.path, made.settings, clock)


def _leave_credentials(demo: Demo) -> None:
    """Put what the customer's administrator would hand over into the workspace: the authority's certificate and the service account's password."""
    shutil.copyfile(demo.sandbox.ca_file, demo.workspace.path / AUTHORITY_FILE)
    password = demo.workspace.path / PASSWORD_FILE
    password.touch(mode=0o600)
    password.write_text(demo.sandbox.residents.service.password + "\n", encoding="utf-8")


def _onboard(demo: Demo) -> None:
    """Two hosts (the company's, and one community's own) that sign in with the service account, and an account for every user."""
    own = demo.population.communities[-1]
    add_host(demo)
    add_host(demo, f"{own.name} Exchange", own.name)
    with demo.workspace.database.begin() as connection:
        for user in demo.population.users:
            Accounts(connection).add(user.email, all_day_tasks=True)


def _when(activity: people.Activity) -> When:
    if activity.all_day is not None:
        return AllDay(activity.all_day, activity.all_day + timedelta(days=1))
    assert activity.start is not None
    assert activity.end is not None
    return Timed(activity.start, activity.end)


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).is_file()):
        raise WorkspaceError(
            "this was not made by a demo, and is left as it is",
            subject=str(folder),
            fix="name another folder with --dir, or remove it yourself.",
        )
    shutil.rmtree(folder)


def _end(demo: Demo, folder: Path) -> None:
    demo.close()
    shutil.rmtree(folder, ignore_errors=True)


def _remove_when_we_end(*folders: Path) -> None:
    """Remove the folders even when this process is killed, as kernels are: a child of its own waits for our end of a pipe to close."""
    wait = "import shutil, sys; sys.stdin.read(); [shutil.rmtree(each, ignore_errors=True) for each in sys.argv[1:]]"
    subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", wait, *map(str, folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
