"""Real MSAL clients of the sandbox's directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from ops_lib.sandbox.server import Sandbox

SCOPE = "https://outlook.office365.com/EWS.AccessAsUser.All"
WEB_REDIRECT = "https://crm.example.test/signin/outlook"
LOOPBACK = "http://localhost:8412"


@pytest.fixture
def http(sandbox: Sandbox) -> requests.Session:
    """An HTTP session that trusts the sandbox and heeds no environment."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(sandbox.ca_file)
    return session


@pytest.fixture
def confidential(sandbox: Sandbox, http: requests.Session) -> Callable[..., Any]:
    """Makes a confidential client of the sandbox's own app, with anything changed."""
    import msal

    def make(**changed: Any) -> Any:
        given = {
            "client_id": sandbox.app.client_id,
            "client_credential": sandbox.app.secret,
            "authority": f"{sandbox.entra_url}/{sandbox.directory.tenant_id}",
            "instance_discovery": False,
            "http_client": http,
            **changed,
        }
        return msal.ConfidentialClientApplication(**given)

    return make


@pytest.fixture
def public(sandbox: Sandbox, http: requests.Session) -> Callable[..., Any]:
    """Makes a public client of the sandbox's desktop app, with anything changed."""
    import msal

    def make(**changed: Any) -> Any:
        given = {
            "client_id": sandbox.public_app.client_id,
            "authority": f"{sandbox.entra_url}/{sandbox.directory.tenant_id}",
            "instance_discovery": False,
            "http_client": http,
            **changed,
        }
        return msal.PublicClientApplication(**given)

    return make
