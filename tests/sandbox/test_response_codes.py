"""The list of EWS response codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from ops_lib.sandbox.ews.errors import TEXTS
from ops_lib.sandbox.response_codes import ERROR_CODES

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "ews-schema" / "messages.xsd"


def test_the_codes_are_those_of_the_schema() -> None:
    """The list holds every code of the schema but NoError, and no other."""
    if not SCHEMA.exists():
        pytest.skip("the EWS schema (../shared/ews-schema) is not here: the codes cannot be compared with it")
    path = '//*[@name="ResponseCodeType"]//*[local-name()="enumeration"]/@value'
    assert {"NoError", *ERROR_CODES} == set(etree.parse(SCHEMA).xpath(path))


def test_the_sandbox_answers_only_codes_that_there_are() -> None:
    """Every code that the sandbox has a text for is in the list."""
    assert set(TEXTS) <= ERROR_CODES
