"""The server's side of the host: tokens and sign-ins, the policy of EWS, the server's health, throttling and version. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ops_lib.diagnosis.judging import SERVER_PROBES, VERSION_CODES, Case, Told
from ops_lib.diagnosis.seen import Probe

VERSION_NUMBERS = {"2013": "15.0", "2016": "15.1", "2019": "15.2", "SE": "15.2", "Office 365": "15.20"}


def token(case: Case) -> Iterator[Told]:
    """Does the directory give a token, and one that will do?"""
    if case.probe("host").is_seen and not case.host("auth").startswith("oauth"):
        return
    probe = case.probe("token")
    if probe.failure is not None:
        told = case.failed(probe, source="directory")
        if told.sub_cause == "secret_wrong" and case.circumstances.secret_looks_like_an_id:
            yield Told(
                verdict="fail",
                observed=told.observed,
                sub_cause="secret_wrong",
                evidence=told.evidence,
                source="directory",
                follows="secret",
            )
        else:
            yield told
        return
    if not probe.is_seen:
        yield case.not_seen(probe, source="directory")
        return
    if not probe.get("is_readable"):
        yield Told(
            verdict="ok",
            observed="the directory gives a token that says nothing of itself",
            evidence=probe.evidence,
            source="directory",
        )
        return
    granted = probe.get("roles") or probe.get("scp")
    shown = ", ".join(granted) if isinstance(granted, list) else str(granted or "nothing")
    who = (
        probe.get("upn")
        or probe.get("preferred_username")
        or probe.get("unique_name")
        or f"the app {probe.get('appid') or probe.get('azp')}"
    )
    said = f"a token of {who}, tenant {probe.get('tid')}, with {shown}, until {str(probe.get('expires'))[:16]}"
    wanted = "full_access_as_app" if case.host("auth") == "oauth-app" else "EWS.AccessAsUser.All"
    tenant = case.host("tenant_id")
    if tenant and probe.get("tid") and str(probe.get("tid")).lower() != tenant.lower() and "-" in tenant:
        yield Told(verdict="warn", observed=said, sub_cause="token_refused", cause=f"the token is of another tenant than the host's, {tenant}", evidence=probe.evidence, source="directory")  # fmt: skip
    elif wanted not in shown and case.host("auth") != "oauth-app":
        yield Told(
            verdict="warn",
            observed=said,
            sub_cause="consent_missing",
            cause=f"the token lacks {wanted}",
            evidence=probe.evidence,
            source="directory",
        )
    else:
        yield Told(verdict="ok", observed=said, evidence=probe.evidence, source="directory")


def sign_in(case: Case) -> Iterator[Told]:
    """Does the mail server accept who signs in?"""
    for probe in (case.probe("mailbox"), case.probe("service")):
        if probe.failure is not None and probe.failure.error == "SignInRefused":
            yield case.failed(probe, source="server")
            return
    state = case.probe("sign_in")
    if state.get("by_person") and state.get("state") in ("needed", "refused"):
        reason = (
            f"{state.get('reason')} ({state.get('response_code')})" if state.get("reason") else str(state.get("state"))
        )
        yield Told(
            verdict="fail",
            observed=f"{state.get('signer')} has to sign in: {reason}",
            sub_cause="not_signed_in" if state.get("state") == "needed" else "sign_in_over",
            next_step=str(state.get("fix") or ""),
            evidence=f"sign_ins, {state.at}",
            source="records",
        )
        return
    inside = next((each for each in (case.probe("mailbox"), case.probe("service")) if _was_let_in(each)), None)
    if inside is not None:
        yield Told(
            verdict="ok",
            observed=f"the server accepts the sign-in ({case.host('auth')})",
            evidence=inside.evidence,
            source="server",
        )
    else:
        yield case.not_seen(case.probe("mailbox"), source="server")


def _was_let_in(probe: Probe) -> bool:
    """Whether EWS answered as to somebody it knows: anything but a refused sign-in, a 403, and no answer."""
    if probe.is_seen:
        return True
    return probe.failure is not None and probe.code.startswith("Error") and probe.failure.http_status in (0, 200, 500)


def policy(case: Case) -> Iterator[Told]:
    """Does EWS let this application in? (G1)"""
    for name_of in ("mailbox", "service", "greeting"):
        probe = case.probe(name_of)
        if probe.failure is not None and probe.failure.http_status == 403:
            yield case.failed(probe, source="server")
            return
    probe = case.probe("mailbox")
    if probe.is_seen or (probe.failure is not None and probe.code.startswith("Error")):
        yield Told(verdict="ok", observed="EWS lets the application in", evidence=probe.evidence, source="server")
    else:
        yield case.not_seen(probe, source="server")


# ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────────
_HEALTH_CAUSES = frozenset({"server_error", "front_end_error", "backend_away", "answer_lost", "page_in_the_way", "not_reachable", "not_ews", "certificate_refused", "name_unknown"})  # fmt: skip


_ASIDE = ("address", "time_zone", "items")
_NOT_OFFERED = frozenset(
    {"SOAP:Server", "SOAP:Client", "ErrorInvalidOperation", "ErrorInvalidRequest", "ErrorSchemaValidation"}
)
"""What a server says of an operation that it does not have: not every one of Exchange's. What the sync needs is asked by the other probes."""


def server(case: Case) -> Iterator[Told]:
    """Does the server do what it is asked, in time?"""
    is_asked = False
    slowest = 0.0
    for each in SERVER_PROBES:
        probe = case.probe(each)
        if probe.outcome == "not asked":
            continue
        is_asked = True
        slowest = max(slowest, probe.seconds)
        if probe.failure is not None and not (each in _ASIDE and probe.code in _NOT_OFFERED):
            key = case.sub_cause_of(probe)
            if key in _HEALTH_CAUSES or (
                key == "unknown" and probe.failure.error in ("ServerFailed", "Defect", "ItemRefused")
            ):
                yield case.failed(probe, source="server", sub_cause=key)
                return
    if not is_asked:
        yield case.not_seen(case.probe("mailbox"), source="server")
        return
    yield Told(
        verdict="ok",
        observed=f"the server answers; the slowest answer took {slowest:.1f} s",
        evidence=case.probe("mailbox").evidence,
        source="server",
    )


def _has_answered(probe: Probe) -> bool:
    """Whether anything came back: a server that says nothing does not say that it throttles either."""
    return probe.is_seen or (
        probe.failure is not None and (probe.failure.http_status > 0 or probe.code.startswith("Error"))
    )


def throttling(case: Case) -> Iterator[Told]:
    """Does the server ask for pauses, and on whose budget?"""
    is_answered = False
    for each in ("token", "greeting", *SERVER_PROBES):
        probe = case.probe(each)
        is_answered = is_answered or (each in SERVER_PROBES and _has_answered(probe))
        if probe.failure is not None and probe.failure.error == "ServerBusy":
            told = case.failed(probe, source="server")
            pause = probe.failure.back_off_seconds
            wait = f"; it asks to wait {pause:.0f} seconds" if pause else "; it does not say how long to wait"
            yield Told(
                verdict="fail",
                observed=told.observed + wait,
                sub_cause=told.sub_cause,
                evidence=told.evidence,
                source="server",
            )
            return
    if is_answered:
        yield Told(
            verdict="ok",
            observed="the server asks for no pause",
            evidence=case.probe("mailbox").evidence,
            source="server",
        )
    else:
        yield case.not_seen(case.probe("mailbox"), source="server")


def version(case: Case) -> Iterator[Told]:
    """Is the server of the version that the host is set to?"""
    for each in ("mailbox", "service"):
        probe = case.probe(each)
        if probe.code in VERSION_CODES:
            yield case.failed(probe, source="server")
            return
    seen = next(
        (str(found) for each in ("mailbox", "service") if (found := case.probe(each).get("server_version"))), ""
    )
    if not seen:
        probe = case.probe("mailbox")
        if probe.is_seen:
            yield Told(
                verdict="unknown",
                observed="the server does not say its version",
                evidence=probe.evidence,
                source="server",
            )
        else:
            yield case.not_seen(probe, source="server")
        return
    wanted = VERSION_NUMBERS.get(case.host("version"), "")
    is_older = wanted and [_number(part) for part in seen.split(".")[:2]] < [
        _number(part) for part in wanted.split(".")
    ]
    yield Told(
        verdict="warn" if is_older else "ok",
        observed=f"the server is {seen}; the host is set to {case.host('version')}",
        sub_cause="wrong_version" if is_older else "",
        evidence=case.probe("mailbox").evidence,
        source="server",
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
