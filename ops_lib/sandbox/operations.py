"""Which operations EWS has, and what an answer that only carries an error looks like for each.

**Source** ``messages.xsd`` of Exchange: an operation is an element ``X`` that has an ``XResponse``.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"

# Answered with <ResponseMessages>: one message for each thing that was asked for.
_BATCHED = """
ApplyConversationAction ArchiveItem ConvertId CopyFolder CopyItem CreateAttachment CreateFolder CreateFolderPath
CreateItem CreateManagedFolder CreateUserConfiguration DeleteAttachment DeleteFolder DeleteItem
DeleteUserConfiguration EmptyFolder ExpandDL ExportItems FindFolder FindItem FindMailboxStatisticsByKeywords
GetAttachment GetClientAccessToken GetConversationItems GetEvents GetFolder GetItem GetServerTimeZones
GetSpecificUserConfiguration GetStreamingEvents GetUserConfiguration MarkAllItemsAsRead MarkAsJunk MarkAsPhishing
MoveFolder MoveItem ReportMessage ResolveNames SearchMailboxes SendItem Subscribe SyncFolderHierarchy
SyncFolderItems Unsubscribe UpdateFolder UpdateItem UpdateItemInRecoverableItems UpdateUserConfiguration
UploadItems
"""
# Answered with one message that is the answer itself.
_SINGLE = """
AddDelegate AddDistributionGroupToImList AddImContactToGroup AddImGroup AddNewImContactToGroup
AddNewTelUriContactToGroup AddTag DeleteSearchSuggestion DisableApp DisconnectPhoneCall EndSearchSession
ExecuteSearch FindAvailableMeetingTimes FindConversation FindMeetingTimeCandidates FindMessageTrackingReport
FindPeople FindTags GetAppManifests GetAppMarketplaceUrl GetDelegate GetDiscoverySearchConfiguration
GetHoldOnMailboxes GetImItemList GetImItems GetInboxRules GetLastPrivateCatalogUpdate GetMailTips
GetMessageTrackingReport GetNonIndexableItemDetails GetNonIndexableItemStatistics GetOMEConfiguration
GetOMEMessageStatus GetPasswordExpirationDate GetPhoneCallInformation GetPrivateCatalogAddIns GetReminders
GetRoomLists GetRooms GetSearchSuggestions GetSearchableMailboxes GetServiceConfiguration GetSharingFolder
GetSharingMetadata GetUserPhoto GetUserRetentionPolicyTags HideTag InstallApp PerformInstantSearch
PerformReminderAction PlayOnPhone RefreshSharingFolder RegisterConsent RemoveContactFromImList RemoveDelegate
RemoveDistributionGroupFromImList RemoveImContactFromGroup RemoveImGroup SetHoldOnMailboxes SetImGroup
SetImListMigrationCompleted SetOMEConfiguration SetOMEMessageStatus SetTeamMailbox StartSearchSession
UninstallApp UnpinTeamMailbox UpdateDelegate UpdateExtensionUsage UpdateInboxRules
"""
# Answered in a shape of their own; an error for the whole request is a SOAP fault there.
_PECULIAR = """
CreateOrUpdateFocusedOtherOverride DeleteFocusedOtherOverride GetFocusedOtherOverrides GetPersona
GetUserAvailability GetUserOofSettings SetUserOofSettings SetUserPhoto
"""
BATCHED, SINGLE, PECULIAR = (frozenset(names.split()) for names in (_BATCHED, _SINGLE, _PECULIAR))
EWS_OPERATIONS = BATCHED | SINGLE | PECULIAR

# What the schema demands in a message even where it reports an error, and what clients read before they look at the code.
_DEMANDED = {
    **dict.fromkeys(
        ("ArchiveItem", "CopyItem", "CreateItem", "GetItem", "MoveItem", "UpdateItem", "UpdateItemInRecoverableItems"),
        "<m:Items/>",
    ),
    **dict.fromkeys(("CreateAttachment", "GetAttachment"), "<m:Attachments/>"),
    "GetServerTimeZones": "<m:TimeZoneDefinitions/>",
    "FindMailboxStatisticsByKeywords": "<m:MailboxStatisticsSearchResult/>",
    "SyncFolderItems": "<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>",
    "SyncFolderHierarchy": "<m:SyncState/><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>",
}

# Message texts as Exchange sends them. **Source** the EWS Managed API's list of service errors.
TEXTS = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorADUnavailable": "Active Directory is unavailable. Try again later.",
    "ErrorConnectionFailed": "Connection did not succeed. Try again later.",
    "ErrorExceededConnectionCount": "You have exceeded the available concurrent connections for your account.  Try again once your other requests have completed.",
    "ErrorExceededFindCountLimit": "You have exceeded the maximum number of objects that can be returned for the find operation. Use paging to reduce the result size and try your request again.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorInternalServerError": "An internal server error occurred. The operation failed.",
    "ErrorInternalServerTransientError": "An internal server error occurred. Try again later.",
    "ErrorInvalidSyncStateData": "Synchronization state data is corrupt or otherwise invalid.",
    "ErrorIrresolvableConflict": "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorMailboxMoveInProgress": "Mailbox move in progress. Try again later.",
    "ErrorMailboxStoreUnavailable": "The mailbox database is temporarily unavailable.",
    "ErrorNonExistentMailbox": "Mailbox does not exist.",
    "ErrorQuotaExceeded": "Mailbox has exceeded maximum mailbox size.",
    "ErrorRequestStreamTooBig": "The request is larger than this server accepts.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
}


def text_of(code: str) -> str:
    """Gives the message text Exchange sends with ``code``; for a code without a known text, the code itself."""
    return TEXTS.get(code, code)


def _back_off(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f'<t:Value Name="BackOffMilliseconds">{milliseconds}</t:Value>'


def _envelope(body: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


def soap_fault(code: str, message: str = "", back_off_milliseconds: int | None = None) -> bytes:
    """Writes the SOAP fault Exchange sends for ``code`` (with HTTP status 500)."""
    text = escape(message or text_of(code))
    hint = _back_off(back_off_milliseconds)
    detail = f'<t:MessageXml xmlns:t="{TYPES}">{hint}</t:MessageXml>' if hint else ""
    return _envelope(
        f'<s:Fault><faultcode xmlns:a="{TYPES}">a:{escape(code)}</faultcode>'
        f'<faultstring xml:lang="en-US">{text}</faultstring><detail>'
        f'<e:ResponseCode xmlns:e="{ERRORS}">{escape(code)}</e:ResponseCode>'
        f'<e:Message xmlns:e="{ERRORS}">{text}</e:Message>{detail}</detail></s:Fault>'
    )


def error_answer(
    operation: str, count: int, code: str, message: str = "", back_off_milliseconds: int | None = None
) -> tuple[int, bytes]:
    """Writes an answer in which every one of ``count`` response messages carries ``code``: HTTP status and body.

    An operation of a shape of its own is answered with a SOAP fault of the same code.
    """
    if operation not in BATCHED | SINGLE:
        return 500, soap_fault(code, message, back_off_milliseconds)
    hint = _back_off(back_off_milliseconds)
    carried = (
        f"<m:MessageText>{escape(message or text_of(code))}</m:MessageText>"
        f"<m:ResponseCode>{escape(code)}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        + (f"<m:MessageXml>{hint}</m:MessageXml>" if hint else "")
        + _DEMANDED.get(operation, "")
    )
    names = f"xmlns:m={quoteattr(MESSAGES)} xmlns:t={quoteattr(TYPES)}"
    if operation in SINGLE:
        return 200, _envelope(f'<m:{operation}Response {names} ResponseClass="Error">{carried}</m:{operation}Response>')
    one = f'<m:{operation}ResponseMessage ResponseClass="Error">{carried}</m:{operation}ResponseMessage>'
    return 200, _envelope(
        f"<m:{operation}Response {names}><m:ResponseMessages>{one * max(count, 1)}</m:ResponseMessages>"
        f"</m:{operation}Response>"
    )
