"""What a request asks for: the resource, its permissions, and OpenID's own scopes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .refusals import Refused

EXCHANGE = "https://outlook.office365.com"
GRAPH = "https://graph.microsoft.com"
EXCHANGE_APP_ID = "00000002-0000-0ff1-ce00-000000000000"
ACCESS_AS_USER = "EWS.AccessAsUser.All"
FULL_ACCESS = "full_access_as_app"

# What a client may write for a resource, and the audience its token then names.
_RESOURCES = {
    EXCHANGE: EXCHANGE,
    "https://outlook.office.com": "https://outlook.office.com",
    EXCHANGE_APP_ID: EXCHANGE_APP_ID,
    GRAPH: GRAPH,
}
EXCHANGE_AUDIENCES = frozenset(_RESOURCES.values()) - {GRAPH}

# The delegated permissions each resource has.
_OF_EXCHANGE = frozenset({ACCESS_AS_USER})
_OF_GRAPH = frozenset(
    {
        "Calendars.ReadWrite",
        "Calendars.ReadWrite.Shared",
        "Mail.Send",
        "Mail.Send.Shared",
        "MailboxSettings.Read",
        "Tasks.ReadWrite",
        "User.Read",
    }
)
DELEGATED = _OF_EXCHANGE | _OF_GRAPH
_OPENID = ("openid", "profile", "email", "offline_access")


def permissions_of(audience: str) -> frozenset[str]:
    """The delegated permissions that the resource behind an audience has."""
    return _OF_EXCHANGE if audience in EXCHANGE_AUDIENCES else _OF_GRAPH


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's scopes. ``resource`` is as the client wrote it, ``audience`` what the token names; ``default``: ``/.default``."""

    resource: str
    audience: str
    permissions: tuple[str, ...]
    default: bool
    openid: tuple[str, ...]

    @property
    def offline(self) -> bool:
        """Whether a refresh token is wanted."""
        return "offline_access" in self.openid

    def granted(self, app_permissions: Iterable[str]) -> tuple[str, ...]:
        """The permissions that come of it: those named, or with ``/.default`` all of the registration's."""
        if not self.default:
            return self.permissions
        return tuple(name for name in app_permissions if name in permissions_of(self.audience))

    def written(self, granted: Iterable[str]) -> str:
        """Draws the answer's ``scope``: permissions under the name the client uses for the resource."""
        names = [f"{self.resource}/{name}" for name in granted]
        names += [f"{self.resource}/.default"] if self.default else []
        return " ".join([*names, *(name for name in self.openid if name != "offline_access")])


def _audience_of(resource: str, tenant: str) -> str:
    audience = _RESOURCES.get(resource.rstrip("/").lower())
    if audience is None:
        raise Refused(500011, resource=resource, tenant=tenant)
    return audience


def for_app(scope: str, tenant: str) -> str:
    """The audience of a client-credentials request. Raises Refused."""
    scopes = scope.split()
    if len(scopes) != 1:
        raise Refused(70011, scope=scope)
    resource, _, suffix = scopes[0].rpartition("/")
    if suffix != ".default" or not resource:
        raise Refused(1002012, scope=scope)
    return _audience_of(resource, tenant)


def for_user(scope: str, tenant: str, app_name: str) -> Asked:
    """What a request in a user's name asks for. Raises Refused for scopes that cannot be."""
    openid = tuple(name for name in _OPENID if name in scope.split())
    others = [name for name in scope.split() if name not in _OPENID]
    if not others and not openid:
        raise Refused(900144, parameter="scope")
    if not others:
        return Asked(GRAPH, GRAPH, (), False, openid)
    parted = [name.rpartition("/") if "/" in name else (GRAPH, "/", name) for name in others]
    resources = {resource.rstrip("/").lower(): resource.rstrip("/") for resource, _, _ in parted}
    if len(resources) > 1:
        raise Refused(28000, scope=scope)
    resource = next(iter(resources.values()))
    audience = _audience_of(resource, tenant)
    known = {name.lower(): name for name in permissions_of(audience)}
    default = False
    permissions: list[str] = []
    for _, _, name in parted:
        if name == ".default":
            default = True
        elif name.lower() in known:
            permissions.append(known[name.lower()])
        else:
            raise Refused(650053, name=app_name, permission=name, resource=resource)
    if default and permissions:
        raise Refused(70011, scope=scope)
    return Asked(resource, audience, tuple(permissions), default, openid)
