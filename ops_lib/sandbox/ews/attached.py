"""Attachments as XML, and what is done with them: CreateAttachment, GetAttachment, DeleteAttachment."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

from .. import ids
from ..items import AttachedItem, Attachment, Item, Override
from .attachment_lists import attachment_id, plain
from .codecs import local_name, read_boolean
from .drafts import read_item
from .envelope import success
from .errors import ResponseError
from .registry import each, operation
from .session import Session
from .shapes import Shape, read_shape, render
from .views import View
from .xml import M, T


@operation("CreateAttachment")
def create_attachment(session: Session) -> str:
    """Answer CreateAttachment: the item has another change key after each of them."""
    root = session.request.root

    def one(element: Any) -> str:
        view = session.view(root.find(f"{M}ParentItemId"))
        _check_may_change(view, session)
        made = replace(read_attachment(element, session), number=view.item.mailbox.count())
        _held(view).append(made)
        _touch(view, session)
        name = "FileAttachment" if made.item is None else "ItemAttachment"
        after = session.view(root.find(f"{M}ParentItemId"))
        named = (
            f'<t:AttachmentId Id="{attachment_id(after, made)}" RootItemId="{after.id}" '
            f'RootItemChangeKey="{after.change_key}"/>'
        )
        return success("CreateAttachment", f"<m:Attachments><t:{name}>{named}</t:{name}></m:Attachments>")

    return each("CreateAttachment", root.find(f"{M}Attachments"), one, inner="<m:Attachments/>")


@operation("GetAttachment")
def get_attachment(session: Session) -> str:
    """Answer GetAttachment: the whole of each, with its content."""
    root = session.request.root
    element = root.find(f"{M}AttachmentShape")
    shape = Shape("AllProperties") if element is None else replace(read_shape(element), base="AllProperties")

    def one(part: Any) -> str:
        found = _find(part, session)
        if found.view.hidden:
            raise ResponseError("ErrorAccessDenied")
        return success("GetAttachment", f"<m:Attachments>{_whole(found, shape)}</m:Attachments>")

    return each("GetAttachment", root.find(f"{M}AttachmentIds"), one, inner="<m:Attachments/>")


@operation("DeleteAttachment")
def delete_attachment(session: Session) -> str:
    """Answer DeleteAttachment."""

    def one(part: Any) -> str:
        found = _find(part, session)
        view = found.view
        _check_may_change(view, session)
        held = _held(view)
        held[:] = [other for other in held if other.number != found.attachment.number]
        _touch(view, session)
        after = view.item
        return success(
            "DeleteAttachment",
            f'<m:RootItemId RootItemId="{view.id}" RootItemChangeKey="{after.change_key}"/>',
        )

    return each("DeleteAttachment", session.request.root.find(f"{M}AttachmentIds"), one)


# reading


def read_attachment(element: Any, session: Session) -> Attachment:
    """A FileAttachment or ItemAttachment of a request; it has no number yet.

    Raises:
        ResponseError: it has no name, its content is no base64, or it is of a kind that is not kept here.
    """
    kind = local_name(element)
    name = element.findtext(f"{T}Name") or ""
    if not name:
        raise ResponseError("ErrorRequiredPropertyMissing", xml='<t:ExceptionFieldURI FieldURI="attachment:Name"/>')
    common: dict[str, Any] = {
        "name": name,
        "content_type": element.findtext(f"{T}ContentType") or "",
        "content_id": element.findtext(f"{T}ContentId") or "",
        "content_location": element.findtext(f"{T}ContentLocation") or "",
        "is_inline": read_boolean(element.findtext(f"{T}IsInline") or "false"),
        "modified": session.organisation.now(),
    }
    if kind == "FileAttachment":
        try:
            content = base64.b64decode("".join((element.findtext(f"{T}Content") or "").split()), validate=True)
        except ValueError:
            raise ResponseError("ErrorInvalidValueForProperty") from None
        is_photo = read_boolean(element.findtext(f"{T}IsContactPhoto") or "false")
        return Attachment(0, content=content, is_contact_photo=is_photo, **common)
    inner = next((child for child in element if local_name(child) in _ATTACHABLE), None)
    if kind != "ItemAttachment" or inner is None:
        raise ResponseError("ErrorMissingItemForCreateItemAttachment")
    draft = read_item(inner, session)
    held = tuple(read_all(inner, session))
    return Attachment(0, item=AttachedItem(draft.element, draft.values, draft.extended, held), **common)


_ATTACHABLE = frozenset({"Item", "Message", "CalendarItem", "Contact", "Task", "PostItem"})


def read_all(item: Any, session: Session) -> list[Attachment]:
    """What an item of a request has in its ``Attachments``."""
    found = item.find(f"{T}Attachments")
    return [] if found is None else [read_attachment(one, session) for one in found]


# finding and changing


@dataclass(frozen=True, slots=True)
class Found:
    """An attachment with the item that holds it."""

    view: View
    attachment: Attachment


def _find(element: Any, session: Session) -> Found:
    text = element.get("Id")
    if not text:
        raise ResponseError("ErrorInvalidIdEmpty")
    try:
        named = ids.decode_id(text)
    except ids.MalformedId:
        raise ResponseError("ErrorInvalidIdMalformed") from None
    if named.kind != ids.ATTACHMENT:
        raise ResponseError("ErrorInvalidAttachmentId")
    item = session.item_by_number(named.mailbox, named.number)
    for one in item.attachments:
        if one.number == named.instance:
            return Found(View(item, session), one)
    for start, override in item.exceptions.items():
        for one in override.attachments or ():
            if one.number == named.instance:
                return Found(session.occurrence_view(item, start), one)
    raise ResponseError("ErrorItemNotFound")


def _check_may_change(view: View, session: Session) -> None:
    if view.hidden or not view.rights.may_edit(view.item.created_by == session.user):
        raise ResponseError("ErrorAccessDenied")


def _held(view: View) -> list[Attachment]:
    """The list to be changed: an occurrence gets one of its own."""
    if view.occurrence is None:
        return view.item.attachments
    override = view.item.exceptions.setdefault(view.occurrence.original_start, Override())
    if override.attachments is None:
        override.attachments = list(view.item.attachments)
    return override.attachments


def _touch(view: View, session: Session) -> None:
    view.item.mailbox.touch_item(view.item, session.user, ["item:HasAttachments"])
    if view.occurrence is not None:
        view.item.exceptions[view.occurrence.original_start].change = view.item.change


# writing


def _whole(found: Found, shape: Shape) -> str:
    view, one = found.view, found.attachment
    if one.item is None:
        content = base64.b64encode(one.content).decode()
        return f"<t:FileAttachment>{plain(view, one)}<t:Content>{content}</t:Content></t:FileAttachment>"
    nested = _as_item(view, one)
    return (
        f"<t:ItemAttachment>{plain(view, one)}{render(View(nested, view.session), shape, get=True)}</t:ItemAttachment>"
    )


def _as_item(view: View, one: Attachment) -> Item:
    """The attached item as if it lay in its holder's folder; it is in none."""
    assert one.item is not None
    holder = view.item
    nested = Item(
        holder.mailbox,
        holder.folder,
        holder.number,
        one.item.element,
        dict(one.item.values),
        dict(one.item.extended),
        created=one.modified or holder.created,
        created_by=holder.created_by,
    )
    nested.attachments = list(one.item.attachments)
    nested.id = attachment_id(view, one)
    return nested
