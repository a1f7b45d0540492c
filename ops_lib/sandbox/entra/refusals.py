"""What Entra refuses with: each AADSTS code with its OAuth error, its text, and the JSON it comes in.

A code is raised on its real cause (`Refused`), or on demand by a fault rule with ``aadsts``.

**Source** learn.microsoft.com/entra/identity-platform/reference-error-codes and the flows' own pages.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ERROR_PAGE = "https://login.microsoftonline.com/error?code={code}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code: HTTP status and OAuth error at the token endpoint, ``at_authorize`` the error handed back by a redirect."""

    text: str
    error: str = "invalid_grant"
    status: int = 400
    suberror: str = ""
    at_authorize: str = ""


_POLICY = "access_denied"
MEANINGS: dict[int, Meaning] = {
    16000: Meaning("Either multiple user identities are available for the current request or selected account is not supported for the scenario.", at_authorize="account_selection_required"),
    28000: Meaning("Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {scope} is not valid.", "invalid_scope"),
    50011: Meaning("The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the application '{client_id}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error.", "invalid_request"),
    50027: Meaning("JWT token is invalid or malformed.", "invalid_client", 401),
    50034: Meaning("The user account {user} does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory."),
    50053: Meaning("The account is locked, you've tried to sign in too many times with an incorrect user ID or password."),
    50055: Meaning("The password is expired.", suberror="user_password_expired"),
    50057: Meaning("The user account is disabled."),
    50058: Meaning("A silent sign-in request was sent but no user is signed in. The cookies used to represent the user's session were not sent in the request to Azure AD.", at_authorize="login_required"),
    50059: Meaning("No tenant-identifying information found in either the request or implied by any provided credentials.", "invalid_request"),
    50076: Meaning("Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '{resource}'.", suberror="basic_action", at_authorize="interaction_required"),
    50079: Meaning("Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access '{resource}'.", suberror="basic_action", at_authorize="interaction_required"),
    50105: Meaning("Your administrator has configured the application {name} ('{client_id}') to block users unless they are specifically granted ('assigned') access to the application. The signed in user '{user}' is blocked because they are not a direct member of a group with access, nor had access directly assigned by an administrator. Please contact your administrator to assign access to this application.", at_authorize=_POLICY),
    50126: Meaning("Error validating credentials due to invalid username or password."),
    50173: Meaning("The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before which tokens are not valid) for this user is '{valid_from}'.", suberror="bad_token"),
    50194: Meaning("Application '{client_id}'({name}) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant.", "invalid_request"),
    53000: Meaning("Device is not in required device state: {device_state}. Conditional Access policy requires a compliant device, and the device is not compliant. The user must enroll their device with an approved MDM provider like Intune.", suberror="message_only", at_authorize=_POLICY),
    53001: Meaning("Device is not in required device state: {device_state}. Conditional Access policy requires a domain joined device, and the device is not domain joined.", suberror="message_only", at_authorize=_POLICY),
    53003: Meaning("Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.", suberror="message_only", at_authorize=_POLICY),
    54005: Meaning("OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."),
    65001: Meaning("The user or administrator has not consented to use the application with ID '{client_id}' named '{name}'. Send an interactive authorization request for this user and resource.", suberror="consent_required", at_authorize="consent_required"),
    65004: Meaning("User declined to consent to access the app.", "access_denied", at_authorize="access_denied"),
    70000: Meaning("Provided grant is invalid or malformed.", suberror="bad_token"),
    70003: Meaning("The app requested an unsupported grant type '{grant_type}'.", "unsupported_grant_type"),
    70005: Meaning("The WS-Federation message or the response type '{response_type}' is not supported.", "unsupported_response_type"),
    70008: Meaning("The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."),
    70011: Meaning("The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.", "invalid_scope"),
    70016: Meaning("OAuth 2.0 device flow error. Authorization is pending. Continue polling.", "authorization_pending"),
    70018: Meaning("Invalid verification code due to user typing in wrong user code for device code flow.", "bad_verification_code"),
    70019: Meaning("Verification code expired.", "expired_token"),
    70043: Meaning("The refresh token has expired or is invalid due to sign-in frequency checks by conditional access. The token was issued on {issued} and the maximum allowed lifetime for this request is {lifetime}.", suberror="token_expired", at_authorize="interaction_required"),
    90002: Meaning("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", "invalid_request"),
    90023: Meaning("Unsupported '{parameter}' value.", "invalid_request"),
    90033: Meaning("A transient error has occurred. Please try again.", "temporarily_unavailable", 503, at_authorize="temporarily_unavailable"),
    90055: Meaning("The service has terminated the request due to too many requests being received in a short period of time. Please try again later.", "temporarily_unavailable", 429, at_authorize="temporarily_unavailable"),
    90094: Meaning("The grant requires admin permission. An administrator of '{tenant}' must consent to '{name}'.", at_authorize="consent_required"),
    500011: Meaning("The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", "invalid_resource"),
    500112: Meaning("The reply address '{redirect_uri}' does not match the reply address '{expected}' provided when requesting Authorization code.", "invalid_client", 401),
    500121: Meaning("Authentication failed during strong authentication request."),
    501481: Meaning("The Code_Verifier does not match the code_challenge supplied in the authorization request."),
    501491: Meaning("The value of code_challenge_method or code_challenge is not valid: '{value}'.", "invalid_request"),
    530032: Meaning("User blocked due to risk or by a security policy of the tenant.", suberror="message_only", at_authorize=_POLICY),
    530035: Meaning("Access has been blocked by security defaults. This is due to the request using legacy auth or being deemed unsafe by security defaults policies.", suberror="message_only", at_authorize=_POLICY),
    650053: Meaning("The application '{name}' asked for scope '{permission}' that doesn't exist on the resource '{resource}'. Contact the app vendor.", "invalid_client"),
    650056: Meaning("Misconfigured application. This could be due to one of the following: the client has not listed any permissions for '{resource}' in the requested permissions in the client's application registration. Or, the admin has not consented in the tenant. Please contact your admin to fix the configuration or consent on behalf of the tenant. Client app ID: {client_id}.", "invalid_client"),
    650057: Meaning("Invalid resource. The client has requested access to a resource which is not listed in the requested permissions in the client's application registration. Client app ID: {client_id}({name}). Resource value from request: {resource}.", "invalid_resource"),
    700016: Meaning("Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", "unauthorized_client"),
    700021: Meaning("Client assertion application identifier doesn't match 'client_id' parameter.", "invalid_client", 401),
    700023: Meaning("Client assertion audience claim does not match Realm issuer.", "invalid_client", 401),
    700024: Meaning("Client assertion is not within its valid time range. Current time: {now}, expiry time of assertion {expires}.", "invalid_client", 401),
    700025: Meaning("Client is public so neither 'client_assertion' nor 'client_secret' should be presented.", "invalid_client", 401),
    700027: Meaning("The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {reason}, Thumbprint of key used by client: '{thumbprint}'], client ID '{client_id}'.", "invalid_client", 401),
    700082: Meaning("The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for {inactive}.", suberror="bad_token"),
    900144: Meaning("The request body must contain the following parameter: '{parameter}'.", "invalid_request"),
    1002012: Meaning("The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", "invalid_scope"),
    7000112: Meaning("Application '{client_id}'({name}) is disabled.", "unauthorized_client"),
    7000215: Meaning("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'.", "invalid_client", 401),
    7000218: Meaning("The request body must contain the following parameter: 'client_assertion' or 'client_secret'.", "invalid_client", 401),
    7000222: Meaning("The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", "invalid_client", 401),
    9001023: Meaning("The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.", "invalid_request"),
    9002313: Meaning("Invalid request. Request is malformed or invalid.", "invalid_request"),
}  # fmt: skip


class _Known(dict[str, str]):
    """The values of a text; what nobody gave, as on demand, stands there by its name."""

    def __missing__(self, name: str) -> str:
        return f"({name})"


class Refused(Exception):
    """Entra refuses. ``error`` replaces the OAuth error of the code where a flow has one of its own."""

    def __init__(self, code: int, *, error: str = "", **values: str) -> None:
        self.code = code
        self.meaning = MEANINGS[code]
        self.error = error or self.meaning.error
        self.values = values
        super().__init__(f"AADSTS{code}")

    @property
    def text(self) -> str:
        """What happened, with the names of those concerned."""
        return self.meaning.text.format_map(_Known(self.values))

    @property
    def error_at_authorize(self) -> str:
        """The OAuth error a redirect hands back."""
        return self.meaning.at_authorize or self.error

    @property
    def suberror(self) -> str:
        """The finer error some codes have."""
        return self.meaning.suberror if self.error == "invalid_grant" else ""


def stamp(at: datetime) -> str:
    """Writes an instant (UTC) as Entra does."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def description(refused: Refused, at: datetime, correlation_id: str = "") -> tuple[str, str, str]:
    """Draws ``error_description`` with new ids: the text, the trace id, the correlation id."""
    trace_id, correlation_id = str(uuid.uuid4()), correlation_id or str(uuid.uuid4())
    said = (
        f"AADSTS{refused.code}: {refused.text} Trace ID: {trace_id} Correlation ID: {correlation_id} "
        f"Timestamp: {stamp(at)}"
    )
    return said, trace_id, correlation_id


def document(refused: Refused, at: datetime, correlation_id: str = "") -> dict[str, Any]:
    """Draws the refusal as the JSON of the token endpoint."""
    said, trace_id, correlation_id = description(refused, at, correlation_id)
    drawn: dict[str, Any] = {
        "error": refused.error,
        "error_description": said,
        "error_codes": [refused.code],
        "timestamp": stamp(at),
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": ERROR_PAGE.format(code=refused.code),
    }
    if refused.suberror:
        drawn["suberror"] = refused.suberror
    return drawn
