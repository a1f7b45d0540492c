"""The host's layer: settings, the way to the server, the sign-in, and whether EWS lets anybody in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from ops_lib.diagnosis.checks_server import policy, server, sign_in, throttling, token, version
from ops_lib.diagnosis.judging import Case, Check, Told, moment
from ops_lib.diagnosis.sub_causes import EWS_ENDING, EWS_ENDS, NOT_TRUSTED, ROLE_WITHDRAWN

EARLY_DAYS = 30
CLOCK_SECONDS = 300
_KINDS = {"page": "a web page", "empty": "an empty answer", "soap": "SOAP"}
_LOST = ("AnswerLost", "Unreachable", "TimeoutError")


def settings(case: Case) -> Iterator[Told]:
    """Do the host's settings fit each other, and what they are for?"""
    host = case.probe("host")
    if not host.is_seen:
        yield case.not_seen(host, source="settings")
        return
    said = f"{case.host('url')}, {case.host('auth')}, access {case.host('access')}, version {case.host('version')}"
    is_user = case.host("auth") in ("oauth-code", "oauth-device")
    if case.is_online and case.host("access") == "impersonation" and is_user and case.today >= ROLE_WITHDRAWN:
        yield Told(
            verdict="fail",
            observed=said,
            sub_cause="impersonation_withdrawn",
            evidence="host settings",
            source="settings",
        )
    elif case.host("version") == "Office 365" and not case.is_online and not _is_this_machine(case.host("url")):
        yield Told(
            verdict="warn",
            observed=said,
            sub_cause="wrong_version",
            cause="the version is Office 365, and the URL is no address of Exchange Online's",
            evidence="host settings",
            source="settings",
        )
    else:
        yield Told(verdict="ok", observed=said, evidence="host settings", source="settings")


def _is_this_machine(url: str) -> bool:
    return "//127." in url or "//localhost" in url or "//[::1]" in url


def retirement(case: Case) -> Iterator[Told]:
    """Until when does this host have EWS? (G1)"""
    host = case.probe("host")
    if not host.is_seen:
        yield case.not_seen(host, source="settings")
        return
    if not case.is_online:
        yield Told(
            verdict="ok", observed="a server of one's own keeps EWS", evidence="the host's URL", source="settings"
        )
    elif case.today >= EWS_ENDS:
        days = (case.today - EWS_ENDS).days
        yield Told(verdict="fail", observed=f"Exchange Online has had no EWS for {days} days", sub_cause="ews_retired", evidence="the host's URL and the day", source="settings")  # fmt: skip
    elif case.today >= EWS_ENDING:
        days = (EWS_ENDS - case.today).days
        yield Told(
            verdict="warn",
            observed=f"Exchange Online is switching EWS off, tenant by tenant; it ends in {days} days, on {EWS_ENDS}",
            sub_cause="ews_ending",
            evidence="the host's URL and the day",
            source="settings",
        )
    else:
        yield Told(
            verdict="ok",
            observed=f"Exchange Online has EWS until {EWS_ENDS}",
            evidence="the host's URL and the day",
            source="settings",
        )


def secret(case: Case) -> Iterator[Told]:
    """Is the host's secret there, and for how long?"""
    probe = case.probe("secret")
    if probe.failure is not None:
        yield case.failed(probe, source="settings", sub_cause="secret_missing")
        return
    if not probe.is_seen:
        yield case.not_seen(probe, source="settings")
        return
    if not probe.get("is_set"):
        needs_none = case.host("auth") in ("oauth-device", "oauth-code")
        yield Told(
            verdict="ok" if needs_none else "fail",
            observed="this way of signing in needs none" if needs_none else "no secret is set",
            sub_cause="" if needs_none else "secret_missing",
            evidence="host settings",
            source="settings",
        )
        return
    if probe.get("looks_like_an_id") and case.host("auth").startswith("oauth"):
        yield Told(
            verdict="fail",
            observed="what is kept as the client secret is a GUID, the form of a secret's ID",
            sub_cause="secret_wrong",
            evidence="the form of the secret",
            source="settings",
        )
        return
    ends = _day(case.host("secret_expires"))
    if ends is None:
        yield Told(
            verdict="ok",
            observed="the secret is there; when it ends is not entered",
            evidence="host settings",
            source="settings",
        )
        return
    days = (ends - case.today).days
    if days < 0:
        yield Told(
            verdict="fail",
            observed=f"the secret ended on {ends}",
            sub_cause="secret_expired",
            evidence="host settings",
            source="settings",
        )
    elif days <= EARLY_DAYS:
        yield Told(verdict="warn", observed=f"the secret ends in {days} days, on {ends}", sub_cause="secret_expiring", evidence="host settings", source="settings")  # fmt: skip
    else:
        yield Told(
            verdict="ok", observed=f"the secret is there until {ends}", evidence="host settings", source="settings"
        )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# ── the way there ────────────────────────────────────────────────────────────────────────────────────────────────────
def name(case: Case) -> Iterator[Told]:
    """Has the server's name an address?"""
    probe = case.probe("name")
    if probe.failure is not None:
        yield case.failed(probe, source="network", sub_cause="not_reachable" if probe.code != "DNS" else "name_unknown")
    elif probe.is_seen:
        addresses = probe.get("addresses")
        shown = ", ".join(map(str, addresses[:4])) if isinstance(addresses, list) else "known"
        yield Told(verdict="ok", observed=f"{probe.get('host')} is {shown}", evidence=probe.evidence, source="network")
    else:
        yield case.not_seen(probe, source="network")


def connection(case: Case) -> Iterator[Told]:
    """Does the server accept a connection?"""
    probe = case.probe("connection")
    if probe.failure is not None:
        yield case.failed(probe, source="network", sub_cause="not_reachable")
    elif probe.is_seen:
        proxy = probe.get("proxy")
        through = f" through the proxy {proxy}" if proxy else ", no proxy"
        yield Told(verdict="ok", observed=f"{probe.get('host')}:{probe.get('port')} accepts connections{through}", evidence=probe.evidence, source="network")  # fmt: skip
    else:
        yield case.not_seen(probe, source="network")


def certificate(case: Case) -> Iterator[Told]:
    """Is the server's certificate trusted, and for how long?"""
    probe = case.probe("certificate")
    if probe.failure is not None:
        key = "certificate_refused" if NOT_TRUSTED in probe.failure.message else "not_reachable"
        told = case.failed(probe, source="network", sub_cause=key)
        shown = probe.get("subject")
        by = (
            f"; it shows {shown} by {probe.get('issuer')} until {probe.get('ends')}; trusted are {probe.get('trusted_by')}"
            if shown
            else ""
        )
        yield Told(
            verdict="fail",
            observed=told.observed + by,
            sub_cause=key,
            next_step=probe.failure.fix,
            evidence=told.evidence,
            source="network",
        )
        return
    if not probe.is_seen:
        if probe.why == "plain http":
            yield Told(
                verdict="ok",
                observed="plain http, which is taken on this machine only",
                evidence="the host's URL",
                source="network",
            )
        else:
            yield case.not_seen(probe, source="network")
        return
    ends = moment(probe.get("ends"))
    seen = f"{probe.get('version')}, {probe.get('subject')} by {probe.get('issuer')} until {str(probe.get('ends'))[:10]}, trusted by {probe.get('trusted_by')}"
    days = (ends - case.now).days if ends is not None else None
    if days is None:
        yield Told(verdict="unknown", observed=seen, evidence=probe.evidence, source="network")
    elif days <= EARLY_DAYS:
        yield Told(
            verdict="warn",
            observed=f"{seen}: it ends in {days} days",
            sub_cause="certificate_expiring",
            evidence=probe.evidence,
            source="network",
        )
    else:
        yield Told(verdict="ok", observed=seen, evidence=probe.evidence, source="network")


def ews(case: Case) -> Iterator[Told]:
    """Is it an Exchange Web Service that answers at the URL?"""
    probe = case.probe("greeting")
    if not probe.is_seen and probe.failure is None:
        yield case.not_seen(probe, source="server")
        return
    if probe.failure is None:
        kind = "asks to sign in" if probe.get("status") == 401 else "answers SOAP"
        offers = probe.get("offers")
        offered = f"; it offers {', '.join(map(str, offers))}" if offers else ""
        wanted = {"basic": "Basic", "ntlm": "NTLM"}.get(case.host("auth"), "Bearer")
        if offers and wanted not in offers and not (wanted == "NTLM" and "Negotiate" in offers):
            yield Told(
                verdict="fail",
                observed=f"{kind}{offered}, and the host is set to {case.host('auth')}",
                sub_cause="sign_in_method_refused",
                evidence=f"{probe.evidence}, HTTP 401",
                source="server",
            )
        else:
            yield Told(verdict="ok", observed=f"{kind}{offered}", evidence=probe.evidence, source="server")
        return
    failure = probe.failure
    if failure.error == "WrongUrl":
        is_page = probe.get("status") == 200 and probe.get("kind") == "page"
        said = f': it says "{probe.get("says")}"' if probe.get("says") else ""
        what = (
            f"{_KINDS.get(str(probe.get('kind')), 'something that is no SOAP')} comes with HTTP {probe.get('status')}{said}"
            if probe.get("status") == 200
            else failure.message
        )
        told = case.failed(probe, source="server", sub_cause="page_in_the_way" if is_page else "not_ews")
        yield Told(verdict="fail", observed=what, sub_cause=told.sub_cause, evidence=told.evidence, source="server")
    elif failure.http_status == 403:
        yield Told(
            verdict="unknown", observed="a 403 before anybody signed in", evidence=probe.evidence, source="server"
        )
    else:
        yield case.failed(probe, source="server", sub_cause="answer_lost" if failure.error in _LOST else "")


def clock(case: Case) -> Iterator[Told]:
    """Do the server's clock and this machine's agree?"""
    probe = case.probe("greeting")
    ahead = probe.get("clock_ahead_seconds")
    if not isinstance(ahead, (int, float)):
        if probe.outcome == "not asked" or probe.failure is not None:
            yield case.not_seen(probe, source="server")
        else:
            yield Told(
                verdict="unknown",
                observed="the server does not say what time it is",
                evidence=probe.evidence,
                source="server",
            )
        return
    apart = f"the server's clock is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} this machine's"
    is_far = abs(ahead) > CLOCK_SECONDS
    yield Told(
        verdict="warn" if is_far else "ok",
        observed=apart if abs(ahead) > 2 else "the clocks agree",
        sub_cause="clock_off" if is_far else "",
        evidence=f"{probe.evidence}, Date {probe.headers.get('Date', '')}",
        source="server",
    )


CHECKS = (
    Check("settings", "connection", "settings that fit each other", settings),
    Check("retirement", "connection", "a server that keeps EWS", retirement),
    Check("secret", "connection", "a secret that is there, for more than 30 days", secret),
    Check("name", "connection", "an address", name),
    Check("connection", "connection", "a connection", connection, ("name",)),
    Check("certificate", "connection", "a trusted certificate, for more than 30 days", certificate, ("name", "connection")),
    Check("ews", "connection", "an Exchange Web Service that offers the host's way of signing in", ews, ("name", "connection", "certificate")),
    Check("clock", "connection", "clocks less than five minutes apart", clock, ("name", "connection", "certificate", "ews")),
    Check("token", "connection", "a token with the permission for EWS", token, ("secret", "settings")),
    Check("sign_in", "connection", "a sign-in that the server accepts", sign_in, ("name", "connection", "certificate", "ews", "secret", "token", "server", "throttling", "policy")),
    Check("policy", "connection", "no policy against EWS or this application", policy, ("name", "connection", "certificate", "ews", "secret", "token", "sign_in", "server", "throttling", "retirement")),
    Check("throttling", "connection", "no throttling", throttling, ("name", "connection", "certificate", "ews", "secret", "token", "sign_in", "policy")),
    Check("server", "connection", "answers in time", server, ("name", "connection", "certificate", "ews", "secret", "token", "sign_in", "policy", "throttling")),
    Check("version", "connection", "the version of the host's settings, or newer", version, ("name", "connection", "certificate", "ews", "secret", "token", "sign_in", "policy", "throttling", "server", "settings")),
)  # fmt: skip
