"""Forms for a person at a notebook. Without a person there is no widget: then a form is its parameters, as a table.

A form shows what a field's value lacks beside the field, writes nothing until its button is pressed, and the button says what it writes. A secret
is taken at the click and wiped from the widget: no notebook, no output and no widget state holds it.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops_lib.errors import OpsError
from ops_lib.runbook.tables import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

Value = str | bool | tuple[str, ...]


def is_by_hand() -> bool:
    """Whether a person is at the notebook: whoever runs it could be asked something. papermill, nbval and nbconvert cannot."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False)) or "VOILA_REQUEST_URL" in os.environ


@dataclass(frozen=True)
class Field:
    """One line of a form. ``choices``: what can be picked; ``several``: more than one of them. ``placeholder``: what to show
    for a secret that nobody has to type. ``check`` raises for what cannot be."""

    name: str
    label: str
    value: Value = ""
    choices: tuple[str, ...] = ()
    several: bool = False
    secret: bool = False
    help: str = ""
    placeholder: str = ""
    check: Callable[[str], object] | None = field(default=None, repr=False)

    def fault(self, value: Value) -> str:
        """What is wrong with a value, with the mend; empty for nothing."""
        if self.check is None or not isinstance(value, str) or not value:
            return ""
        try:
            self.check(value)
        except OpsError as error:
            return f"{error.message}: {error.fix}"
        return ""


class Form:
    """Fields, a button that names what it writes, and the place where its result is shown.

    ``act`` is given the values and returns what to look at. ``check`` judges the values together: it raises for what cannot be. ``shown`` puts a
    value into the words of the table.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        button: str,
        act: Callable[[dict[str, Value]], object],
        *,
        check: Callable[[dict[str, Value]], object] | None = None,
        shown: Callable[[str], str] = str,
    ) -> None:
        self.fields = tuple(fields)
        self.button = button
        self._act = act
        self._check = check
        self._words = shown
        self._widgets: dict[str, Any] = {}

    @property
    def values(self) -> dict[str, Value]:
        """What the form holds: what is in the widgets where they are shown, else the parameters."""
        return {each.name: self._value(each) for each in self.fields}

    def faults(self) -> dict[str, str]:
        """What is wrong, by the field's name; under "" what is wrong with all of them together."""
        values = self.values
        found = {each.name: each.fault(values[each.name]) for each in self.fields}
        found = {name: fault for name, fault in found.items() if fault}
        if not found and self._check is not None:
            try:
                self._check(values)
            except OpsError as error:
                found[""] = f"{error.message}{f': {error.fix}' if error.fix else ''}"
        return found

    def table(self) -> pd.DataFrame:
        """The fields, one row each: its label, its value, and what is wrong with it. A secret's value is never shown."""
        import pandas as pd

        faults = self.faults()
        rows = [(each.label, self._shown(each), faults.get(each.name, "")) for each in self.fields]
        if "" in faults:
            rows.append(("together", "", faults[""]))
        return numbered(pd.DataFrame(rows, columns=["field", "value", "to mend"], dtype="str"))

    def submit(self) -> object:
        """Do what the button does; secrets are wiped from the widgets whatever comes of it. **Raises** `OpsError`."""
        values = self.values
        try:
            return self._act(values)
        finally:
            for each in self.fields:
                if each.secret and each.name in self._widgets:
                    self._widgets[each.name].value = ""

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self._box() if is_by_hand() else self.table())  # type: ignore[no-untyped-call]

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _value(self, each: Field) -> Value:
        if each.name not in self._widgets:
            return each.value
        value: Value = self._widgets[each.name].value
        return value

    def _shown(self, each: Field) -> str:
        value = self._value(each)
        if each.secret:
            return "(entered)" if value else each.placeholder
        if isinstance(value, bool):
            return "yes" if value else "no"
        return ", ".join(value) if isinstance(value, tuple) else self._words(value)

    def _box(self) -> Any:
        import ipywidgets as w

        self._widgets = {each.name: _widget(each) for each in self.fields}
        marks = {each.name: w.HTML() for each in self.fields}
        together, result = w.HTML(), w.Output()
        button = w.Button(
            description=self.button, button_style="primary", layout=w.Layout(width="auto", align_self="flex-start")
        )

        def judge(_change: object = None) -> None:
            faults = self.faults()
            for name, mark in marks.items():
                mark.value = _fault_html(faults.get(name, ""))
            together.value = _fault_html(faults.get("", ""))

        def pressed(_button: object) -> None:
            result.clear_output(wait=True)
            button.disabled = True
            with result:
                show_briefly(self.submit)
            button.disabled = False

        for widget in self._widgets.values():
            widget.observe(judge, "value")
        button.on_click(pressed)
        judge()
        lines = [
            w.HBox([self._widgets[each.name], w.VBox([w.HTML(_help_html(each.help)), marks[each.name]])])
            for each in self.fields
        ]
        return w.VBox([*lines, together, button, result])


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[object], None]]:
    """A bar that moves on with each call, for a person; nothing without one."""
    if not is_by_hand():
        yield lambda _done: None
        return
    import ipywidgets as w
    from IPython.display import display

    bar = w.IntProgress(0, 0, max(total, 1), description=what, style={"description_width": "initial"})
    display(bar)  # type: ignore[no-untyped-call]

    def advance(_done: object) -> None:
        bar.value += 1

    yield advance
    bar.close()


def action(label: str, act: Callable[[], object]) -> Any:
    """A button by itself, that says what it does, and the place where its result is shown; for a person."""
    return Form([], label, lambda _values: act())


def _widget(each: Field) -> Any:
    import ipywidgets as w

    layout = w.Layout(width="38em", flex="0 0 auto")  # however long what is said beside it
    look = {"style": {"description_width": "11em"}, "layout": layout, "description": each.label}
    if each.secret:
        return w.Password(placeholder=each.placeholder, **look)
    if isinstance(each.value, bool):
        return w.Checkbox(value=each.value, indent=True, **look)
    if each.several:
        chosen = [one for one in each.value if one in each.choices]
        return w.SelectMultiple(options=each.choices, value=chosen, rows=min(12, max(3, len(each.choices))), **look)
    if each.choices:
        options = each.choices if each.value in each.choices else (str(each.value), *each.choices)
        return w.Dropdown(options=options, value=each.value, **look)
    return w.Text(value=str(each.value), continuous_update=False, **look)


def show_briefly(act: Callable[[], object]) -> None:
    """Show what came of it; of what a person can mend the message alone."""
    from IPython.display import display

    try:
        found = act()
    except OpsError as error:
        display(_Message(str(error)))  # type: ignore[no-untyped-call]
        return
    display(found)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class _Message:
    text: str

    def _repr_html_(self) -> str:
        return _fault_html(self.text)

    def __repr__(self) -> str:
        return self.text


def _fault_html(fault: str) -> str:
    return (
        f'<span class="syncops-fault" style="color:#b3261e;line-height:1.3;display:block">✗ {html.escape(fault)}</span>'
        if fault
        else ""
    )


def _help_html(text: str) -> str:
    return f'<span style="opacity:.7;line-height:1.3">{html.escape(text)}</span>' if text else ""
