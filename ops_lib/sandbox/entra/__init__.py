"""Microsoft Entra on loopback: app registrations, users and policies, sign-in pages, tokens, and what Exchange makes of them.

    refusals    every AADSTS code, its text and its JSON
    scopes      what a request asks for
    apps        registrations, secrets, certificates
    members     users' standing, the tenant's policy, consent
    grants      sessions, codes, refresh tokens
    tokens      signing, and Exchange's check
    directory   discovery, the token and device-code endpoints
    signin      the pages, step by step;  pages: their HTML
    web         all of it over HTTP;  control: register apps, change users and policy

**Source** learn.microsoft.com/entra/identity-platform: v2-oauth2-auth-code-flow, v2-oauth2-client-creds-grant-flow,
v2-oauth2-device-code, certificate-credentials, reference-error-codes, access-token-claims-reference; Exchange:
how-to-authenticate-an-ews-application-by-using-oauth.
"""

from .apps import App, Certificate
from .directory import CLIENT_ID, PUBLIC_CLIENT_ID, TENANT_ID, Directory
from .scopes import ACCESS_AS_USER, EXCHANGE, EXCHANGE_APP_ID, FULL_ACCESS, GRAPH
from .tokens import Bearer, TokenRefused

__all__ = [
    "ACCESS_AS_USER",
    "CLIENT_ID",
    "EXCHANGE",
    "EXCHANGE_APP_ID",
    "FULL_ACCESS",
    "GRAPH",
    "PUBLIC_CLIENT_ID",
    "TENANT_ID",
    "App",
    "Bearer",
    "Certificate",
    "Directory",
    "TokenRefused",
]
