"""JupyterLab in a headless Chromium, as a person uses it: open a notebook, run cells, fill in forms, press buttons, read."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_lib.runbook import library

_IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@dataclass
class Lab:
    """A server on a folder of copied notebooks."""

    address: str
    token: str
    folder: Path

    def open(self, page: Any, stem: str) -> Notebook:
        """A notebook in the browser, its kernel ready."""
        page.goto(f"{self.address}/tree/{stem}.ipynb?reset&token={self.token}")
        page.wait_for_function(_IDLE, timeout=90_000)
        return Notebook(page)


@dataclass
class Notebook:
    """An open notebook."""

    page: Any

    def run_from(self, source: str = "") -> None:
        """Run the cell that begins with ``source`` and all below it; all, without."""
        if source:
            self.cell(source).locator(".cm-content").click()
        self.page.evaluate(
            "name => window.jupyterapp.commands.execute(name)",
            "notebook:run-all-below" if source else "notebook:run-all-cells",
        )
        self.page.wait_for_function(_IDLE, timeout=90_000)

    def cell(self, source: str) -> Any:
        """The code cell that begins with these words."""
        return self.page.locator(".jp-CodeCell").filter(has=self.page.locator(".cm-content", has_text=source))

    def output(self, source: str) -> str:
        """What a cell shows, as read."""
        return str(self.cell(source).locator(".jp-Cell-outputWrapper").inner_text())

    def fill(self, label: str, value: str) -> None:
        """Write into the field of that label, and leave it."""
        field = self.page.locator(f'.jupyter-widgets:has(> label:text-is("{label}")) input')
        field.fill(value)
        field.press("Tab")

    def pick(self, label: str, *values: str) -> None:
        """Choose in the list of that label."""
        self.page.locator(f'.jupyter-widgets:has(> label:text-is("{label}")) select').select_option(list(values))

    def press(self, words: str) -> None:
        """Press the button with these words, and wait until the kernel has done what it does."""
        self.page.locator("button.jupyter-button", has_text=words).click()
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(_IDLE, timeout=90_000)


@contextmanager
def lab(folder: Path, parameters: Mapping[str, Mapping[str, str]], environment: Mapping[str, str]) -> Iterator[Lab]:
    """JupyterLab as `syncops lab` starts it, on copies of these runbooks with other defaults; ``folder`` holds whatever it writes."""
    notebooks = folder / "notebooks"
    notebooks.mkdir(parents=True)
    for stem, changed in parameters.items():
        shutil.copy(library.notebook(stem), notebooks)
        _set(notebooks / f"{stem}.ipynb", changed)
    token = secrets.token_hex(8)
    own = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    }
    settings = Path(library.__file__).with_name("jupyter")
    shown = folder / "jupyter_config_dir" / "labconfig" / "default_setting_overrides.json"
    shown.parent.mkdir(parents=True)
    shown.write_text(
        '{"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}'
    )  # else what is out of sight is not there
    command = [
        sys.executable, "-m", "jupyterlab", f"--notebook-dir={notebooks}", "--no-browser", "--port=0", "--allow-root",
        f"--IdentityProvider.token={token}", "--expose-app-in-browser", "--KernelManager.transport_encryption=auto",
    ]  # fmt: skip
    said = folder / "lab.log"
    with said.open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **own, "JUPYTER_CONFIG_PATH": str(settings), **environment},
            stdout=log,
            stderr=log,
        )
    try:
        yield Lab(_address(process, said), token, notebooks)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    """Where it answers, as it says once it does."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        found = re.findall(r"http://127\.0\.0\.1:\d+/lab(?=\?token)", said.read_text(errors="replace"))
        if found:
            return str(found[-1])
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start: {said.read_text(errors='replace')[-2000:]}")


def _set(path: Path, changed: Mapping[str, str]) -> None:
    """Give a notebook's parameters other defaults, as a person edits the cell, and take its outputs out."""
    document = json.loads(path.read_text(encoding="utf-8"))
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        if "parameters" in cell["metadata"].get("tags", []):
            lines = "".join(cell["source"]).split("\n")
            for name, value in changed.items():
                (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{name}: ")]
                head, _, rest = lines[place].partition(" = ")
                lines[place] = f"{head} = {value!r}  #{rest.partition('  #')[2]}"
            cell["source"] = "\n".join(lines)
    path.write_text(json.dumps(document), encoding="utf-8")
