"""One message's way out: its draft, its submission, and what became of it where no answer says so.

Every step is written down before it is taken. A server takes a submitted draft away, so a draft that is still there was not sent, one that is gone was,
and one that could be removed never will be: a late request for it finds nothing. Once a draft was submitted, it is all that is ever submitted for
the message, also where the server answers that it did nothing (busy, refused): something between may answer so for a server that did it. Another
draft is made only for a message of which nothing was submitted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from ops_lib.database.engine import Database
from ops_lib.errors import AnswerLost, ItemConflict, ItemGone, ItemRefused, LeaseHeld, OpsError
from ops_lib.mail.outgoing import Kept, Outgoing
from ops_lib.mailbox.outgoing import Draft, Message, Post
from ops_lib.model import Account, Host

SUBMISSIONS = 3
"""So often a draft is submitted in one go."""

Fate = Draft | Literal["out", "unclear"]


@dataclass(frozen=True, slots=True)
class Way:
    """An account with its host. ``service``: the service account's mailbox. ``takes_drafts``: its server takes submitted drafts away, for certain."""

    account: Account
    host: Host
    service: str
    takes_drafts: bool


class Delivery:
    """One go at one message that is claimed by ``worker``.

    ``submitted``: the draft that was submitted, or may have been. ``in_doubt``: and no answer said whether it was taken. ``was_put_off``: the server
    said in an earlier go that it was not. ``operation``: what was asked last.
    """

    def __init__(self, database: Database, kept: Kept, way: Way, worker: str, open_post: Callable[[], Post]) -> None:
        self._database, self._kept, self.way, self._worker = database, kept, way, worker
        self._open_post = open_post
        self._opened: Post | None = None
        self.submitted = kept.draft
        self.in_doubt = kept.state == "sending"
        self.was_put_off = kept.draft is not None and not self.in_doubt
        self.operation = ""

    @property
    def requests(self) -> int:
        return self._opened.requests if self._opened is not None else 0

    @property
    def must_look(self) -> bool:
        """Whether the message cannot be settled before it was seen what became of its draft."""
        return self.in_doubt or self.was_put_off

    @property
    def _post(self) -> Post:
        if self._opened is None:
            self._opened = self._open_post()
        return self._opened

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def bring_out(self, *, is_new: bool) -> bool:
        """Submit the message's draft until the server has answered, or it was seen what became of it. False: only a person can tell.

        **Raises** `MailboxError`: it is not out, or (`in_doubt`) may be. `LeaseHeld`: another process is at it.
        """
        draft: Draft | None = None
        if self.must_look:
            fate = self._fate()
            if not isinstance(fate, Draft):
                return fate == "out"
            draft = fate
        elif not is_new and self.remove_drafts():
            return True
        for number in range(1, SUBMISSIONS + 1):
            draft = draft or self._draft()
            self._begin(draft)
            try:
                self._post.submit(draft)
            except (ItemConflict, ItemGone, AnswerLost) as error:
                self.in_doubt = self.in_doubt or isinstance(error, AnswerLost)
                fate = self._fate()
                if not isinstance(fate, Draft):
                    return fate == "out"
                draft = fate
                if number == SUBMISSIONS:
                    raise
            else:
                self.in_doubt = self.was_put_off = False
                self._after(draft)
                return True
        raise AssertionError("the last submission returns or raises")

    def withdraw(self) -> Literal["unsent", "out", "unclear"]:
        """Make sure that a message in doubt is never sent any more, or see that it was. **Raises** `MailboxError` where neither can be."""
        fate = self._fate()
        if not isinstance(fate, Draft):
            return "unclear" if fate == "unclear" else "out"
        self.operation = "DeleteItem"
        was_there = self._post.remove([fate])[0]
        self.in_doubt = self.was_put_off = False
        return "unsent" if was_there else "out"

    def remove_drafts(self) -> bool:
        """Remove the message's drafts that nobody submitted; the one that was, or may have been, is the server's. True: it is out after all."""
        self.operation = "FindItem"
        found = self._post.find(self._kept.key)
        if found.is_out:
            return True
        submitted = self.submitted.item_id if self.submitted is not None and self.in_doubt else ""
        self._post.remove([each for each in found.drafts if each.item_id != submitted])
        return False

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _begin(self, draft: Draft) -> None:
        """Write down that from here on this draft may be out."""
        with self._database.begin() as connection:
            outgoing = Outgoing(connection)
            if not outgoing.is_ours(self._kept.message_id, self._worker):
                raise LeaseHeld(
                    "another process took this message over",
                    subject=f"message {self._kept.message_id}",
                    fix="syncops send --list shows what becomes of it.",
                )
            outgoing.begin_sending(self._kept.message_id, draft)
        self.submitted, self.operation = draft, "SendItem"

    def _fate(self) -> Fate:
        """What became of the draft that was submitted last: it lies there still, it is out, or only a person can tell.

        Raises:
            ItemRefused: somebody threw it away before it was sent.
        """
        self.operation = "FindItem"
        found = self._post.find(self._kept.key)
        if found.is_out:
            return "out"
        wanted = self.submitted.item_id if self.submitted is not None else ""
        same = next((each for each in found.drafts if each.item_id == wanted), None)
        if same is not None:
            return same if self.way.takes_drafts or not self.in_doubt else "unclear"
        if found.drafts:  # another with this key: made late, or the same under another id since the mailbox was moved
            return "unclear"
        if found.thrown_away:
            self.in_doubt = self.was_put_off = False
            raise ItemRefused(
                "its draft was thrown away in Outlook before it could be sent",
                subject=self.way.account.mailbox,
                fix="send it again.",
            )
        # A draft only goes when it is submitted; where the server said that it was not, its word stands against that.
        return "out" if self.in_doubt else "unclear"

    def _draft(self) -> Draft:
        with self._database.read() as connection:
            files = Outgoing(connection).files(self._kept.message_id)
        people: dict[str, str] = {}
        for _, name, address in self._kept.recipients:  # two individuals may share an address
            people.setdefault(address, name)
        message = Message(
            key=self._kept.key,
            sender=self.way.account.mailbox,
            recipients=tuple((name, address) for address, name in people.items()),
            subject=self._kept.subject,
            text=self._kept.text,
            html=self._kept.html,
            files=files,
        )
        self.operation = "CreateItem"
        try:
            return self._post.draft(message)
        except AnswerLost:
            # It may have been made, or may yet be: what is there is removed, and it is made anew.
            self.remove_drafts()
            self.operation = "CreateItem"
            return self._post.draft(message)

    def _after(self, draft: Draft) -> None:
        """The message is out. Look once: remove drafts that a lost answer or a proxy made twice, and see whether the server takes a submitted one away."""
        with suppress(OpsError):
            left = self._post.find(self._kept.key).drafts
            self._post.remove([each for each in left if each.item_id != draft.item_id])
            stays = any(each.item_id == draft.item_id for each in left)
            if not stays and not self.way.takes_drafts:
                with self._database.begin() as connection:
                    Outgoing(connection).note_takes_drafts(self.way.host.host_id)
