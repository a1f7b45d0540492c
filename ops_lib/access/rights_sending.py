"""May a delegate send as the users, or on their behalf? EWS shows no such right, so it is tried, and nothing is mailed.

How, and why nobody is reached also when this is killed in the middle: ``ops_lib/mailbox/ews/sending_probes.py``. Fifty users cost five requests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from ops_lib.access.rights import Holds, Need, Observation, Right, needs
from ops_lib.errors import MailboxError, OpsError, ServerBusy
from ops_lib.mailbox import SignIns
from ops_lib.mailbox.ews import sending_probes as probes
from ops_lib.mailbox.ews.answers import Message
from ops_lib.mailbox.ews.asking import Asker, batches
from ops_lib.mailbox.ews.sending_probes import Probe
from ops_lib.mailbox.ews.transport import Transport
from ops_lib.model import Account, Host

BATCH = 50
DEFERRED = timedelta(days=365)
_TOLD_BY = "Get-RecipientPermission (Get-ADPermission on premises) tells it: --from-csv"

Told = dict[tuple[str, Right], Observation]


def service_address(host: Host, accounts: Sequence[Account]) -> str:
    """The service account's own mailbox: its name where that is an address, else its account's; "" where neither says. ``accounts``: all of the host."""
    if "@" in host.service_user:
        return host.service_user.lower()
    return next((account.mailbox.lower() for account in accounts if account.is_impersonation_account), "")


def to_try(host: Host, accounts: Sequence[Account], opened: Collection[str], service: str) -> list[Account]:
    """Whose name a delegate is tried in: users whose mail the CRM sends, with a mailbox among those that ``opened``."""
    if host.access != "delegate" or not service:
        return []
    return [
        account
        for account in accounts
        if needs(host, account)[Right.SEND_AS] is Need.NEEDED
        and account.mailbox.lower() != service
        and account.mailbox.lower() in opened
    ]


def not_tried(accounts: Sequence[Account], reason: str, now: datetime) -> Told:
    """What is to be said of users whose sending could not be tried, for one ``reason``."""
    return {
        (account.mailbox.lower(), right): Observation(
            user=account.mailbox.lower(),
            right=right,
            holds=Holds.UNKNOWN,
            observed="not tried",
            evidence=f"not asked, {now:%Y-%m-%dT%H:%M:%SZ}",
            source="ews",
            why=f"{reason}; {_TOLD_BY}",
        )
        for account in accounts
        for right in (Right.SEND_AS, Right.SEND_ON_BEHALF)
    }


def try_sending(
    host: Host,
    accounts: Sequence[Account],
    service: str,
    *,
    secret: Callable[[str], str],
    sign_ins: SignIns,
    clock: Callable[[], datetime],
    timeout_seconds: float = 120.0,
) -> tuple[Told, int, list[str]]:
    """What the service account may send as, by user and right; the requests sent; and what a person should know.

    **Raises** nothing of what can be wrong with the server: it becomes ``unknown``.
    """
    run = _Run(host, service, secret, sign_ins, clock, timeout_seconds)
    for batch in batches(accounts, BATCH):
        run.batch([account.mailbox.lower() for account in batch])
        if run.halted is not None:
            break
    for account in accounts:
        if (account.mailbox.lower(), Right.SEND_AS) not in run.told and run.halted is not None:
            run.unknown(account.mailbox.lower(), f"it could not be tried: {run.halted.message}", run.halted)
    return run.told, run.requests, run.notes


class _Run:
    def __init__(
        self,
        host: Host,
        service: str,
        secret: Callable[[str], str],
        sign_ins: SignIns,
        clock: Callable[[], datetime],
        timeout_seconds: float,
    ) -> None:
        seat = Account(
            account_id="",
            host_id=host.host_id,
            user_id="",
            user_email=service,
            mailbox=service,
            time_zone="UTC",
            is_impersonation_account=True,
        )
        self.service, self.clock = service, clock
        self.told: Told = {}
        self.notes: list[str] = []
        self.halted: OpsError | None = None
        self._open = partial(Transport, host, seat, secret, timeout_seconds, sign_ins)
        self._transport: Transport | None = None

    @property
    def requests(self) -> int:
        return self._transport.requests if self._transport is not None else 0

    def _ask(self, payload: object) -> list[Message]:
        if self._transport is None:
            self._transport = self._open()
        return Asker(self._transport).retried(payload, only=(ServerBusy,))

    def batch(self, users: Sequence[str]) -> None:
        """Try some users. Whatever happens in between, what was made is removed, or said to be left."""
        is_first = self._transport is None
        try:
            if is_first:
                self._clean_up()  # what a run that was killed has left
            self._try(users)
        except OpsError as error:
            self.halted = error
        try:
            if self._transport is not None and self._transport.requests:
                self._clean_up()
        except OpsError as error:
            self.halted = self.halted or error
            self.notes.append(
                f"drafts named '{probes.SUBJECT}' may be left in the mailbox of {self.service} ({error.response_code or error.message}); "
                "the next check removes them"
            )  # fmt: skip

    def _try(self, users: Sequence[str]) -> None:
        # By the real clock: a message that is due is sent.
        due = max(datetime.now(UTC), self.clock()) + DEFERRED
        drafts: list[Probe] = []
        for user, message in zip(users, self._ask(probes.create(users, self.service, due)), strict=False):
            draft = probes.created(message, user) if message.is_success else None
            if draft is None:
                error = message.error(self.service, about_item=True)
                self.unknown(user, f"the draft could not be made: {error.message}", error)
            else:
                drafts.append(draft)
        if not drafts:
            return
        accepted: set[str] = set()
        for draft, message in zip(drafts, self._ask(probes.send(drafts)), strict=False):
            if message.is_success:
                accepted.add(draft.user)
            elif message.response_code == "ErrorSendAsDenied":
                self._denied(draft.user)
            elif message.response_code == "ErrorItemNotFound":
                error = message.error(self.service, about_item=True)
                self.unknown(draft.user, "another check removed the draft; check again when that has ended", error)
            else:
                error = message.error(self.service, about_item=True)
                self.unknown(draft.user, error.message, error)
        self._accepted(accepted)

    def _accepted(self, users: set[str]) -> None:
        """The submitted messages say by their sender whether it is Send As or on behalf."""
        waiting = [each for each in probes.found(self._ask(probes.find())) if each.user in users] if users else []
        senders: dict[str, tuple[str, str]] = {}
        for message in self._ask(probes.senders(waiting)) if waiting else ():
            if message.is_success:
                user, sender, author = probes.sender_of(message)
                senders[user] = (sender, author)
        for user in sorted(users):
            sender, author = senders.get(user, ("", ""))
            if author == user and sender == user:
                self._say(user, Right.SEND_AS, Holds.YES, "may send as the user", "SendItem: NoError, Sender is From")
                why = "Send As goes before it"
                self._say(user, Right.SEND_ON_BEHALF, Holds.UNKNOWN, "could not be seen", "SendItem: NoError", why)
            elif author == user and sender == self.service:
                observed, evidence = (
                    "may send on behalf of the user",
                    "SendItem: NoError, Sender is the service account",
                )
                self._say(user, Right.SEND_AS, Holds.NO, f"{observed}, not as", evidence)
                self._say(user, Right.SEND_ON_BEHALF, Holds.YES, observed, evidence)
            else:
                why = f"the server took the message and does not say in whose name; {_TOLD_BY}"
                for right in (Right.SEND_AS, Right.SEND_ON_BEHALF):
                    self._say(user, right, Holds.UNKNOWN, "could not be seen", "SendItem: NoError", why)

    def _clean_up(self) -> None:
        for _ in range(10):  # a page at a time; more than that is not ours
            left = probes.found(self._ask(probes.find()))
            if not left:
                return
            for message in self._ask(probes.remove(left)):
                if not message.is_success and message.response_code != "ErrorItemNotFound":
                    raise message.error(self.service, about_item=True)

    def _denied(self, user: str) -> None:
        evidence = "SendItem: ErrorSendAsDenied"
        self._say(user, Right.SEND_AS, Holds.NO, "may not send as the user", evidence)
        self._say(user, Right.SEND_ON_BEHALF, Holds.NO, "may not send on behalf of the user", evidence)

    def unknown(self, user: str, reason: str, error: OpsError) -> None:
        code = error.response_code or type(error).__name__
        why = f"{reason} ({code}); {_TOLD_BY}" if isinstance(error, MailboxError) else f"{reason}; {_TOLD_BY}"
        for right in (Right.SEND_AS, Right.SEND_ON_BEHALF):
            self._say(user, right, Holds.UNKNOWN, "could not be seen", f"trying to send: {code}", why)

    def _say(self, user: str, right: Right, holds: Holds, observed: str, evidence: str, why: str = "") -> None:
        self.told[user, right] = Observation(
            user=user,
            right=right,
            holds=holds,
            observed=observed,
            evidence=f"{evidence}, {self.clock():%Y-%m-%dT%H:%M:%SZ}",
            source="ews",
            why=why,
        )
