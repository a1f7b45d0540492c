"""What is shared by the readers of cmdlet output: what they find, and whose it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ops_lib.access.powershell_names import Names
from ops_lib.access.powershell_output import Output, Record
from ops_lib.access.rights import Holds, Observation, Right
from ops_lib.model import Host

APPLICATION_ROLE = "Application EWS.AccessAsApp"
NO_OBJECT = ("ManagementObjectNotFoundException", "couldn't be found", "could not be found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One assignment of a role that acts for others. ``is_whole_organisation`` None: the output does not show its scope."""

    name: str
    role: str
    assignee: str
    scope: str
    is_whole_organisation: bool | None
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """The organisation's own settings of EWS. ``ews_enabled`` "" : not set. ``allowed_app_ids`` None: not shown (it takes a switch to see it)."""

    ews_enabled: str
    allowed_app_ids: tuple[str, ...] | None
    evidence: str


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that the outputs prove. ``notes`` says what was in them that could not be used, and how to give it better."""

    observations: list[Observation] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    organisation: Organisation | None = None
    direct_grants: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Reader:
    """Collects what outputs prove of a host's mailboxes; the subjects' own readers build on it."""

    def __init__(self, host: Host, mailboxes: tuple[str, ...], names: Names) -> None:
        self.host, self.mailboxes, self.names = host, mailboxes, names
        self.found = Evidence()
        self.ews: dict[str, tuple[str, str]] = {}
        self.acting: dict[str, list[Observation]] = {}
        self.acting_asked: dict[str, list[Observation]] = {}
        self.send_as: dict[str, list[Observation]] = {}
        self.proven: dict[str, str] = {}

    def _see(self, user: str, right: Right, holds: Holds, observed: str, evidence: str, why: str = "") -> None:
        self.found.observations.append(self._seen(user, right, holds, observed, evidence, why))

    @staticmethod
    def _seen(user: str, right: Right, holds: Holds, observed: str, evidence: str, why: str = "") -> Observation:
        return Observation(
            user=user, right=right, holds=holds, observed=observed, evidence=evidence, source="powershell", why=why
        )

    def _note(self, output: Output, text: str) -> None:
        said = f"{output.source}: {text}"
        if said not in self.found.notes:
            self.found.notes.append(said)

    @staticmethod
    def _evidence(output: Output, record: Record | None = None) -> str:
        asked = " ".join(
            f"-{key} {value}"
            for key, value in output.parameters.items()
            if key in {"identity", "user", "trustee", "mailbox"}
        )
        called = f"{output.cmdlet} {asked}".strip()
        if record is None:
            return f"{called}: {output.error or 'nothing returned'}"
        return f"{called}: {record.text}"

    def _mailbox_of(self, output: Output, record: Record | None, *columns: str) -> str | None:
        """Whose mailbox this speaks of: the collecting script's column, the record's own, the command line's."""
        if record is not None:
            if record.is_cut("mailbox", *columns):
                return None
            for column in ("mailbox", *columns):
                found = self.names.mailbox(record.get(column))
                if found:
                    return found
        for parameter in ("mailbox", "resource", "writablerecipient", "identity"):
            value = output.parameters.get(parameter)
            if value:
                return self.names.mailbox(value.split(":\\")[0])
        # Such an output often names no mailbox at all; who saved it under the mailbox's address has said it.
        named = [each for each in self.mailboxes if each in output.source.lower()]
        return named[0] if len(named) == 1 else None

    def _asked_for_service(self, output: Output) -> bool:
        return any(
            self.names.is_service(output.parameters.get(key)) is True for key in ("user", "trustee", "roleassignee")
        )

    def _asked_for_another(self, output: Output) -> str | None:
        """Whom the command was asked for, where that is not the service account: then it shows nothing of what this one may do.

        A name that nobody knows counts as another's where nothing came back: there is no record that could tell. Of copied text the next
        line's first word may hang on a name.
        """
        asked = [value for key in ("user", "trustee", "roleassignee") if (value := output.parameters.get(key))]
        known = {self.names.is_service(value) for value in asked}
        if not asked or True in known or (None in known and output.records):
            return None
        if any(self.names.begins_with_service(value) for value in asked):
            return None
        return asked[0]

    def _no_object(self, output: Output, user: str) -> None:
        self._see(user, Right.MAILBOX, Holds.NO, "no such object", self._evidence(output))
