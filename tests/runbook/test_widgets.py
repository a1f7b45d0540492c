"""Forms: what is wrong is said beside the field, nothing is written before the button, and no secret stays in a widget."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops_lib.access import checks
from ops_lib.errors import InputError
from ops_lib.runbook import widgets
from ops_lib.runbook.widgets import Field, Form, Value

SECRET = "correct horse battery staple"


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A person is at the notebook; what is shown to them."""
    shown: list[Any] = []
    monkeypatch.setattr(widgets, "is_by_hand", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    return shown


def _form(acts: list[dict[str, Value]], **more: Any) -> Form:
    def act(values: dict[str, Value]) -> str:
        acts.append(values)
        return "saved"

    fields = [
        Field("url", "EWS URL", "https://mail.example/EWS/Exchange.asmx", check=checks.ews_url),
        Field("auth", "signs in by", "basic", choices=("basic", "ntlm")),
        Field("secret", "password", secret=True),
        Field("tasks", "all-day tasks", True),
        Field("users", "users", ("a", "gone"), choices=("a", "b"), several=True),
    ]
    return Form(fields, "Write: save it", act, **more)


def _all(widget: Any) -> list[Any]:
    return [widget, *(each for child in getattr(widget, "children", ()) for each in _all(child))]


def _find(box: Any, kind: str) -> list[Any]:
    return [each for each in _all(box) if type(each).__name__ == kind]


def test_without_a_person_a_form_is_its_parameters_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """No widget, nothing done: a row for each field, with what is to mend."""
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    acts: list[dict[str, Value]] = []
    form = _form(acts)
    form._ipython_display_()
    (table,) = shown
    assert table["value"].tolist() == ["https://mail.example/EWS/Exchange.asmx", "basic", "", "yes", "a, gone"]
    assert set(table["to mend"]) == {""}
    assert acts == []


def test_what_is_wrong_is_said_beside_its_field_as_soon_as_it_is_entered(by_hand: list[Any]) -> None:
    """With the mend; gone when it is right; markup in what was typed is text."""
    form = _form([])
    form._ipython_display_()
    (text,) = _find(by_hand[0], "Text")
    text.value = "http://mail.example/<b>EWS</b>/Exchange.asmx"
    marks = [each.value for each in _find(by_hand[0], "HTML") if "✗" in each.value]
    assert len(marks) == 1
    assert "is not encrypted" in marks[0]
    assert "use https" in marks[0]
    assert "<b>" not in marks[0]
    text.value = "https://mail.example/EWS/Exchange.asmx"
    assert not [each for each in _find(by_hand[0], "HTML") if "✗" in each.value]


def test_values_are_judged_together_when_each_is_right(by_hand: list[Any]) -> None:
    """What belongs to no single field is said below them."""

    def refuse(values: dict[str, Value]) -> None:
        raise InputError(f"{values['auth']} needs a password", fix="enter it.")

    form = _form([], check=refuse)
    form._ipython_display_()
    assert next(each.value for each in _find(by_hand[0], "HTML") if "✗" in each.value).endswith(
        "✗ basic needs a password: enter it.</span>"
    )
    assert form.table().iloc[-1].tolist() == ["together", "", "basic needs a password: enter it."]


def test_nothing_is_done_before_the_button_and_then_with_what_is_shown(by_hand: list[Any]) -> None:
    """The button says what it does; picked users that are not there any more are left out."""
    acts: list[dict[str, Value]] = []
    form = _form(acts)
    form._ipython_display_()
    _find(by_hand[0], "Dropdown")[0].value = "ntlm"
    _find(by_hand[0], "SelectMultiple")[0].value = ("b",)
    assert acts == []
    (button,) = _find(by_hand[0], "Button")
    assert button.description == "Write: save it"
    button.click()
    assert acts == [
        {"url": "https://mail.example/EWS/Exchange.asmx", "auth": "ntlm", "secret": "", "tasks": True, "users": ("b",)}
    ]
    assert by_hand[-1] == "saved"


@pytest.mark.req("R9")
@pytest.mark.parametrize("fails", [False, True])
def test_a_secret_is_taken_at_the_click_and_wiped(by_hand: list[Any], fails: bool) -> None:
    """Also when saving was refused: neither the widgets' state nor a table holds it."""
    import ipywidgets

    taken: list[str] = []

    def act(values: dict[str, Value]) -> str:
        taken.append(str(values["secret"]))
        if fails:
            raise InputError("no such host", fix="name another.")
        return "saved"

    form = Form([Field("secret", "password", secret=True)], "Write: save it", act)
    form._ipython_display_()
    (password,) = _find(by_hand[0], "Password")
    password.value = SECRET
    assert form.table()["value"].tolist() == ["(entered)"]
    _find(by_hand[0], "Button")[0].click()
    assert taken == [SECRET]
    state = ipywidgets.Widget.get_manager_state()
    assert SECRET not in json.dumps([state, [repr(each.get_state()) for each in _all(by_hand[0])]])
    assert SECRET not in form.table().to_string() + repr(form)
    assert (str(by_hand[-1]) == "no such host. To mend it: name another.") is fails
