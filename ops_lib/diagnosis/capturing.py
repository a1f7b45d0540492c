"""Capture a diagnosis: everything its collection sends and sees, recorded, scrubbed, and put into one cassette.

Only memory holds what was really said. What goes into the file is what the allow-lists of `ops_lib.mailbox.traffic` let through, with stand-ins
for the rest. `replaying` makes the same facts of it again, on any machine.
"""

from __future__ import annotations

import base64
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

from sqlalchemy import select

from ops_lib import __version__
from ops_lib.access.hosts import Hosts
from ops_lib.access.signin import Access
from ops_lib.access.vault import Vault
from ops_lib.database import tables as t
from ops_lib.diagnosis.facts import DEADLINE_SECONDS, PROBE_SECONDS, collect
from ops_lib.diagnosis.seen import Facts, Probe, probe_as_document
from ops_lib.errors import OpsError
from ops_lib.mailbox import Gate, Tokens, traffic
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.mailbox.traffic import cassettes, records
from ops_lib.mailbox.traffic.cassettes import Cassette
from ops_lib.mailbox.traffic.recording import Recorder
from ops_lib.mailbox.traffic.standins import StandIns
from ops_lib.model import Account, Host
from ops_lib.sync.ledger import Ledger
from ops_lib.sync.mapping import instant_text
from ops_lib.workspace import Workspace

OWN = frozenset(
    {"account", "host", "secret", "status", "sign_in", "failures", "progress", "runs", "lease", "neighbours", "crm", "claims"}
)  # fmt: skip
"""Probes of the workspace's own database: the file holds them as they were seen. The others are made again, from the traffic."""

KEY_ENTRY = "capture/key"
_LIBRARIES = ("exchangelib", "lxml", "msal", "requests", "urllib3")


@dataclass(frozen=True, slots=True)
class Captured:
    """A diagnosis with the cassette that was made of it. ``facts`` are unscrubbed, as the collection saw them."""

    cassette: Cassette
    facts: Facts

    @property
    def requests(self) -> int:
        """How many HTTP requests were recorded, with and without an answer."""
        return len(self.cassette.interactions) + len(self.cassette.unanswered)


def capture(
    workspace: Workspace,
    account: Account,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    probe_seconds: float = PROBE_SECONDS,
) -> Captured:
    """Collect the facts of one account and keep how they came about. **Raises** what opening the workspace's database raises."""
    recorder = Recorder()
    close_connections()  # those that are open have their sign-in behind them: it is to be in the file
    try:
        with traffic.using(recorder):
            facts = collect(
                _recorded(workspace, recorder), account, deadline_seconds=deadline_seconds, probe_seconds=probe_seconds
            )
    finally:
        close_connections()  # nobody else is to sign in through the recorder
    key, is_kept = stand_in_key(workspace.vault)
    stand_ins = StandIns(key)
    with workspace.database.read() as connection:
        host = Hosts(connection).by_id(account.host_id)
        position = Ledger(connection).position(account.account_id)
        for table, names in _PEOPLE:
            for row in connection.execute(select(*(table.c[name] for name in names))):
                stand_ins.remember(*row)
    said = {
        "note": "Recorded by syncops capture. Addresses, names, texts, ids, hosts and secrets are stand-ins; requests and answers are not otherwise changed.",
        "captured_at": instant_text(facts.at),
        "stand_ins": "the same in every capture of this workspace" if is_kept else "of this capture alone",
        "versions": {
            "syncops": __version__,
            "python": platform.python_version(),
            **{each: version(each) for each in _LIBRARIES},
        },
        "probe_seconds": probe_seconds,
        "account": records.scrubbed(_plain(account), stand_ins),
        "host": records.scrubbed(_plain(host), stand_ins),
        "states": {
            name: stand_ins.opaque(state, "sync state")
            for name, state in (("calendar_state", position.calendar_state), ("tasks_state", position.tasks_state))
        },
        "probes": {
            name: records.scrubbed(probe_as_document(probe), stand_ins)
            for name, probe in facts.probes.items()
            if name in OWN or _ran_out(probe)
        },
        "times": {name: [probe.at, probe.seconds] for name, probe in facts.probes.items() if probe.at},
    }
    return Captured(cassettes.scrubbed(recorder, said, stand_ins), facts)


def stand_in_key(vault: Vault) -> tuple[bytes, bool]:
    """The key of this workspace's stand-ins, made when it is first wanted, and whether it is kept: a vault that cannot be opened keeps none."""
    try:
        kept = vault.get(KEY_ENTRY)
        if kept is None:
            vault.put(KEY_ENTRY, base64.b64encode(os.urandom(32)).decode())
            kept = vault.get(KEY_ENTRY)
        return base64.b64decode(kept or ""), True
    except OpsError:  # what is wrong with the vault may be just what is to be captured
        return os.urandom(32), False


_PEOPLE = (
    (t.users, ("email", "name")),
    (t.accounts, ("mailbox",)),
    (t.communities, ("name",)),
    (t.hosts, ("name", "service_user")),
    (t.individuals, ("name", "email")),
)
"""Who must not be in the file: looked for in it once more, whatever the allow-lists did."""


def _ran_out(probe: Probe) -> bool:
    """Whether time was over: a replay has more of it, and would ask on."""
    over = probe.failure is not None and probe.failure.error == "TimeoutError"
    return over or (probe.outcome == "not asked" and "the time of the diagnosis was over" in probe.why)


def _plain(values: Host | Account) -> dict[str, Any]:
    """Settings as plain JSON; of a secret only where it is kept."""
    plain: dict[str, Any] = {}
    for name, value in asdict(values).items():
        if name == "secret":
            plain["secret_kind"] = str(value).partition(":")[0]
        else:
            plain[name] = (
                sorted(value)
                if isinstance(value, frozenset)
                else value.isoformat()
                if isinstance(value, date)
                else value
            )
    return plain


# ── a workspace whose sign-ins are recorded ──────────────────────────────────────────────────────────────────────────
def _recorded(workspace: Workspace, recorder: Recorder) -> Workspace:
    recorded = _RecordedWorkspace(workspace.path, workspace.settings, workspace.clock)
    recorded.database, recorded.vault, recorded.recorder = workspace.database, workspace.vault, recorder
    return recorded


class _RecordedWorkspace(Workspace):
    recorder: Recorder

    @property
    def access(self) -> Access:
        return _RecordedAccess(
            self.database, self.vault, self.clock, self.settings.request_timeout_seconds, recorder=self.recorder
        )


class _RecordedAccess(Access):
    def __init__(self, *arguments: Any, recorder: Recorder) -> None:
        super().__init__(*arguments)
        self._recorder = recorder
        self.secrets = _RecordedSecrets(self.secrets, recorder)  # type: ignore[assignment]

    def tokens(self, host: Host, account: Account) -> Tokens:
        return self._recorder.tokens(lambda: super(_RecordedAccess, self).tokens(host, account))

    def gate(self, host: Host, user: str, password: str) -> Gate:  # type: ignore[override]
        return self._recorder.gate(super().gate(host, user, password))


class _RecordedSecrets:
    """Whether a secret could be had; never the secret."""

    def __init__(self, secrets: Callable[[str], str], recorder: Recorder) -> None:
        self._secrets, self._recorder = secrets, recorder

    def __call__(self, reference: str) -> str:
        found: list[str] = []
        self._recorder.look("secret", [], lambda: found.append(self._secrets(reference)))
        return found[0]
