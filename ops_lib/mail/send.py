"""Sending for the CRM's users: a message goes out once, and what became of it is on record.

It is written down whole before anything reaches a server; `delivery` brings it out. The activity is made when the server has said yes or the message
was seen to be out (E2), or when it is certain that it never will be (E3). What is neither waits, and is taken up again. `docs/email.md` has the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.access.rights_sending import service_address
from ops_lib.crm.directory import Directory
from ops_lib.errors import (
    InputError,
    ItemRefused,
    LeaseHeld,
    MailboxError,
    OpsError,
    ServerBusy,
    SignInRefused,
    Unreachable,
    WorkspaceError,
)
from ops_lib.mail import standing
from ops_lib.mail.compose import RICH, Composed, Letter, compose
from ops_lib.mail.delivery import Delivery, Way
from ops_lib.mail.outgoing import UNSETTLED, Kept, Outgoing, State
from ops_lib.mail.record import on_record, put_on_record
from ops_lib.mailbox.outgoing import Post, open_post
from ops_lib.model import Account, Host
from ops_lib.sync.leases import this_worker
from ops_lib.sync.pauses import Pause, Pauses, is_over, keys_of, scope_of
from ops_lib.sync.records import MAX_ATTEMPTS, PAUSES, Records
from ops_lib.workspace import Workspace

Outcome = Literal["accepted", "refused", "recorded", "waiting", "unclear"]

_OUTCOMES: dict[State, Outcome] = {
    "open": "waiting",
    "sending": "waiting",
    "accepted": "accepted",
    "refused": "refused",
    "recorded": "recorded",
}
_WAIT = "nothing: it is tried again after that."
_GIVEN_UP = "it was given up by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a message. ``waiting``: it was not sent and is tried again. ``unclear``: it may have been, and a person has to look."""

    message_id: str
    outcome: Outcome
    sender: str
    host: str
    recipients: tuple[str, ...]
    subject: str
    activity_ids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    response_code: str = ""
    reason: str = ""
    fix: str = ""
    requests: int = 0


class Mailer:
    """Sends for the users of one workspace. ``posts`` opens the way to a server; a test gives its own."""

    def __init__(self, workspace: Workspace, *, posts: Callable[[Host, Account, str], Post] | None = None) -> None:
        self._workspace = workspace
        self._database = workspace.database
        self._posts = posts or self._open

    # ── what people ask for ──────────────────────────────────────────────────────────────────────────────────────
    def preview(self, letter: Letter) -> Composed:
        """The message as it would go out, with its warnings; nothing is sent and nothing kept. **Raises** `InputError`, `NotThere`."""
        with self._database.read() as connection:
            return compose(connection, letter, self._workspace.now())

    def send(self, letter: Letter) -> Result:
        """Send a letter, and say what became of it. **Raises** `InputError`, `NotThere` before anything is sent."""
        now, worker = self._workspace.now(), this_worker()
        with self._database.read() as connection:
            before = Outgoing(connection).asked_as(letter.asked_as) if letter.asked_as else None
            composed = compose(connection, letter, now) if before is None else None
        if composed is None:
            assert before is not None
            return self._asked_before(letter, before)
        with self._database.begin() as connection:
            kept, is_new = Outgoing(connection).add(
                user_id=composed.user.user_id,
                account_id=composed.account.account_id if composed.account is not None else None,
                state="recorded" if composed.account is None else "open",
                subject=composed.subject,
                text=composed.text,
                html=composed.html,
                recipients=[(each.individual_id, each.name, each.address) for each in composed.recipients],
                files=composed.files,
                asked_as=letter.asked_as,
                now=now,
                worker=worker,
            )
            activities = put_on_record(connection, kept, now) if is_new and composed.account is None else []
        if not is_new:  # somebody asked with the same words at the same moment
            return self._asked_before(letter, kept)
        if composed.account is None:
            return self._result(
                kept, "recorded", activities=activities, warnings=composed.warnings, reason=composed.not_enabled
            )
        return self._deliver(kept, worker, is_new=True, warnings=composed.warnings)

    def resume(self, account_ids: Collection[str] | None = None) -> list[Result]:
        """Take up the messages that wait and whose time has come. One that another process is at is left to it."""
        with self._database.read() as connection:
            waiting = Outgoing(connection).unsettled(self._workspace.now(), account_ids)
        results = []
        for each in waiting:
            worker = this_worker()
            with self._database.begin() as connection:
                claimed = Outgoing(connection).claim(each.message_id, worker)
            if claimed is not None:
                results.append(self._deliver(claimed, worker, is_new=False))
        return results

    def resume_beside(self, message_id: str) -> list[Result]:
        """Take up what waits for the same account as a message that has just gone out."""
        with self._database.read() as connection:
            account_id = Outgoing(connection).get(message_id).account_id
        return self.resume([account_id]) if account_id is not None else []

    def listed(self) -> list[tuple[Kept, str]]:
        """The latest messages with their users' emails, those under way first."""
        with self._database.read() as connection:
            emails = {each.user_id: each.email for each in Directory(connection).users()}
            return [(each, emails[each.user_id]) for each in Outgoing(connection).listed()]

    def settle(self, message_id: str, verdict: Literal["sent", "not sent", "again"]) -> Result:
        """A person's word on a message that waits or is unclear: it was sent, it is given up, or it is to be sent again.

        What the server can tell goes before that word: a message that is given up is withdrawn, and where it had gone out already it counts as sent.
        **Raises** `NotThere`, `MailboxError`, and `InputError` where nothing is left to decide.
        """
        worker = this_worker()
        with self._database.begin() as connection:
            outgoing = Outgoing(connection)
            kept = outgoing.get(message_id)
            claimed = outgoing.claim(message_id, worker)
        if claimed is None:
            state = "is being sent now" if kept.state in UNSETTLED else f"is {kept.state} already"
            raise InputError(f"it {state}", subject=f"message {message_id}", fix="syncops send --list shows it.")
        if verdict == "sent":
            return self._accepted(claimed, 0)
        delivery = self._delivery(claimed, worker)
        try:
            fate = delivery.withdraw() if delivery.must_look else "unsent"
            if fate == "unsent" and delivery.remove_drafts():
                fate = "out"
        except OpsError:
            if delivery.must_look:
                self._leave(
                    claimed,
                    attempts=kept.attempts,
                    pause=timedelta(0),
                    code=kept.response_code,
                    reason=kept.reason,
                    fix=kept.fix,
                )
                raise
            fate = "unsent"  # nothing was submitted, or its draft was thrown away: nothing can go out any more
        if fate == "out":
            return self._accepted(claimed, delivery.requests)
        with self._database.begin() as connection:
            if verdict == "again":
                Outgoing(connection).not_sent(message_id)
                claimed = Outgoing(connection).get(message_id)
        if verdict == "again":
            return self._deliver(claimed, worker, is_new=False)
        return self._refused(claimed, "", _GIVEN_UP, "", delivery.requests)

    # ── one message ──────────────────────────────────────────────────────────────────────────────────────────────
    def _deliver(self, kept: Kept, worker: str, *, is_new: bool, warnings: tuple[str, ...] = ()) -> Result:
        """Bring a message of ours to its end, or leave it to another try. Raises nothing of what can be wrong with the server."""
        delivery = self._delivery(kept, worker)
        account, host = delivery.way.account, delivery.way.host
        pause = self._standing_pause(host, account)
        if pause is not None:
            reason = f"the server wants to be left alone until {pause.until:%H:%M:%S} UTC: {pause.reason}"
            wait = pause.until - self._workspace.now()
            self._leave(kept, attempts=kept.attempts, pause=wait, code=pause.response_code, reason=reason, fix=_WAIT)
            return self._result(
                kept, "waiting", warnings=warnings, response_code=pause.response_code, reason=reason, fix=_WAIT
            )
        try:
            if not account.send_email or not host.send_email:
                raise ItemRefused(
                    "sending was switched off before it could be sent",
                    subject=account.mailbox,
                    fix="switch it on again.",
                )
            is_out = delivery.bring_out(is_new=is_new)
        except LeaseHeld as error:
            return self._result(kept, "waiting", warnings=warnings, reason=error.message, fix=error.fix)
        except WorkspaceError:
            with suppress(OpsError):  # it is not this process's any more
                self._leave(kept, attempts=kept.attempts, pause=timedelta(0), code="", reason=kept.reason, fix=kept.fix)
            raise
        except OpsError as error:
            with suppress(OpsError):
                self._workspace.access.note(host, account, error)
            return self._failed(kept, delivery, error, warnings)
        with suppress(OpsError):  # what becomes of the message does not hang on it
            self._workspace.access.note(host, account, None)
        if is_out:
            return self._accepted(kept, delivery.requests, warnings)
        return self._unclear(kept, delivery, warnings)

    # ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────
    def _accepted(self, kept: Kept, requests: int, warnings: tuple[str, ...] = ()) -> Result:
        now = self._workspace.now()
        with self._database.begin() as connection:
            Outgoing(connection).settle(kept.message_id, "accepted", now)
            activities = put_on_record(connection, kept, now)
            if kept.account_id is not None:
                records = Records(connection)
                before = records.status(kept.account_id, "email")
                records.set_status(standing.after_sending(before, kept.account_id, now))
        return self._result(kept, "accepted", activities=activities, warnings=warnings, requests=requests)

    def _unclear(self, kept: Kept, delivery: Delivery, warnings: tuple[str, ...]) -> Result:
        """No answer said that the draft was taken, and the mailbox does not show whether it was: only a person can tell."""
        reason = (
            "the server's answer was lost, and this server does not show whether the message went out"
            if delivery.in_doubt
            else "the server said that it did not send it, and yet its draft is gone and no copy of it is to be seen"
        )
        number = kept.message_id
        fix = (
            "look for it in Sent Items or ask the recipient, then syncops send --was-sent "
            f"{number}, --again {number} or --give-up {number}."
        )
        self._leave(kept, attempts=MAX_ATTEMPTS, pause=PAUSES[-1], code="", reason=reason, fix=fix)
        return self._result(kept, "unclear", warnings=warnings, reason=reason, fix=fix, requests=delivery.requests)

    def _failed(self, kept: Kept, delivery: Delivery, error: OpsError, warnings: tuple[str, ...]) -> Result:
        """Refused for good, where that is certain; else left to another try."""
        attempts = kept.attempts + 1
        is_over = not (isinstance(error, MailboxError) and error.transient) or attempts >= MAX_ATTEMPTS
        self._note_standing(delivery.way.account, error, delivery.operation)
        if is_over:
            fate = "unsent"
            if delivery.must_look:
                with suppress(OpsError):
                    fate = delivery.withdraw()
            if fate == "unclear":
                return self._unclear(kept, delivery, warnings)
            is_asked = not isinstance(error, SignInRefused) and (
                delivery.submitted or not isinstance(error, Unreachable)
            )
            if fate == "unsent" and not delivery.must_look and is_asked:
                with suppress(OpsError):  # who refuses may not be who carried it out
                    fate = "out" if delivery.remove_drafts() else "unsent"
            if fate == "out":
                return self._accepted(kept, delivery.requests, warnings)
            if not delivery.must_look:
                return self._refused(kept, error.response_code, error.message, error.fix, delivery.requests, warnings)
        reason, fix = error.message, error.fix
        pause = PAUSES[min(attempts, len(PAUSES)) - 1]
        if isinstance(error, ServerBusy):
            pause = max(pause, timedelta(seconds=error.back_off_seconds))
            if error.back_off_seconds:
                way = delivery.way
                with self._database.begin() as connection:
                    key = keys_of(way.host, way.account)[scope_of(error, way.host)]
                    Pauses(connection).begin(key, way.account, error, self._workspace.now())
        if delivery.in_doubt:
            reason, fix = (
                f"whether it went out could not be seen: {reason}",
                "nothing: it is looked up before it is sent again.",
            )
        else:
            with self._database.begin() as connection:
                Outgoing(connection).put_off(kept.message_id)
        self._leave(kept, attempts=attempts, pause=pause, code=error.response_code, reason=reason, fix=fix)
        return self._result(
            kept,
            "waiting",
            warnings=warnings,
            requests=delivery.requests,
            response_code=error.response_code,
            reason=reason,
            fix=fix,
        )

    def _refused(
        self, kept: Kept, code: str, reason: str, fix: str, requests: int, warnings: tuple[str, ...] = ()
    ) -> Result:
        now = self._workspace.now()
        said = f"{reason} ({code})" if code and code not in reason else reason
        with self._database.begin() as connection:
            Outgoing(connection).settle(kept.message_id, "refused", now, response_code=code, reason=reason, fix=fix)
            activities = put_on_record(connection, kept, now, failed=said)
        return self._result(
            kept,
            "refused",
            activities=activities,
            warnings=warnings,
            requests=requests,
            response_code=code,
            reason=reason,
            fix=fix,
        )

    def _note_standing(self, account: Account, error: OpsError, operation: str) -> None:
        if not isinstance(error, MailboxError):
            return
        with self._database.begin() as connection:
            records = Records(connection)
            before = records.status(account.account_id, "email")
            records.set_status(
                standing.after_failing(before, account.account_id, error, operation, self._workspace.now())
            )

    def _leave(self, kept: Kept, *, attempts: int, pause: timedelta, code: str, reason: str, fix: str) -> None:
        with self._database.begin() as connection:
            Outgoing(connection).wait(
                kept.message_id,
                attempts=attempts,
                next_at=self._workspace.now() + pause,
                response_code=code,
                reason=reason,
                fix=fix,
            )

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _asked_before(self, letter: Letter, before: Kept) -> Result:
        """What became of a message that was asked for before with the same words; one that waits is taken up.

        **Raises** `InputError` where it was another message, of somebody else or to others: this one would be lost.
        """
        with self._database.read() as connection:
            directory = Directory(connection)
            people = {directory.individual(each).individual_id for each in letter.to}
            is_same = directory.user(letter.user).user_id == before.user_id
        if not is_same or people != {individual for individual, _, _ in before.recipients}:
            raise InputError(
                f"these words were used for message {before.message_id} already, of another sender or to others",
                subject=f"--once {letter.asked_as}",
                fix="give other words; nothing was sent.",
            )
        warning = f"this was asked for before, on {before.created_at:%Y-%m-%d %H:%M} UTC; nothing is sent a second time"
        if before.state in UNSETTLED:
            worker = this_worker()
            with self._database.begin() as connection:
                claimed = Outgoing(connection).claim(before.message_id, worker)
            if claimed is not None:
                return self._deliver(claimed, worker, is_new=False, warnings=(warning,))
        with self._database.read() as connection:
            before = Outgoing(connection).get(before.message_id)
            activities = on_record(connection, before, self._workspace.now())
        return self._result(
            before,
            _OUTCOMES[before.state],
            activities=activities,
            warnings=(warning,),
            response_code=before.response_code,
            reason=before.reason,
            fix=before.fix,
        )

    def _standing_pause(self, host: Host, account: Account) -> Pause | None:
        """The wish of the server not to be asked yet, whoever of the account's host it was told to; asking earlier prolongs it."""
        now = self._workspace.now()
        with self._database.read() as connection:
            found = Pauses(connection).all(keys_of(host, account).values())
        standing_now = [each for each in found.values() if not is_over(each, now)]
        return max(standing_now, key=lambda each: each.until, default=None)

    def _delivery(self, kept: Kept, worker: str) -> Delivery:
        way = self._way(kept)
        return Delivery(self._database, kept, way, worker, lambda: self._posts(way.host, way.account, way.service))

    def _way(self, kept: Kept) -> Way:
        with self._database.read() as connection:
            assert kept.account_id is not None  # a message without an account is settled when it is written down
            account = Accounts(connection).by_id(kept.account_id)
            host = Hosts(connection).by_id(account.host_id)
            service = service_address(host, Accounts(connection).accounts(host=host.name))
            takes = host.version == RICH or Outgoing(connection).takes_drafts(host.host_id)
        return Way(account, host, service, takes)

    def _open(self, host: Host, account: Account, service: str) -> Post:
        access = self._workspace.access
        seconds = self._workspace.settings.request_timeout_seconds
        return open_post(host, account, access.secrets, seconds, access, service=service)

    def _result(
        self,
        kept: Kept,
        outcome: Outcome,
        *,
        activities: Collection[str] = (),
        warnings: tuple[str, ...] = (),
        response_code: str = "",
        reason: str = "",
        fix: str = "",
        requests: int = 0,
    ) -> Result:
        way = self._way(kept) if kept.account_id is not None else None
        with self._database.read() as connection:
            sender = way.account.mailbox if way is not None else Directory(connection).user_by_id(kept.user_id).email
        return Result(
            message_id=kept.message_id,
            outcome=outcome,
            sender=sender,
            host=way.host.name if way is not None else "",
            recipients=tuple(dict.fromkeys(address for _, _, address in kept.recipients)),
            subject=kept.subject,
            activity_ids=tuple(activities),
            warnings=warnings,
            response_code=response_code,
            reason=reason,
            fix=fix,
            requests=requests,
        )
