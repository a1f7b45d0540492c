"""Y1 and Y2 as a machine: random edits on both sides, every kind of failure, workers that die; after two quiet cycles both sides are equal.

``SYNCOPS_STEPS=50000`` runs it long, with other examples each time, or with those of ``SYNCOPS_SEED``; ``-s`` shows the seed and how many steps
were played in how many seconds. Two runs with different seeds play different examples.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings

from ops_lib.database.engine import Database
from tests.sync.machine import TwoSides, fresh
from tests.sync.office import Office

STEPS_PER_EXAMPLE = 40
STEPS = {"sqlite": 1_400, "postgresql": 400}


@pytest.mark.slow
@pytest.mark.req("Y1", "Y2", "Y8", "O5")
def test_any_interleaving_ends_in_agreement(database: Database) -> None:
    """After any edits on both sides, anything gone wrong and workers killed at any step, two quiet cycles leave both sides equal, nothing is
    lost or twice, and a third does nothing."""

    class Machine(TwoSides):
        def make_office(self, **chosen: Any) -> Office:
            fresh(database)
            return Office(database, **chosen)

    asked = int(os.environ.get("SYNCOPS_STEPS", "0"))
    chosen_seed = int(os.environ.get("SYNCOPS_SEED", str(random.SystemRandom().randrange(10**6))))
    steps = asked or STEPS["sqlite" if database.is_sqlite else "postgresql"]
    began = time.monotonic()
    for part in itertools.count():
        if Machine.steps >= steps:
            break
        if asked:
            seed(chosen_seed * 1_000 + part)(Machine)
        Machine.TestCase.settings = settings(
            # An example may end before its last step.
            max_examples=-(-(steps - Machine.steps) // STEPS_PER_EXAMPLE),
            stateful_step_count=STEPS_PER_EXAMPLE,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not asked,
            database=None,
            print_blob=False,
            phases=(Phase.generate,),  # shrinking takes minutes; the steps that are printed are enough to go by
        )
        try:
            Machine.TestCase().runTest()
        finally:
            print(
                f"seed {chosen_seed if asked else 'fixed'}: {Machine.steps} steps in {time.monotonic() - began:.0f} s"
            )
