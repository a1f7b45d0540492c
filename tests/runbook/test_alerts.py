"""Telling somebody how a run ended."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ops_lib.runbook.alerts import Alerts
from ops_lib.runbook.runs import RunRecord

ALL = ("findings", "blocked", "failed")


def _record(outcome: str = "findings", **more: Any) -> RunRecord:
    return RunRecord("probe-1", "probe", "2026-11-23T09:00:00Z", outcome, **more)


@pytest.fixture
def desk() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """A webhook on this machine: its address, what it was told, and the codes it answers with, the last one for ever."""
    told: list[dict[str, Any]] = []
    codes = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(codes[0])
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/s3cret-path", told, codes
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("outcome", "told"), [("ok", False), ("findings", False), ("blocked", True), ("failed", True)])
def test_somebody_is_told_of_the_outcomes_that_were_asked_for(
    desk: tuple[str, list[dict[str, Any]], list[int]], outcome: str, told: bool
) -> None:
    """The others are quiet."""
    said = Alerts("w", ("blocked", "failed"), webhook=desk[0]).tell(_record(outcome))
    assert said == ("sent" if told else "")
    assert bool(desk[1]) is told


def test_a_command_gets_the_document_and_its_text(tmp_path: Path) -> None:
    """One JSON document on stdin, its text in a variable; arguments as a shell would split them, and no shell."""
    script = tmp_path / "tell it.py"
    script.write_text(
        "import os, sys; open(sys.argv[1], 'w').write(os.environ['SYNCOPS_ALERT'] + '|' + sys.stdin.read())"
    )
    alerts = Alerts("maple", ALL, command=f"{sys.executable} '{script}' {tmp_path / 'said'}")
    assert alerts.tell(_record(figures={"calendars": 12, "failed": 1})) == "sent"
    text, _, document = (tmp_path / "said").read_text().partition("|")
    assert text == "syncops maple: probe ended as findings (calendars 12, failed 1). See syncops runs probe-1."
    assert json.loads(document) | {"text": ""} == {
        "text": "", "workspace": "maple", "run": "probe-1", "runbook": "probe", "outcome": "findings", "reason": "", "step": "",
        "began": "2026-11-23T09:00:00Z", "ended": "", "figures": {"calendars": 12, "failed": 1},
    }  # fmt: skip


@pytest.mark.req("R9")
def test_nothing_that_could_be_secret_is_told(desk: tuple[str, list[dict[str, Any]], list[int]]) -> None:
    """No parameter goes along, and of a fault that nobody foresaw only its name: its words may hold anything."""
    record = _record(
        "failed",
        message="cannot open postgresql://u:hunter2@db",
        error="OperationalError",
        step="2. Read",
        parameters={"user": "alice@example.test"},
    )
    Alerts("w", ALL, webhook=desk[0]).tell(record)
    said = json.dumps(desk[1])
    assert "hunter2" not in said
    assert "alice" not in said
    assert desk[1][0]["reason"] == "OperationalError at 2. Read, a fault of the runbook"


@pytest.mark.parametrize("code", [302, 404, 500])
def test_an_alert_that_was_not_taken_is_reported_and_no_more(
    desk: tuple[str, list[dict[str, Any]], list[int]], code: int
) -> None:
    """The answer's code and the host, not the address: its path is a secret, as a rule. A redirect is not followed."""
    desk[2][0] = code
    assert Alerts("w", ALL, webhook=desk[0]).tell(_record()) == f"not sent: 127.0.0.1 answered {code}"


def test_a_webhook_that_cannot_be_reached_is_reported() -> None:
    """Nobody listens there."""
    said = Alerts("w", ALL, webhook="http://127.0.0.1:9/s3cret").tell(_record())
    assert said == "not sent: 127.0.0.1 cannot be reached (ConnectionError)"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/nowhere/tell", "cannot be run"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "ended with code 3"),
        (f"{sys.executable} -c 'import time; time.sleep(60)'", "took longer than 0.3 s"),
    ],
)
def test_a_command_that_fails_is_reported_and_no_more(command: str, why: str) -> None:
    """Not there, failing, hanging: the run has ended all the same."""
    said = Alerts("w", ALL, command=command, timeout_seconds=0.3 if "sleep" in command else 30).tell(_record())
    assert said.startswith("not sent: ")
    assert why in said
