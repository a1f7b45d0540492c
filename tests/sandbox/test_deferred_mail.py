"""Messages that are to be sent later."""

from __future__ import annotations

from datetime import timedelta

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, outlook_account


def test_a_deferred_message_goes_at_its_time_unless_it_was_removed(sandbox: Sandbox) -> None:
    """The sandbox keeps a message with PidTagDeferredSendTime in Drafts, sends it when it is due, and does not send one that was removed."""
    from exchangelib import EWSDateTime, ExtendedProperty, Message

    class Deferred(ExtendedProperty):
        property_tag, property_type = 0x3FEF, "SystemTime"

    Message.register("deferred_until", Deferred)
    try:
        alice = outlook_account(sandbox, ALICE)
        for subject in ("goes", "is removed"):
            due = EWSDateTime.from_datetime(sandbox.organisation.now() + timedelta(hours=1))
            Message(account=alice, subject=subject, to_recipients=[BOB], deferred_until=due).send(save_copy=False)
        drafts = sandbox.organisation.mailbox(ALICE).folder("drafts")
        assert len(drafts.items) == 2
        (removed,) = [each for each in drafts.items.values() if each.values["item:Subject"] == "is removed"]
        sandbox.organisation.delete_item(removed, "HardDelete")
        assert sandbox.organisation.sent == []
        sandbox.clock.advance(3601)
        alice.inbox.refresh()
        assert [each.subject for each in sandbox.organisation.sent] == ["goes"]
        assert [each.recipients for each in sandbox.organisation.sent] == [(BOB,)]
    finally:
        Message.deregister("deferred_until")
