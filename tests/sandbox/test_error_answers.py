"""Answers that only carry an error are valid for every operation, as Exchange's own would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from ops_lib.sandbox.error_answers import error_answer, soap_fault
from ops_lib.sandbox.operations import BATCHED, EWS_OPERATIONS, PECULIAR, SINGLE
from tests.support.soap import NAMESPACES

SCHEMA = Path(__file__).parents[2].parent / "shared" / "ews-schema" / "messages.xsd"


@pytest.fixture(scope="module")
def schema() -> Any:
    """The published schema of EWS messages."""
    if not SCHEMA.exists():
        pytest.skip("the published schema is not beside the repository")
    return etree.XMLSchema(etree.parse(str(SCHEMA)))


@pytest.mark.parametrize("operation", sorted(BATCHED | SINGLE))
@pytest.mark.parametrize("back_off", [None, 3000])
def test_error_answers_are_valid(schema: Any, operation: str, back_off: int | None) -> None:
    """Every operation's error answer, with and without a back-off hint, is valid by the published schema."""
    reply = error_answer(operation, 2, "ErrorServerBusy", "Wait a <moment> & try again.", back_off)
    body = etree.fromstring(reply.body).find("s:Body", NAMESPACES)[0]
    schema.assertValid(body)
    assert reply.status == 200
    assert len(body.findall(".//m:ResponseCode", NAMESPACES)) == (2 if operation in BATCHED else 1)


def test_every_operation_of_the_schema_is_known(schema: Any) -> None:
    """The operations a rule can name are those of the published schema, each answered in its own way."""
    document = etree.parse(str(SCHEMA)).getroot()
    names = {one.get("name") for one in document.iterfind("{*}element")}
    assert {name for name in names if f"{name}Response" in names} <= EWS_OPERATIONS
    assert not BATCHED & SINGLE
    assert not PECULIAR & (BATCHED | SINGLE)


@pytest.mark.parametrize("operation", sorted(PECULIAR))
def test_peculiar_operations_get_a_fault(operation: str) -> None:
    """An operation whose answer has a shape of its own is answered with a SOAP fault of the same code."""
    assert error_answer(operation, 1, "ErrorServerBusy") == soap_fault("ErrorServerBusy")


def test_soap_fault_says_how_long_to_wait() -> None:
    """A fault is HTTP 500 and carries the code, the text, and the milliseconds to wait where Exchange puts them."""
    reply = soap_fault("ErrorServerBusy", back_off_milliseconds=4500)
    fault = etree.fromstring(reply.body).find(".//s:Fault", NAMESPACES)
    assert reply.status == 500
    assert fault.findtext("faultcode") == "a:ErrorServerBusy"
    assert fault.findtext("detail/e:ResponseCode", namespaces=NAMESPACES) == "ErrorServerBusy"
    assert fault.findtext("detail/e:Message", namespaces=NAMESPACES).startswith(
        "The server cannot service this request"
    )
    value = fault.find("detail/t:MessageXml/t:Value", NAMESPACES)
    assert (value.get("Name"), value.text) == ("BackOffMilliseconds", "4500")
