"""Which operations EWS has, by how they are answered.

**Source** ``messages.xsd`` of Exchange: an operation is an element ``X`` that has an ``XResponse``.
"""

from __future__ import annotations

# Answered with <ResponseMessages>: one message for each thing that was asked for.
_BATCHED = """
ApplyConversationAction ArchiveItem ConvertId CopyFolder CopyItem CreateAttachment CreateFolder CreateFolderPath
CreateItem CreateManagedFolder CreateUserConfiguration DeleteAttachment DeleteFolder DeleteItem
DeleteUserConfiguration EmptyFolder ExpandDL ExportItems FindFolder FindItem GetAttachment GetClientAccessToken
GetConversationItems GetEvents GetFolder GetItem GetServerTimeZones GetSpecificUserConfiguration GetStreamingEvents
GetUserConfiguration MarkAllItemsAsRead MarkAsJunk MarkAsPhishing MoveFolder MoveItem ReportMessage ResolveNames
SearchMailboxes SendItem Subscribe SyncFolderHierarchy SyncFolderItems Unsubscribe UpdateFolder UpdateItem
UpdateItemInRecoverableItems UpdateUserConfiguration UploadItems
"""
# Answered with one message that is the answer itself.
_SINGLE = """
AddDelegate AddDistributionGroupToImList AddImContactToGroup AddImGroup AddNewImContactToGroup
AddNewTelUriContactToGroup AddTag DisableApp DisconnectPhoneCall EndSearchSession FindConversation
FindMessageTrackingReport FindPeople FindTags GetAppMarketplaceUrl GetDelegate GetHoldOnMailboxes GetImItemList
GetImItems GetInboxRules GetLastPrivateCatalogUpdate GetMailTips GetMessageTrackingReport GetNonIndexableItemDetails
GetNonIndexableItemStatistics GetOMEConfiguration GetOMEMessageStatus GetPhoneCallInformation GetPrivateCatalogAddIns
GetRoomLists GetRooms GetServiceConfiguration GetSharingFolder GetSharingMetadata HideTag InstallApp
PerformInstantSearch PlayOnPhone RefreshSharingFolder RegisterConsent RemoveContactFromImList RemoveDelegate
RemoveDistributionGroupFromImList RemoveImContactFromGroup RemoveImGroup SetHoldOnMailboxes SetImGroup
SetImListMigrationCompleted SetOMEConfiguration SetTeamMailbox StartSearchSession UninstallApp UnpinTeamMailbox
UpdateDelegate UpdateExtensionUsage UpdateInboxRules
"""
# Answered in a shape of their own, or one that the schema leaves no room for an error in; a whole request that fails is a
# SOAP fault there.
_PECULIAR = """
CreateOrUpdateFocusedOtherOverride DeleteFocusedOtherOverride DeleteSearchSuggestion ExecuteSearch
FindAvailableMeetingTimes FindMailboxStatisticsByKeywords FindMeetingTimeCandidates GetAppManifests
GetDiscoverySearchConfiguration GetFocusedOtherOverrides GetPasswordExpirationDate GetPersona GetReminders
GetSearchSuggestions GetSearchableMailboxes GetUserAvailability GetUserOofSettings GetUserPhoto
GetUserRetentionPolicyTags PerformReminderAction SetOMEMessageStatus SetUserOofSettings SetUserPhoto
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
