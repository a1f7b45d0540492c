"""Telling somebody how a run ended: a command or a webhook of the workspace's settings.

What is told is short and goes to other systems: the runbook, its outcome and figures, and where to look. No parameter and no file goes along,
and of a fault of ours only its name: its words may hold anything.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ops_lib.runbook.runs import RunRecord
    from ops_lib.workspace import Settings

TIMEOUT_SECONDS = 30.0
TEXT_VARIABLE = "SYNCOPS_ALERT"
SENT = "sent"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Whom a workspace tells of which outcomes."""

    workspace: str
    on: tuple[str, ...] = ()
    command: str = ""
    webhook: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS

    @classmethod
    def of(cls, settings: Settings, workspace: str) -> Alerts:
        return cls(workspace, settings.alert_on, settings.alert_command, settings.alert_webhook)

    def tell(self, record: RunRecord) -> str:
        """Tell of a run, if its outcome is one to tell of. What became of it: empty, ``sent``, or why not. Never an error: the run itself has ended."""
        if record.outcome not in self.on or not (self.command or self.webhook):
            return ""
        document = self.document(record)
        faults = [
            *([self._by_command(document)] if self.command else []),
            *([self._by_webhook(document)] if self.webhook else []),
        ]
        return "; ".join(filter(None, faults)) or SENT

    def document(self, record: RunRecord) -> dict[str, Any]:
        """What is told, as plain JSON."""
        where = f" at {record.step}" if record.step else ""
        reason = f"{record.error}{where}, a fault of the runbook" if record.error else record.message
        figures = ", ".join(f"{name} {value}" for name, value in record.figures.items())
        said = "; ".join(filter(None, (reason, figures)))
        return {
            "text": f"syncops {self.workspace}: {record.runbook} ended as {record.outcome}{f' ({said})' if said else ''}."
            f" See syncops runs {record.run}.",
            "workspace": self.workspace,
            "run": record.run,
            "runbook": record.runbook,
            "outcome": record.outcome,
            "reason": reason,
            "step": record.step,
            "began": record.when,
            "ended": record.ended,
            "figures": record.figures,
        }

    def _by_command(self, document: dict[str, Any]) -> str:
        arguments = shlex.split(self.command)
        try:
            done = subprocess.run(
                arguments,
                input=json.dumps(document) + "\n",
                env={**os.environ, TEXT_VARIABLE: document["text"]},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=self.timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not sent: {arguments[0]} took longer than {self.timeout_seconds:g} s"
        except OSError as error:
            return f"not sent: {arguments[0]} cannot be run ({error.strerror})"
        return f"not sent: {arguments[0]} ended with code {done.returncode}" if done.returncode else ""

    def _by_webhook(self, document: dict[str, Any]) -> str:
        import requests

        host = urlsplit(self.webhook).hostname  # the rest of the address is a secret, as a rule
        try:
            answer = requests.post(self.webhook, json=document, timeout=self.timeout_seconds, allow_redirects=False)
        except requests.RequestException as error:
            return f"not sent: {host} cannot be reached ({type(error).__name__})"
        return "" if answer.ok and not answer.is_redirect else f"not sent: {host} answered {answer.status_code}"
