"""What requests may look like: the part of the EWS schema that the operations of this face use.

One rule a line: an element, its attributes (``@Name:type``, ``!`` where required), then either ``=`` and the type of its text or
``:`` and its children in order (``?`` at most one, ``*`` any number, ``+`` at least one, ``(a|b)`` a choice). Names are of the
types namespace unless they begin with ``m:``. ``Parent/Child`` is a rule for a child of that parent only. Elements without a rule
are not looked into. Items and folders have theirs from the property tables.

Source: messages.xsd, types.xsd.
"""

from __future__ import annotations

RULES = """
m:GetFolder : m:FolderShape m:FolderIds
m:FindFolder @Traversal:FolderQueryTraversalType! : m:FolderShape (m:IndexedPageFolderView|m:FractionalPageFolderView)? m:Restriction? m:ParentFolderIds
m:CreateFolder : m:ParentFolderId m:Folders
m:UpdateFolder : m:FolderChanges
m:DeleteFolder @DeleteType:DisposalType! : m:FolderIds
m:EmptyFolder @DeleteType:DisposalType! @DeleteSubFolders:boolean! : m:FolderIds
m:SyncFolderHierarchy : m:FolderShape m:SyncFolderId? m:SyncState?
m:SyncFolderItems : m:ItemShape m:SyncFolderId m:SyncState? m:Ignore? m:MaxChangesReturned m:SyncScope?
m:FindItem @Traversal:ItemQueryTraversalType! : m:ItemShape (m:IndexedPageItemView|m:FractionalPageItemView|m:SeekToConditionPageItemView|m:CalendarView|m:ContactsView)? (m:GroupBy|m:DistinguishedGroupBy)? m:Restriction? m:SortOrder? m:ParentFolderIds m:QueryString?
m:GetItem : m:ItemShape m:ItemIds
m:CreateItem @MessageDisposition:MessageDispositionType @SendMeetingInvitations:CalendarItemCreateOrDeleteOperationType : m:SavedItemFolderId? m:Items
m:UpdateItem @ConflictResolution:ConflictResolutionType! @MessageDisposition:MessageDispositionType @SendMeetingInvitationsOrCancellations:CalendarItemUpdateOperationType @SuppressReadReceipts:boolean : m:SavedItemFolderId? m:ItemChanges
m:DeleteItem @DeleteType:DisposalType! @SendMeetingCancellations:CalendarItemCreateOrDeleteOperationType @AffectedTaskOccurrences:AffectedTaskOccurrencesType @SuppressReadReceipts:boolean : m:ItemIds
m:SendItem @SaveItemToFolder:boolean! : m:ItemIds m:SavedItemFolderId?
m:CreateAttachment : m:ParentItemId m:Attachments
m:ParentItemId @Id:string! @ChangeKey:string :
m:Attachments : (FileAttachment|ItemAttachment|ReferenceAttachment)+
Attachments : (FileAttachment|ItemAttachment|ReferenceAttachment)+
FileAttachment : AttachmentId? Name? ContentType? ContentId? ContentLocation? AttachmentOriginalUrl? Size? LastModifiedTime? IsInline? IsContactPhoto? Content?
ItemAttachment : AttachmentId? Name? ContentType? ContentId? ContentLocation? AttachmentOriginalUrl? Size? LastModifiedTime? IsInline? (Item|Message|SharingMessage|CalendarItem|Contact|MeetingMessage|MeetingRequest|MeetingResponse|MeetingCancellation|Task|PostItem|RoleMember|Network|Person)?
IsInline = boolean
IsContactPhoto = boolean
m:GetAttachment : m:AttachmentShape? m:AttachmentIds
m:AttachmentShape : IncludeMimeContent? BodyType? FilterHtmlContent? AdditionalProperties?
m:AttachmentShape/BodyType = BodyTypeResponseType
m:DeleteAttachment : m:AttachmentIds
m:AttachmentIds : AttachmentId+
AttachmentId @Id:string! @RootItemId:string @RootItemChangeKey:string :
AcceptItem @ObjectName:string : ItemClass? Sensitivity? Body? Attachments? InternetMessageHeaders? Sender? ToRecipients? CcRecipients? BccRecipients? IsReadReceiptRequested? IsDeliveryReceiptRequested? From? ReferenceItemId? ProposedStart? ProposedEnd?
TentativelyAcceptItem @ObjectName:string : ItemClass? Sensitivity? Body? Attachments? InternetMessageHeaders? Sender? ToRecipients? CcRecipients? BccRecipients? IsReadReceiptRequested? IsDeliveryReceiptRequested? From? ReferenceItemId? ProposedStart? ProposedEnd?
DeclineItem @ObjectName:string : ItemClass? Sensitivity? Body? Attachments? InternetMessageHeaders? Sender? ToRecipients? CcRecipients? BccRecipients? IsReadReceiptRequested? IsDeliveryReceiptRequested? From? ReferenceItemId? ProposedStart? ProposedEnd?
CancelCalendarItem @ObjectName:string : Subject? Body? ToRecipients? CcRecipients? BccRecipients? IsReadReceiptRequested? IsDeliveryReceiptRequested? From? ReferenceItemId? NewBodyContent?
RemoveItem @ObjectName:string : ReferenceItemId?
ReferenceItemId @Id:string! @ChangeKey:string :
NewBodyContent @BodyType:BodyTypeType! @IsTruncated:boolean = string
ProposedStart = dateTime
ProposedEnd = dateTime
m:MoveItem : m:ToFolderId m:ItemIds m:ReturnNewItemIds?
m:CopyItem : m:ToFolderId m:ItemIds m:ReturnNewItemIds?
m:ConvertId @DestinationFormat:IdFormatType! : m:SourceIds
m:ResolveNames @ReturnFullContactData:boolean! @SearchScope:ResolveNamesSearchScopeType @ContactDataShape:DefaultShapeNamesType : m:ParentFolderIds? m:UnresolvedEntry
m:GetServerTimeZones @ReturnFullTimeZoneData:boolean : m:Ids?
m:GetUserConfiguration : m:UserConfigurationName m:UserConfigurationProperties
m:Subscribe : (m:PullSubscriptionRequest|m:PushSubscriptionRequest|m:StreamingSubscriptionRequest)
m:PullSubscriptionRequest @SubscribeToAllFolders:boolean : FolderIds? EventTypes Watermark? Timeout
m:PushSubscriptionRequest @SubscribeToAllFolders:boolean : FolderIds? EventTypes Watermark? StatusFrequency URL CallerData?
m:StreamingSubscriptionRequest @SubscribeToAllFolders:boolean : FolderIds? EventTypes
FolderIds : (FolderId|DistinguishedFolderId)+
EventTypes : EventType+
EventType = NotificationEventTypeType
Watermark = NonEmptyString
Timeout = SubscriptionTimeoutType
StatusFrequency = SubscriptionTimeoutType
m:GetEvents : m:SubscriptionId m:Watermark
m:Unsubscribe : m:SubscriptionId
m:SubscriptionId = NonEmptyString
m:Watermark = NonEmptyString
m:GetStreamingEvents : m:SubscriptionIds m:ConnectionTimeout
m:SubscriptionIds : SubscriptionId+
SubscriptionId = NonEmptyString
m:ConnectionTimeout = StreamingSubscriptionConnectionTimeoutType
m:FolderShape : BaseShape AdditionalProperties?
m:ItemShape : BaseShape IncludeMimeContent? BodyType? UniqueBodyType? NormalizedBodyType? FilterHtmlContent? ConvertHtmlCodePageToUTF8? InlineImageUrlTemplate? BlockExternalImages? AddBlankTargetToLinks? MaximumBodySize? AdditionalProperties?
BaseShape = DefaultShapeNamesType
IncludeMimeContent = boolean
m:ItemShape/BodyType = BodyTypeResponseType
UniqueBodyType = BodyTypeResponseType
NormalizedBodyType = BodyTypeResponseType
FilterHtmlContent = boolean
ConvertHtmlCodePageToUTF8 = boolean
BlockExternalImages = boolean
AddBlankTargetToLinks = boolean
MaximumBodySize = int
AdditionalProperties : (FieldURI|IndexedFieldURI|ExtendedFieldURI)+
FieldURI @FieldURI:UnindexedFieldURIType! :
IndexedFieldURI @FieldURI:DictionaryURIType! @FieldIndex:string! :
ExtendedFieldURI @DistinguishedPropertySetId:DistinguishedPropertySetType @PropertySetId:GuidType @PropertyTag:PropertyTagType @PropertyName:string @PropertyId:int @PropertyType:MapiPropertyTypeType! :
m:FolderIds : (FolderId|DistinguishedFolderId)+
m:ParentFolderIds : (FolderId|DistinguishedFolderId)+
m:ParentFolderId : (FolderId|DistinguishedFolderId|AddressListId)
m:SyncFolderId : (FolderId|DistinguishedFolderId|AddressListId)
m:ToFolderId : (FolderId|DistinguishedFolderId|AddressListId)
m:SavedItemFolderId : (FolderId|DistinguishedFolderId|AddressListId)
m:UserConfigurationName @Name:NonEmptyString! : (FolderId|DistinguishedFolderId|AddressListId)
FolderId @Id:string! @ChangeKey:string :
DistinguishedFolderId @Id:DistinguishedFolderIdNameType! @ChangeKey:string : Mailbox?
Mailbox : Name? EmailAddress? RoutingType? MailboxType? ItemId? OriginalDisplayName?
EmailAddress = NonEmptyString
RoutingType = NonEmptyString
MailboxType = MailboxTypeType
m:ItemIds : (ItemId|OccurrenceItemId|RecurringMasterItemId|RecurringMasterItemIdRanges)+
m:Ignore : ItemId*
ItemId @Id:string! @ChangeKey:string :
OccurrenceItemId @RecurringMasterId:string! @ChangeKey:string @InstanceIndex:int! :
RecurringMasterItemId @OccurrenceId:string! @ChangeKey:string :
RecurringMasterItemIdRanges @Id:string! @ChangeKey:string : Ranges?
Ranges : Range+
Range @Start:dateTime @End:dateTime @Count:int @CompareOriginalStartTime:boolean :
m:MaxChangesReturned = MaxSyncChangesReturnedType
m:SyncScope = SyncFolderItemsScopeType
m:ReturnNewItemIds = boolean
m:UnresolvedEntry = NonEmptyString
m:UserConfigurationProperties = UserConfigurationPropertyType
m:Ids : Id+
m:IndexedPageItemView @MaxEntriesReturned:int @Offset:int! @BasePoint:IndexBasePointType! :
m:FractionalPageItemView @MaxEntriesReturned:int @Numerator:int! @Denominator:int! :
m:IndexedPageFolderView @MaxEntriesReturned:int @Offset:int! @BasePoint:IndexBasePointType! :
m:FractionalPageFolderView @MaxEntriesReturned:int @Numerator:int! @Denominator:int! :
m:CalendarView @MaxEntriesReturned:int @StartDate:dateTime! @EndDate:dateTime! :
m:ContactsView @MaxEntriesReturned:int @InitialName:string @FinalName:string :
m:Restriction : (Exists|Excludes|IsEqualTo|IsNotEqualTo|IsGreaterThan|IsGreaterThanOrEqualTo|IsLessThan|IsLessThanOrEqualTo|Contains|Not|And|Or|Near)
Restriction : (Exists|Excludes|IsEqualTo|IsNotEqualTo|IsGreaterThan|IsGreaterThanOrEqualTo|IsLessThan|IsLessThanOrEqualTo|Contains|Not|And|Or|Near)
And : (Exists|Excludes|IsEqualTo|IsNotEqualTo|IsGreaterThan|IsGreaterThanOrEqualTo|IsLessThan|IsLessThanOrEqualTo|Contains|Not|And|Or|Near)+
Or : (Exists|Excludes|IsEqualTo|IsNotEqualTo|IsGreaterThan|IsGreaterThanOrEqualTo|IsLessThan|IsLessThanOrEqualTo|Contains|Not|And|Or|Near)+
Not : (Exists|Excludes|IsEqualTo|IsNotEqualTo|IsGreaterThan|IsGreaterThanOrEqualTo|IsLessThan|IsLessThanOrEqualTo|Contains|Not|And|Or|Near)
Exists : (FieldURI|IndexedFieldURI|ExtendedFieldURI)
Excludes : (FieldURI|IndexedFieldURI|ExtendedFieldURI) Bitmask
Bitmask @Value:Bitmask! :
IsEqualTo : (FieldURI|IndexedFieldURI|ExtendedFieldURI) FieldURIOrConstant
IsNotEqualTo : (FieldURI|IndexedFieldURI|ExtendedFieldURI) FieldURIOrConstant
IsGreaterThan : (FieldURI|IndexedFieldURI|ExtendedFieldURI) FieldURIOrConstant
IsGreaterThanOrEqualTo : (FieldURI|IndexedFieldURI|ExtendedFieldURI) FieldURIOrConstant
IsLessThan : (FieldURI|IndexedFieldURI|ExtendedFieldURI) FieldURIOrConstant
IsLessThanOrEqualTo : (FieldURI|IndexedFieldURI|ExtendedFieldURI) FieldURIOrConstant
Contains @ContainmentMode:ContainmentModeType @ContainmentComparison:ContainmentComparisonType : (FieldURI|IndexedFieldURI|ExtendedFieldURI) Constant
FieldURIOrConstant : (FieldURI|IndexedFieldURI|ExtendedFieldURI|Constant)
Constant @Value:string! :
m:SortOrder : FieldOrder+
FieldOrder @Order:SortDirectionType! : (FieldURI|IndexedFieldURI|ExtendedFieldURI)
m:SourceIds : (AlternateId|AlternatePublicFolderId|AlternatePublicFolderItemId)+
AlternateId @Format:IdFormatType! @Id:string! @Mailbox:NonEmptyString! @IsArchive:boolean :
m:Items : (Item|Message|SharingMessage|CalendarItem|Contact|DistributionList|MeetingMessage|MeetingRequest|MeetingResponse|MeetingCancellation|Task|PostItem|ReplyToItem|ForwardItem|ReplyAllToItem|AcceptItem|TentativelyAcceptItem|DeclineItem|CancelCalendarItem|RemoveItem|SuppressReadReceipt|PostReplyItem|AcceptSharingInvitation|RoleMember|Network|Person)+
m:ItemChanges : ItemChange+
ItemChange : (ItemId|OccurrenceItemId|RecurringMasterItemId) Updates CalendarActivityData?
ItemChange/Updates : (AppendToItemField|SetItemField|DeleteItemField)+
AppendToItemField : (FieldURI|IndexedFieldURI|ExtendedFieldURI) (Item|Message|SharingMessage|CalendarItem|Contact|DistributionList|MeetingMessage|MeetingRequest|MeetingResponse|MeetingCancellation|Task|PostItem|RoleMember|Network|Person)
SetItemField : (FieldURI|IndexedFieldURI|ExtendedFieldURI) (Item|Message|SharingMessage|CalendarItem|Contact|DistributionList|MeetingMessage|MeetingRequest|MeetingResponse|MeetingCancellation|Task|PostItem|RoleMember|Network|Person)
DeleteItemField : (FieldURI|IndexedFieldURI|ExtendedFieldURI)
m:Folders : (Folder|CalendarFolder|ContactsFolder|SearchFolder|TasksFolder)+
SearchParameters @Traversal:SearchFolderTraversalType : Restriction BaseFolderIds
BaseFolderIds : (FolderId|DistinguishedFolderId)+
m:FolderChanges : FolderChange+
FolderChange : (FolderId|DistinguishedFolderId) Updates
FolderChange/Updates : (AppendToFolderField|SetFolderField|DeleteFolderField)+
SetFolderField : (FieldURI|IndexedFieldURI|ExtendedFieldURI) (Folder|CalendarFolder|ContactsFolder|SearchFolder|TasksFolder)
AppendToFolderField : (FieldURI|IndexedFieldURI|ExtendedFieldURI) (Folder|CalendarFolder|ContactsFolder|SearchFolder|TasksFolder)
DeleteFolderField : (FieldURI|IndexedFieldURI|ExtendedFieldURI)
ExtendedProperty : ExtendedFieldURI (Value|Values)
Values : Value+
Body @BodyType:BodyTypeType! @IsTruncated:boolean = string
MimeContent @CharacterSet:string = string
Categories : String*
Companies : String*
Contacts : String*
Children : String*
RequiredAttendees : Attendee+
OptionalAttendees : Attendee+
Resources : Attendee+
Attendee : Mailbox ResponseType? LastResponseTime? ProposedStart? ProposedEnd?
ResponseType = ResponseTypeType
Sender : Mailbox
From : Mailbox
ToRecipients : Mailbox*
CcRecipients : Mailbox*
BccRecipients : Mailbox*
ReplyTo : Mailbox*
Flag : FlagStatus StartDate? DueDate? CompleteDate?
FlagStatus = FlagStatusType
EmailAddresses : Entry+
PhoneNumbers : Entry+
EmailAddresses/Entry @Key:EmailAddressKeyType! @Name:string @RoutingType:string @MailboxType:MailboxTypeType = string
PhoneNumbers/Entry @Key:PhoneNumberKeyType! = string
ImAddresses : Entry+
PhysicalAddresses : Entry+
ImAddresses/Entry @Key:ImAddressKeyType! = string
PhysicalAddresses/Entry @Key:PhysicalAddressKeyType! : Street? City? State? CountryOrRegion? PostalCode?
CalendarItem/Recurrence : (RelativeYearlyRecurrence|AbsoluteYearlyRecurrence|RelativeMonthlyRecurrence|AbsoluteMonthlyRecurrence|WeeklyRecurrence|DailyRecurrence) (NoEndRecurrence|EndDateRecurrence|NumberedRecurrence)
Task/Recurrence : (RelativeYearlyRecurrence|AbsoluteYearlyRecurrence|RelativeMonthlyRecurrence|AbsoluteMonthlyRecurrence|WeeklyRecurrence|DailyRecurrence|DailyRegeneration|WeeklyRegeneration|MonthlyRegeneration|YearlyRegeneration) (NoEndRecurrence|EndDateRecurrence|NumberedRecurrence)
RelativeYearlyRecurrence : DaysOfWeek DayOfWeekIndex Month
AbsoluteYearlyRecurrence : DayOfMonth Month
RelativeMonthlyRecurrence : Interval DaysOfWeek DayOfWeekIndex
AbsoluteMonthlyRecurrence : Interval DayOfMonth
WeeklyRecurrence : Interval DaysOfWeek FirstDayOfWeek?
WeeklyRecurrence/DaysOfWeek = DaysOfWeekType
DailyRecurrence : Interval
DailyRegeneration : Interval
WeeklyRegeneration : Interval
MonthlyRegeneration : Interval
YearlyRegeneration : Interval
Interval = int
DayOfMonth = int
DaysOfWeek = DayOfWeekType
FirstDayOfWeek = DayOfWeekType
DayOfWeekIndex = DayOfWeekIndexType
RelativeYearlyRecurrence/Month = MonthNamesType
AbsoluteYearlyRecurrence/Month = MonthNamesType
NoEndRecurrence : StartDate
EndDateRecurrence : StartDate EndDate
NumberedRecurrence : StartDate NumberOfOccurrences
NoEndRecurrence/StartDate = date
EndDateRecurrence/StartDate = date
NumberedRecurrence/StartDate = date
EndDate = date
NumberOfOccurrences = int
PermissionSet : (Permissions|CalendarPermissions) UnknownEntries?
CalendarPermissions : CalendarPermission*
Permissions : Permission*
CalendarPermission : UserId CanCreateItems? CanCreateSubFolders? IsFolderOwner? IsFolderVisible? IsFolderContact? EditItems? DeleteItems? ReadItems? CalendarPermissionLevel
Permission : UserId CanCreateItems? CanCreateSubFolders? IsFolderOwner? IsFolderVisible? IsFolderContact? EditItems? DeleteItems? ReadItems? PermissionLevel
UserId : SID? PrimarySmtpAddress? DisplayName? DistinguishedUser? ExternalUserIdentity?
DistinguishedUser = DistinguishedUserType
CanCreateItems = boolean
CanCreateSubFolders = boolean
IsFolderOwner = boolean
IsFolderVisible = boolean
IsFolderContact = boolean
EditItems = PermissionActionType
DeleteItems = PermissionActionType
CalendarPermission/ReadItems = CalendarPermissionReadAccessType
Permission/ReadItems = PermissionReadAccessType
CalendarPermissionLevel = CalendarPermissionLevelType
PermissionLevel = PermissionLevelType
"""

_LEVELS = "None Owner PublishingEditor Editor PublishingAuthor Author NoneditingAuthor Reviewer Contributor Custom "
#: enumerations by their names in the schema
ENUMERATIONS: dict[str, frozenset[str]] = {
    name: frozenset(values.split())
    for name, values in {
        "FolderQueryTraversalType": "Shallow Deep SoftDeleted",
        "SearchFolderTraversalType": "Shallow Deep",
        "ItemQueryTraversalType": "Shallow SoftDeleted Associated",
        "DisposalType": "HardDelete SoftDelete MoveToDeletedItems",
        "MessageDispositionType": "SaveOnly SendOnly SendAndSaveCopy",
        "CalendarItemCreateOrDeleteOperationType": "SendToNone SendOnlyToAll SendToAllAndSaveCopy",
        "CalendarItemUpdateOperationType": "SendToNone SendOnlyToAll SendOnlyToChanged SendToAllAndSaveCopy "
        "SendToChangedAndSaveCopy",
        "ConflictResolutionType": "NeverOverwrite AutoResolve AlwaysOverwrite",
        "AffectedTaskOccurrencesType": "AllOccurrences SpecifiedOccurrenceOnly",
        "IdFormatType": "EwsLegacyId EwsId EntryId HexEntryId StoreId OwaId",
        "ResolveNamesSearchScopeType": "ActiveDirectory ActiveDirectoryContacts Contacts ContactsActiveDirectory",
        "DefaultShapeNamesType": "IdOnly Default AllProperties PcxPeopleSearch",
        "BodyTypeResponseType": "Best HTML Text",
        "BodyTypeType": "HTML Text",
        "DictionaryURIType": "item:InternetMessageHeader contacts:ImAddress contacts:PhysicalAddress:Street "
        "contacts:PhysicalAddress:City contacts:PhysicalAddress:State contacts:PhysicalAddress:CountryOrRegion "
        "contacts:PhysicalAddress:PostalCode contacts:PhoneNumber contacts:EmailAddress "
        "distributionlist:Members:Member",
        "DistinguishedPropertySetType": "Meeting Appointment Common PublicStrings Address InternetHeaders "
        "CalendarAssistant UnifiedMessaging Task Sharing",
        "MapiPropertyTypeType": "ApplicationTime ApplicationTimeArray Binary BinaryArray Boolean CLSID CLSIDArray "
        "Currency CurrencyArray Double DoubleArray Error Float FloatArray Integer IntegerArray Long LongArray Null "
        "Object ObjectArray Short ShortArray SystemTime SystemTimeArray String StringArray",
        "DistinguishedFolderIdNameType": "calendar contacts deleteditems drafts inbox journal notes outbox sentitems "
        "tasks msgfolderroot publicfoldersroot root junkemail searchfolders voicemail recoverableitemsroot "
        "recoverableitemsdeletions recoverableitemsversions recoverableitemspurges recoverableitemsdiscoveryholds "
        "archiveroot archivemsgfolderroot archivedeleteditems archiveinbox archiverecoverableitemsroot "
        "archiverecoverableitemsdeletions archiverecoverableitemsversions archiverecoverableitemspurges "
        "archiverecoverableitemsdiscoveryholds syncissues conflicts localfailures serverfailures recipientcache "
        "quickcontacts conversationhistory adminauditlogs todosearch mycontacts directory imcontactlist peopleconnect "
        "favorites mecontact personmetadata teamspaceactivity teamspacemessaging teamspaceworkitems scheduled "
        "orionnotes tagitems alltaggeditems allcategorizeditems externalcontacts teamchat teamchathistory yammerdata "
        "yammerroot yammerinbound yammeroutbound yammerfeeds kaizaladata messageingestion onedriveroot "
        "onedriverecylebin onedrivesystem onedrivevolume important starred archive",
        "MailboxTypeType": "Unknown OneOff Mailbox PublicDL PrivateDL Contact PublicFolder GroupMailbox "
        "ImplicitContact User",
        "SyncFolderItemsScopeType": "NormalItems NormalAndAssociatedItems",
        "NotificationEventTypeType": "CopiedEvent CreatedEvent DeletedEvent ModifiedEvent MovedEvent NewMailEvent "
        "FreeBusyChangedEvent",
        "IndexBasePointType": "Beginning End",
        "ContainmentModeType": "FullString Prefixed Substring PrefixOnWords ExactPhrase",
        "ContainmentComparisonType": "Exact IgnoreCase IgnoreNonSpacingCharacters Loose "
        "IgnoreCaseAndNonSpacingCharacters LooseAndIgnoreCase LooseAndIgnoreNonSpace "
        "LooseAndIgnoreCaseAndIgnoreNonSpace",
        "SortDirectionType": "Ascending Descending",
        "ResponseTypeType": "Unknown Organizer Tentative Accept Decline NoResponseReceived",
        "FlagStatusType": "NotFlagged Flagged Complete",
        "EmailAddressKeyType": "EmailAddress1 EmailAddress2 EmailAddress3",
        "PhoneNumberKeyType": "AssistantPhone BusinessFax BusinessPhone BusinessPhone2 Callback CarPhone "
        "CompanyMainPhone HomeFax HomePhone HomePhone2 Isdn MobilePhone OtherFax OtherTelephone Pager PrimaryPhone "
        "RadioPhone Telex TtyTddPhone BusinessMobile IPPhone Mms Msn",
        "ImAddressKeyType": "ImAddress1 ImAddress2 ImAddress3",
        "PhysicalAddressKeyType": "Home Business Other",
        "DayOfWeekType": "Sunday Monday Tuesday Wednesday Thursday Friday Saturday Day Weekday WeekendDay",
        "DayOfWeekIndexType": "First Second Third Fourth Last",
        "MonthNamesType": "January February March April May June July August September October November December",
        "DistinguishedUserType": "Default Anonymous",
        "PermissionActionType": "None Owned All",
        "CalendarPermissionReadAccessType": "None TimeOnly TimeAndSubjectAndLocation FullDetails",
        "PermissionReadAccessType": "None FullDetails",
        "CalendarPermissionLevelType": _LEVELS + "FreeBusyTimeOnly FreeBusyTimeAndSubjectAndLocation",
        "PermissionLevelType": _LEVELS,
    }.items()
}
#: types that are lists of an enumeration's values
LISTS = {
    "DaysOfWeekType": ENUMERATIONS["DayOfWeekType"],
    "UserConfigurationPropertyType": frozenset("Id Dictionary XmlData BinaryData All".split()),  # noqa: SIM905
}

#: elements of items that the schema has and the property tables do not, after which one they stand
UNKNOWN_ITEM_ELEMENTS = """
Flag StoreEntryId
NormalizedBody EntityExtractionResult PolicyTag ArchiveTag RetentionDate
Preview RightsManagementLicenseData PredictedActionReasons IsClutter BlockStatus HasBlockedImages
IconIndex SearchKey SortKey Hashtags Mentions MentionedMe MentionsPreview MentionsEx AppliedHashtags AppliedHashtagsPreview Likes LikesPreview PendingSocialActivityTagIds AtAllMention CanDelete InferenceClassification
Resources InboxReminders
NetShowUrl EnhancedLocation
EndTimeZoneId IntendedFreeBusyStatus JoinOnlineMeetingUrl OnlineMeetingSettings
IsOrganizer CalendarActivityData DoNotForwardMeeting
ReceivedRepresenting ApprovalRequestData VotingInformation ReminderMessageData MessageSafety SenderSMTPAddress MailboxGuids PublishedCalendarItemIcs PublishedCalendarItemName
Nickname CompleteName
EmailAddresses AbchEmailAddresses
"""
