"""CreateItem, UpdateItem, DeleteItem."""

from __future__ import annotations

from typing import Any

from .. import recurring_tasks
from ..items import MEETING_MESSAGES, Item
from ..mailboxes import Folder
from . import invitations
from .attached import read_all
from .codecs import local_name
from .drafts import Draft, check_event, check_task, default_folder, read_item
from .envelope import success
from .errors import ResponseError
from .properties import ITEM_CLASSES
from .registry import each, operation
from .responses import RESPONSE_OBJECTS
from .sending import create_message
from .session import Session
from .shapes import ID_ONLY, render
from .updates import apply_change
from .views import View
from .xml import M

#: which folders an item can be created in, by the beginning of their class, and the code of the others' refusal
_WANTED_FOLDERS: dict[str, tuple[str, str]] = {
    "CalendarItem": ("IPF.Appointment", "ErrorCannotCreateCalendarItemInNonCalendarFolder"),
    "Contact": ("IPF.Contact", "ErrorCannotCreateContactInNonContactFolder"),
    "PostItem": ("IPF.Note", "ErrorCannotCreatePostItemInNonMailFolder"),
    "Task": ("IPF.Task", "ErrorCannotCreateTaskInNonTaskFolder"),
}


@operation("CreateItem")
def create_item(session: Session) -> str:
    """Answer CreateItem."""
    root = session.request.root

    def one(element: Any) -> str:
        name = local_name(element)
        if name in RESPONSE_OBJECTS:
            return RESPONSE_OBJECTS[name](element, session)
        if name not in ITEM_CLASSES or name in MEETING_MESSAGES:
            raise ResponseError("ErrorInvalidItemForOperationCreateItem")
        return _create(root, element, session)

    return each("CreateItem", root.find(f"{M}Items"), one, inner="<m:Items/>")


def _target(root: Any, element: str, session: Session) -> Folder:
    given = root.find(f"{M}SavedItemFolderId")
    if given is not None:
        folder = session.folder(given[0], missing="ErrorFolderNotFound")
    else:
        mailbox = session.mailbox_named(None)
        folder = mailbox.folder(default_folder(element, root.get("MessageDisposition") or ""))
    if not folder.mailbox.rights_of(session.user, folder).create_items:
        raise ResponseError("ErrorAccessDenied")
    wanted = _WANTED_FOLDERS.get(element)
    if wanted is not None and not folder.folder_class.startswith(wanted[0]):
        raise ResponseError(wanted[1])
    return folder


def _create(root: Any, element: Any, session: Session) -> str:
    draft = read_item(element, session)
    draft.attachments += read_all(element, session)
    sending = root.get("SendMeetingInvitations")
    disposition = root.get("MessageDisposition")
    if draft.element == "CalendarItem" and sending is None:
        raise ResponseError("ErrorSendMeetingInvitationsRequired")
    if draft.element == "Message" and disposition is None:
        raise ResponseError("ErrorMessageDispositionRequired")
    folder = _target(root, draft.element, session)
    if draft.element == "CalendarItem":
        check_event(draft.values, session.organisation.now())
    elif draft.element == "Task":
        check_task(draft.values, set(draft.values), session)
    elif draft.element == "Message":
        return create_message(draft, folder, disposition or "", session)
    item = _store(draft, folder, session)
    invitations.after_create(item, sending or "SendToNone", session)
    return success("CreateItem", f"<m:Items>{render(View(item, session), ID_ONLY)}</m:Items>")


def _store(draft: Draft, folder: Folder, session: Session) -> Item:
    return session.organisation.add_item(
        folder,
        draft.element,
        draft.values,
        draft.extended,
        by=session.user,
        exceptions=draft.exceptions,
        deleted=draft.deleted,
        attachments=draft.attachments,
    )


@operation("UpdateItem")
def update_item(session: Session) -> str:
    """Answer UpdateItem."""
    root = session.request.root

    def one(element: Any) -> str:
        view = apply_change(root, element, session)
        inner = render(view, ID_ONLY)
        return success(
            "UpdateItem", f"<m:Items>{inner}</m:Items><m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"
        )

    return each("UpdateItem", root.find(f"{M}ItemChanges"), one, inner="<m:Items/>")


def _is_passed_over(view: View, root: Any) -> bool:
    """Whether only the present occurrence of a recurring task is deleted, and the task goes on to its next date."""
    item = view.item
    return (
        item.element == "Task"
        and root.get("AffectedTaskOccurrences") == "SpecifiedOccurrenceOnly"
        and item.values.get("task:Recurrence") is not None
        and recurring_tasks.advance(item, view.session.organisation)
    )


@operation("DeleteItem")
def delete_item(session: Session) -> str:
    """Answer DeleteItem."""
    root = session.request.root

    def one(element: Any) -> str:
        view = session.view(element)
        item = view.item
        if item.element == "CalendarItem" and root.get("SendMeetingCancellations") is None:
            raise ResponseError("ErrorSendMeetingCancellationsRequired")
        if item.element == "Task" and root.get("AffectedTaskOccurrences") is None:
            raise ResponseError("ErrorAffectedTaskOccurrencesRequired")
        if not view.rights.may_delete(item.created_by == session.user) or view.hidden:
            raise ResponseError("ErrorAccessDenied")
        if _is_passed_over(view, root):
            item.mailbox.touch_item(item, session.user, ["task:DueDate"])
            return success("DeleteItem")
        invitations.before_delete(view, root.get("SendMeetingCancellations") or "SendToNone", session)
        if view.occurrence is not None:
            session.organisation.delete_occurrence(item, view.occurrence.original_start, by=session.user)
        else:
            session.organisation.delete_item(item, root.get("DeleteType"), by=session.user)
        return success("DeleteItem")

    return each("DeleteItem", root.find(f"{M}ItemIds"), one)
