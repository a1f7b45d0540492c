"""A client on a fresh organisation."""

from __future__ import annotations

import pytest

from .client import Client, organisation, schema


@pytest.fixture
def client() -> Client:
    """The face of a fresh organisation; answers are checked against the schema."""
    if schema() is None:
        pytest.skip("the EWS schema (../shared/ews-schema) is not here: answers cannot be checked against it")
    return Client(organisation())
