"""The report's customer: a sandbox, a workspace on it, and a week that was synced once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.reports.customer import Customer, usual_week

if TYPE_CHECKING:
    from ops_lib.sandbox.server import Sandbox


@pytest.fixture
def customer(tmp_path: Path, sandbox: Sandbox, prepared_sqlite: Path) -> Iterator[Customer]:
    """Alice's usual week, synced once, at a fixed moment."""
    shutil.copy(prepared_sqlite, tmp_path / "customer.db")
    made = usual_week(tmp_path, sandbox, f"sqlite:///{tmp_path / 'customer.db'}")
    yield made
    made.workspace.close()
