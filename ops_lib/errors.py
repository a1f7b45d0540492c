"""Everything that can go wrong, as one tree.

    OpsError
    ├── InputError              a person or a file said something that cannot be
    ├── WorkspaceError          the workspace is missing, of another version, or in use
    ├── NotThere                what was named does not exist
    ├── StaleWrite              what was to be changed has changed since it was read
    ├── LeaseHeld               another worker is at this account
    ├── TooManyDeletions        the brake: a cycle would delete more than it may unasked
    ├── Defect                  a fault of ours, where others must not suffer from it
    ├── SandboxError            the sandbox was asked for something it cannot do
    └── MailboxError            a mail server, or what stands before it, did not do what was asked
        ├── Unreachable             no name, no connection, no TLS
        │   └── WrongUrl                something answers there, but no Exchange Web Service (404, a redirect)
        ├── SignInRefused           401, a refused token, a locked account
        ├── AccessRefused           signed in, but not allowed: impersonation, folder, item, policy (403)
        ├── MailboxMissing          the address has no mailbox there
        ├── ServerBusy              the server asks for a pause: ``back_off_seconds``
        ├── ServerFailed            5xx, a fault, an answer that is none; worth another try later
        ├── AnswerLost              the request was sent and no answer came: it may have been done
        ├── SyncStateInvalid        the server does not know the sync state any more
        ├── ItemGone                the item or folder does not exist any more
        ├── ItemConflict            the item has changed since it was read
        └── ItemRefused             this item cannot be read or written; the others can

Errors carry what a person needs to act: ``response_code`` verbatim (people search for it), ``subject`` (what it was about)
and ``fix`` (one sentence, imperative). They hold no locals, no bodies and no secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class OpsError(Exception):
    """Something went wrong that a person can act on."""

    exit_code = 2

    def __init__(self, message: str, *, subject: str = "", response_code: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.response_code = response_code
        self.fix = fix

    def __str__(self) -> str:
        parts = [f"{self.subject}: {self.message}" if self.subject else self.message]
        if self.response_code and self.response_code not in self.message:
            parts.append(f"({self.response_code})")
        said = " ".join(parts)
        if not self.fix:
            return said
        return f"{said}{'' if said.endswith(('.', '!', '?', '…')) else '.'} To mend it: {self.fix}"


class InputError(OpsError):
    """A person or a file said something that cannot be."""


class WorkspaceError(OpsError):
    """The workspace is missing, of another version, or in use."""


class NotThere(OpsError):
    """What was named does not exist."""


class StaleWrite(OpsError):
    """What was to be changed has changed since it was read."""


class LeaseHeld(OpsError):
    """Another worker is at this account."""


class TooManyDeletions(OpsError):
    """A cycle would delete more than it may without being asked."""


class Defect(OpsError):
    """A fault of ours that nobody foresaw, told by its class and place: what it was about may be nobody's to read."""


class SandboxError(OpsError):
    """The sandbox was asked for something it cannot do."""


class MailboxError(OpsError):
    """A mail server, or what stands before it, did not do what was asked.

    ``http_status`` is 0 where no answer came. ``transient`` says whether the same request may succeed later by itself. ``headers``: the few of an
    answer by which the server's keeper finds the request again, where it was no SOAP.
    """

    transient = False
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, message: str, *, subject: str = "", response_code: str = "", fix: str = "", http_status: int = 0
    ) -> None:
        super().__init__(message, subject=subject, response_code=response_code, fix=fix)
        self.http_status = http_status


class Unreachable(MailboxError):
    """No name, no connection, no TLS: nothing was sent."""

    transient = True


class WrongUrl(Unreachable):
    """Something answers at the URL, but no Exchange Web Service: 404, 405, a redirect. Nothing was done."""

    transient = False


class SignInRefused(MailboxError):
    """The server does not accept who we say we are. ``is_of_password``: a password was looked at and refused; sending it again may lock the account."""

    is_of_password = False


class AccessRefused(MailboxError):
    """Signed in, but not allowed: impersonation, a folder, an item, or a policy."""


class MailboxMissing(MailboxError):
    """The address has no mailbox on this server."""


class ServerBusy(MailboxError):
    """The server asks for a pause of ``back_off_seconds`` (0: it named none)."""

    transient = True

    def __init__(
        self,
        message: str,
        *,
        subject: str = "",
        response_code: str = "",
        fix: str = "",
        http_status: int = 0,
        back_off_seconds: float = 0.0,
    ) -> None:
        super().__init__(message, subject=subject, response_code=response_code, fix=fix, http_status=http_status)
        self.back_off_seconds = back_off_seconds


class ServerFailed(MailboxError):
    """The server failed, or what it answered is no answer."""

    transient = True


class AnswerLost(MailboxError):
    """The request was sent and no answer came: it may have been done, or may yet be."""

    transient = True


class SyncStateInvalid(MailboxError):
    """The server does not know the sync state any more: read everything again."""


class ItemGone(MailboxError):
    """The item or folder does not exist any more."""


class ItemConflict(MailboxError):
    """The item has changed since it was read."""


class ItemRefused(MailboxError):
    """This item cannot be read or written; the others can."""
