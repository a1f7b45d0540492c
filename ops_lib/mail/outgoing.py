"""The messages that are under way, and what became of those that were: rows that outlive the process that sends them.

A message is written down whole, with a fresh key, before anything of it reaches a server. Its state says what may have happened:
`open` nothing was submitted, or (with a draft) the server said it did not take it · `sending` its draft was, or may have been · `accepted`, `refused`, `recorded` settled.
One process at a time is at a message: it claims it, and a claim ends with its process, or by the real clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ops_lib.crm.rows import number
from ops_lib.database.engine import insert_unless_there
from ops_lib.database.tables import outgoing_files, outgoing_messages, properties
from ops_lib.errors import NotThere
from ops_lib.mailbox.outgoing import Draft, File
from ops_lib.sync.leases import is_dead

State = Literal["open", "sending", "accepted", "refused", "recorded"]
UNSETTLED: tuple[State, ...] = ("open", "sending")

CLAIM_SECONDS = 900.0
"""Longer than any request may take; a worker of this machine that died has lost its claim at once."""

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A message as it is kept. ``recipients``: individual id, name, address."""

    message_id: str
    key: str
    user_id: str
    account_id: str | None
    state: State
    subject: str
    text: str
    html: str
    recipients: tuple[tuple[str, str, str], ...]
    draft: Draft | None
    attempts: int
    response_code: str
    reason: str
    fix: str
    created_at: datetime
    next_at: datetime
    settled_at: datetime | None


class Outgoing:
    """The messages within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────
    def get(self, message_id: str) -> Kept:
        """The message with that id. **Raises** `NotThere`."""
        row = self._connection.execute(
            select(outgoing_messages).where(outgoing_messages.c.id == number(message_id))
        ).one_or_none()
        if row is None:
            raise NotThere(f"there is no message {message_id}", fix="syncops send --list shows them.")
        return _kept(row)

    def asked_as(self, words: str) -> Kept | None:
        """The message that was asked for with these words."""
        row = self._connection.execute(
            select(outgoing_messages).where(outgoing_messages.c.asked_as == words)
        ).one_or_none()
        return None if row is None else _kept(row)

    def listed(self, limit: int = 100) -> list[Kept]:
        """The latest messages, newest first; those that are not settled are all among them, before the others."""
        c = outgoing_messages.c
        unsettled = self._connection.execute(
            select(outgoing_messages).where(c.state.in_(UNSETTLED)).order_by(c.id.desc())
        )
        settled = self._connection.execute(
            select(outgoing_messages).where(c.state.not_in(UNSETTLED)).order_by(c.id.desc()).limit(limit)
        )
        return [_kept(row) for row in (*unsettled, *settled)]

    def unsettled(self, now: datetime, account_ids: Collection[str] | None = None) -> list[Kept]:
        """The messages that wait for another try and whose time has come, oldest first."""
        c = outgoing_messages.c
        query = select(outgoing_messages).where(c.state.in_(UNSETTLED), c.next_at <= now).order_by(c.id)
        if account_ids is not None:
            query = query.where(c.account_id.in_([int(each) for each in account_ids]))
        return [_kept(row) for row in self._connection.execute(query)]

    def files(self, message_id: str) -> tuple[File, ...]:
        """What travels with a message; nothing once it is settled."""
        rows = self._connection.execute(
            select(outgoing_files)
            .where(outgoing_files.c.message_id == int(message_id))
            .order_by(outgoing_files.c.position)
        )
        return tuple(
            File(name=row.name, content_type=row.content_type, content_id=row.content_id, content=row.content)
            for row in rows
        )

    def sent_since(self, account_id: str, now: datetime, ago: timedelta = _MINUTE) -> int:
        """How many messages of an account went out, or may have, in the last minute."""
        c = outgoing_messages.c
        query = select(func.count()).where(
            c.account_id == int(account_id), c.created_at > now - ago, c.state.in_(("sending", "accepted"))
        )
        return int(self._connection.execute(query).scalar_one())

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────
    def add(
        self,
        *,
        user_id: str,
        account_id: str | None,
        state: State,
        subject: str,
        text: str,
        html: str,
        recipients: Sequence[tuple[str, str, str]],
        files: Sequence[File],
        asked_as: str,
        now: datetime,
        worker: str = "",
    ) -> tuple[Kept, bool]:
        """Write a message down, claimed by ``worker``; and whether it is new. With words that were asked before, it is that message, whatever became of it."""
        row = {
            "key": uuid.uuid4().hex,
            "asked_as": asked_as or None,
            "user_id": int(user_id),
            "account_id": None if account_id is None else int(account_id),
            "state": state,
            "subject": subject,
            "text": text,
            "html": html,
            "recipients": [
                {"individual": individual, "name": name, "address": address} for individual, name, address in recipients
            ],
            "created_at": now,
            "next_at": now,
            "settled_at": None if state in UNSETTLED else now,
            "worker": worker,
            "claimed_until": _until() if worker else None,
        }
        made = self._connection.execute(
            insert_unless_there(self._connection, outgoing_messages).values(row).returning(outgoing_messages.c.id)
        ).scalar()
        if made is None:
            before = self.asked_as(asked_as)
            assert before is not None  # nothing else is unique but a random key
            return before, False
        if files and state in UNSETTLED:
            self._connection.execute(
                insert(outgoing_files),
                [
                    {
                        "message_id": made,
                        "position": position,
                        "name": each.name,
                        "content_type": each.content_type,
                        "content_id": each.content_id,
                        "content": each.content,
                    }
                    for position, each in enumerate(files)
                ],
            )
        return self.get(str(made)), True

    def claim(self, message_id: str, worker: str) -> Kept | None:
        """Be at a message that is not settled; None where another process is, or nothing is left to do."""
        c = outgoing_messages.c
        row = self._connection.execute(
            select(outgoing_messages).where(c.id == int(message_id)).with_for_update()
        ).one_or_none()
        if row is None or row.state not in UNSETTLED:
            return None
        is_held = row.worker and row.worker != worker and row.claimed_until > datetime.now(UTC)
        if is_held and not is_dead(row.worker):
            return None
        self._set(message_id, worker=worker, claimed_until=_until())
        return self.get(message_id)

    def is_ours(self, message_id: str, worker: str) -> bool:
        """Whether the claim is still this worker's, held on to for as long as the transaction lasts."""
        c = outgoing_messages.c
        changed = self._connection.execute(
            update(outgoing_messages)
            .where(c.id == int(message_id), c.worker == worker, c.state.in_(UNSETTLED))
            .values(claimed_until=_until())
        )
        return changed.rowcount == 1

    def begin_sending(self, message_id: str, draft: Draft) -> None:
        """Before the draft is submitted: from now on it may be out."""
        self._set(message_id, state="sending", item_id=draft.item_id, change_key=draft.change_key)

    def put_off(self, message_id: str) -> None:
        """The server said that it did not take the draft, if one was submitted; it stays known, to be looked for before anything is sent again."""
        self._set(message_id, state="open")

    def not_sent(self, message_id: str) -> None:
        """It was seen, or a person said, that nothing of it went out: it begins anew."""
        self._set(message_id, state="open", item_id="", change_key="")

    def wait(
        self, message_id: str, *, attempts: int, next_at: datetime, response_code: str, reason: str, fix: str
    ) -> None:
        """Leave it to another try."""
        self._set(
            message_id,
            attempts=attempts,
            next_at=next_at,
            response_code=response_code,
            reason=reason,
            fix=fix,
            worker="",
            claimed_until=None,
        )

    def settle(
        self, message_id: str, state: State, now: datetime, *, response_code: str = "", reason: str = "", fix: str = ""
    ) -> bool:
        """Write down what became of it; its files are not needed any more. False where it was settled already."""
        c = outgoing_messages.c
        changed = self._connection.execute(
            update(outgoing_messages)
            .where(c.id == int(message_id), c.state.in_(UNSETTLED))
            .values(
                state=state,
                settled_at=now,
                response_code=response_code,
                reason=reason,
                fix=fix,
                worker="",
                claimed_until=None,
            )
        )
        self._connection.execute(delete(outgoing_files).where(outgoing_files.c.message_id == int(message_id)))
        return changed.rowcount == 1

    # ── what is known of a host's server ─────────────────────────────────────────────────────────────────────────
    def takes_drafts(self, host_id: str) -> bool:
        """Whether the server was seen to take a draft away when it is submitted, so that it cannot be submitted twice."""
        query = select(properties.c.value).where(properties.c.name == _note(host_id))
        return self._connection.execute(query).first() is not None

    def note_takes_drafts(self, host_id: str) -> None:
        """Remember that it was seen to."""
        row = insert_unless_there(self._connection, properties).values(name=_note(host_id), value="yes")
        self._connection.execute(row)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _set(self, message_id: str, **values: Any) -> None:
        self._connection.execute(
            update(outgoing_messages).where(outgoing_messages.c.id == int(message_id)).values(values)
        )


def _note(host_id: str) -> str:
    return f"host/{host_id}/takes_drafts"


def _until() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=CLAIM_SECONDS)


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        message_id=str(row.id),
        key=row.key,
        user_id=str(row.user_id),
        account_id=None if row.account_id is None else str(row.account_id),
        state=row.state,
        subject=row.subject,
        text=row.text,
        html=row.html,
        recipients=tuple((each["individual"], each["name"], each["address"]) for each in row.recipients),
        draft=Draft(row.item_id, row.change_key) if row.item_id else None,
        attempts=row.attempts,
        response_code=row.response_code,
        reason=row.reason,
        fix=row.fix,
        created_at=row.created_at,
        next_at=row.next_at,
        settled_at=row.settled_at,
    )
