"""One tenant: what it publishes, and what its token and device-code endpoints answer."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ops_lib.sandbox.attempts import Attempts

from . import refusals, scopes
from .apps import NATIVE_CLIENT, App, Apps, Secret, client_from
from .grants import Device, Grants, Refresh, Session, is_over
from .members import Accounts, Members
from .refusals import Refused, stamp
from .scopes import ACCESS_AS_USER, FULL_ACCESS, Asked
from .tokens import Bearer, Person, Tokens, client_info

TENANT_ID = "5a0d0b0c-51fd-4c1b-8a3d-7a1e5a2db0c5"
CLIENT_ID = "0c9be2a7-3f6d-4f0e-9a5b-5d1c0f0e4a11"
PUBLIC_CLIENT_ID = "b6d3f1c4-8a27-4e59-9c0d-2f7e6a1b3d85"
# Where the sandbox's own app may be called back: as a web app of the CRM, and on loopback.
REDIRECT_URIS = ("https://crm.example.test/signin/outlook", "http://localhost", "http://127.0.0.1")
PUBLIC_REDIRECT_URIS = ("http://localhost", "http://127.0.0.1", NATIVE_CLIENT)
PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})


class Directory:
    """One tenant: its apps, users, policy, and the tokens they come to.

    ``now`` decides over every expiry; ``accounts`` gives where passwords are kept at the moment.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        domains: Iterable[str] = (),
        accounts: Callable[[], Accounts | None] = lambda: None,
        attempts: Attempts | None = None,
    ) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.tenant_id = TENANT_ID
        self.domains = frozenset(domain.lower() for domain in domains)
        self.apps = Apps(lambda: self.now())
        self.members = Members(accounts, attempts or Attempts(lambda: self.now()), self.tenant_id)
        self.grants = Grants(lambda: self.now(), self.members.is_password)
        self.tokens = Tokens(lambda: self.now(), self.tenant_id, self._is_live)

    def register(
        self,
        name: str,
        *,
        client_id: str = "",
        roles: Iterable[str] = (FULL_ACCESS,),
        delegated: Iterable[str] = (ACCESS_AS_USER,),
        secret_days: float | None = 180,
        redirect_uris: Iterable[str] = (),
        public_redirect_uris: Iterable[str] = (),
        **more: Any,
    ) -> App:
        """Adds an app registration with a secret valid for ``secret_days`` (negative: expired already; None: no secret).

        ``more``: the other fields of `App`.
        """
        app = App(
            client_id=client_id or str(uuid.uuid4()),
            name=name,
            roles=tuple(roles),
            delegated=tuple(delegated),
            redirect_uris=tuple(redirect_uris),
            public_redirect_uris=tuple(public_redirect_uris),
            **more,
        )
        if secret_days is not None:
            self.apps.add_secret(app, secret_days)
        self.apps.put(app)
        return app

    def furnish(self, known: Sequence[Secret] = ()) -> tuple[App, App]:
        """Registers the sandbox's own apps, a confidential one (with the secrets it had before, if any) and a public one."""
        app = self.register(
            "Sandbox client",
            client_id=CLIENT_ID,
            secret_days=None if known else 180,
            redirect_uris=REDIRECT_URIS,
            public_redirect_uris=PUBLIC_REDIRECT_URIS,
        )
        app.secrets += known
        public = self.register(
            "Sandbox desktop client",
            client_id=PUBLIC_CLIENT_ID,
            secret_days=None,
            roles=(),
            public_redirect_uris=PUBLIC_REDIRECT_URIS,
        )
        return app, public

    def clear(self) -> None:
        """Forgets every app, every sign-in, and what was changed about users and policy."""
        with self.lock:
            self.apps.clear()
            self.members.clear()
            self.grants.clear()

    # -- what Entra publishes ------------------------------------------------------------------------------------------

    def discovery(self, base: str, tenant: str) -> tuple[int, dict[str, Any]]:
        """Gives the OpenID configuration of ``tenant`` under ``base`` (scheme, host, port): status and document."""
        try:
            named = tenant.lower() if tenant.lower() in SHARED_TENANTS else self.own(tenant)
        except Refused as refused:
            return refused.meaning.status, self.refusal(refused)
        issuer = "{tenantid}" if named in SHARED_TENANTS else named
        return 200, {
            "token_endpoint": f"{base}/{named}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/{named}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/{issuer}/v2.0",
            "request_uri_parameter_supported": False,
            "authorization_endpoint": f"{base}/{named}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/{named}/oauth2/v2.0/devicecode",
            "http_logout_supported": True,
            "end_session_endpoint": f"{base}/{named}/oauth2/v2.0/logout",
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "nonce",
                "preferred_username",
                "name",
                "tid",
                "ver",
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": base.split("//", 1)[1],
        }

    @staticmethod
    def instance(base: str) -> dict[str, Any]:
        """Gives the document by which a client learns which hosts are one cloud: here this one alone."""
        host = base.split("//", 1)[1]
        return {
            "tenant_discovery_endpoint": f"{base}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    def keys(self) -> dict[str, Any]:
        """Gives the public keys (a JWK set)."""
        return self.tokens.keys()

    def own(self, tenant: str) -> str:
        """The tenant's id, by its id or one of its domains. Raises Refused (90002)."""
        if tenant.lower() != self.tenant_id and tenant.lower() not in self.domains:
            raise Refused(90002, tenant=tenant)
        return self.tenant_id

    def refusal(self, refused: Refused, correlation_id: str = "") -> dict[str, Any]:
        """Draws a refusal as the token endpoint's JSON."""
        return refusals.document(refused, self.now(), correlation_id)

    # -- what Exchange asks --------------------------------------------------------------------------------------------

    def check(self, token: str) -> Bearer:
        """Says who a bearer token for Exchange speaks for. Raises TokenRefused."""
        return self.tokens.check(token)

    def _is_live(self, session_id: str) -> bool:
        client_id, parted, generation = session_id.partition(":")
        if parted:
            app = next((one for one in self.apps if one.client_id == client_id), None)
            return app is not None and app.enabled and str(app.generation) == generation
        session = self.grants.sessions.get(session_id)
        member = self.members.find(session.user) if session else None
        return session is not None and member is not None and member.enabled and self.grants.is_good(session)

    # -- the token endpoint --------------------------------------------------------------------------------------------

    def subject_of(self, form: Mapping[str, str]) -> str:
        """Whom a token request is about, as far as its form says: the user's address, else the app's id."""
        code = self.grants.codes.get(form.get("code", ""))
        refresh = self.grants.refresh_tokens.get(form.get("refresh_token", ""))
        device = self.grants.devices.get(form.get("device_code", ""))
        session = (code and code.session) or (refresh and refresh.session) or (device and device.session)
        return session.user if session else form.get("client_id", "").lower()

    def token(
        self, tenant: str, form: Mapping[str, str], authorization: str = "", base: str = PUBLIC_AUTHORITY
    ) -> tuple[int, dict[str, Any]]:
        """Answers a token request: status and JSON document, refusals in Entra's form."""
        try:
            with self.lock:
                return 200, self._issue(tenant, {**form, **client_from(authorization)}, base)
        except Refused as refused:
            status = 400 if refused.error != refused.meaning.error else refused.meaning.status
            return status, self.refusal(refused, form.get("client-request-id", ""))

    def _issue(self, tenant: str, form: Mapping[str, str], base: str) -> dict[str, Any]:
        grant = _needed(form, "grant_type")
        client_id = _needed(form, "client_id")
        issue = {
            "client_credentials": self._for_app,
            "authorization_code": self._for_code,
            "refresh_token": self._for_refresh_token,
            DEVICE_GRANT: self._for_device,
            "device_code": self._for_device,
        }.get(grant)
        if issue is None:
            raise Refused(70003, grant_type=grant)
        if grant == "client_credentials" and tenant.lower() in ("common", "consumers"):
            raise Refused(9001023)
        if grant == "client_credentials" and tenant.lower() == "organizations":
            raise Refused(50059)
        if tenant.lower() not in SHARED_TENANTS:
            self.own(tenant)
        app = self.apps.of(client_id, tenant)
        return issue(app, form, tenant, base)

    def _token_url(self, tenant: str, base: str) -> str:
        named = tenant.lower() if tenant.lower() in SHARED_TENANTS else self.tenant_id
        return f"{base}/{named}/oauth2/v2.0/token"

    def _for_app(self, app: App, form: Mapping[str, str], tenant: str, base: str) -> dict[str, Any]:
        scope = _needed(form, "scope")
        self.apps.authenticate(app, form, self._token_url(tenant, base))
        audience = scopes.for_app(scope, tenant)
        seconds = self.members.policy.access_token_seconds
        return _answer(self.tokens.for_app(app, audience, seconds), seconds)

    def _for_code(self, app: App, form: Mapping[str, str], tenant: str, base: str) -> dict[str, Any]:
        value = _needed(form, "code")
        redirect_uri = _needed(form, "redirect_uri")
        code = self.grants.codes.get(value)
        if code is None or code.client_id != app.client_id:
            raise Refused(70000)
        public = self._client_of_a_user(app, form, code.redirect_uri, self._token_url(tenant, base))
        if code.redeemed:
            raise Refused(54005)
        if redirect_uri != code.redirect_uri:
            raise Refused(500112, redirect_uri=redirect_uri, expected=code.redirect_uri)
        if is_over(code.issued, self.members.policy.code_seconds, self.now()):
            raise Refused(70008)
        if not code.is_verified_by(form.get("code_verifier", "")):
            raise Refused(501481)
        code.redeemed = True
        return self._for_session(app, code.session, code.asked, code.permissions, form, base, public, code.nonce)

    def _client_of_a_user(self, app: App, form: Mapping[str, str], redirect_uri: str, token_url: str) -> bool:
        """Checks the client by how the redirect address is registered; says whether it is a public one."""
        registered = app.registered(redirect_uri)
        proof = form.get("client_secret") or form.get("client_assertion")
        if registered == "public" or (registered == "both" and not proof):
            if proof:
                raise Refused(700025)
            return True
        self.apps.authenticate(app, form, token_url)
        return False

    def _for_refresh_token(self, app: App, form: Mapping[str, str], tenant: str, base: str) -> dict[str, Any]:
        refresh = self.grants.refresh_tokens.get(_needed(form, "refresh_token"))
        if refresh is None or refresh.client_id != app.client_id:
            raise Refused(70000)
        if not refresh.public:
            self.apps.authenticate(app, form, self._token_url(tenant, base))
        elif form.get("client_secret") or form.get("client_assertion"):
            raise Refused(700025)
        policy, session = self.members.policy, refresh.session
        if not self.grants.is_good(session):
            valid_from = stamp(session.revoked or self.now())
            raise Refused(50173, issued=stamp(refresh.issued), valid_from=valid_from)
        if is_over(refresh.issued, policy.refresh_token_seconds, self.now()):
            inactive = f"{policy.refresh_token_seconds // 86400}.00:00:00"
            raise Refused(700082, issued=stamp(refresh.issued), inactive=inactive)
        frequency = policy.sign_in_frequency_seconds
        if frequency and is_over(session.started, frequency, self.now()):
            raise Refused(70043, issued=stamp(session.started), lifetime=str(frequency))
        asked = scopes.for_user(form["scope"], tenant, app.name) if form.get("scope") else refresh.asked
        permissions = asked.granted(app.delegated)
        self.admit(app, session, asked, permissions)
        return self._for_session(app, session, asked, permissions, form, base, refresh.public)

    def _for_device(self, app: App, form: Mapping[str, str], tenant: str, base: str) -> dict[str, Any]:
        device = self.grants.devices.get(_needed(form, "device_code"))
        if device is None or device.client_id != app.client_id:
            raise Refused(70018)
        proof = form.get("client_secret") or form.get("client_assertion")
        if proof or not app.public_flows:
            self.apps.authenticate(app, form, self._token_url(tenant, base))
        if device.declined:
            raise Refused(65004, error="authorization_declined")
        if device.redeemed:
            raise Refused(54005)
        if is_over(device.issued, self.members.policy.device_code_seconds, self.now()):
            raise Refused(70019)
        session = device.session
        if session is None:
            raise Refused(70016, error=self._pace(device))
        device.redeemed = True
        self.admit(app, session, device.asked, device.permissions)
        return self._for_session(app, session, device.asked, device.permissions, form, base, not proof)

    def _pace(self, device: Device) -> str:
        before, device.polled = device.polled, time.monotonic()
        # A little early is not too fast: clients sleep for exactly the interval, by a clock of their own.
        too_fast = device.polled - before < self.members.policy.device_interval_seconds * 0.8
        return "slow_down" if too_fast else "authorization_pending"

    def device_code(self, tenant: str, form: Mapping[str, str], base: str) -> tuple[int, dict[str, Any]]:
        """Answers a request for a device code: status and JSON document."""
        try:
            with self.lock:
                app, policy = self.apps.of(_needed(form, "client_id"), self._named(tenant)), self.members.policy
                asked = scopes.for_user(_needed(form, "scope"), tenant, app.name)
                if policy.security_defaults:
                    raise Refused(530035)
                value, device = self.grants.add_device(app.client_id, asked)
        except Refused as refused:
            return refused.meaning.status, self.refusal(refused, form.get("client-request-id", ""))
        page = f"{base}/common/oauth2/deviceauth"
        return 200, {
            "user_code": device.user_code,
            "device_code": value,
            "verification_uri": page,
            "expires_in": policy.device_code_seconds,
            "interval": policy.device_interval_seconds,
            "message": f"To sign in, use a web browser to open the page {page} and enter the code {device.user_code} "
            "to authenticate.",
        }

    def _named(self, tenant: str) -> str:
        return tenant if tenant.lower() in SHARED_TENANTS else self.own(tenant)

    # -- a user's tokens -----------------------------------------------------------------------------------------------

    def admit(self, app: App, session: Session, asked: Asked, permissions: Iterable[str]) -> None:
        """Whether a signed-in user may have this now: standing, policy, consent. Raises Refused."""
        member = self.members.find(session.user)
        if member is None:
            raise Refused(50034, user=session.user, tenant=self.tenant_id)
        self.members.admit(member, app, asked.resource, has_second_factor=session.second_factor)
        if not self.members.has_consented(app, permissions, member.address):
            raise Refused(65001, client_id=app.client_id, name=app.name)

    def _for_session(
        self,
        app: App,
        session: Session,
        asked: Asked,
        permissions: tuple[str, ...],
        form: Mapping[str, str],
        base: str,
        public: bool,
        nonce: str = "",
    ) -> dict[str, Any]:
        person = Person(
            session.user,
            self.members.name_of(session.user),
            self.members.object_id(session.user),
            session.session_id,
            session.second_factor,
        )
        seconds = self.members.policy.access_token_seconds
        token = self.tokens.for_user(app, asked.audience, seconds, person, permissions, public=public)
        answer = {**_answer(token, seconds), "scope": asked.written(permissions)}
        if asked.offline or form.get("grant_type") == "refresh_token":
            refresh = Refresh(app.client_id, session, asked, public, self.now())
            answer["refresh_token"] = self.grants.add_refresh(refresh)
        if "openid" in asked.openid:
            answer["id_token"] = self.tokens.id_token(app, base, seconds, person, nonce)
        if form.get("client_info"):
            answer["client_info"] = client_info(person, self.tenant_id)
        return answer


def _answer(token: str, seconds: int) -> dict[str, Any]:
    return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise Refused(900144, parameter=name)
    return value
