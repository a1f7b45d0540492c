"""Why a sign-in was refused: what each code means, who must act, and what to do. Pure; `docs/sign_in_errors.md` is this table.

The codes are only explained by this table: whether to try again follows the OAuth error, because the directory says that its codes may change.
**Source** Microsoft Entra authentication error codes; RFC 6749, RFC 8628, OpenID Connect Core 3.1.2.6; Exchange Online, HTTP 403 responses; EWS ResponseCode.
"""

from __future__ import annotations

from dataclasses import dataclass

USER = "the user"
SIGNER = "who signs in"
TENANT = "the tenant's administrator"
OWNER = "the app registration's owner"
CRM = "a CRM administrator"
EXCHANGE = "the Exchange administrator"
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way of being refused. ``by_signing_in``: nothing but a new sign-in mends it, so asking again before is in vain."""

    meaning: str
    who: str
    step: str
    by_signing_in: bool = False

    @property
    def fix(self) -> str:
        """Who does what, as one clause."""
        return f"{self.who} {self.step}"


_AGAIN = "signs in again (syncops signin)."

AADSTS: dict[str, Refusal] = {
    "50011": Refusal("the redirect URI is not registered with the app, or not exactly so", OWNER, "adds it on the Authentication page, letter for letter."),
    "50034": Refusal("the user is not in this tenant", CRM, "checks the user name and the host's tenant id."),
    "50053": Refusal("the account is locked after too many tries, or the sign-in comes from an address known for attacks", TENANT, "looks at the reason in the sign-in log, and unlocks the account."),
    "50055": Refusal("the password has expired", USER, "sets a new password and signs in again.", True),
    "50057": Refusal("the user is disabled", TENANT, "enables the user."),
    "50058": Refusal("nobody is signed in there any more, and silently it does not go on", SIGNER, _AGAIN, True),
    "50076": Refusal("a second factor is asked for", SIGNER, "signs in again in a browser (syncops signin).", True),
    "50079": Refusal("the user must register a second factor first", USER, "registers one, then signs in again.", True),
    "50105": Refusal("the app is for assigned users only, and this one is not assigned", TENANT, "assigns the user to the enterprise application."),
    "50126": Refusal("user name or password is wrong", SIGNER, "signs in again with the right ones.", True),
    "50173": Refusal("the sign-in was withdrawn, for example by a new password", SIGNER, _AGAIN, True),
    "50194": Refusal("the app belongs to one tenant and was asked for at the common address", CRM, "enters the tenant id for the host."),
    "53000": Refusal("the device does not meet the tenant's policy", TENANT, "looks at the Conditional Access policy in the sign-in log."),
    "53001": Refusal("the device is not joined to the domain", TENANT, "looks at the Conditional Access policy in the sign-in log."),
    "53003": Refusal("a Conditional Access policy blocks the sign-in", TENANT, "looks at the policy that the sign-in log names."),
    "530032": Refusal("the tenant's security policy blocks the sign-in", TENANT, "looks at the policy that the sign-in log names."),
    "530035": Refusal("the tenant's security defaults block the sign-in", TENANT, "lets the app through, or has another way of signing in used."),
    "54005": Refusal("the sign-in's code was used before", SIGNER, _AGAIN, True),
    "65001": Refusal("nobody has consented to the app's permissions", TENANT, "grants admin consent on the API permissions page."),
    "65004": Refusal("the user declined to consent", USER, "signs in again and accepts.", True),
    "90002": Refusal("there is no such tenant (in this cloud)", CRM, "checks the host's tenant id and authority."),
    "90094": Refusal("only an administrator may consent to the app's permissions", TENANT, "grants admin consent on the API permissions page."),
    "500011": Refusal("the tenant does not know the resource", CRM, "checks the host's tenant id: a tenant without Exchange Online has no mailboxes."),
    "650056": Refusal("the app's registration is incomplete", OWNER, "checks its API permissions: Office 365 Exchange Online must be among them."),
    "650057": Refusal("the app does not ask for this resource", OWNER, "adds the API permission Office 365 Exchange Online."),
    "700016": Refusal("the tenant does not know this app", CRM, "checks the host's client id and tenant id; an app of another tenant needs consent there first."),
    "700025": Refusal("the app is a public client, and was given a secret", OWNER, "registers the redirect URI under Web instead of Mobile and desktop, or a CRM administrator takes the secret out of the host."),
    "700027": Refusal("the certificate's signature is not valid: the app does not know this certificate", OWNER, "uploads the certificate that the host signs in with, or the host gets the right one."),
    "700082": Refusal("the sign-in has expired because it was not used for long", SIGNER, _AGAIN, True),
    "7000112": Refusal("the app is disabled in the tenant", TENANT, "enables the enterprise application."),
    "7000215": Refusal("the client secret is wrong; often the secret's ID was copied in place of its value", CRM, "enters the column Value of Certificates & secrets (syncops host edit)."),
    "7000218": Refusal("the app asks for a secret, and none was sent", OWNER, "allows public client flows, or a CRM administrator enters the client secret."),
    "7000222": Refusal("the client secret has expired", OWNER, "makes a new secret, and a CRM administrator enters its value (syncops host edit)."),
    "70008": Refusal("the sign-in has expired, or was withdrawn", SIGNER, _AGAIN, True),
    "70011": Refusal("the scope is not valid", OWNER, "checks the API permissions: EWS.AccessAsUser.All, or full_access_as_app for an app."),
    "70016": Refusal("nobody has entered the code yet", SIGNER, "enters it on the page that was shown.", True),
    "70018": Refusal("the code entered is not the one that was shown", SIGNER, _AGAIN, True),
    "70019": Refusal("the code was not entered in time", SIGNER, _AGAIN, True),
    "70043": Refusal("the tenant asks to sign in more often than that", SIGNER, _AGAIN, True),
    "9001023": Refusal("this way of signing in needs the tenant's own address", CRM, "enters the tenant id for the host."),
}  # fmt: skip
"""By number, as in ``AADSTS50011``."""

OAUTH: dict[str, Refusal] = {
    "access_denied": Refusal("the sign-in was refused, by the user or by a policy", SIGNER, "signs in again and accepts; if it is refused again, the tenant's administrator looks at the sign-in log.", True),
    "authorization_declined": Refusal("the user declined", USER, "signs in again and accepts.", True),
    "bad_verification_code": Refusal("the code is not the one that was shown", SIGNER, _AGAIN, True),
    "consent_required": Refusal("nobody has consented to the app's permissions", TENANT, "grants admin consent on the API permissions page."),
    "expired_token": Refusal("the code was not entered in time", SIGNER, _AGAIN, True),
    "interaction_required": Refusal("the tenant asks for more than silently is possible", SIGNER, "signs in again in a browser (syncops signin).", True),
    "invalid_client": Refusal("the app's secret or certificate is not accepted", CRM, "enters the right one for the host."),
    "invalid_grant": Refusal("the sign-in holds no longer", SIGNER, _AGAIN, True),
    "invalid_resource": Refusal("the tenant does not know the resource", CRM, "checks the host's tenant id."),
    "invalid_scope": Refusal("the scope is not valid", OWNER, "checks the app's API permissions."),
    "login_required": Refusal("nobody is signed in there any more", SIGNER, _AGAIN, True),
    "unauthorized_client": Refusal("the app may not sign in this way", OWNER, "checks the registration: its platform, and whether it is enabled."),
}  # fmt: skip
"""By OAuth error, where the directory gives no code or one that has no entry."""

SERVER: dict[str, Refusal] = {
    "HTTP 401 password": Refusal("the server does not accept user name and password", CRM, "enters the right ones for the host; until then the password is not sent again."),
    "HTTP 401 locked": Refusal("the account is locked out", EXCHANGE, "unlocks the account in the directory; then a CRM administrator enters the right password."),
    "HTTP 401 scheme": Refusal("the server does not take the host's way of signing in", CRM, "sets the host's sign-in to one that it offers."),
    "HTTP 401 app": Refusal("the server does not accept the app's token", OWNER, "checks tenant id, client id and the permission full_access_as_app."),
    "HTTP 401 user": Refusal("the server does not accept the user's token", SIGNER, "signs in again (syncops signin); if it is refused again, the app lacks the permission EWS.AccessAsUser.All."),
    "HTTP 403": Refusal("the server forbids the request", EXCHANGE, "looks at EwsEnabled, EwsApplicationAccessPolicy and EwsAllowedAppIDs of the organisation and the mailbox."),
    "ErrorAccountDisabled": Refusal("the account is disabled", TENANT, "enables the account in the directory."),
    "ErrorPasswordExpired": Refusal("the password has expired", CRM, "has a new password set, and enters it for the host."),
    "ErrorPasswordChangeRequired": Refusal("the password must be changed first", CRM, "has the password changed, and enters it for the host."),
    "ErrorInvalidLicense": Refusal("the user has no licence for this mailbox", TENANT, "assigns a licence with Exchange."),
    "ErrorImpersonateUserDenied": Refusal("the account may not impersonate this user", EXCHANGE, "gives it the role ApplicationImpersonation over this mailbox, or the app the role Application EWS.AccessAsApp."),
    "ErrorImpersonationDenied": Refusal("the account may not impersonate through this server", EXCHANGE, "gives it the role ApplicationImpersonation."),
    "ErrorImpersonationFailed": Refusal("the server could not impersonate this user", EXCHANGE, "looks into the server's event log."),
    "ErrorInvalidExchangeImpersonationHeaderData": Refusal("the server does not accept the address that was to be impersonated", CRM, "corrects the account's mailbox address."),
    "ErrorNonExistentMailbox": Refusal("no mailbox has this address", CRM, "corrects the account's mailbox address, or has a mailbox made."),
    "ErrorMissingEmailAddress": Refusal("who signed in has no mailbox, and named none", CRM, "enters the account's mailbox address."),
}  # fmt: skip
"""What Exchange itself says; the words after ``HTTP 401`` tell its cases apart and are not the server's."""

UNKNOWN = Refusal(
    "the directory gives no token", CRM, "looks the code up at https://login.microsoftonline.com/error and acts on it."
)
NEVER_SIGNED_IN = Refusal("nobody has signed in yet", SIGNER, "signs in (syncops signin).", True)
OTHER_MAILBOX = Refusal(
    "somebody else signed in than the account's mailbox; nothing of it is kept", SIGNER, "signs in with the account's own mailbox.", True
)  # fmt: skip
OURS: dict[str, Refusal] = {
    "not signed in": NEVER_SIGNED_IN,
    "another mailbox": OTHER_MAILBOX,
    "unknown tenant": Refusal(
        "the directory does not know this tenant", CRM, "checks the host's tenant id and authority."
    ),
    "sign-in address unreachable": Refusal(
        "the directory cannot be reached, or does not answer in time", CRM, "checks the host's authority, the name service, the firewall and the CA bundle."
    ),
}  # fmt: skip
"""What is no answer of theirs."""

LATER = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""OAuth errors that pass by themselves."""


def of_answer(number: str, error: str) -> Refusal:
    """What a refusal means: by its AADSTS number, else by its OAuth error."""
    return AADSTS.get(number) or OAUTH.get(error) or UNKNOWN


def of_code(response_code: str) -> Refusal | None:
    """What a failure's code means, where it is one of signing in at the directory."""
    if response_code.startswith("AADSTS"):
        return AADSTS.get(response_code.removeprefix("AADSTS"), UNKNOWN)
    return OAUTH.get(response_code) or OURS.get(response_code)


def needs_sign_in(response_code: str) -> bool:
    """Whether only a person who signs in mends what this code stands for: then nobody asks the directory again before."""
    refusal = of_code(response_code)
    return refusal is not None and refusal.by_signing_in
