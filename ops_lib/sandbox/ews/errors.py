"""How EWS says no: response codes with their texts, per item or as a SOAP fault.

The texts are those recorded in Microsoft's own client (``ServiceError.cs``), which people search for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .envelope import Reply

TEXTS: dict[str, str] = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorAffectedTaskOccurrencesRequired": "AffectedTaskOccurrences attribute must be specified.",
    "ErrorCalendarCannotMoveOrCopyOccurrence": "The items you attempted to move or copy are calendar occurrences. Calendar occurrences can't be moved or copied.",
    "ErrorCalendarCannotUpdateDeletedItem": "Calendar item in Deleted Items folder can't be updated.",
    "ErrorCalendarCannotUseIdForOccurrenceId": "Id is not for a recurring master of a calendar item.",
    "ErrorCalendarCannotUseIdForRecurringMasterId": "Id is not for an occurrence of a recurring calendar item.",
    "ErrorCalendarDurationIsTooLong": "Duration of a calendar item exceeds maximum of five years.",
    "ErrorCalendarEndDateIsEarlierThanStartDate": "EndDate is earlier than StartDate",
    "ErrorCalendarFolderIsInvalidForCalendarView": "CalendarView can only be used on a calendar folder.",
    "ErrorCalendarInvalidRecurrence": "The recurrence pattern is invalid or unsupported.",
    "ErrorCalendarInvalidTimeZone": "The time zone is invalid.",
    "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange": "Occurrence index is out of recurrence range.",
    "ErrorCalendarOccurrenceIsDeletedFromRecurrence": "Occurrence with this index was previously deleted from the recurrence.",
    "ErrorCalendarViewRangeTooBig": "The specified view range exceeds the maximum range of two years.",
    "ErrorCannotCreateCalendarItemInNonCalendarFolder": "Cannot create a calendar item in a non-calendar folder.",
    "ErrorCannotCreateContactInNonContactFolder": "Cannot create a contact in a non-contact folder.",
    "ErrorCannotCreatePostItemInNonMailFolder": "Cannot create a post item in a folder that is not a mail folder.",
    "ErrorCannotCreateTaskInNonTaskFolder": "Cannot create a task in a non-task Folder.",
    "ErrorCannotUseFolderIdForItemId": "Id must be a valid item id.",
    "ErrorCannotUseItemIdForFolderId": "Id must be a valid folder id.",
    "ErrorChangeKeyRequired": "ChangeKey is required for this operation.",
    "ErrorChangeKeyRequiredForWriteOperations": "ChangeKey is required for this operation.",
    "ErrorContainsFilterWrongType": "Contains filter can be used only on string properties.",
    "ErrorDeleteDistinguishedFolder": "Distinguished folders cannot be deleted.",
    "ErrorExceededConnectionCount": "You have exceeded the available concurrent connections for your account.  Try again once your other requests have completed.",
    "ErrorExceededSubscriptionCount": "You have exceeded the available subscriptions for your account.  Remove unnecessary subscriptions and try your request again.",
    "ErrorFolderExists": "A folder with the specified name already exists.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorImpersonationFailed": "Impersonation failed.",
    "ErrorIncorrectSchemaVersion": "The request is valid but does not specify the correct server version in the RequestServerVersion SOAP header. Ensure that the RequestServerVersion SOAP header is set with the correct RequestServerVersionValue.",
    "ErrorIncorrectUpdatePropertyCount": "An object within a change description must contain one and only one property to modify.",
    "ErrorInvalidChangeKey": "The change key is invalid.",
    "ErrorInvalidCompleteDate": "CompleteDate cannot be set to a date in the future.",
    "ErrorInvalidExchangeImpersonationHeaderData": "An ExchangeImpersonation SOAP header must contain a user principal name, user SID, or primary SMTP address.",
    "ErrorInvalidExtendedProperty": "The extended property attribute combination is invalid.",
    "ErrorInvalidExtendedPropertyValue": "Extended property value is invalid.",
    "ErrorInvalidFractionalPagingParameters": "Fractional paging parameters are invalid.",
    "ErrorInvalidIdEmpty": "Id must be non-empty.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidIndexedPagingParameters": "IndexedPagingOffset is invalid.",
    "ErrorInvalidItemForOperationCreateItem": "Operation would create an item of an unsupported type.",
    "ErrorInvalidOperation": "The operation is invalid.",
    "ErrorInvalidPercentCompleteValue": "PercentComplete must be an integer between 0 and 100.",
    "ErrorInvalidPropertyAppend": "Append action is not supported for this property.",
    "ErrorInvalidPropertyDelete": "Delete action is not supported for this property.",
    "ErrorInvalidPropertyRequest": "Property is not valid for this object type.",
    "ErrorInvalidPropertySet": "Set action is invalid for property.",
    "ErrorInvalidPullSubscriptionId": "The pull subscription ID is invalid.",
    "ErrorInvalidRequest": "The request is invalid.",
    "ErrorInvalidServerVersion": "The specified server version is invalid.",
    "ErrorInvalidSmtpAddress": "The SMTP address format is invalid.",
    "ErrorInvalidSubscription": "The subscription is invalid for this operation.",
    "ErrorInvalidSubscriptionRequest": "The subscription request is invalid.",
    "ErrorInvalidSyncStateData": "Synchronization state data is corrupt or otherwise invalid.",
    "ErrorInvalidWatermark": "The watermark is invalid.",
    "ErrorIrresolvableConflict": "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorMessageDispositionRequired": "MessageDisposition attribute is required for messages.",
    "ErrorMimeContentConversionFailed": "MIME content conversion failed.",
    "ErrorMimeContentInvalid": "MIME content is invalid.",
    "ErrorMissedNotificationEvents": "Some events were missed. The subscription must be recreated.",
    "ErrorMissingEmailAddress": "When making a request as an account that does not have a mailbox, you must specify the mailbox primary SMTP address for any distinguished folder Ids.",
    "ErrorMoveCopyFailed": "Move or copy operation failed.",
    "ErrorNameResolutionMultipleResults": "Multiple results were found.",
    "ErrorNameResolutionNoResults": "No results were found.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorNonPrimarySmtpAddress": "The primary SMTP address must be specified when referencing a mailbox.",
    "ErrorRecurrenceHasNoOccurrence": "Recurrence has no occurrences in the specified range.",
    "ErrorRequiredPropertyMissing": "Required property is missing.",
    "ErrorSchemaValidation": "The request failed schema validation.",
    "ErrorSendMeetingCancellationsRequired": "SendMeetingCancellations attribute is required for Calendar items.",
    "ErrorSendMeetingInvitationsOrCancellationsRequired": "SendMeetingInvitationsOrCancellations attribute is required for calendar items.",
    "ErrorSendMeetingInvitationsRequired": "SendMeetingInvitations attribute is required for calendar items.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorSubscriptionAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorSubscriptionNotFound": "The specified subscription was not found.",
    "ErrorSyncFolderNotFound": "Synchronization folder could not be found.",
    "ErrorTimeZone": "The time zone was invalid or corrupt.",
    "ErrorUnsupportedPathForQuery": "The property can not be used with this type of restriction.",
    "ErrorUnsupportedPathForSortGroup": "The property can not be used for sorting or grouping.",
    "ErrorUnsupportedQueryFilter": "Unsupported query filter.",
    "ErrorUpdatePropertyMismatch": "Property for update does not match property in object.",
}


def text_of(code: str) -> str:
    """The text that goes with a response code."""
    return TEXTS.get(code, "An internal server error occurred. The operation failed.")


class ResponseError(Exception):
    """One part of a request fails; the others may do. ``xml`` goes into ``MessageXml``."""

    def __init__(self, code: str, text: str = "", *, xml: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.text = text or text_of(code)
        self.xml = xml


class SoapFault(Exception):
    """The whole request fails, before anything was applied.

    ``details`` is what ``MessageXml`` holds, in order: LineNumber, LinePosition, Violation, or a named Value; ``fault_string`` is what people read.
    """

    def __init__(
        self,
        code: str,
        text: str = "",
        *,
        status: int = 500,
        fault_string: str = "",
        details: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(code)
        self.code = code
        self.text = text or text_of(code)
        self.status = status
        self.fault_string = fault_string or self.text
        self.details = details

    def reply(self) -> Reply:
        """The fault as HTTP carries it."""
        from .envelope import fault  # the envelope knows the faults; this is the way back

        return fault(self)


def schema_violation(violation: str, line: int = 0, column: int = 0) -> SoapFault:
    """The fault for a request that breaks the schema. Source: the fault on Microsoft's page of AddImGroup."""
    return SoapFault(
        "ErrorSchemaValidation",
        fault_string=f"The request failed schema validation: {violation}",
        details=(("LineNumber", str(line)), ("LinePosition", str(column)), ("Violation", violation)),
    )
