"""One caller's request against the organisation: who acts, what the ids mean for them, which zone times are in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from .. import ids, series, zones
from ..items import Item
from ..mailboxes import Folder, Mailbox
from ..store import Organisation
from .envelope import SoapRequest
from .errors import ResponseError, SoapFault
from .manners import EXCHANGE, Manners
from .views import View
from .xml import T


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed in: an account's address, or with ``app`` an application that can act only for somebody."""

    address: str
    app: bool


class Session:
    """A request with everything needed to answer it. ``user`` is the address of whoever acts."""

    def __init__(
        self, organisation: Organisation, caller: Caller, request: SoapRequest, manners: Manners = EXCHANGE
    ) -> None:
        self.organisation = organisation
        self.request = request
        self.caller = caller
        self.manners = manners
        self.user = self._acting(caller, request)
        self.own_mailbox = organisation.find_mailbox(self.user)
        self._zone_id: str | None = None

    def _acting(self, caller: Caller, request: SoapRequest) -> str:
        if request.impersonated is None:
            if caller.app:
                raise SoapFault(
                    "ErrorAccessDenied",
                    "ExchangeImpersonation SOAP header must be present for this type of OAuth token.",
                )
            return self.organisation.primary(caller.address)
        kind, value = request.impersonated
        mailbox = None if kind == "SID" else self.organisation.find_mailbox(value)
        if mailbox is None:
            raise SoapFault("ErrorNonExistentMailbox")
        if kind == "PrimarySmtpAddress" and value.lower() != mailbox.address:
            raise SoapFault("ErrorNonPrimarySmtpAddress", details=(("Primary", mailbox.address),))
        if mailbox.address != self.organisation.primary(caller.address) and not self.organisation.may_impersonate(
            caller.address, mailbox.address
        ):
            raise SoapFault("ErrorImpersonateUserDenied")
        return mailbox.address

    # time zones

    @property
    def context_zone_id(self) -> str:
        """The zone of the header's TimeZoneContext, "UTC" without one."""
        if self._zone_id is None:
            self._zone_id = (
                self.zone_id_of(self.request.zone_context) if self.request.zone_context is not None else "UTC"
            )
        return self._zone_id

    def zone_id_of(self, definition: Any) -> str:
        """The zone that a TimeZoneDefinition (or StartTimeZone, EndTimeZone) names or describes.

        Raises:
            ResponseError: nobody knows it.
        """
        try:
            found: str = zones.from_definition(definition, self.organisation.now().year)
        except zones.UnknownZone:
            raise ResponseError("ErrorTimeZone") from None
        if found in self.organisation.administration.missing_zones:
            raise ResponseError("ErrorTimeZone")
        return found

    def aware(self, value: datetime, zone_id: str | None = None) -> datetime:
        """The instant in UTC, in whole seconds: a time without an offset is read in the given zone, else in the TimeZoneContext."""
        if value.tzinfo is None:
            zone: ZoneInfo = zones.zone(zone_id or self.context_zone_id)
            value = value.replace(tzinfo=zone)
        try:
            return value.astimezone(UTC).replace(microsecond=0)
        except OverflowError:  # the first or last day that a computer knows, in another zone
            return value.replace(tzinfo=UTC, microsecond=0)

    # mailboxes and folders

    def mailbox_named(self, element: Any) -> Mailbox:
        """The mailbox of a ``Mailbox`` element inside a DistinguishedFolderId; the acting user's own without one.

        Raises:
            ResponseError: there is none, or an alias was used.
        """
        if element is None:
            if self.own_mailbox is None:
                raise ResponseError("ErrorMissingEmailAddress")
            return self.own_mailbox
        address = (element.findtext(f"{T}EmailAddress") or "").strip()
        mailbox = self.organisation.find_mailbox(address)
        if mailbox is None:
            raise ResponseError("ErrorNonExistentMailbox")
        if address.lower() != mailbox.address:
            raise ResponseError(
                "ErrorNonPrimarySmtpAddress", xml=f'<t:Value Name="Primary">{mailbox.address}</t:Value>'
            )
        return mailbox

    def folder(self, element: Any, missing: str = "ErrorItemNotFound") -> Folder:
        """The folder that a FolderId or DistinguishedFolderId means.

        Args:
            missing: the code for a folder that is not there, or that the user may not see.

        Raises:
            ResponseError: the id is malformed or an item's, or see ``missing``.
        """
        if element.tag == f"{T}DistinguishedFolderId":
            mailbox = self.mailbox_named(element.find(f"{T}Mailbox"))
            found = mailbox.distinguished(element.get("Id"))
            if found is None:
                raise ResponseError("ErrorFolderNotFound")
        else:
            named = self._decode(element.get("Id"))
            if named.kind != ids.FOLDER:
                raise ResponseError("ErrorCannotUseItemIdForFolderId")
            self.check_change_key(element)
            box = self.organisation.mailbox_by_guid(named.mailbox)
            found = box.folders.get(named.number) if box else None
            if found is None:
                raise ResponseError(missing)
        rights = found.mailbox.rights_of(self.user, found)
        if not (rights.folder_visible or rights.may_read or rights.create_items):
            raise ResponseError(missing)
        return found

    # items

    def _decode(self, text: str | None) -> ids.ObjectId:
        if not text:
            raise ResponseError("ErrorInvalidIdEmpty")
        try:
            return ids.decode_id(text)
        except ids.MalformedId:
            raise ResponseError("ErrorInvalidIdMalformed") from None

    def check_change_key(self, element: Any) -> int | None:
        """The version that an id's ChangeKey names; None without one.

        Raises:
            ResponseError: it is no change key.
        """
        text = element.get("ChangeKey")
        if not text:
            return None
        try:
            return ids.decode_change_key(text)
        except ids.MalformedId:
            raise ResponseError("ErrorInvalidChangeKey") from None

    def _item_of(self, named: ids.ObjectId) -> Item:
        if named.kind == ids.FOLDER:
            raise ResponseError("ErrorCannotUseFolderIdForItemId")
        if named.kind == ids.ATTACHMENT:
            raise ResponseError("ErrorItemNotFound")
        return self.item_by_number(named.mailbox, named.number)

    def item_by_number(self, mailbox_guid: str, number: int) -> Item:
        """An item of the mailbox with this GUID, if the user may see it.

        Raises:
            ResponseError: there is none, or they may not.
        """
        box = self.organisation.mailbox_by_guid(mailbox_guid)
        item = box.items.get(number) if box else None
        if box is None or item is None:
            raise ResponseError("ErrorItemNotFound")
        if not box.rights_of(self.user, item.folder).may_read and item.created_by != self.user:
            raise ResponseError("ErrorItemNotFound")
        if item.is_corrupt:
            raise ResponseError("ErrorItemCorrupt")
        return item

    def view(self, element: Any) -> View:
        """What an ItemId, OccurrenceItemId or RecurringMasterItemId names.

        Raises:
            ResponseError: malformed, not there, not to be seen, or of the wrong kind.
        """
        if element.tag == f"{T}OccurrenceItemId":
            return self._by_index(element)
        if element.tag == f"{T}RecurringMasterItemId":
            if not self.manners.leads_to_masters:
                raise ResponseError("ErrorInvalidId", "RecurringMasterId is currently not supported")
            named = self._decode(element.get("OccurrenceId"))
            self.check_change_key(element)
            item = self._item_of(named)
            if named.kind != ids.OCCURRENCE and not item.is_series:
                raise ResponseError("ErrorCalendarCannotUseIdForRecurringMasterId")
            return View(item, self)
        named = self._decode(element.get("Id"))
        self.check_change_key(element)
        item = self._item_of(named)
        if named.kind == ids.OCCURRENCE:
            return self.occurrence_view(item, datetime.fromtimestamp(named.instance, UTC))
        return View(item, self)

    def occurrence_view(self, item: Item, original_start: datetime) -> View:
        """The occurrence of a series that was to start then.

        Raises:
            ResponseError: the series has none then, or it was deleted.
        """
        if not item.is_series:
            raise ResponseError("ErrorItemNotFound")
        try:
            return View(item, self, series.occurrence_at(item, original_start))
        except series.NoSuchOccurrence:
            raise ResponseError("ErrorItemNotFound") from None

    def _by_index(self, element: Any) -> View:
        named = self._decode(element.get("RecurringMasterId"))
        self.check_change_key(element)
        item = self._item_of(named)
        if named.kind != ids.ITEM or not item.is_series:
            raise ResponseError("ErrorCalendarCannotUseIdForOccurrenceId")
        index = int(element.get("InstanceIndex"))
        try:
            if index < 1:
                raise series.NoSuchOccurrence(deleted=False)
            if self.manners.numbers_deleted:
                return View(item, self, series.occurrence_by_index(item, index))
            return View(item, self, series.remaining_by_index(item, index))
        except series.NoSuchOccurrence as problem:
            if not self.manners.numbers_deleted:
                raise ResponseError("ErrorItemCorrupt", "failed to load item") from None
            raise ResponseError(
                "ErrorCalendarOccurrenceIsDeletedFromRecurrence"
                if problem.deleted
                else "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"
            ) from None

    def name_of(self, address: str) -> str:
        """The display name behind an address."""
        mailbox = self.organisation.find_mailbox(address)
        return mailbox.name if mailbox else address
