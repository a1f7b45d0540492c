"""Which operations EWS has, by how they are answered.

**Source** ``messages.xsd`` of Exchange: an operation is an element ``X`` that has an ``XResponse``.
"""

from __future__ import annotations

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

# The lists a request may hold: its answer has one message for each thing in them.
LISTS = frozenset(
    (
        *("AttachmentIds", "Attachments", "FolderChanges", "FolderIds", "Folders", "ItemChanges", "ItemIds"),
        *("Items", "ParentFolderIds", "SourceIds"),
    )
)
