"""Replay a captured diagnosis: the same facts, from the file alone, on any machine and years later. No server, no vault, no waiting."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from ops_lib.access.host_notes import HostNotes
from ops_lib.access.signin import Access
from ops_lib.crm.rows import number
from ops_lib.database import tables as t
from ops_lib.diagnosis.facts import collect
from ops_lib.diagnosis.seen import Facts, Probe, probe_from_document
from ops_lib.errors import InputError, OpsError, SignInRefused
from ops_lib.mailbox import Gate, Tokens
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.mailbox.traffic import cassettes
from ops_lib.mailbox.traffic.cassettes import Cassette
from ops_lib.mailbox.traffic.replaying import NOT_RECORDED, Player, playing
from ops_lib.model import Account, Host
from ops_lib.workspace import Settings, Workspace

_DEADLINE_SECONDS = 600.0
_FIX = "capture it anew."


@dataclass(frozen=True, slots=True)
class Replay:
    """An opened cassette. While it is open, everything this process asks of a server is answered from it."""

    workspace: ReplayedWorkspace
    account: Account
    cassette: Cassette
    player: Player

    def facts(self) -> Facts:
        """The facts, collected from the recorded traffic; probes have the times they had when they were captured."""
        facts = collect(
            self.workspace,
            self.account,
            deadline_seconds=_DEADLINE_SECONDS,
            probe_seconds=float(self.cassette.manifest.get("probe_seconds") or 15.0),
            known=self.workspace.known,
        )
        times = self.cassette.manifest.get("times") or {}
        return replace(facts, probes={name: _as_seen(probe, times.get(name)) for name, probe in facts.probes.items()})


@contextmanager
def opened(path: Path) -> Iterator[Replay]:
    """A workspace made of a cassette, in a folder that goes with it. **Raises** `InputError` for a file that is none."""
    cassette = cassettes.read(path)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncops-cassette-")))
        workspace, account = _made(cassette, folder, str(path))
        stack.callback(workspace.close)
        player = workspace.player
        stack.callback(close_connections)
        stack.enter_context(playing(player))
        yield Replay(workspace, account, cassette, player)


def facts_of(path: Path) -> Facts:
    """The facts that a cassette holds. **Raises** `InputError`."""
    with opened(path) as replay:
        return replay.facts()


# ── a workspace without anybody behind it ────────────────────────────────────────────────────────────────────────────
class ReplayedWorkspace(Workspace):
    """The captured account on the captured host, at the captured moment. ``known`` are the probes that the file holds as they were."""

    player: Player
    known: Mapping[str, Probe]

    @property
    def access(self) -> Access:
        return _ReplayedAccess(
            self.database, self.vault, self.clock, self.settings.request_timeout_seconds, player=self.player
        )


class _ReplayedAccess(Access):
    def __init__(self, *arguments: Any, player: Player) -> None:
        super().__init__(*arguments)
        self._player = player
        self.secrets = _ReplayedSecrets(player)  # type: ignore[assignment]

    def tokens(self, host: Host, account: Account) -> Tokens:
        return _ReplayedTokens(self._player, str(self._player.look("signed in as", [], _nothing)))

    def gate(self, host: Host, user: str, password: str) -> Gate:  # type: ignore[override]
        return _ReplayedGate(self._player)

    def note(self, host: Host, account: Account, error: OpsError | None) -> None:
        """Nothing is kept of a replay."""


class _ReplayedSecrets:
    def __init__(self, player: Player) -> None:
        self._player = player

    def __call__(self, reference: str) -> str:
        self._player.look("secret", [], _nothing)
        return "replayed"


class _ReplayedTokens:
    def __init__(self, player: Player, signed_in_as: str) -> None:
        self._player, self._signed_in_as = player, signed_in_as
        self._key = uuid.uuid4().hex

    @property
    def key(self) -> tuple[str, ...]:
        return (self._key,)

    @property
    def signed_in_as(self) -> str:
        return self._signed_in_as

    def token(self, subject: str) -> dict[str, Any]:
        found: dict[str, Any] = self._player.look("token", [], _nothing)
        return found

    def new_token(self, subject: str, refused: str) -> dict[str, Any]:
        found: dict[str, Any] = self._player.look("new token", [], _nothing)
        return found


class _ReplayedGate:
    def __init__(self, player: Player) -> None:
        self._player = player
        self.key = (uuid.uuid4().hex,)

    def enter(self) -> None:
        if self._player.holds("gate"):
            self._player.look("gate", [], _nothing)

    def accepted(self) -> None: ...

    def refused(self, error: SignInRefused) -> None: ...

    def left(self) -> None: ...


def _nothing() -> None:
    raise AssertionError("a replay asks nobody")


def _made(cassette: Cassette, folder: Path, where: str) -> tuple[ReplayedWorkspace, Account]:
    try:
        return _from_manifest(cassette, folder, where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"its manifest cannot be used ({type(error).__name__}: {str(error)[:80]})", subject=where, fix=_FIX
        ) from None


def _from_manifest(cassette: Cassette, folder: Path, where: str) -> tuple[ReplayedWorkspace, Account]:
    manifest = cassette.manifest
    moment = datetime.fromisoformat(manifest["captured_at"]).astimezone(UTC)
    settings = Settings(request_timeout_seconds=30)
    workspace = ReplayedWorkspace(folder, settings, _clock(moment))
    workspace.player = Player(cassette)
    workspace.known = {
        name: probe_from_document(str(name), document, where=where) for name, document in manifest["probes"].items()
    }
    host, account = _host(manifest["host"]), _account(manifest["account"])
    _enter(workspace, host, account, manifest["states"])
    return workspace, account


def _clock(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def _host(held: dict[str, Any]) -> Host:
    values = {name: value for name, value in held.items() if name in Host.__dataclass_fields__}
    values["type_ids"] = frozenset(values.get("type_ids") or ())
    values["secret"] = "env:REPLAYED" if held.get("secret_kind") else ""
    expires = values.get("secret_expires")
    values["secret_expires"] = date.fromisoformat(expires) if expires else None
    return Host(**values)


def _account(held: dict[str, Any]) -> Account:
    values = {name: value for name, value in held.items() if name in Account.__dataclass_fields__}
    values["secret"] = "env:REPLAYED" if held.get("secret_kind") else ""
    return Account(**values)


def _enter(workspace: Workspace, host: Host, account: Account, states: Mapping[str, str]) -> None:
    """The rows that opening the account needs; nothing of what others made is among them."""
    kept = {c.name for c in t.hosts.columns} - {"id", "community_id", "inbound_type_id"}
    columns = {name: getattr(host, name) for name in Host.__dataclass_fields__ if name in kept}
    types = sorted({number(each) or 0 for each in (*host.type_ids, host.inbound_type_id)})
    with workspace.database.begin() as connection:
        for type_id in types:
            connection.execute(insert(t.activity_types).values(id=type_id, name=f"type {type_id}"))
        user = {"id": number(account.user_id), "email": account.user_email, "name": account.user_email}
        connection.execute(insert(t.users).values(**user, time_zone=account.time_zone))
        connection.execute(
            insert(t.hosts).values(id=number(host.host_id), inbound_type_id=number(host.inbound_type_id), **columns)
        )
        for each in host.type_ids:
            connection.execute(insert(t.host_activity_types).values(host_id=number(host.host_id), type_id=number(each)))
        own = {c.name for c in t.accounts.columns} & set(Account.__dataclass_fields__) - {"host_id", "user_id"}
        connection.execute(
            insert(t.accounts).values(
                id=number(account.account_id),
                host_id=number(host.host_id),
                user_id=number(account.user_id),
                **{name: getattr(account, name) for name in own},
            )
        )
        connection.execute(
            insert(t.reading_positions).values(
                account_id=number(account.account_id),
                calendar_state=str(states.get("calendar_state", "")),
                tasks_state=str(states.get("tasks_state", "")),
            )
        )
        notes = HostNotes(connection)
        notes.set_secret_expires(host.host_id, host.secret_expires)
        if host.is_retired:
            notes.set_retired(host.host_id, workspace.now() - timedelta(seconds=1))


def _as_seen(probe: Probe, held: Any) -> Probe:
    """The probe at its recorded time; one for which the file holds no answer was not asked, whatever came of that."""
    if probe.failure is not None and probe.failure.response_code == NOT_RECORDED:
        return Probe(probe=probe.probe, outcome="not asked", asked=probe.asked, why="the cassette does not hold it")
    if not isinstance(held, list) or len(held) != 2:
        return probe
    at, seconds = held
    return replace(probe, at=str(at), seconds=float(seconds or 0))
