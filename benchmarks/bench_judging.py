"""What judging costs: 100,000 recorded facts of accounts with every kind of fault, read from their JSON and judged.

Run: ``python benchmarks/bench_judging.py [HOW MANY]``. The facts are planted once each in the sandbox and then repeated; every one is read and judged anew.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import stamina

from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis.checks import judge, leading
from ops_lib.diagnosis.seen import Facts
from ops_lib.sandbox.server import Sandbox
from tests.support.planted import PLANTED, Scene
from tests.support.sandbox import forget_tokens

FACTS = 100_000


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else FACTS
    texts = recorded()
    facts = [Facts.from_json(text) for text in texts]
    size = sum(map(len, texts)) / len(texts) / 1024
    print(f"{len(texts)} recorded facts, {size:.1f} KB each, {len(facts[0].probes)} probes")
    print(f"{'':<28}{'seconds CPU':>12}{'µs each':>9}{'peak MB':>9}")
    measure("judged", many, lambda place: leading(judge(facts[place])), len(facts))
    measure("read from JSON and judged", many, lambda place: leading(judge(Facts.from_json(texts[place]))), len(facts))
    found = Counter((first.sub_cause if (first := leading(judge(each))) is not None else "well") for each in facts)
    print(
        f"{len(found)} different findings lead; the process' peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


def recorded() -> list[str]:
    """The facts of everything that can be planted, as files hold them."""
    os.environ[KEY_VARIABLE] = Key.new().text()
    found = []
    with Sandbox() as sandbox, stamina.set_testing(True, attempts=2):
        offers = sandbox.gate.offers
        for planted in PLANTED:
            sandbox.reset()
            sandbox.gate.offers = offers
            forget_tokens()
            with tempfile.TemporaryDirectory() as folder, Scene(sandbox, Path(folder), planted) as scene:
                scene.play()
                found.append(scene.facts().to_json())
    return found


def measure(name: str, many: int, one: object, of: int) -> None:
    """Seconds of CPU for all, and the peak of memory over a hundredth of them, measured by itself: tracing slows everything down."""
    assert callable(one)
    gc.collect()
    tracemalloc.start()
    for number in range(max(1, many // 100)):
        one(number % of)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    began = time.process_time()
    for number in range(many):
        one(number % of)
    seconds = time.process_time() - began
    print(f"{name:<28}{seconds:>12.1f}{seconds / many * 1e6:>9.0f}{peak / 1024 / 1024:>9.1f}")


if __name__ == "__main__":
    main()
