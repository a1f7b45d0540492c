"""What a response code, an HTTP status or a SOAP fault means: the error, the reason in words and what to do.

One table. The code goes into ``response_code`` verbatim, also one that is not in the table: people search for it.

Source: the EWS reference, *ResponseCode*; Exchange Online, *HTTP 403 responses*; recorded traffic of a server that is not Microsoft's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from ops_lib.diagnosis import sign_in_errors
from ops_lib.errors import (
    AccessRefused,
    ItemConflict,
    ItemGone,
    ItemRefused,
    MailboxError,
    MailboxMissing,
    ServerBusy,
    ServerFailed,
    SignInRefused,
    SyncStateInvalid,
    WrongUrl,
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code stands for. ``transient`` None: as the error's class says."""

    error: type[MailboxError]
    reason: str
    fix: str = ""
    transient: bool | None = None


_IMPERSONATION_FIX = (
    "give the service account the ApplicationImpersonation role over this mailbox (Exchange Online: the role "
    "Application EWS.AccessAsApp or full_access_as_app for the app)."
)
_FOLDER_FIX = (
    "give the service account the Editor level on this mailbox's Calendar and Tasks folders, or let it impersonate."
)
_VERSION_FIX = "set the host's version to the one of the server (host edit --version)."
_WAIT_FIX = "nothing: the next cycle tries again."

MEANINGS: dict[str, Meaning] = {
    # who may not
    "ErrorImpersonateUserDenied": Meaning(
        AccessRefused, "the account may not impersonate this user", _IMPERSONATION_FIX
    ),
    "ErrorImpersonationDenied": Meaning(
        AccessRefused, "the account may not impersonate through this server", _IMPERSONATION_FIX
    ),
    "ErrorImpersonationFailed": Meaning(AccessRefused, "the server could not impersonate this user", _IMPERSONATION_FIX),
    "ErrorInvalidExchangeImpersonationHeaderData": Meaning(
        AccessRefused, "the server does not accept the address that was to be impersonated", "correct the account's mailbox address."
    ),
    "ErrorAccessDenied": Meaning(AccessRefused, "the account has no right to do this in the mailbox or folder", _FOLDER_FIX),
    "ErrorCreateItemAccessDenied": Meaning(AccessRefused, "the account may not create items in this folder", _FOLDER_FIX),
    "ErrorDeleteDistinguishedFolder": Meaning(AccessRefused, "a default folder cannot be deleted"),
    "ErrorCannotDeleteObject": Meaning(ItemRefused, "this item cannot be deleted", "delete it in Outlook."),
    "ErrorDelegateMissingConfiguration": Meaning(AccessRefused, "the mailbox' delegates are not set up properly", _FOLDER_FIX),
    "ErrorSendAsDenied": Meaning(AccessRefused, "the account may not send as this user", "grant Send As on the mailbox."),
    "ErrorExceededFindCountLimit": Meaning(
        ServerBusy, "the search would give more items than the server's policy allows", "raise EWSFindCountLimit, or wait."
    ),
    "ErrorInvalidLicense": Meaning(AccessRefused, "the user has no licence for this mailbox", "assign a licence with Exchange."),
    # who is not known
    "ErrorPasswordExpired": Meaning(SignInRefused, "the password has expired", "set a new password and enter it for the host."),
    "ErrorPasswordChangeRequired": Meaning(
        SignInRefused, "the password must be changed first", "change the password and enter it for the host."
    ),
    "ErrorAccountDisabled": Meaning(SignInRefused, "the account is disabled", "enable the account in the directory."),
    "ErrorTokenSerializationDenied": Meaning(SignInRefused, "the caller may not act with such a token", _IMPERSONATION_FIX),
    # no such mailbox
    "ErrorNonExistentMailbox": Meaning(
        MailboxMissing, "no mailbox has this address", "correct the account's mailbox address, or give the user a mailbox."
    ),
    "ErrorCannotFindUser": Meaning(
        MailboxMissing, "the server knows no user with this address", "correct the account's mailbox address, or give the user a mailbox."
    ),
    "ErrorNonPrimarySmtpAddress": Meaning(
        MailboxMissing, "the address is an alias; the primary address is wanted", "enter the primary address as the account's mailbox."
    ),
    "ErrorMissingEmailAddress": Meaning(
        MailboxMissing, "the account has no mailbox of its own and named none", "enter the account's mailbox address."
    ),
    "ErrorNoPublicFolderReplicaAvailable": Meaning(MailboxMissing, "no replica of the folder can be reached"),
    "ErrorMailboxHoldNotFound": Meaning(MailboxMissing, "the mailbox was not found"),
    # later
    "ErrorServerBusy": Meaning(ServerBusy, "the server asks for a pause", _WAIT_FIX),
    "ErrorExceededConnectionCount": Meaning(
        ServerBusy, "too many requests of this account at once", "fewer threads, or raise EWSMaxConcurrency."
    ),
    "ErrorTooManyObjectsOpened": Meaning(ServerBusy, "too many objects of this account are open at once", _WAIT_FIX),
    "ErrorExceededSubscriptionCount": Meaning(ServerBusy, "too many subscriptions of this mailbox", _WAIT_FIX),
    "ErrorInternalServerTransientError": Meaning(ServerFailed, "the server failed inside and asks to try again", _WAIT_FIX),
    "ErrorInternalServerError": Meaning(
        ServerFailed, "the server failed inside", "look into the server's event log if it goes on."
    ),
    "ErrorADUnavailable": Meaning(ServerFailed, "the server cannot reach its directory", _WAIT_FIX),
    "ErrorADOperation": Meaning(ServerFailed, "the server's directory did not answer properly", _WAIT_FIX),
    "ErrorConnectionFailed": Meaning(ServerFailed, "the server cannot reach the mailbox", _WAIT_FIX),
    "ErrorMailboxStoreUnavailable": Meaning(ServerFailed, "the mailbox database is not available", _WAIT_FIX),
    "ErrorMailboxMoveInProgress": Meaning(ServerFailed, "the mailbox is being moved", _WAIT_FIX),
    "ErrorMailboxFailover": Meaning(ServerFailed, "the mailbox database is failing over", _WAIT_FIX),
    "ErrorTimeoutExpired": Meaning(ServerFailed, "the server ran out of time for the request", _WAIT_FIX),
    "ErrorBatchProcessingStopped": Meaning(ServerFailed, "the server stopped at an earlier item of the batch", _WAIT_FIX),
    "ErrorInsufficientResources": Meaning(ServerFailed, "the server has not enough resources", _WAIT_FIX),
    "ErrorNotEnoughMemory": Meaning(ServerFailed, "the server has not enough memory", _WAIT_FIX),
    "ErrorProxyRequestProcessingFailed": Meaning(ServerFailed, "the server could not pass the request on", _WAIT_FIX),
    "ErrorProxyServiceDiscoveryFailed": Meaning(ServerFailed, "the server found no other server to pass the request to", _WAIT_FIX),
    "ErrorProxiedSubscriptionCallFailure": Meaning(ServerFailed, "the server could not pass the request on", _WAIT_FIX),
    "ErrorNoRespondingCASInDestinationSite": Meaning(ServerFailed, "no server of the mailbox' site answers", _WAIT_FIX),
    # never like this
    "ErrorInvalidServerVersion": Meaning(ServerFailed, "the server does not know the version asked for", _VERSION_FIX, False),
    "ErrorIncorrectSchemaVersion": Meaning(ServerFailed, "the request is newer than the version it states", _VERSION_FIX, False),
    "ErrorInvalidSchemaVersionForMailboxVersion": Meaning(
        ServerFailed, "the mailbox is on an older server than the version asked for", _VERSION_FIX, False
    ),
    "ErrorWrongServerVersion": Meaning(ServerFailed, "the mailbox is on a server of another version", _VERSION_FIX, False),
    "ErrorWrongServerVersionDelegate": Meaning(
        AccessRefused,
        "the service account's mailbox and this one are on servers of different versions",
        "move the service account's mailbox to the same version, or impersonate.",
    ),
    "ErrorInvalidRequest": Meaning(ServerFailed, "the server does not accept the request", _VERSION_FIX, False),
    "ErrorSchemaValidation": Meaning(ServerFailed, "the server does not accept the request's form", _VERSION_FIX, False),
    "ErrorInvalidOperation": Meaning(ServerFailed, "the server does not do what was asked", _VERSION_FIX, False),
    "ErrorRequestStreamTooBig": Meaning(ServerFailed, "the request is too big for the server", "raise the server's limit for requests.", False),
    "ErrorCalendarViewRangeTooBig": Meaning(ServerFailed, "the window is wider than the server shows at once", "", False),
    "SOAP:Client": Meaning(ServerFailed, "the server does not accept the request's form", _VERSION_FIX, False),
    "SOAP:Server": Meaning(ServerFailed, "the server failed inside, or does not know what was asked", "look into the server's event log if it goes on."),
    # the sync state
    "ErrorInvalidSyncStateData": Meaning(SyncStateInvalid, "the server does not accept the sync state", "nothing: everything is read again."),
    "ErrorSyncFolderNotFound": Meaning(ItemGone, "the folder is not there, or the account may not see it", _FOLDER_FIX),
    # gone
    "ErrorItemNotFound": Meaning(ItemGone, "the item does not exist any more, or the account may not see it"),
    "ErrorFolderNotFound": Meaning(ItemGone, "the folder is not there, or the account may not see it", _FOLDER_FIX),
    "ErrorParentFolderNotFound": Meaning(ItemGone, "the folder is not there, or the account may not see it", _FOLDER_FIX),
    "ErrorManagedFolderNotFound": Meaning(ItemGone, "the folder is not there", _FOLDER_FIX),
    "ErrorCalendarOccurrenceIsDeletedFromRecurrence": Meaning(ItemGone, "the occurrence is deleted from its series"),
    "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange": Meaning(ItemGone, "the series has no such occurrence"),
    "ErrorRecurrenceHasNoOccurrence": Meaning(ItemGone, "the series has no occurrence"),
    "ErrorSubscriptionNotFound": Meaning(ItemGone, "the subscription does not exist any more", "nothing: a new one is made."),
    "ErrorInvalidSubscription": Meaning(ItemGone, "the subscription does not exist any more", "nothing: a new one is made."),
    "ErrorReadEventsFailed": Meaning(ItemGone, "the subscription's events cannot be read any more", "nothing: a new one is made."),
    "ErrorInvalidWatermark": Meaning(ItemGone, "the subscription's events cannot be read any more", "nothing: a new one is made."),
    "ErrorMissedNotificationEvents": Meaning(ItemGone, "the subscription has missed events", "nothing: a new one is made."),
    "ErrorNameResolutionNoResults": Meaning(ItemGone, "the directory knows nobody by this name"),
    # changed meanwhile
    "ErrorIrresolvableConflict": Meaning(ItemConflict, "the item has changed since it was read"),
    "ErrorStaleObject": Meaning(ItemConflict, "the item has changed since it was read"),
    "ErrorInvalidChangeKey": Meaning(ItemConflict, "the server does not know this version of the item"),
    "ErrorChangeKeyRequired": Meaning(ItemConflict, "the version of the item must be named"),
    "ErrorChangeKeyRequiredForWriteOperations": Meaning(ItemConflict, "the item has changed since it was read"),
    "ErrorItemSave": Meaning(ItemRefused, "the server could not save the item"),
    # this item not
    "ErrorInvalidId": Meaning(ItemRefused, "the id is none of this server's"),
    "ErrorInvalidIdMalformed": Meaning(ItemRefused, "the id is none of this server's"),
    "ErrorInvalidIdEmpty": Meaning(ItemRefused, "the id is empty"),
    "ErrorInvalidIdNotAnItemAttachmentId": Meaning(ItemRefused, "the id is none of an item"),
    "ErrorInvalidIdStoreObjectIdTooLong": Meaning(ItemRefused, "the id is too long"),
    "ErrorCannotUseFolderIdForItemId": Meaning(ItemRefused, "the id is a folder's"),
    "ErrorCannotUseItemIdForFolderId": Meaning(ItemRefused, "the id is an item's"),
    "ErrorCorruptData": Meaning(ItemRefused, "the item is damaged", "open and save the item in Outlook, or remove it."),
    "ErrorItemCorrupt": Meaning(ItemRefused, "the item is damaged or incomplete", "open and save the item in Outlook, or remove it."),
    "ErrorMimeContentConversionFailed": Meaning(ItemRefused, "the item's content cannot be converted"),
    "ErrorContentConversionFailed": Meaning(ItemRefused, "the item's content cannot be converted"),
    "ErrorItemPropertyRequestFailed": Meaning(ItemRefused, "a property of the item cannot be read"),
    "ErrorFolderPropertRequestFailed": Meaning(ItemGone, "the folder is not there any more"),
    "ErrorFolderPropertyRequestFailed": Meaning(ItemGone, "the folder is not there any more"),
    "ErrorPropertyUpdate": Meaning(ItemRefused, "a property of the item cannot be written"),
    "ErrorPropertyValidationFailure": Meaning(ItemRefused, "a property's value is not accepted"),
    "ErrorInvalidPropertyRequest": Meaning(ItemRefused, "the property does not fit this kind of item"),
    "ErrorInvalidPropertySet": Meaning(ItemRefused, "the property cannot be written"),
    "ErrorInvalidPropertyDelete": Meaning(ItemRefused, "the property cannot be removed"),
    "ErrorInvalidExtendedProperty": Meaning(ItemRefused, "our own property is not accepted"),
    "ErrorInvalidExtendedPropertyValue": Meaning(ItemRefused, "our own property's value is not accepted"),
    "ErrorInvalidValueForProperty": Meaning(ItemRefused, "a property's value is not accepted"),
    "ErrorCalendarEndDateIsEarlierThanStartDate": Meaning(
        ItemRefused, "the event ends before it starts", "correct the activity's times."
    ),
    "ErrorCalendarDurationIsTooLong": Meaning(ItemRefused, "the event is longer than Exchange holds (five years)"),
    "ErrorCalendarOutOfRange": Meaning(ItemRefused, "the event's times are outside what Exchange holds"),
    "ErrorCalendarInvalidTimeZone": Meaning(ItemRefused, "the server does not know the time zone"),
    "ErrorTimeZone": Meaning(ItemRefused, "the server does not know the time zone"),
    "ErrorCalendarIsNotOrganizer": Meaning(ItemRefused, "only the organizer can do this"),
    "ErrorCalendarIsDelegatedForDecline": Meaning(ItemRefused, "the meeting was delegated"),
    "ErrorCalendarCannotUseIdForOccurrenceId": Meaning(ItemRefused, "the item is no occurrence of a series"),
    "ErrorCalendarCannotUseIdForRecurringMasterId": Meaning(ItemRefused, "the item is no series"),
    "ErrorCannotDeleteTaskOccurrence": Meaning(ItemRefused, "the task's occurrence cannot be deleted"),
    "ErrorMessageSizeExceeded": Meaning(ItemRefused, "the item is larger than the server allows"),
    "ErrorDataSizeLimitExceeded": Meaning(ItemRefused, "a property is larger than the server allows"),
    "ErrorQuotaExceeded": Meaning(ItemRefused, "the mailbox is full", "free space in the mailbox, or raise its quota."),
    "ErrorMailRecipientNotFound": Meaning(ItemRefused, "a recipient is not known"),
    "ErrorNameResolutionMultipleResults": Meaning(ItemRefused, "the directory knows several by this name"),
    "ErrorMissingRecipients": Meaning(ItemRefused, "the message has no recipient"),
    "ErrorSendMeetingCancellationsRequired": Meaning(ItemRefused, "the server must be told about cancellations"),
    "ErrorSendMeetingInvitationsRequired": Meaning(ItemRefused, "the server must be told about invitations"),
    "ErrorAffectedTaskOccurrencesRequired": Meaning(ItemRefused, "the server must be told which occurrences of the task"),
}  # fmt: skip

_INNER_CODES = frozenset({"ErrorInternalServerError", "ErrorInternalServerTransientError"})
_POLICY_FIX = "an Exchange administrator looks at EwsEnabled, EwsApplicationAccessPolicy and EwsAllowedAppIDs of the organisation and the mailbox."


_OF_ONE = frozenset(
    {
        "ErrorInternalServerError",
        "ErrorInternalServerTransientError",
        "ErrorTimeoutExpired",
        "ErrorBatchProcessingStopped",
        "ErrorExceededFindCountLimit",
        "ErrorCalendarViewRangeTooBig",
    }
)
"""Failures of the server that one item or one search may cause: another one may do better."""


_LONGEST_CODE = 128
"""What the records hold of a code; none of Exchange's is half as long."""


def concerns_all(error: MailboxError) -> bool:
    """Whether an error said of one item holds for every other as well: busy, signed out, no mailbox, the database away."""
    if isinstance(error, ServerBusy):
        return error.response_code != "ErrorExceededFindCountLimit"
    about_all = isinstance(error, ServerFailed | SignInRefused | MailboxMissing)
    return about_all and error.response_code in MEANINGS and error.response_code not in _OF_ONE


def of_code(
    code: str,
    text: str,
    *,
    subject: str,
    values: Mapping[str, str] | None = None,
    http_status: int = 200,
    about_item: bool = False,
    retry_after: float = 0.0,
) -> MailboxError:
    """The error for a response code. ``values`` are those of the answer's MessageXml; ``about_item``: it concerns one of several."""
    values = values or {}
    code = code[:_LONGEST_CODE]
    meaning = MEANINGS.get(code) or MEANINGS.get(f"SOAP:{code.rpartition(':')[2]}")
    inner = values.get("InnerErrorResponseCode", "")
    if code in _INNER_CODES and inner in MEANINGS:
        meaning = MEANINGS[inner]
    if meaning is None:
        meaning = Meaning(
            ItemRefused if about_item else ServerFailed, "the server answers with a code that has no entry here", ""
        )
    message = meaning.reason
    if inner:
        message += f" ({inner} inside)"
    if code == "ErrorNonPrimarySmtpAddress":
        primary = values.get("Primary") or values.get("PrimarySmtpAddress", "")
        if primary:
            message = f"the address is an alias; the primary address is {primary}"
    said = scrubbed(text)
    if said:
        message += f'; the server says: "{said}"'
    if meaning.error is ServerBusy:
        error: MailboxError = ServerBusy(
            message,
            subject=subject,
            response_code=code,
            fix=meaning.fix,
            http_status=http_status,
            back_off_seconds=max(_milliseconds(values.get("BackOffMilliseconds", "")), retry_after),
        )
    else:
        error = meaning.error(message, subject=subject, response_code=code, fix=meaning.fix, http_status=http_status)
    if meaning.transient is not None:
        error.transient = meaning.transient
    return error


DIAGNOSTIC_HEADERS = (
    "Date", "Server", "Via", "Content-Type", "request-id", "client-request-id", "X-FEServer", "X-BEServer", "X-CalculatedBETarget", "X-DiagInfo",
    "X-EWS-Policy-Reason", "X-CasErrorCode", "Retry-After", "x-ms-diagnostics", "Location",
)  # fmt: skip
"""By these a server's keeper finds a request, or it says what was wrong. None holds a cookie, a token or a challenge."""

_LONGEST_HEADER = 300


def diagnostic(headers: Mapping[str, str]) -> dict[str, str]:
    """Those headers of an answer that help to find out; of an address elsewhere only where it is, without what it was given."""
    found = {name: str(headers[name]).strip()[:_LONGEST_HEADER] for name in DIAGNOSTIC_HEADERS if headers.get(name)}
    if "Location" in found:
        found["Location"] = found["Location"].split("?")[0].split("#")[0]
    return found


def of_status(status: int, headers: Mapping[str, str], body: bytes, *, subject: str, auth: str = "") -> MailboxError:
    """The error for an HTTP answer that is no SOAP. ``headers`` must not mind upper and lower case."""
    error = _of_status(status, headers, body, subject=subject, auth=auth)
    error.headers = diagnostic(headers)
    return error


def _of_status(status: int, headers: Mapping[str, str], body: bytes, *, subject: str, auth: str) -> MailboxError:
    said = scrubbed(body[:4000].decode("utf-8", "replace"))
    excerpt = f'; it says: "{said}"' if said else ""
    code = f"HTTP {status}"
    if status == 401:
        return _unauthorized(headers, body, subject=subject, auth=auth)
    if status == 403:
        reason = scrubbed(headers.get("X-EWS-Policy-Reason", ""))
        return AccessRefused(
            f"EWS is closed to us: {reason}" if reason else f"the server forbids the request{excerpt}",
            subject=subject,
            response_code=code,
            fix=_POLICY_FIX,
            http_status=status,
        )
    if 300 <= status < 400:
        target = headers.get("Location", "").split("?")[0]
        return WrongUrl(
            f"the server sends us elsewhere{f' ({target})' if target else ''}; credentials are not sent after it",
            subject=subject,
            response_code=code,
            fix="enter the address it should be as the host's URL, if it is yours.",
            http_status=status,
        )
    if status in (404, 405, 410):
        return WrongUrl(
            f"there is no Exchange Web Service at this URL{excerpt}",
            subject=subject,
            response_code=code,
            fix="correct the host's URL; it ends in /EWS/Exchange.asmx.",
            http_status=status,
        )
    if status in (429, 503):
        return ServerBusy(
            f"the server asks for a pause{excerpt}",
            subject=subject,
            response_code=code,
            fix=_WAIT_FIX,
            http_status=status,
            back_off_seconds=retry_after_seconds(headers),
        )
    cas = scrubbed(headers.get("X-CasErrorCode", ""))
    if cas:
        return ServerFailed(
            f"the server's front end says: {cas}", subject=subject, response_code=cas.split()[-1], http_status=status,
            fix="look into the server's event log if it goes on.",
        )  # fmt: skip
    error = ServerFailed(
        f"the server answers with {code} instead of an EWS answer{excerpt}",
        subject=subject,
        response_code=code,
        fix="look into the server's event log if it goes on.",
        http_status=status,
    )
    error.transient = status >= 500 or status in (408, 425)
    return error


def _unauthorized(headers: Mapping[str, str], body: bytes, *, subject: str, auth: str) -> SignInRefused:
    offered = headers.get("WWW-Authenticate", "")
    schemes = sorted(
        {scheme for scheme in ("Basic", "NTLM", "Negotiate", "Bearer") if scheme.lower() in offered.lower()}
    )
    wanted = {"basic": "Basic", "ntlm": "NTLM"}.get(auth, "Bearer" if auth.startswith("oauth") else "")
    case, message, is_of_password = "password", "", auth in ("basic", "ntlm")
    if b"currently locked out" in body:
        case = "locked"
    elif schemes and wanted and wanted not in schemes:
        case, is_of_password = "scheme", False
        message = f"the server does not take {wanted} (it offers {', '.join(schemes)})"
    elif wanted == "Bearer":
        case = "app" if auth == "oauth-app" else "user"
        reason = scrubbed(headers.get("x-ms-diagnostics", "")) or scrubbed(headers.get("WWW-Authenticate", ""))
        message = "the server does not accept the token" + (f" ({reason})" if reason else "")
    known = sign_in_errors.SERVER[f"HTTP 401 {case}"]
    error = SignInRefused(
        message or known.meaning, subject=subject, response_code="HTTP 401", fix=known.fix, http_status=401
    )
    error.is_of_password = is_of_password
    return error


LONGEST_BACK_OFF_SECONDS = 3600.0
"""More is not believed: a server that names days is asked again after an hour, by one account."""


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """How long a Retry-After header asks to wait, an hour at most; a date counts from the answer's own. 0 where it cannot be read."""
    given = headers.get("Retry-After", "").strip()
    try:
        return _within_reason(float(given))
    except ValueError:
        pass
    try:
        until, answered = parsedate_to_datetime(given), parsedate_to_datetime(headers.get("Date", ""))
        return _within_reason((until - answered).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _milliseconds(value: str) -> float:
    try:
        return _within_reason(float(value) / 1000.0)
    except ValueError:
        return 0.0


def _within_reason(seconds: float) -> float:
    """From nothing to an hour; what is negative or no number is nothing."""
    return min(seconds, LONGEST_BACK_OFF_SECONDS) if seconds > 0 else 0.0


def scrubbed_id(value: str) -> str:
    """A server's own name of a request, if it looks like one."""
    return value if re.fullmatch(r"[0-9A-Za-z-]{1,64}", value) else ""


_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_SECRETS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[A-Za-z0-9+/_=-]{24,}")


def scrubbed(text: str, length: int = 160) -> str:
    """The start of what a server said, as one line without mark-up, addresses and anything that looks like a token."""
    plain = " ".join(_TAGS.sub(" ", text).split())
    plain = _SECRETS.sub("…", plain)
    return plain if len(plain) <= length else plain[: length - 1] + "…"
