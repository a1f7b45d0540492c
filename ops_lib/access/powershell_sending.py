"""What proves that the service account may send as a user, or on a user's behalf. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ops_lib.access.powershell_output import Output, Record
from ops_lib.access.powershell_reader import NO_OBJECT, Reader
from ops_lib.access.rights import Holds, Right


class SendingReader(Reader):
    """What proves that the service account may send as a user, or on a user's behalf."""

    def _recipient(self, output: Output) -> None:
        """``Get-RecipientPermission``: Exchange Online's Send As."""
        unnamed, mailboxes = [], set()
        all_of_service = True
        for record in output.records:
            who = None if record.is_cut("trustee") else self.names.is_service(record.get("trustee"))
            asked = output.parameters.get("trustee")
            if who is None and self._asked_for_service(output) and asked and not record.is_cut("trustee"):
                who = True
            user = self._mailbox_of(output, record, "identity")
            if user is None:
                unnamed.append(record.values.get("identity", "no name"))
                continue
            mailboxes.add(user)
            rights, kind = record.get("accessrights"), (record.get("accesscontroltype") or "Allow").lower()
            if who is False:
                all_of_service = False
                continue
            evidence = self._evidence(output, record)
            if who is None or rights is None:
                why = "the name or the right was cut in the copy, or the trustee may be a group"
                self._sends(user, Holds.UNKNOWN, "unclear", evidence, why)
            elif "sendas" in rights.lower().replace(" ", "").replace("-", ""):
                denied = kind in {"deny", "verweigern", "refuser", "denegar", "weigeren"}
                self._sends(user, Holds.NO if denied else Holds.YES, "SendAs denied" if denied else "SendAs", evidence)
        if unnamed:
            self._note(
                output,
                f"Send As for {', '.join(unnamed[:3])}: which mailbox that is cannot be told; add `Get-CASMailbox | ConvertTo-Json` to the files",
            )
        if output.error and any(mark in output.error for mark in NO_OBJECT):
            user = self._mailbox_of(output, None)
            if user:
                self._no_object(output, user)
            return
        self._not_listed(output, mailboxes, unnamed, all_of_service)

    def _not_listed(self, output: Output, mailboxes: set[str], unnamed: Sequence[str], all_of_service: bool) -> None:
        """What it means that a mailbox is not in a list of all that the service account may send as."""
        one = output.parameters.get("identity") or output.parameters.get("mailbox")
        if output.error:
            return
        if one:
            user = self.names.mailbox(one)
            if user and user not in self.send_as:
                self._sends(user, Holds.NO, "no SendAs for the service account", self._evidence(output))
            return
        is_whole_list = self._asked_for_service(output) or (all_of_service and len(mailboxes) > 1)
        for user in self.mailboxes:
            if user in mailboxes:
                if user not in self.send_as:
                    self._sends(user, Holds.NO, "SendAs only for others", self._evidence(output))
            elif is_whole_list and unnamed:
                why = "it is not in the list, but the list has names that could not be read or placed"
                self._sends(user, Holds.UNKNOWN, "not in the list", self._evidence(output), why)
            elif is_whole_list:
                why = "the list of what the service account may send as does not name this mailbox"
                self._sends(
                    user,
                    Holds.NO,
                    "not in the list",
                    f"{self._evidence(output).split(':')[0]}: {len(mailboxes)} mailboxes listed",
                    why,
                )

    def _sends(self, user: str, holds: Holds, observed: str, evidence: str, why: str = "") -> None:
        self.send_as.setdefault(user, []).append(self._seen(user, Right.SEND_AS, holds, observed, evidence, why))

    def _directory(self, output: Output) -> None:
        """``Get-ADPermission``: Send As on premises."""
        by_user: dict[str, list[Record]] = {}
        for record in output.records:
            user = self._mailbox_of(output, record, "identity")
            if user is None:
                self._note(
                    output,
                    f"{record.values.get('identity', 'a row without a name')}: which mailbox that is cannot be told; add `Get-CASMailbox` to the files",
                )
            else:
                by_user.setdefault(user, []).append(record)
        if not output.records:
            user = self._mailbox_of(output, None)
            if user and not output.error:
                by_user[user] = []
            elif user and any(mark in output.error for mark in NO_OBJECT):
                self._no_object(output, user)
        for user, records in by_user.items():
            self._directory_of(output, user, records)

    def _directory_of(self, output: Output, user: str, records: Sequence[Record]) -> None:
        held, unclear = [], []
        for record in records:
            rights = record.get("extendedrights")
            access = (record.get("accessrights") or "").lower()
            who = None if record.is_cut("user") else self.names.is_service(record.get("user"))
            is_send_as = rights is not None and "sendas" in rights.lower().replace(" ", "").replace("-", "")
            if who is False or (who is None and not is_send_as and rights is not None):
                continue
            if who is None or rights is None:
                unclear.append(record)
            elif is_send_as or "genericall" in access:
                held.append(record)
        denied = [record for record in held if (record.get("deny") or "").lower() == "true"]
        if denied:
            self._sends(
                user, Holds.NO, "Send-As denied", self._evidence(output, denied[0]), "a denial outweighs every grant"
            )
        elif held:
            by_all = "sendas" not in (held[0].get("extendedrights") or "").lower().replace("-", "").replace(" ", "")
            self._sends(
                user,
                Holds.EXCESS if by_all else Holds.YES,
                "GenericAll" if by_all else "Send-As",
                self._evidence(output, held[0]),
            )
        elif unclear:
            why = "an entry's name or right was cut in the copy, or it may be a group's that the service account belongs to"
            self._sends(user, Holds.UNKNOWN, "unclear", self._evidence(output, unclear[0]), why)
        else:
            self._sends(
                user,
                Holds.NO,
                "no Send-As for the service account",
                self._evidence(output, records[0] if records else None),
            )

    def _mailbox(self, output: Output) -> None:
        for record in output.records:
            user = self._mailbox_of(output, record, "primarysmtpaddress", "identity", "name")
            if user is None:
                continue
            evidence = self._evidence(output, record)
            self.proven.setdefault(user, evidence)
            behalf = record.get("grantsendonbehalfto")
            if behalf is None:
                continue
            who = [self.names.is_service(each.strip()) for each in behalf.strip("{}").split(",") if each.strip()]
            if True in who:
                self._see(user, Right.SEND_ON_BEHALF, Holds.YES, behalf, evidence)
            elif None in who:
                self._see(
                    user,
                    Right.SEND_ON_BEHALF,
                    Holds.UNKNOWN,
                    behalf,
                    evidence,
                    "one of the names may be the service account's",
                )
            else:
                self._see(user, Right.SEND_ON_BEHALF, Holds.NO, behalf or "nobody", evidence)
        if output.error and any(mark in output.error for mark in NO_OBJECT):
            user = self._mailbox_of(output, None)
            if user:
                self._no_object(output, user)
