"""The 13 statuses of an account's process (T1), and which failure means which. Pure.

The words and meanings are the CRM's help article's, verbatim; the rest says who must act and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ops_lib.diagnosis import sign_in_errors
from ops_lib.errors import (
    AccessRefused,
    AnswerLost,
    ItemGone,
    MailboxError,
    MailboxMissing,
    OpsError,
    ServerBusy,
    ServerFailed,
    SignInRefused,
    SyncStateInvalid,
    Unreachable,
)

ACCESS_DENIED_FOLDER = "Access Denied Calendar/Task Folder"
FORBIDDEN = "Denied Access (Forbidden)"
NOT_SYNCING = "Error - Not Syncing"
INTERNAL_SERVER_ERROR = "EWS Server giving Internal Server Error"
VERSION_NOT_SUPPORTED = "Exchange Version Not Supported"
IMPERSONATION_FAILED = "Impersonation Failed"
INVALID_FOLDER = "Invalid Calendar or Task folder"
INVALID_URL = "Invalid Server URL"
MAILBOX_NOT_SET_UP = "Mailbox Not Setup on EWS"
NOT_ENABLED = "Not Enabled"
SYNCING = "Syncing"
UNATTEMPTED = "Unattempted"
UNAUTHORIZED = "Unauthorized"

FRESH = timedelta(minutes=45)
"""So long a success proves that an account is kept in step: a change reaches Outlook within 45 minutes at worst (C7)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status says, who must act, and what to do next."""

    status: str
    meaning: str
    owner: str
    next_step: str


_TENANT = "the customer's Exchange administrator"
_ADMIN = "a CRM administrator"

MEANINGS: dict[str, Meaning] = {
    m.status: m
    for m in (
        Meaning(
            ACCESS_DENIED_FOLDER,
            "Specified folder could not be found in the store. The incorrect permission is chosen, impersonation or delegate.",
            _TENANT,
            "Check that the host's access type is the one that was granted, and that the service account is Editor of the user's Calendar and Tasks.",
        ),
        Meaning(
            FORBIDDEN,
            "403 error (forbidden) or unauthorized client. The service account doesn't have access the user.",
            _TENANT,
            "Check that EWS is enabled for the organisation and the mailbox and that this application is allowed to use it.",
        ),
        Meaning(
            NOT_SYNCING,
            "General Error Message. Could be caused by a time out or troubles when syncing.",
            "support",
            "Read the sub_cause beside it (`syncops status --json`): it names the reason and the mend.",
        ),
        Meaning(
            INTERNAL_SERVER_ERROR,
            "An internal server error occurred. Try again later. Potential down time that will often resolve itself after a period of time.",
            _TENANT,
            "Wait for the server to recover; if it lasts over an hour, ask the administrator for the server's event log at that time.",
        ),
        Meaning(
            VERSION_NOT_SUPPORTED,
            "Exchange Server doesn't support the requested version.",
            _ADMIN,
            "Set the host's Exchange version to the one the organisation runs.",
        ),
        Meaning(
            IMPERSONATION_FAILED,
            "The account does not have permission to impersonate the requested user.",
            _TENANT,
            "Give the service account the ApplicationImpersonation role with a scope that holds this user, or use delegate access.",
        ),
        Meaning(
            INVALID_FOLDER,
            "This property was requested, but it wasn't returned by the server.",
            _TENANT,
            "Check the mailbox's default Calendar and Tasks folders for damage.",
        ),
        Meaning(
            INVALID_URL,
            "The remote name could not be resolved. Occurs when the EWS url has been entered incorrectly.",
            _ADMIN,
            "Correct the host's EWS URL; it ends in .asmx.",
        ),
        Meaning(
            MAILBOX_NOT_SET_UP,
            "The SMTP address has no mailbox associated. Verify that the user's email address is spelled correctly and has the correct domain.",
            _ADMIN,
            "Correct the account's address: the mailbox's primary SMTP address, not an alias.",
        ),
        Meaning(
            NOT_ENABLED,
            "The process (sync calendar or send email) is not currently enabled for the user.",
            _ADMIN,
            "Enable it on the account.",
        ),
        Meaning(
            SYNCING,
            "The process (sync calendar or send email) is correctly enabled and functioning.",
            "nobody",
            "Nothing to do.",
        ),
        Meaning(
            UNATTEMPTED,
            "No Items - no items to sync. The account has been added, but doesn't currently have any activites/calendar events to sync.",
            "nobody",
            "Nothing to do; it changes with the first entry, or with the first cycle.",
        ),
        Meaning(
            UNAUTHORIZED,
            "(401) Unauthorized. The username or password for the service account is incorrect.",
            _ADMIN,
            "Enter the service account's user name and password again, or sign in again.",
        ),
    )
}

_BY_CODE = {
    "AADSTS700016": FORBIDDEN,  # the OAuth error unauthorized_client: the status' own words
    "AADSTS7000112": FORBIDDEN,
    "sign-in address unreachable": NOT_SYNCING,  # the directory's, not the host's URL
    "ErrorImpersonateUserDenied": IMPERSONATION_FAILED,
    "ErrorImpersonationDenied": IMPERSONATION_FAILED,
    "ErrorImpersonationFailed": IMPERSONATION_FAILED,
    "ErrorInvalidExchangeImpersonationHeaderData": IMPERSONATION_FAILED,
    "ErrorNonExistentMailbox": MAILBOX_NOT_SET_UP,
    "ErrorCannotFindUser": MAILBOX_NOT_SET_UP,
    "ErrorNonPrimarySmtpAddress": MAILBOX_NOT_SET_UP,
    "ErrorMissingEmailAddress": MAILBOX_NOT_SET_UP,
    "ErrorInvalidLicense": MAILBOX_NOT_SET_UP,
    "ErrorInvalidServerVersion": VERSION_NOT_SUPPORTED,
    "ErrorIncorrectSchemaVersion": VERSION_NOT_SUPPORTED,
    "ErrorInvalidSchemaVersionForMailboxVersion": VERSION_NOT_SUPPORTED,
    "ErrorFolderNotFound": ACCESS_DENIED_FOLDER,
    "ErrorAccessDenied": ACCESS_DENIED_FOLDER,
    "ErrorItemNotFound": ACCESS_DENIED_FOLDER,
    "ErrorSyncFolderNotFound": ACCESS_DENIED_FOLDER,
    "ErrorInvalidPropertyRequest": INVALID_FOLDER,
    "ErrorItemPropertyRequestFailed": INVALID_FOLDER,
    "ErrorFolderPropertRequestFailed": INVALID_FOLDER,
    "ErrorFolderPropertyRequestFailed": INVALID_FOLDER,
    "ErrorInternalServerError": INTERNAL_SERVER_ERROR,
    "ErrorInternalServerTransientError": INTERNAL_SERVER_ERROR,
}


_OF_SIGNING_IN = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_SYNCING})


def owner_and_next_step(status: str, response_code: str = "") -> tuple[str, str]:
    """Who must act on a status, and what to do. Where the directory refused a token, its code says it better than the status does."""
    refusal = sign_in_errors.of_code(response_code) if status in _OF_SIGNING_IN else None
    if refusal is not None:
        return refusal.who, f"{response_code}: {refusal.fix}"
    meaning = MEANINGS.get(status)
    if meaning is None:
        return "support", "Read the sub_cause beside it: it names the reason and the mend."
    return meaning.owner, meaning.next_step


def status_of(error: OpsError) -> str:
    """The status that a failure means. The response code decides where there is one; the kind of failure where there is none."""
    by_code = _BY_CODE.get(error.response_code)
    if by_code is not None:
        return by_code
    http_status = error.http_status if isinstance(error, MailboxError) else 0
    if isinstance(error, SignInRefused):
        return UNAUTHORIZED
    if isinstance(error, MailboxMissing):
        return MAILBOX_NOT_SET_UP
    if isinstance(error, AccessRefused):
        return FORBIDDEN
    if isinstance(error, Unreachable):
        return INVALID_URL
    if isinstance(error, ItemGone):
        return ACCESS_DENIED_FOLDER
    if isinstance(error, ServerFailed) and http_status >= 500:
        return INTERNAL_SERVER_ERROR
    if isinstance(error, (ServerBusy, AnswerLost, SyncStateInvalid)):
        return NOT_SYNCING
    return NOT_SYNCING


def is_permanent(error: OpsError) -> bool:
    """Whether trying again cannot mend it, so that its status is set at once and nothing is hammered (T2)."""
    return isinstance(error, MailboxError) and not error.transient
