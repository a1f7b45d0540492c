"""The table planted × found, as Markdown: ``python -m tests.support.confusion``. Only its diagonal should be filled."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import stamina

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis.checks import judge, leading, standing_of
from ops_lib.sandbox.server import Sandbox
from tests.support.planted import PLANTED, Scene
from tests.support.sandbox import forget_tokens


def main() -> None:
    """Plant everything, one after the other, and print what was found."""
    os.environ[KEY_VARIABLE] = Key.new().text()
    found: Counter[tuple[str, str]] = Counter()
    print("| planted | sub-cause planted | status found | begins with | sub-cause found | same |")
    print("|---|---|---|---|---|---|")
    with Sandbox() as sandbox, stamina.set_testing(True, attempts=2):
        offers = sandbox.gate.offers
        for planted in PLANTED:
            sandbox.reset()
            sandbox.gate.offers = offers
            forget_tokens()
            with tempfile.TemporaryDirectory() as folder, Scene(sandbox, Path(folder), planted) as scene:
                scene.play()
                facts = scene.facts()
                first, stands, status = leading(judge(facts)), standing_of(facts), scene.status()["status"]
            sub_cause, check = (
                (first.sub_cause, first.check) if first is not None else (stands.sub_cause if stands else "", "")
            )
            same = (status, sub_cause, check) == (planted.status, planted.sub_cause, planted.leads)
            found[planted.sub_cause or "well", sub_cause or "well"] += 1
            cells = (
                planted.name,
                planted.sub_cause,
                status,
                check,
                sub_cause,
                "yes" if same else f"NO: {planted.status}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
    off = {pair: count for pair, count in found.items() if pair[0] != pair[1]}
    print(
        f"\n{sum(found.values())} planted, {len({pair[0] for pair in found})} causes; off the diagonal: {off or 'none'}"
    )


if __name__ == "__main__":
    main()
