"""Answers that only carry an error: a SOAP fault, or the same response code for everything a request asked for."""

from __future__ import annotations

from ops_lib.sandbox.ews import envelope
from ops_lib.sandbox.ews.envelope import Reply
from ops_lib.sandbox.ews.errors import SoapFault, text_of
from ops_lib.sandbox.ews.xml import MESSAGES, SOAP, TYPES, escape
from ops_lib.sandbox.operations import BATCHED, SINGLE

# What the schema demands in a message even where it reports an error, and what clients read before they look at the code.
_DEMANDED = {
    **dict.fromkeys(
        ("ArchiveItem", "CopyItem", "CreateItem", "GetItem", "MoveItem", "UpdateItem", "UpdateItemInRecoverableItems"),
        "<m:Items/>",
    ),
    **dict.fromkeys(("CreateAttachment", "GetAttachment"), "<m:Attachments/>"),
    "GetServerTimeZones": "<m:TimeZoneDefinitions/>",
    "SyncFolderItems": "<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>",
    "SyncFolderHierarchy": "<m:SyncState/><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>",
}

# Texts of what only a rule brings about. **Source** the EWS Managed API's list of service errors.
_MORE_TEXTS = {
    "ErrorADUnavailable": "Active Directory is unavailable. Try again later.",
    "ErrorConnectionFailed": "Connection did not succeed. Try again later.",
    "ErrorExceededConnectionCount": "You have exceeded the available concurrent connections for your account.  Try again once your other requests have completed.",
    "ErrorExceededFindCountLimit": "You have exceeded the maximum number of objects that can be returned for the find operation. Use paging to reduce the result size and try your request again.",
    "ErrorInternalServerTransientError": "An internal server error occurred. Try again later.",
    "ErrorMailboxMoveInProgress": "Mailbox move in progress. Try again later.",
    "ErrorMailboxStoreUnavailable": "The mailbox database is temporarily unavailable.",
    "ErrorQuotaExceeded": "Mailbox has exceeded maximum mailbox size.",
    "ErrorRequestStreamTooBig": "The request is larger than this server accepts.",
}


def _text_of(code: str) -> str:
    return _MORE_TEXTS.get(code) or text_of(code)


def soap_fault(code: str, message: str = "", back_off_milliseconds: int | None = None) -> Reply:
    """Answers with the SOAP fault Exchange sends for ``code`` (with HTTP status 500)."""
    details = () if back_off_milliseconds is None else (("BackOffMilliseconds", str(back_off_milliseconds)),)
    return envelope.fault(SoapFault(code, message or _text_of(code), details=details))


def error_answer(
    operation: str, count: int, code: str, message: str = "", back_off_milliseconds: int | None = None
) -> Reply:
    """Answers so that every one of ``count`` response messages carries ``code``.

    An operation of a shape of its own is answered with a SOAP fault of the same code.
    """
    if operation not in BATCHED | SINGLE:
        return soap_fault(code, message, back_off_milliseconds)
    hint = (
        ""
        if back_off_milliseconds is None
        else f'<t:Value Name="BackOffMilliseconds">{back_off_milliseconds}</t:Value>'
    )
    text = message or _text_of(code)
    if operation in BATCHED:
        one = envelope.failure(operation, code, text, hint, _DEMANDED.get(operation, ""))
        return envelope.answer(operation, one * max(count, 1))
    xml = f"<m:MessageXml>{hint}</m:MessageXml>" if hint else ""
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>'
        f'<m:{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" ResponseClass="Error">'
        f"<m:MessageText>{escape(text)}</m:MessageText><m:ResponseCode>{escape(code)}</m:ResponseCode>"
        f"<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{xml}</m:{operation}Response></s:Body></s:Envelope>"
    )
    return Reply(200, envelope.HEADERS, body.encode())
