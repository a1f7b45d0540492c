"""Mail that a client sends: CreateItem of a Message, and SendItem of a draft."""

from __future__ import annotations

from typing import Any

from .. import post
from ..items import Extended, ExtendedName, Item, Values
from ..mailboxes import Folder, Mailbox
from ..values import Person
from .drafts import Draft
from .envelope import success
from .errors import ResponseError
from .registry import each, operation
from .session import Session
from .shapes import ID_ONLY, render
from .views import View
from .xml import M

#: PidTagDeferredSendTime. **Source** MS-OXOMSG 2.2.3.4
_DEFERRED = ExtendedName("SystemTime", tag=0x3FEF)


def create_message(draft: Draft, folder: Folder, disposition: str, session: Session) -> str:
    """Save the draft, send it, or send it and keep a copy in the folder.

    Raises:
        ResponseError: it goes to nobody, or in the name of somebody the user may not send for: then it stays in Drafts.
    """
    if disposition == "SaveOnly":
        return _saved(draft, folder, session)
    if not post.recipients_of(draft.values):
        raise ResponseError("ErrorMissingRecipients", "Recipients are missing.")
    try:
        _sign(draft.values, session)
    except ResponseError:
        if disposition == "SendAndSaveCopy":
            _saved(draft, folder.mailbox.folder("drafts"), session)
        raise
    if _waits(draft.extended, session):
        drafts = _home(session, draft.values).folder("drafts")
        item = session.organisation.add_item(
            drafts, draft.element, draft.values, draft.extended, by=session.user, attachments=draft.attachments
        )
        _wait(item, draft.values, session, folder if disposition == "SendAndSaveCopy" else None)
        return success("CreateItem", "<m:Items/>")
    letter = post.Letter("Message", _home(session, draft.values), draft.values, draft.extended, draft.attachments)
    _check_size(letter, session)
    post.send(
        session.organisation, letter, by=session.user, copy_in=folder if disposition == "SendAndSaveCopy" else None
    )
    return success("CreateItem", "<m:Items/>")


def _saved(draft: Draft, folder: Folder, session: Session) -> str:
    values = {"message:IsRead": True, **draft.values, "item:IsDraft": True}
    item = session.organisation.add_item(
        folder, draft.element, values, draft.extended, by=session.user, attachments=draft.attachments
    )
    return success("CreateItem", f"<m:Items>{render(View(item, session), ID_ONLY)}</m:Items>")


def _waits(extended: Extended, session: Session) -> bool:
    """Whether the message is to be sent later than now."""
    due = extended.get(_DEFERRED)
    return due is not None and due > session.organisation.now()


def _wait(item: Item, signed: Values, session: Session, copy_in: Folder | None) -> None:
    """Keep the message where it is, signed and submitted, until its time."""
    item.values.update({**signed, "item:IsSubmitted": True})
    item.mailbox.touch_item(item, session.user, ["message:From", "message:Sender", "item:IsSubmitted"])
    session.organisation.waiting.append(post.Waiting(item.extended[_DEFERRED], item, session.user, copy_in))


def _check_size(letter: post.Letter, session: Session) -> None:
    """Refuse what is larger than the organisation lets travel, as it travels: attachments grow by a third."""
    body = letter.values.get("item:Body")
    size = len(body.text.encode()) if body is not None else 0
    size += sum(len(one.content) * 4 // 3 for one in letter.attachments)
    if size > session.organisation.largest_message_bytes:
        raise ResponseError("ErrorMessageSizeExceeded")


def _home(session: Session, values: Values) -> Mailbox:
    """The mailbox the message goes out of: the user's own, or, where they have none, that of who it is from."""
    mailbox = session.own_mailbox or session.organisation.find_mailbox(values["message:From"].address)
    if mailbox is None:
        raise ResponseError("ErrorMissingEmailAddress")
    return mailbox


def _sign(values: Values, session: Session) -> None:
    """Say who the message is from, and who sends it where that is another.

    Raises:
        ResponseError: the user may not send in that name.
    """
    me = Person(session.name_of(session.user), session.user)
    author: Person = values.get("message:From") or me
    how = session.organisation.may_send(session.user, author.address)
    if not how:
        raise ResponseError("ErrorSendAsDenied")
    values["message:From"] = Person(author.name or session.name_of(author.address), author.address)
    values["message:Sender"] = values["message:From"] if how == "SendAs" else me


@operation("SendItem")
def send_item(session: Session) -> str:
    """Answer SendItem: the draft leaves its folder; the copy, where one is kept, is another item."""
    root = session.request.root
    saving = root.get("SaveItemToFolder") in ("true", "1")
    place = root.find(f"{M}SavedItemFolderId")

    def one(element: Any) -> str:
        if place is not None and not saving:
            raise ResponseError("ErrorInvalidSendItemSaveSettings")
        view = session.view(element)
        item = view.item
        if item.element != "Message":
            raise ResponseError("ErrorInvalidItemForOperationSendItem")
        if not view.rights.may_delete(item.created_by == session.user):
            raise ResponseError("ErrorAccessDenied")
        if session.manners.checks_change_keys:
            known = session.check_change_key(element)
            if known is None:
                raise ResponseError("ErrorChangeKeyRequired")
            if known != item.change:
                raise ResponseError("ErrorIrresolvableConflict")
        if not post.recipients_of(item.values):
            raise ResponseError("ErrorMissingRecipients", "Recipients are missing.")
        folder = item.mailbox.folder("sentitems")
        if place is not None:
            folder = session.folder(place[0], missing="ErrorFolderNotFound")
        values = dict(item.values)
        _sign(values, session)
        if _waits(item.extended, session):
            _wait(item, values, session, folder if saving else None)
            return success("SendItem")
        letter = post.Letter("Message", item.mailbox, values, item.extended, item.attachments)
        _check_size(letter, session)
        leaves = session.manners.takes_drafts
        if leaves:
            item.mailbox.remove_item(item)
        post.send(session.organisation, letter, by=session.user, copy_in=folder if saving and leaves else None)
        return success("SendItem")

    return each("SendItem", root.find(f"{M}ItemIds"), one)
