"""What folder permissions prove. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ops_lib.access import folder_levels
from ops_lib.access.powershell_output import Output, Record
from ops_lib.access.powershell_reader import NO_OBJECT, Reader
from ops_lib.access.rights import Holds, Right

NO_ENTRY = ("UserNotFoundInPermissionEntryException", "no existing permission entry")
"""How the cmdlet says that there is no entry for the user that it was asked for."""


class FolderReader(Reader):
    """What folder permissions prove."""

    def _folder(self, output: Output) -> None:
        grouped: dict[tuple[str | None, str | None], list[Record]] = {}
        asked = output.parameters.get("identity", output.parameters.get("folder", ""))
        for record in output.records:
            folder = next(
                (
                    f
                    for f in map(
                        folder_levels.folder_type,
                        (record.get("foldertype") or "", record.get("foldername") or "", asked),
                    )
                    if f
                ),
                None,
            )
            grouped.setdefault((self._whose(output, record), folder), []).append(record)
        if not output.records:
            grouped[(self._mailbox_of(output, None), folder_levels.folder_type(asked))] = []
        for (user, folder), records in grouped.items():
            if user is None or folder is None:
                self._note(
                    output,
                    "folder permissions that do not say "
                    + ("whose they are" if user is None else f"of which default folder ({asked or 'no name'})")
                    + "; copy the command with them, or use the collecting script",
                )
                continue
            self._folder_of(output, user, folder, records)

    def _whose(self, output: Output, record: Record) -> str | None:
        """The cmdlet's own Identity is the entry's user; a report that somebody made may have the folder's path there."""
        mailbox, path, _ = (record.get("identity") or "").partition(":\\")
        return self.names.mailbox(mailbox) if path else self._mailbox_of(output, record)

    def _folder_of(self, output: Output, user: str, folder: str, records: Sequence[Record]) -> None:
        read, write = (
            (Right.CALENDAR_READ, Right.CALENDAR_WRITE)
            if folder == "calendar"
            else (Right.TASKS_READ, Right.TASKS_WRITE)
        )
        rights = (read, write, *((Right.PRIVATE_ITEMS,) if folder == "calendar" else ()))
        if not records and output.error:
            is_no_entry = any(mark in output.error for mark in NO_ENTRY)
            if any(mark in output.error for mark in NO_OBJECT) and NO_ENTRY[0] not in output.error:
                self._no_object(output, user)
                return
            if not is_no_entry:
                for right in rights:
                    self._see(
                        user,
                        right,
                        Holds.UNKNOWN,
                        "an error",
                        self._evidence(output),
                        "the cmdlet failed; its words are the evidence",
                    )
                return
        self.proven.setdefault(user, self._evidence(output, records[0] if records else None))
        own, everybody, unclear = None, None, []
        for record in records:
            who = record.get("user")
            if who is not None and folder_levels.is_everybody(who):
                everybody = record
            elif who is not None and folder_levels.is_anonymous(who):
                continue
            else:
                is_service = None if who is None else self.names.is_service(who)
                # Asked for one user, the one entry that comes back is that user's, whatever it is called.
                if (
                    is_service is None
                    and self._asked_for_service(output)
                    and len(records) == 1
                    and not record.is_cut("user")
                ):
                    is_service = True
                if is_service:
                    own = record
                elif is_service is None:
                    unclear.append(who or "a name that was cut")
        if own is None and unclear:
            why = f"there are entries for {', '.join(sorted(unclear)[:3])}, and one may be the service account's or its group's; ask with -User"
            for right in rights:
                self._see(user, right, Holds.UNKNOWN, "unclear whose entry", self._evidence(output, records[0]), why)
            return
        entry = own or everybody
        if entry is None:
            if records or output.error or self._asked_for_service(output):
                for right in rights:
                    self._see(
                        user, right, Holds.NO, "no entry", self._evidence(output, records[0] if records else None)
                    )
            return
        self._entry(output, user, (read, write), entry, is_own=own is not None)

    def _entry(self, output: Output, user: str, rights: tuple[Right, Right], entry: Record, is_own: bool) -> None:
        said, evidence = entry.get("accessrights"), self._evidence(output, entry)
        reach = folder_levels.reach_of(said) if said else None
        whose = "" if is_own else "by the entry for everybody: "
        if reach is None:
            why = (
                "the value was cut in the copy"
                if entry.is_cut("accessrights")
                else "this level's name is not known here"
            )
            for right in rights:
                self._see(user, right, Holds.UNKNOWN, said or "cut", evidence, f"{why}; give it as `| ConvertTo-Json`")
        else:
            level = f"{whose}{reach.level}"
            more = Holds.EXCESS if reach.is_more else Holds.YES
            why = (
                f"{reach.level} also lets it change the folder itself; Editor is enough"
                if reach.is_more and reach.may_write
                else ""
            )
            self._see(user, rights[0], Holds.YES if reach.may_read else Holds.NO, level, evidence)
            self._see(user, rights[1], more if reach.may_write else Holds.NO, level, evidence, why)
            if is_own and reach.level != "None":
                self.found.direct_grants.setdefault(user, f"{reach.level} of a folder ({evidence})")
        if rights[0] is Right.CALENDAR_READ:
            flags = entry.get("sharingpermissionflags")
            if flags is None:
                self._see(
                    user,
                    Right.PRIVATE_ITEMS,
                    Holds.UNKNOWN,
                    "not shown",
                    evidence,
                    "this output has no column SharingPermissionFlags",
                )
            else:
                sees = "canviewprivateitems" in flags.lower()
                self._see(user, Right.PRIVATE_ITEMS, Holds.YES if sees else Holds.NO, flags or "none", evidence)
