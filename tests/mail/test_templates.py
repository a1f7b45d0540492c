"""Templates: fields filled in and escaped; what is missing, misspelt or dangerous is refused with its line."""

from __future__ import annotations

import pytest

from ops_lib.errors import InputError
from ops_lib.mail.templates import FIELDS, LONGEST_TEMPLATE, check, fill
from ops_lib.model import Community, Individual, Template, User

RUTH = Individual(individual_id="1", name="Ruth <b>Example", email="ruth@example.test", kind="prospect")
NEMO = Individual(individual_id="2", name="Nemo", email="")
ALICE = User(user_id="1", email="alice@example.test", name="Alice Archer", time_zone="UTC")
ELM = Community(community_id="1", name="Elm & Court", time_zone="UTC")


def template(body: str, *, subject: str = "Hello", is_html: bool = False) -> Template:
    return Template(template_id="1", name="T", subject=subject, body=body, is_html=is_html)


@pytest.mark.req("E5")
def test_every_field_is_filled_in() -> None:
    """Each field that a template may name stands there, in subject and body."""
    said = {
        "individual": ("Ruth <b>Example", "Ruth", "ruth@example.test", "prospect"),
        "user": ("Alice Archer", "Alice", "alice@example.test"),
        "community": ("Elm & Court",),
    }
    for owner, fields in FIELDS.items():
        for field, value in zip(fields, said[owner], strict=True):
            source = f"({{{{ {owner}.{field} }}}})"
            check(template(source, subject=source))
            filled = fill(template(source, subject=source), RUTH, ALICE, ELM)
            assert (filled.subject, filled.body) == (f"({value})", f"({value})")


@pytest.mark.req("E5")
def test_fields_are_escaped_where_the_body_is_formatted() -> None:
    """Markup in a field is text in a formatted body, however the template joins it; subject and plain bodies take it as it is."""
    for source in (
        "<p>{{ individual.name }}</p>",
        "<p>{{ individual.name ~ '' }}</p>",
        "<p>{% set n = individual.name %}{{ n | trim }}</p>",
    ):
        filled = fill(template(source, subject="{{ individual.name }}", is_html=True), RUTH, ALICE, ELM)
        assert (filled.subject, filled.body) == ("Ruth <b>Example", "<p>Ruth &lt;b&gt;Example</p>")
    with pytest.raises(InputError, match="No filter named 'safe'"):
        check(template("{{ individual.name | safe }}", is_html=True))


@pytest.mark.req("E5")
@pytest.mark.parametrize(
    ("body", "where", "reason"),
    [
        ("\n\n{{ individual.email }}", "body, line 3", "the field individual.email is empty for Nemo"),
        ("{{ community.name }}", "body, line 1", "there is no community to name"),
        ("\n{% set x = individual %}{{ x.nme }}", "body, line 2", "there is no field individual.nme"),
        ("{{ individual }}", "body, line 1", "individual alone says nothing"),
        ("{{ 1 / 0 }}", "body, line 1", "division by zero"),
        ("\n{{ 'a' * 10000000000 }}", "body, line 2", "may not use *"),
        ("{{ '%10000000000d' % 1 }}", "body, line 1", "may not use %"),
        ("{{ individual['__class__'] }}", "body, line 1", "may not use .__class__"),
        ("{{ individual._label }}", "body, line 1", "may not use ._label"),
    ],
)
def test_a_hole_is_an_error(body: str, where: str, reason: str) -> None:
    """A field that is empty or not there, and whatever cannot be filled in, is refused with template, part and line; there is never a hole."""
    with pytest.raises(InputError) as error:
        fill(template(body), NEMO, ALICE, None)
    assert error.value.subject == f"template T, {where}"
    assert reason in error.value.message
    assert error.value.fix


@pytest.mark.req("E5")
def test_a_default_allows_for_a_missing_field() -> None:
    """A template may say what stands in a field's place, or leave its sentence out."""
    body = "{{ individual.email | default('no address') }}{% if individual.email is defined %}!{% endif %}"
    check(template(body))
    assert fill(template(body), NEMO, ALICE, None).body == "no address"
    assert fill(template(body), RUTH, ALICE, None).body == "ruth@example.test!"


@pytest.mark.req("E5")
@pytest.mark.parametrize(
    ("body", "where", "reason"),
    [
        ("x\n{% if %}", "body, line 2", "Expected an expression"),
        ("{{ individual.nme }}", "body, line 1", "there is no field individual.nme"),
        ("{{ indvidual.name }}", "body, line 1", "there is nothing called indvidual"),
        ("{{ x | nothing }}", "body, line 1", "No filter named 'nothing'"),
        ("\n\n{% include 'other' %}", "body, line 3", "may not include"),
        ("{% macro m() %}{% endmacro %}", "body, line 1", "may not define macros"),
        ("{{ range(9) }}", "body, line 1", "may not call anything"),
        ("{{ individual.name.upper() }}", "body, line 1", "may not call anything"),
        ("x" * (LONGEST_TEMPLATE + 1), "body", "it has more than"),
        ("{{" + "(" * 5000, "body", "nested too deeply"),
    ],
)
def test_a_template_is_checked_when_it_is_added(body: str, where: str, reason: str) -> None:
    """What could never be filled in is refused with its line before anybody uses it; sending refuses it as well."""
    for attempt in (lambda: check(template(body)), lambda: fill(template(body), RUTH, ALICE, ELM)):
        with pytest.raises(InputError) as error:
            attempt()
        assert error.value.subject.startswith("template T, body")
    with pytest.raises(InputError) as error:
        check(template(body))
    assert error.value.subject == f"template T, {where}"
    assert reason in error.value.message


DOUBLED = "{% set x = 'abcdefgh' %}" + "{% set x = JOINED %}" * 40


@pytest.mark.req("E5")
@pytest.mark.parametrize(
    "body",
    [
        DOUBLED.replace("JOINED", "x ~ x") + "{{ x }}",
        DOUBLED.replace("JOINED", "x + x"),
        DOUBLED.replace("JOINED", "(x ~ individual.name ~ x) | upper"),
        "{% with x = 'ab' %}" + "{% with x = x ~ x %}" * 40 + "{% endwith %}" * 41,
        "{% set x = '&' * 1 %}",
        "{% set x = '" + "a" * 100_000 + "' %}{{ x" + " ~ x" * 2_000 + " }}",
        "{% set x = '" + "&" * 100_000 + "' %}" + "{% set x = x | e | title %}" * 60,
        "{% set x = '" + "a" * 100_000 + "' %}" + "{{ x }}" * 50,
        *("{% if true %}" * depth + "x" + "{% endif %}" * depth for depth in (150, 2000)),
    ],
    ids=lambda body: body[:40],
)
@pytest.mark.parametrize("is_html", [False, True])
def test_a_result_has_an_end(body: str, is_html: bool) -> None:
    """What makes much of little, or nests without end, is stopped before it takes the machine's memory, and said."""
    with pytest.raises(InputError) as error:
        fill(template(body, is_html=is_html), RUTH, ALICE, ELM)
    assert any(each in error.value.message for each in ("longer than", "may not use *", "nested too deeply"))


@pytest.mark.req("E5")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{% autoescape false %}{{ individual.name }}{% endautoescape %}", "may not turn escaping off"),
        ("{% for a in individual.name %}{% endfor %}", "may not loop"),
        ("{% set x %}{{ user.name }}{{ user.name }}{% endset %}", "may not keep a piece of itself"),
        ("{% filter upper %}x{% endfilter %}", "may not filter a piece"),
        ("{{ individual.name[0:3] }}", "may not cut by position"),
        ("{{ [individual.name] }}", "fixed values only"),
        ("{{ {'a': 1} }}", "may not hold tables"),
        ("{{ individual.name.format }}", "may not use .format"),
        ("{{ individual.name | truncate(-5) }}", "it cannot be filled in"),
        ("{{ individual.name | replace('a', 'b') }}", "No filter named 'replace'"),
    ],
)
def test_what_no_letter_needs_is_not_there(body: str, reason: str) -> None:
    """Escaping stays on, nothing of Python shows, nothing is repeated: each is refused with its line, in plain and formatted templates."""
    for is_html in (False, True):
        with pytest.raises(InputError) as error:
            fill(template(body, is_html=is_html), RUTH, ALICE, ELM)
        assert reason in error.value.message
        assert error.value.subject == "template T, body, line 1"


@pytest.mark.req("E5")
def test_a_choice_by_a_fields_value() -> None:
    """A letter may read otherwise by what a field holds, and join and shorten what it says."""
    body = (
        "{% if individual.kind in ['prospect', 'contact'] %}Dear {{ individual.first_name ~ ' (' ~ user.first_name + ')' }}"
        "{% else %}x{% endif %}, {{ individual.name | truncate(8, true, '.') }} {{ user.name[0] }}"
    )
    check(template(body))
    assert fill(template(body), RUTH, ALICE, ELM).body == "Dear Ruth (Alice), Ruth <b. A"
    assert fill(template(body, is_html=True), RUTH, ALICE, ELM).body == "Dear Ruth (Alice), Ruth &lt;b. A"
