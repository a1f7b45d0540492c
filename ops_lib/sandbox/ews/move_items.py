"""MoveItem and CopyItem."""

from __future__ import annotations

from typing import Any

from .envelope import success
from .errors import ResponseError
from .registry import each, operation
from .session import Session
from .shapes import ID_ONLY, render
from .views import View
from .xml import M


def _answer(name: str, session: Session) -> str:
    root = session.request.root
    moving = name == "MoveItem"

    def one(element: Any) -> str:
        target = session.folder(root.find(f"{M}ToFolderId")[0], missing="ErrorFolderNotFound")
        view = session.view(element)
        item = view.item
        if view.occurrence is not None:
            raise ResponseError("ErrorCalendarCannotMoveOrCopyOccurrence")
        if not target.mailbox.rights_of(session.user, target).create_items or view.hidden:
            raise ResponseError("ErrorAccessDenied")
        if moving:
            if not view.rights.may_delete(item.created_by == session.user):
                raise ResponseError("ErrorAccessDenied")
            new = item.mailbox.move_item(item, target, session.user)
        else:
            new = item.mailbox.copy_item(item, target, session.user)
        if target.mailbox is not item.mailbox or (root.findtext(f"{M}ReturnNewItemIds") or "true") in ("false", "0"):
            return success(name, "<m:Items/>")
        return success(name, f"<m:Items>{render(View(new, session), ID_ONLY)}</m:Items>")

    return each(name, root.find(f"{M}ItemIds"), one, inner="<m:Items/>")


@operation("MoveItem")
def move_item(session: Session) -> str:
    """Answer MoveItem: the item has another id afterwards."""
    return _answer("MoveItem", session)


@operation("CopyItem")
def copy_item(session: Session) -> str:
    """Answer CopyItem."""
    return _answer("CopyItem", session)
