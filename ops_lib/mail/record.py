"""What the CRM keeps of a message: an activity for each individual it went to, with the body as its note (E2–E4)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from ops_lib.crm import ActivityContent
from ops_lib.crm.directory import Directory
from ops_lib.crm.store import SqlCrm
from ops_lib.mail.outgoing import Kept
from ops_lib.model import ActivityStatus, Origin, Timed
from ops_lib.sync.mapping import notes_of

ACTIVITY_TYPE = "Email Out"
FAILED = "Failed to Send"


def put_on_record(connection: Connection, message: Kept, now: datetime, *, failed: str | None = None) -> list[str]:
    """Make the activities of a settled message, Completed or, with the reason in ``failed``, Cancelled. Their ids.

    Made twice, they are made once: each has the message's key.
    """
    crm = SqlCrm(connection, now)
    kind = Directory(connection).add_activity_type(ACTIVITY_TYPE, master_type=ACTIVITY_TYPE)
    is_sent, moment = failed is None, now.replace(microsecond=0)
    content = ActivityContent(
        type_id=kind.type_id,
        status=ActivityStatus.COMPLETED if is_sent else ActivityStatus.CANCELLED,
        description=message.subject if is_sent else f"{message.subject} {FAILED}",
        # It takes no time: what does not start before it ends is never sent to Outlook.
        when=Timed(moment, moment),
        notes=notes_of(message.text if is_sent else f"Not sent: {failed}\n\n{message.text}"),
    )
    made = []
    for individual_id, _, _ in message.recipients:
        own = ActivityContent(
            type_id=content.type_id,
            status=content.status,
            description=content.description,
            when=content.when,
            notes=content.notes,
            individual_id=individual_id,
        )
        made.append(crm.create(message.user_id, own, origin=Origin.CRM, key=_key(message, individual_id)).activity_id)
    return made


def on_record(connection: Connection, message: Kept, now: datetime) -> list[str]:
    """The ids of a message's activities; none while it is under way."""
    keys = [_key(message, individual_id) for individual_id, _, _ in message.recipients]
    found = SqlCrm(connection, now).made_with(keys)
    return [found[key].activity_id for key in keys if key in found]


def _key(message: Kept, individual_id: str) -> str:
    return f"email:{message.key}:{individual_id}"
