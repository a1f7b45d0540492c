"""Subscribe, GetEvents, Unsubscribe, and what GetStreamingEvents tells.

Push subscriptions are not offered: the sandbox calls nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..mailboxes import Folder, Mailbox
from ..notifications import Event, Place, Subscription, SubscriptionLost, watermark_of
from .envelope import failure, success
from .errors import ResponseError, SoapFault, text_of
from .registry import operation, whole
from .session import Session
from .xml import M, T, escape, instant, quote

MOST_EVENTS = 50
"""Events of one subscription in one answer; ``MoreEvents`` says that others wait."""


@operation("Subscribe")
def subscribe(session: Session) -> str:
    """Answer Subscribe: to folders of one mailbox, or to all of the user's own."""
    return whole("Subscribe", lambda: _subscribe(session))


def _subscribe(session: Session) -> str:
    asked = session.request.root[0]
    name = asked.tag.rpartition("}")[2]
    if name == "PushSubscriptionRequest":
        raise ResponseError("ErrorInvalidSubscriptionRequest", "This server has no push subscriptions.")
    if name == "StreamingSubscriptionRequest" and session.request.older_than("Exchange2010_SP1"):
        raise SoapFault("ErrorIncorrectSchemaVersion")
    mailbox, folders = _subject(session, asked)
    try:
        found = session.organisation.subscriptions.add(
            mailbox,
            "pull" if name == "PullSubscriptionRequest" else "streaming",
            owner=session.caller.address,
            folders=folders,
            kinds={one.text for one in asked.find(f"{T}EventTypes")},
            backend=session.request.server,
            watermark=(asked.findtext(f"{T}Watermark") or "").strip(),
            **({"minutes": int(asked.findtext(f"{T}Timeout"))} if name == "PullSubscriptionRequest" else {}),
        )
    except SubscriptionLost as lost:
        raise ResponseError(lost.code) from None
    told = f"<m:Watermark>{watermark_of(found.journal, found.position)}</m:Watermark>" if found.how == "pull" else ""
    return success("Subscribe", f"<m:SubscriptionId>{found.subscription_id}</m:SubscriptionId>{told}")


def _subject(session: Session, asked: object) -> tuple[Mailbox, list[Folder] | None]:
    """Whose events are asked for, and of which folders (None: of all)."""
    listed = asked.find(f"{T}FolderIds")  # type: ignore[attr-defined]
    wants_all = asked.get("SubscribeToAllFolders", "false").strip() in ("true", "1")  # type: ignore[attr-defined]
    if wants_all == (listed is not None):
        raise ResponseError("ErrorInvalidSubscriptionRequest")
    if wants_all:
        if session.own_mailbox is None:
            raise ResponseError("ErrorMissingEmailAddress")
        return session.own_mailbox, None
    folders = [session.folder(one, missing="ErrorFolderNotFound") for one in listed]
    mailboxes = {id(one.mailbox): one.mailbox for one in folders}
    if len(mailboxes) > 1:
        raise ResponseError("ErrorInvalidSubscriptionRequest")
    if not all(one.mailbox.rights_of(session.user, one).may_read for one in folders):
        raise ResponseError("ErrorSubscriptionAccessDenied")
    return folders[0].mailbox, folders


@operation("GetEvents")
def get_events(session: Session) -> str:
    """Answer GetEvents: what happened after the watermark, or a status event where nothing did."""
    return whole("GetEvents", lambda: _get_events(session))


def _get_events(session: Session) -> str:
    root = session.request.root
    watermark = root.findtext(f"{M}Watermark").strip()
    found = _named(session, root.findtext(f"{M}SubscriptionId"))
    if found.how != "pull":
        raise ResponseError("ErrorInvalidPullSubscriptionId")
    try:
        found.go_on_after(watermark)
        events, position, more = found.pending(MOST_EVENTS)
    except SubscriptionLost as lost:
        raise ResponseError(lost.code) from None
    found.position = position
    found.touch(session.organisation.now())
    return success("GetEvents", notification(found, events, more=more, previous=watermark))


@operation("Unsubscribe")
def unsubscribe(session: Session) -> str:
    """Answer Unsubscribe."""
    return whole("Unsubscribe", lambda: _unsubscribe(session))


def _unsubscribe(session: Session) -> str:
    session.organisation.subscriptions.remove(_named(session, session.request.root.findtext(f"{M}SubscriptionId")))
    return success("Unsubscribe")


def _named(session: Session, subscription_id: str | None) -> Subscription:
    try:
        return session.organisation.subscriptions.get(
            (subscription_id or "").strip(), session.caller.address, session.request.server
        )
    except SubscriptionLost as lost:
        raise ResponseError(lost.code) from None


@operation("GetStreamingEvents")
def get_streaming_events(session: Session) -> str:
    """Answer GetStreamingEvents with its first part; the rest is the stream's (`ews.streaming`)."""
    _, refused, code = streamed(session)
    return lost(refused, code) if refused else status("OK")


def streamed(session: Session) -> tuple[list[Subscription], list[str], str]:
    """The subscriptions that a GetStreamingEvents names, the ids among them that will not do, and the code for those."""
    found, refused, code = [], [], ""
    for element in session.request.root.find(f"{M}SubscriptionIds"):
        try:
            one = _named(session, element.text)
            if one.how != "streaming":
                raise ResponseError("ErrorInvalidSubscription")
            found.append(one)
        except ResponseError as problem:
            refused.append(element.text or "")
            code = code or problem.code
    return found, refused, code


def status(word: str) -> str:
    """The message that says only how the connection stands: OK or Closed."""
    return success("GetStreamingEvents", f"<m:ConnectionStatus>{word}</m:ConnectionStatus>")


def lost(subscription_ids: Iterable[str], code: str) -> str:
    """The message that these subscriptions cannot be streamed."""
    named = "".join(f"<t:SubscriptionId>{escape(one)}</t:SubscriptionId>" for one in subscription_ids)
    return failure(
        "GetStreamingEvents",
        code,
        text_of(code),
        inner=f"<m:ErrorSubscriptionIds>{named}</m:ErrorSubscriptionIds><m:ConnectionStatus>Closed</m:ConnectionStatus>",
    )


def told(notifications: str) -> str:
    """The message with what happened, for several subscriptions."""
    return success("GetStreamingEvents", f"<m:Notifications>{notifications}</m:Notifications>")


def notification(subscription: Subscription, events: list[Event], *, more: bool = False, previous: str = "") -> str:
    """One subscription's events. With ``previous``, as pulled: with watermarks, and a status event where there are none."""
    journal = subscription.journal
    pulled = bool(previous)
    lines = [_event(each, watermark_of(journal, each.number) if pulled else "") for each in events]
    if pulled and not lines:
        lines = [
            f"<t:StatusEvent><t:Watermark>{watermark_of(journal, subscription.position)}</t:Watermark></t:StatusEvent>"
        ]
    kind = "m" if pulled else "t"
    before = f"<t:PreviousWatermark>{escape(previous)}</t:PreviousWatermark>" if pulled else ""
    return (
        f"<{kind}:Notification><t:SubscriptionId>{escape(subscription.subscription_id)}</t:SubscriptionId>{before}"
        f"<t:MoreEvents>{'true' if more else 'false'}</t:MoreEvents>{''.join(lines)}</{kind}:Notification>"
    )


def _event(event: Event, watermark: str) -> str:
    marked = f"<t:Watermark>{watermark}</t:Watermark>" if watermark else ""
    before = "" if event.before is None else _named_place(event.before, "Old")
    return f"<t:{event.kind}>{marked}<t:TimeStamp>{instant(event.at)}</t:TimeStamp>{_named_place(event.place)}{before}</t:{event.kind}>"


def _named_place(place: Place, old: str = "") -> str:
    kind = "FolderId" if place.is_folder else "ItemId"
    return (
        f'<t:{old}{kind} Id="{quote(place.object_id)}" ChangeKey="{quote(place.object_key)}"/>'
        f'<t:{old}ParentFolderId Id="{quote(place.parent_id)}" ChangeKey="{quote(place.parent_key)}"/>'
    )
