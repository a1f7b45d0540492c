"""Refreshing, certificates, secrets and revocation, as the real MSAL meets them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ops_lib.sandbox.entra import EXCHANGE, Certificate
from ops_lib.sandbox.entra.refusals import MEANINGS
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB

from .conftest import LOOPBACK, SCOPE
from .test_authorization_code import Make, begin, ews, signed_in

pytestmark = pytest.mark.filterwarnings("ignore:response_mode='form_post':UserWarning")


@pytest.fixture
def signed(sandbox: Sandbox, confidential: Make) -> tuple[Any, dict[str, Any]]:
    """A client through which alice has signed in, and what she was given."""
    client = confidential()
    flow = begin(client)
    return client, client.acquire_token_by_auth_code_flow(flow, signed_in(sandbox, flow).answer)


def silently(client: Any) -> dict[str, Any]:
    """A new token by the refresh token, whatever is cached."""
    [account] = client.get_accounts()
    return dict(client.acquire_token_silent_with_error([SCOPE], account, force_refresh=True))


@pytest.mark.req("A9")
def test_refreshing(sandbox: Sandbox, http: requests.Session, signed: tuple[Any, dict[str, Any]]) -> None:
    """A refresh gives another access token and another refresh token, good for the same mailbox."""
    client, first = signed
    second = silently(client)
    assert second["access_token"] != first["access_token"]
    assert ews(sandbox, http, second["access_token"]).status_code == 200
    tokens = [one["secret"] for one in client.token_cache.search("RefreshToken")]
    assert len(tokens) == 1
    assert tokens[0] != first["refresh_token"]


def test_a_short_token_expires_by_the_organisations_clock(
    sandbox: Sandbox, http: requests.Session, confidential: Make
) -> None:
    """Access tokens are as short-lived as the policy says, and EWS refuses them from then on with error="invalid_token"."""
    sandbox.directory.members.policy.access_token_seconds = 60
    client = confidential()
    flow = begin(client)
    result = client.acquire_token_by_auth_code_flow(flow, signed_in(sandbox, flow).answer)
    assert result["expires_in"] == 60
    assert ews(sandbox, http, result["access_token"]).status_code == 200
    sandbox.clock.advance(60)
    refused = ews(sandbox, http, result["access_token"])
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    assert "expired" in refused.headers["x-ms-diagnostics"]


def _revoke(sandbox: Sandbox) -> None:
    sandbox.directory.grants.revoke(ALICE)


def _new_password(sandbox: Sandbox) -> None:
    sandbox.organisation.set_password(ALICE, "another one")


@pytest.mark.parametrize("cause", [_revoke, _new_password])
@pytest.mark.req("A9")
def test_an_ended_sign_in(
    sandbox: Sandbox, http: requests.Session, signed: tuple[Any, dict[str, Any]], cause: Callable[[Sandbox], None]
) -> None:
    """A revoked sign-in, or a new password, ends access tokens at EWS at once and refresh tokens with 50173."""
    client, first = signed
    cause(sandbox)
    refused = ews(sandbox, http, first["access_token"])
    assert refused.status_code == 401
    assert "Bearer client_id=" in refused.headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    answer = silently(client)
    assert (answer["error"], answer["suberror"], answer["error_codes"]) == ("invalid_grant", "bad_token", [50173])


def _policy(**values: Any) -> Callable[[Sandbox], None]:
    def change(sandbox: Sandbox) -> None:
        for name, value in values.items():
            setattr(sandbox.directory.members.policy, name, value)

    return change


def _member(**values: Any) -> Callable[[Sandbox], None]:
    def change(sandbox: Sandbox) -> None:
        for name, value in values.items():
            setattr(sandbox.directory.members.member(ALICE), name, value)

    return change


def _inactive(sandbox: Sandbox) -> None:
    sandbox.clock.advance(90 * 86400)


def _too_long_ago(sandbox: Sandbox) -> None:
    sandbox.directory.members.policy.sign_in_frequency_seconds = 3600
    sandbox.clock.advance(3600)


def _not_assigned(sandbox: Sandbox) -> None:
    sandbox.app.assignment_required, sandbox.app.assigned = True, frozenset({BOB})


def _no_consent(sandbox: Sandbox) -> None:
    sandbox.directory.members.withdraw_consent(sandbox.app, ALICE)


@pytest.mark.parametrize(
    ("cause", "code", "suberror"),
    [
        (_inactive, 700082, "bad_token"),
        (_too_long_ago, 70043, "token_expired"),
        (_not_assigned, 50105, None),
        (_no_consent, 65001, "consent_required"),
        (_member(enabled=False), 50057, None),
        (_member(second_factor="required"), 50076, "basic_action"),
        (_member(second_factor="not registered"), 50079, "basic_action"),
        (_member(blocked_by=53000), 53000, "message_only"),
        (_policy(blocked_by=53003), 53003, "message_only"),
    ],
)
@pytest.mark.req("A9")
def test_a_refused_refresh(
    sandbox: Sandbox, signed: tuple[Any, dict[str, Any]], cause: Callable[[Sandbox], None], code: int, suberror: Any
) -> None:
    """What changed since the sign-in refuses the refresh with invalid_grant and the code of its real cause."""
    cause(sandbox)
    answer = silently(signed[0])
    assert (answer["error"], answer["error_codes"], answer.get("suberror")) == ("invalid_grant", [code], suberror)
    assert answer["error_description"].startswith(f"AADSTS{code}: ")


def redeem(sandbox: Sandbox, http: requests.Session, **changed: str | None) -> dict[str, Any]:
    """One request to the token endpoint as the sandbox's own app, with fields changed or (None) left out."""
    form = {"client_id": sandbox.app.client_id, "client_secret": sandbox.app.secret, **changed}
    url = f"{sandbox.entra_url}/{sandbox.directory.tenant_id}/oauth2/v2.0/token"
    return dict(http.post(url, data={name: value for name, value in form.items() if value is not None}).json())


def test_what_a_code_must_fit(sandbox: Sandbox, http: requests.Session, confidential: Make) -> None:
    """A code is good once, for ten minutes, for its own app, reply address and verifier."""
    client = confidential()

    def code_of() -> tuple[dict[str, str], dict[str, Any]]:
        flow = begin(client)
        form = {"grant_type": "authorization_code", "code": signed_in(sandbox, flow).answer["code"]}
        return {**form, "redirect_uri": flow["redirect_uri"], "code_verifier": flow["code_verifier"]}, flow

    form, _ = code_of()
    wrong = {
        "code_verifier": ("x" * 43, 501481),
        "redirect_uri": ("http://localhost", 500112),
        "client_secret": ("wrong", 7000215),
        "code": ("1.nonsense", 70000),
    }
    for name, (value, number) in wrong.items():
        assert redeem(sandbox, http, **{**form, name: value})["error_codes"] == [number]
    assert redeem(sandbox, http, **{**form, "code_verifier": None})["error_codes"] == [501481]
    assert redeem(sandbox, http, **form, client_secret=None)["error_codes"] == [7000218]
    other = sandbox.directory.register("Other")
    another = {"client_id": other.client_id, "client_secret": other.secret}
    assert redeem(sandbox, http, **form, **another)["error_codes"] == [70000]
    assert "access_token" in redeem(sandbox, http, **form)
    assert redeem(sandbox, http, **form)["error_codes"] == [54005]
    form, _ = code_of()
    sandbox.clock.advance(600)
    assert redeem(sandbox, http, **form)["error_codes"] == [70008]


def test_a_public_client_with_a_secret(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """A reply address of a desktop app goes with no secret: 700025."""
    flow = begin(public(), LOOPBACK)
    form = {"grant_type": "authorization_code", "code": signed_in(sandbox, flow).answer["code"]}
    form |= {"redirect_uri": LOOPBACK, "code_verifier": flow["code_verifier"]}
    form |= {"client_id": sandbox.public_app.client_id, "client_secret": "a secret"}
    assert redeem(sandbox, http, **form)["error_codes"] == [700025]


# -- secrets and certificates ------------------------------------------------------------------------------------------


def test_several_secrets(sandbox: Sandbox, http: requests.Session) -> None:
    """Each of an app's secrets is good until its own date; an id in place of a value is 7000215, an expired one 7000222."""
    old = sandbox.app.secret
    new = sandbox.directory.apps.add_secret(sandbox.app, 30)
    expired = sandbox.directory.apps.add_secret(sandbox.app, -1)
    form = {"grant_type": "client_credentials", "scope": f"{EXCHANGE}/.default"}
    assert "access_token" in redeem(sandbox, http, **form, client_secret=old)
    assert "access_token" in redeem(sandbox, http, **form, client_secret=new.value)
    assert redeem(sandbox, http, **form, client_secret=new.secret_id)["error_codes"] == [7000215]
    assert redeem(sandbox, http, **form, client_secret=expired.value)["error_codes"] == [7000222]
    sandbox.clock.advance(30 * 86400)
    assert redeem(sandbox, http, **form, client_secret=new.value)["error_codes"] == [7000222]
    assert "access_token" in redeem(sandbox, http, **form, client_secret=old)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """A private key for client certificates."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate_of(key: rsa.RSAPrivateKey, days: float = 365) -> x509.Certificate:
    """A self-signed certificate that ends in so many days."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "syncops")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """A private key as PEM."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


@pytest.mark.req("A8")
@pytest.mark.parametrize("how", ["sha1", "sha256"])
def test_a_certificate(sandbox: Sandbox, confidential: Make, key: rsa.RSAPrivateKey, how: str) -> None:
    """MSAL signs with a certificate instead of a secret, named by its SHA-1 thumbprint or (PS256) by its SHA-256 one."""
    certificate = certificate_of(key)
    sandbox.app.certificates.append(Certificate.read(pem(certificate)))
    given = {"private_key": private_pem(key), "public_certificate": pem(certificate)}
    if how == "sha1":
        given = {"private_key": private_pem(key), "thumbprint": sandbox.app.certificates[0].thumbprint}
    client = confidential(client_credential=given)
    result = client.acquire_token_for_client([f"{EXCHANGE}/.default"])
    assert sandbox.directory.check(result["access_token"]).client_id == sandbox.app.client_id
    flow = begin(client)
    assert "refresh_token" in client.acquire_token_by_auth_code_flow(flow, signed_in(sandbox, flow).answer)


def test_certificates_that_will_not_do(sandbox: Sandbox, confidential: Make, key: rsa.RSAPrivateKey) -> None:
    """A certificate nobody registered, one whose key did not sign, and one past its date are 700027, each with its reason."""

    def refused(certificate: x509.Certificate, signer: rsa.RSAPrivateKey) -> str:
        given = {"private_key": private_pem(signer), "public_certificate": pem(certificate)}
        answer = confidential(client_credential=given).acquire_token_for_client([f"{EXCHANGE}/.default"])
        assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])
        return str(answer["error_description"])

    good, over = certificate_of(key), certificate_of(key, days=-1)
    assert "The key was not found" in refused(good, key)
    sandbox.app.certificates += [Certificate.read(pem(good)), Certificate.read(pem(over))]
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "does not match" in refused(good, other)
    assert "is expired" in refused(over, key)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": "somebody"}, 700021),
        ({"aud": "https://elsewhere.example/token"}, 700023),
        ({"exp": 1000, "iat": 400}, 700024),
        ({"exp": 1e300, "iat": 1e299}, 700024),
        ({"exp": [], "iat": "soon"}, 50027),
        ({"sub": ["a", "b"]}, 700021),
        (None, 50027),
    ],
)
def test_assertions_that_will_not_do(
    sandbox: Sandbox, http: requests.Session, key: rsa.RSAPrivateKey, changed: dict[str, Any] | None, code: int
) -> None:
    """An assertion of another app, for another address, of another time, or that is none, is refused with its own code."""
    registered = Certificate.read(pem(certificate_of(key)))
    sandbox.app.certificates.append(registered)
    url = f"{sandbox.entra_url}/{sandbox.directory.tenant_id}/oauth2/v2.0/token"
    now = int(time.time())
    claims = {"aud": url, "iss": sandbox.app.client_id, "sub": sandbox.app.client_id, "exp": now + 600, "iat": now}
    headers = {"x5t#S256": registered.sha256}
    assertion = jwt.encode(claims | (changed or {}), key, "PS256", headers) if changed is not None else "ey"
    form = {
        "grant_type": "client_credentials",
        "scope": f"{EXCHANGE}/.default",
        "client_secret": None,
        "client_assertion": assertion,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert redeem(sandbox, http, **form)["error_codes"] == [code]


# -- on demand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_every_code_on_demand(sandbox: Sandbox, http: requests.Session, code: int) -> None:
    """A fault rule makes the token endpoint refuse with any code there is, in Entra's form, once; then it answers again."""
    rule = {"operation": "Token", "times": 1, "fault": {"aadsts": code}}
    assert http.post(f"{sandbox.control_url}/faults", json=rule).status_code == 201
    form = {"grant_type": "client_credentials", "scope": f"{EXCHANGE}/.default"}
    answer = redeem(sandbox, http, **form)
    assert answer["error_codes"] == [code]
    assert answer["error_description"].startswith(f"AADSTS{code}: ")
    assert {"error", "timestamp", "trace_id", "correlation_id", "error_uri"} <= set(answer)
    assert "access_token" in redeem(sandbox, http, **form)


def test_on_demand_at_the_page(sandbox: Sandbox, confidential: Make) -> None:
    """A fault rule for Authorize sends the app a refusal with the code, by redirect."""
    sandbox.faults.add({"operation": "Authorize", "fault": {"aadsts": 53003}})
    from tests.support.browser_forms import Person

    answer = Person(sandbox).open(begin(confidential())["auth_uri"]).answer
    assert answer["error_description"].startswith("AADSTS53003: ")


def test_whose_token_it_is(sandbox: Sandbox, http: requests.Session, signed: tuple[Any, dict[str, Any]]) -> None:
    """Requests for a user's tokens are logged and matched by the user's address, those of an app by its id."""
    client, _ = signed
    sandbox.faults.add({"operation": "Token", "mailbox": BOB, "fault": {"status": 500}})
    sandbox.sign_ins.clear()
    assert "access_token" in silently(client)
    assert sandbox.sign_ins.total("Token", ALICE) == 1
    redeem(sandbox, http, grant_type="client_credentials", scope=f"{EXCHANGE}/.default")
    assert sandbox.sign_ins.total("Token", sandbox.app.client_id) == 1


def test_instance_discovery(sandbox: Sandbox, http: requests.Session) -> None:
    """The directory says that it is one cloud of its own, and the keys are where the configuration says."""
    host = sandbox.entra_url.split("//")[1]
    document = http.get(f"{sandbox.entra_url}/common/discovery/instance?api-version=1.1").json()
    assert document["metadata"] == [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
    configuration = http.get(
        f"{sandbox.entra_url}/{sandbox.directory.tenant_id}/v2.0/.well-known/openid-configuration"
    ).json()
    assert http.get(configuration["jwks_uri"]).json()["keys"][0]["kty"] == "RSA"
