"""One mailbox looked at over EWS: what each right comes to, with the request and the code that say so. Nothing is written here.

**Source** ``ops_lib/mailbox/ews/folder_rights.py`` for how rights are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ops_lib.access.rights import OTHER_KIND, Holds, Observation, Right
from ops_lib.errors import (
    AccessRefused,
    AnswerLost,
    ItemGone,
    MailboxError,
    MailboxMissing,
    OpsError,
    ServerBusy,
    ServerFailed,
)
from ops_lib.mailbox import SignIns
from ops_lib.mailbox.ews import folder_rights
from ops_lib.mailbox.ews.answers import Element, Message, child, children, text_of
from ops_lib.mailbox.ews.asking import Asker
from ops_lib.mailbox.ews.folder_rights import BOTH, FolderSeen, may
from ops_lib.mailbox.ews.probes import whose_address
from ops_lib.mailbox.ews.transport import Transport
from ops_lib.model import Account, Host, Kind

_NAMES = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}
_READ = {Kind.EVENT: Right.CALENDAR_READ, Kind.TASK: Right.TASKS_READ}
_WRITE = {Kind.EVENT: Right.CALENDAR_WRITE, Kind.TASK: Right.TASKS_WRITE}
_IMPERSONATION_CODES = frozenset(
    {"ErrorImpersonateUserDenied", "ErrorImpersonationDenied", "ErrorImpersonationFailed", "ErrorTokenSerializationDenied"}
)  # fmt: skip
_OWN = "acts as the mailbox's own user"


@dataclass(frozen=True, slots=True)
class Asking:
    """How a host is asked: with whose secrets, by which clock, and how long an answer is waited for."""

    host: Host
    secret: Callable[[str], str]
    sign_ins: SignIns
    clock: Callable[[], datetime]
    timeout_seconds: float


@dataclass(slots=True)
class Seen:
    """The observations of one mailbox while they are made; what is not said stays unknown."""

    user: str
    rights: dict[Right, Observation] = field(default_factory=dict)

    def say(self, right: Right, holds: Holds, observed: str, evidence: str, why: str = "") -> None:
        self.rights[right] = Observation(
            user=self.user, right=right, holds=holds, observed=observed, evidence=evidence, source="ews", why=why
        )

    def rest_unknown(self, observed: str, evidence: str, why: str) -> None:
        for right in Right:
            if right not in self.rights:
                self.say(right, Holds.UNKNOWN, observed, evidence, why)

    def all(self) -> list[Observation]:
        return [self.rights[right] for right in Right]


class Looking:
    """One mailbox being looked at."""

    def __init__(self, run: Asking, account: Account, seen: Seen) -> None:
        self.run, self.host, self.account, self.seen = run, run.host, account, seen
        self._transports: list[Transport] = []
        self._asked = "GetFolder calendar and tasks"
        own = account.is_impersonation_account or account.mailbox.lower() == run.host.service_user.lower()
        #: whether who signs in is the mailbox's user, or acts as them
        self.acts_as_user = run.host.access != "delegate" or own
        self.impersonates = run.host.access == "impersonation" and (not own or run.host.auth == "oauth-app")

    @property
    def requests(self) -> int:
        return sum(transport.requests for transport in self._transports)

    def evidence(self, error: OpsError) -> str:
        return self._evidence(error.response_code or type(error).__name__)

    def _evidence(self, code: str, asked: str = "") -> str:
        who = f", impersonating {self.account.mailbox}" if self.impersonates and not asked else ""
        return f"{asked or self._asked}{who}: {code}, {self.run.clock():%Y-%m-%dT%H:%M:%SZ}"

    def _ask(self, payload: Element, host: Host | None = None) -> list[Message]:
        transport = Transport(
            host or self.host, self.account, self.run.secret, self.run.timeout_seconds, self.run.sign_ins
        )
        self._transports.append(transport)
        return Asker(transport).retried(payload, only=(ServerBusy,))

    # ── the mailbox ──────────────────────────────────────────────────────────────────────────────────────────────
    def look(self) -> None:
        try:
            found = dict(zip(BOTH, self._ask(folder_rights.folders(self.account.mailbox)), strict=False))
        except MailboxError as error:
            self._closed(error)
            return
        if len(found) < len(BOTH):
            raise AnswerLost("the server answered for one folder and was asked for two", subject=self.account.mailbox)
        errors = {
            kind: message.error(self.account.mailbox) for kind, message in found.items() if not message.is_success
        }
        both = next(iter(errors.values())) if len(errors) == len(BOTH) else None
        if both is not None and not isinstance(both, AccessRefused | ItemGone):
            self._closed(both)
            return
        folders = {
            kind: folder_rights.folder_of(message, kind) for kind, message in found.items() if message.is_success
        }
        if not self.acts_as_user:
            folders = self._completed(folders)
        self._opened(found)
        for kind in BOTH:
            if kind in folders:
                self._folder(kind, folders[kind])
            else:
                self._no_folder(kind, errors[kind])
        self._private(folders.get(Kind.EVENT))
        self._acting()

    def _opened(self, found: Mapping[Kind, Message]) -> None:
        codes = ", ".join(f"{_NAMES[kind]} {message.response_code}" for kind, message in found.items())
        evidence = self._evidence(codes)
        self.seen.say(Right.MAILBOX, Holds.YES, "the server answers for this mailbox", evidence)
        self.seen.say(Right.EWS_ENABLED, Holds.YES, "EWS answers for this mailbox", evidence)
        if self.impersonates:
            self.seen.say(Right.IMPERSONATION, Holds.YES, "may act for this user", evidence)

    def _closed(self, error: MailboxError) -> None:
        """The mailbox as a whole does not open: which right that is about, and what it says of the others."""
        evidence, code = self.evidence(error), error.response_code
        if code in _IMPERSONATION_CODES:
            self.seen.say(Right.IMPERSONATION, Holds.NO, "may not act for this user", evidence, error.message)
            self._directory()
            self.seen.say(
                Right.EWS_ENABLED, Holds.UNKNOWN, "could not be seen", evidence, "impersonation is refused before it is looked at"
            )  # fmt: skip
            self.seen.rest_unknown("not opened", evidence, "impersonation is refused: the mailbox was not opened")
        elif isinstance(error, MailboxMissing):
            self.seen.say(Right.MAILBOX, Holds.NO, "no mailbox answers", evidence, error.message)
            self.seen.rest_unknown("not opened", evidence, "there is no mailbox to look at")
        elif isinstance(error, AccessRefused) and error.http_status == 403:
            is_closed = "EWS is closed to us" in error.message
            self.seen.say(
                Right.EWS_ENABLED,
                Holds.NO if is_closed else Holds.UNKNOWN,
                error.message,
                evidence,
                error.message
                if is_closed
                else "a 403 without X-EWS-Policy-Reason does not say what forbids the request",
            )
            self.seen.rest_unknown("not opened", evidence, "EWS does not let the request in")
        elif code == "ErrorInvalidLicense":
            self.seen.say(Right.EWS_ENABLED, Holds.NO, error.message, evidence, error.message)
            self.seen.rest_unknown("not opened", evidence, "the user's licence does not include it")
        else:
            raise error

    def _directory(self) -> None:
        """Does anybody have this address? Asked as the service account itself, where acting as the user is refused."""
        if self.host.auth == "oauth-app":
            why = "impersonation is refused, and an app can ask the directory for nobody as itself"
            self.seen.say(Right.MAILBOX, Holds.UNKNOWN, "could not be seen", self._evidence("not asked"), why)
            return
        asked = "ResolveNames"
        try:
            (message, *_) = self._ask(whose_address(self.account.mailbox), replace(self.host, access="delegate"))
        except OpsError as error:
            evidence = self._evidence(error.response_code or type(error).__name__, asked)
            self.seen.say(Right.MAILBOX, Holds.UNKNOWN, "could not be seen", evidence, said(error))
            return
        evidence = self._evidence(message.response_code, asked)
        names = [text_of(child(each, "Mailbox", "EmailAddress")).lower() for each in children(message.element, "ResolutionSet")]  # fmt: skip
        if self.account.mailbox.lower() in names:
            self.seen.say(Right.MAILBOX, Holds.YES, "the directory has it at this address", evidence)
        else:
            why = "impersonation is refused, and the directory does not name the address"
            self.seen.say(Right.MAILBOX, Holds.UNKNOWN, "could not be seen", evidence, why)

    # ── the folders ──────────────────────────────────────────────────────────────────────────────────────────────
    def _completed(self, folders: dict[Kind, FolderSeen]) -> dict[Kind, FolderSeen]:
        """A delegate's view where the folder alone leaves it open: with others' items, and at last with the permission set."""
        folders = self._asked_again(folders, folder_rights.others_items, folder_rights.with_items)
        return self._asked_again(
            folders,
            lambda address, kinds: folder_rights.folders(address, kinds, with_permissions=True),
            lambda folder, message: replace(folder_rights.folder_of(message, folder.kind), items=folder.items),
        )

    def _asked_again(
        self,
        folders: dict[Kind, FolderSeen],
        request: Callable[[str, Sequence[Kind]], Element],
        read: Callable[[FolderSeen, Message], FolderSeen],
    ) -> dict[Kind, FolderSeen]:
        caller = self.host.service_user
        is_open = [
            kind
            for kind, folder in folders.items()
            if folder.is_right_kind and None in (may(folder, caller).read, may(folder, caller).write)
        ]
        if not is_open:
            return folders
        try:
            messages = self._ask(request(self.account.mailbox, is_open))
        except ServerFailed:
            return folders  # a server that cannot be asked so; it stays as open as it was
        found = {
            kind: read(folders[kind], each) for kind, each in zip(is_open, messages, strict=False) if each.is_success
        }
        return folders | found

    def _folder(self, kind: Kind, folder: FolderSeen) -> None:
        name = f"{_NAMES[kind]} folder '{folder.name}'"
        if not folder.is_right_kind:
            why = f"the default {_NAMES[kind]} folder is {OTHER_KIND}; look at it in Outlook"
            for right in (_READ[kind], _WRITE[kind]):
                self.seen.say(right, Holds.NO, f"{name} is no {_NAMES[kind]} folder", self._evidence("NoError"), why)
            return
        found = may(folder, self.host.service_user, is_own=self.acts_as_user)
        evidence = self._evidence(f"{_NAMES[kind]} NoError, {found.by}")
        observed = f"{name}: {found.words}" + (f" ({_OWN})" if self.acts_as_user else "")
        unknown_why = "EWS shows no more than this; the output of Get-MailboxFolderPermission does (--from-csv)"
        for right, answer in ((_READ[kind], found.read), (_WRITE[kind], found.write)):
            holds = Holds.UNKNOWN if answer is None else Holds.YES if answer else Holds.NO
            is_excess = right is _WRITE[kind] and holds is Holds.YES and found.owner is True and not self.acts_as_user
            self.seen.say(
                right,
                Holds.EXCESS if is_excess else holds,
                f"{observed}; owns the folder" if is_excess else observed,
                evidence,
                unknown_why if answer is None else "",
            )

    def _no_folder(self, kind: Kind, error: MailboxError) -> None:
        evidence = self._evidence(f"{_NAMES[kind]} {error.response_code}")
        for right in (_READ[kind], _WRITE[kind]):
            if isinstance(error, AccessRefused | ItemGone):
                why = (
                    f"the {_NAMES[kind]} folder does not open"
                    if not self.acts_as_user
                    else f"its own user finds no {_NAMES[kind]} folder"
                )
                self.seen.say(right, Holds.NO, f"{why}: {error.response_code}", evidence)
            else:
                self.seen.say(right, Holds.UNKNOWN, "could not be seen", evidence, said(error))

    def _private(self, folder: FolderSeen | None) -> None:
        evidence = self._evidence("ViewPrivateItems")
        told = folder.flags.private if folder is not None and folder.flags is not None else None
        if told is not None:
            holds, observed = (Holds.YES, "sees private items") if told else (Holds.NO, "does not see private items")
            self.seen.say(Right.PRIVATE_ITEMS, holds, observed, evidence)
        elif self.acts_as_user:
            self.seen.say(Right.PRIVATE_ITEMS, Holds.YES, _OWN, evidence)
        elif folder is None:
            self.seen.say(Right.PRIVATE_ITEMS, Holds.NO, "sees nothing of the calendar", evidence)
        else:
            why = "this server does not say whether private items are shown"
            self.seen.say(Right.PRIVATE_ITEMS, Holds.UNKNOWN, "could not be seen", evidence, why)

    # ── acting and sending ───────────────────────────────────────────────────────────────────────────────────────
    def _acting(self) -> None:
        if self.acts_as_user:
            evidence = self._evidence("NoError")
            if Right.IMPERSONATION not in self.seen.rights:
                observed = "signs in itself: nobody acts for it" if self.host.access == "direct" else "its own mailbox"
                self.seen.say(Right.IMPERSONATION, Holds.NO, observed, evidence)
            for right in (Right.SEND_AS, Right.SEND_ON_BEHALF):
                self.seen.say(right, Holds.YES, _OWN, evidence)
            return
        self._impersonation_of_a_delegate()
        why = "EWS shows a delegate's right to send only by trying, which was not done"
        for right in (Right.SEND_AS, Right.SEND_ON_BEHALF):
            self.seen.say(right, Holds.UNKNOWN, "could not be seen", "", why)

    def _impersonation_of_a_delegate(self) -> None:
        """Whether a delegate may do more than a delegate needs: act as the user."""
        asked = f"GetFolder calendar, impersonating {self.account.mailbox}"
        try:
            self._ask(
                folder_rights.folders(self.account.mailbox, (Kind.EVENT,)), replace(self.host, access="impersonation")
            )
        except MailboxError as error:
            evidence = self._evidence(error.response_code or type(error).__name__, asked)
            if isinstance(error, AccessRefused) and error.http_status != 403:
                self.seen.say(Right.IMPERSONATION, Holds.NO, "may not act for this user", evidence)
            else:
                self.seen.say(Right.IMPERSONATION, Holds.UNKNOWN, "could not be seen", evidence, said(error))
            return
        self.seen.say(Right.IMPERSONATION, Holds.YES, "may act for this user", self._evidence("NoError", asked))


def said(error: OpsError) -> str:
    """The error in words, with its code."""
    return f"{error.message} ({error.response_code})" if error.response_code not in error.message else error.message
