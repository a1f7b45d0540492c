"""The OAuth face: tokens as Entra issues them, refusals as Entra words them, and what Exchange accepts."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from ops_lib.sandbox.clock import Clock
from ops_lib.sandbox.entra import EXCHANGE, GRAPH, App, Bearer, Directory, TokenRefused

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCOPE = f"{EXCHANGE}/.default"
BASE = "https://sandbox.example"


@pytest.fixture(scope="module")
def _one_directory() -> Directory:
    return Directory(Clock(lambda: NOON), ["example.test"])


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at noon until a test moves it."""
    return Clock(lambda: NOON)


@pytest.fixture
def directory(_one_directory: Directory, clock: Clock) -> Directory:
    """The tenant, on this test's clock; its key is made once."""
    _one_directory.now = clock
    return _one_directory


@pytest.fixture
def app(directory: Directory) -> App:
    """An app with full access and a valid secret."""
    return directory.register("Client")


def form(app: App, **changed: str | None) -> dict[str, str]:
    """A complete token request of ``app``, with some fields changed or (None) left out."""
    fields = {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": app.secret,
        "scope": SCOPE,
        **changed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def token_of(directory: Directory, app: App, scope: str = SCOPE) -> str:
    """An access token for ``app``."""
    status, answer = directory.token(directory.tenant_id, form(app, scope=scope))
    assert status == 200, answer
    return str(answer["access_token"])


def test_token_can_be_checked_by_anybody(directory: Directory, app: App) -> None:
    """A token is an RS256 JWT with Entra's claims, and the published key verifies it."""
    token = token_of(directory, app)
    key = jwt.PyJWKSet.from_dict(directory.keys())[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, audience=EXCHANGE, options={"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    )
    assert claims["appid"] == app.client_id
    assert claims["roles"] == ["full_access_as_app"]
    assert claims["tid"] == directory.tenant_id
    assert claims["iss"] == f"https://sts.windows.net/{directory.tenant_id}/"
    assert claims["exp"] - claims["iat"] == 3599
    assert directory.check(token) == Bearer(app.client_id)


def test_token_answer(directory: Directory, app: App) -> None:
    """The answer to a token request has exactly what Entra's has."""
    status, answer = directory.token("example.test", form(app))
    assert status == 200
    assert {name: value for name, value in answer.items() if name != "access_token"} == {
        "token_type": "Bearer",
        "expires_in": 3599,
        "ext_expires_in": 3599,
    }


def test_client_in_a_basic_header(directory: Directory, app: App) -> None:
    """A client may name itself in a Basic header instead of the body."""
    header = "Basic " + base64.b64encode(f"{app.client_id}:{app.secret}".encode()).decode()
    status, _ = directory.token(directory.tenant_id, form(app, client_id=None, client_secret=None), header)
    assert status == 200


@pytest.mark.parametrize(
    ("tenant", "changed", "status", "error", "code"),
    [
        ("", {"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ("", {"client_secret": ""}, 401, "invalid_client", 7000218),
        ("", {"client_secret": None, "client_assertion": "ey"}, 400, "invalid_request", 900144),
        ("", {"client_id": "6f1a0f4e-0000-4000-8000-000000000000"}, 400, "unauthorized_client", 700016),
        ("", {"client_id": None}, 400, "invalid_request", 900144),
        ("", {"grant_type": None}, 400, "invalid_request", 900144),
        ("", {"scope": None}, 400, "invalid_request", 900144),
        ("", {"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ("", {"scope": f"{EXCHANGE}/EWS.AccessAsUser.All"}, 400, "invalid_scope", 1002012),
        ("", {"scope": f"{SCOPE} {GRAPH}/.default"}, 400, "invalid_scope", 70011),
        ("", {"scope": "https://mail.example/.default"}, 400, "invalid_resource", 500011),
        ("other.example", {}, 400, "invalid_request", 90002),
        ("common", {}, 400, "invalid_request", 9001023),
        ("organizations", {}, 400, "invalid_request", 50059),
    ],
)
def test_refusals(
    directory: Directory,
    app: App,
    tenant: str,
    changed: dict[str, str | None],
    status: int,
    error: str,
    code: int,
) -> None:
    """A token request that cannot be granted is refused with Entra's error, code and form, and never echoes the secret."""
    answered, document = directory.token(tenant or directory.tenant_id, form(app, **changed))
    assert (answered, document["error"], document["error_codes"]) == (status, error, [code])
    assert document["error_description"].startswith(f"AADSTS{code}: ")
    assert set(document) == {
        "error",
        "error_description",
        "error_codes",
        "timestamp",
        "trace_id",
        "correlation_id",
        "error_uri",
    }
    assert document["timestamp"] == "2026-11-23 12:00:00Z"
    assert app.secret not in json.dumps(document)


def test_expired_secret(directory: Directory, clock: Clock, app: App) -> None:
    """A right secret past its date is refused with 7000222, a wrong one then still with 7000215."""
    clock.advance(181 * 86400)
    assert directory.token(directory.tenant_id, form(app))[1]["error_codes"] == [7000222]
    assert directory.token(directory.tenant_id, form(app, client_secret="wrong"))[1]["error_codes"] == [7000215]


def test_disabled_app(directory: Directory) -> None:
    """A disabled application is refused with 7000112."""
    app = directory.register("Off", enabled=False)
    assert directory.token(directory.tenant_id, form(app))[1]["error_codes"] == [7000112]


def test_correlation_id_is_the_clients(directory: Directory, app: App) -> None:
    """A refusal carries the request id the client sent, so that both sides' logs can be joined."""
    _, document = directory.token(directory.tenant_id, form(app, scope=None, **{"client-request-id": "id-1"}))
    assert document["correlation_id"] == "id-1"


def test_expired_token(directory: Directory, clock: Clock, app: App) -> None:
    """A token is good for 3599 seconds of the organisation's clock and not one longer, also when it was accepted before."""
    token = token_of(directory, app)
    clock.advance(3598)
    assert directory.check(token) == Bearer(app.client_id)
    clock.advance(1)
    with pytest.raises(TokenRefused, match="expired"):
        directory.check(token)


def test_token_from_the_future(directory: Directory, clock: Clock, app: App) -> None:
    """A token issued more than five minutes ahead of Exchange's clock is refused."""
    token = token_of(directory, app)
    clock.set(NOON - timedelta(minutes=6))
    with pytest.raises(TokenRefused):
        directory.check(token)


def test_token_for_another_resource(directory: Directory, app: App) -> None:
    """A token for Graph is good for Graph, and Exchange says that the audience is wrong."""
    with pytest.raises(TokenRefused, match="audience") as refused:
        directory.check(token_of(directory, app, f"{GRAPH}/.default"))
    assert 'error_category="invalid_resource"' in refused.value.diagnostics


def test_token_without_the_permission(directory: Directory) -> None:
    """An app without full_access_as_app gets a token, and Exchange refuses it."""
    app = directory.register("No rights", roles=())
    with pytest.raises(TokenRefused, match="no permissions"):
        directory.check(token_of(directory, app))


def _tampered(token: str, **changed: Any) -> str:
    header, claims, signature = token.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    written = base64.urlsafe_b64encode(json.dumps({**read, **changed}).encode()).rstrip(b"=").decode()
    return f"{header}.{written}.{signature}"


@pytest.mark.parametrize("kind", ["changed claims", "other key", "no signature", "symmetric", "no token", "cut"])
def test_forged_tokens(directory: Directory, app: App, kind: str) -> None:
    """A token that Entra did not sign exactly so is refused."""
    token = token_of(directory, app)
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = {
        "changed claims": _tampered(token, appid="somebody-else"),
        "other key": token_of_other(app),
        "no signature": jwt.encode(claims, None, algorithm="none"),
        "symmetric": jwt.encode(claims, "a secret of at least thirty-two bytes", algorithm="HS256"),
        "no token": "abc",
        "cut": token[:-10],
    }[kind]
    with pytest.raises(TokenRefused):
        directory.check(forged)


def token_of_other(app: App) -> str:
    """A token of another tenant's key for an app of the same id."""
    other = Directory(Clock(lambda: NOON))
    return token_of(other, other.register(app.name, client_id=app.client_id))


def test_discovery(directory: Directory) -> None:
    """The OpenID configuration leads to this sandbox's own endpoints, and the issuer names the tenant by its id."""
    status, document = directory.discovery(BASE, "example.test")
    tenant = f"{BASE}/{directory.tenant_id}"
    assert status == 200
    assert document["issuer"] == f"{tenant}/v2.0"
    assert document["token_endpoint"] == f"{tenant}/oauth2/v2.0/token"
    assert document["jwks_uri"] == f"{tenant}/discovery/v2.0/keys"
    assert directory.discovery(BASE, "common")[1]["issuer"] == f"{BASE}/{{tenantid}}/v2.0"


def test_discovery_of_an_unknown_tenant(directory: Directory) -> None:
    """The OpenID configuration of a tenant nobody knows is refused with 90002."""
    status, document = directory.discovery(BASE, "other.example")
    assert (status, document["error_codes"]) == (400, [90002])
