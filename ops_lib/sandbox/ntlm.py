"""NTLM over HTTP, the server's side: a connection is signed in, not a request.

The client says NEGOTIATE, is given a CHALLENGE in a 401, and proves with AUTHENTICATE that it knows the password (NTLMv2 only;
NTLMv1 and LM are refused, as by today's servers). From then on everything on that connection is that account's. Under ``Negotiate``
the same messages come bare, as Python's clients send them, or inside SPNEGO; there is no Kerberos here.

Messages are read and written with pyspnego. **Source** MS-NLMP 3.2.5 and 3.3.2, RFC 4559, RFC 4178.
"""

from __future__ import annotations

import base64
import hmac
import os
import struct
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from spnego._ntlm_raw.crypto import ntowfv1, ntowfv2
from spnego._ntlm_raw.messages import (
    Authenticate,
    AvId,
    Challenge,
    FileTime,
    Negotiate,
    NegotiateFlags,
    TargetInfo,
    Version,
)
from spnego._spnego import NegState, NegTokenInit, NegTokenResp, unpack_token
from spnego.exceptions import SpnegoError

NTLM_MECHANISM = "1.3.6.1.4.1.311.2.2.10"
_SIGNATURE = b"NTLMSSP\x00"
_STATE = "ntlm"
_PROOF_BYTES = 16
_NTLM_V1_BYTES = 24


class NotNtlm(Exception):
    """What came is no message of NTLM, or none that can come now."""


@dataclass(slots=True)
class _Waiting:
    """A challenge was sent on this connection and has not been answered: its nonce."""

    challenge: bytes


@dataclass(frozen=True, slots=True)
class Challenged:
    """The client is to answer this: the value of ``WWW-Authenticate``."""

    header: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Who the client says it is, and whether it knows the password."""

    login: str
    is_right: bool


def step(
    scheme: str, value: str, kept: MutableMapping[str, Any], password_of: Callable[[str], str | None], domain: str
) -> Challenged | Proof:
    """Takes one message of a connection (``kept`` is its memory) and says what comes of it.

    ``scheme`` is NTLM or Negotiate, as the client wrote it; ``password_of`` gives an account's password by login; ``domain`` is
    the organisation's.

    Raises:
        NotNtlm: the message is none, or comes out of turn.
    """
    waiting: _Waiting | None = kept.pop(_STATE, None)
    message, wrapped = _message(scheme, value)
    try:
        if message[8:12] == b"\x01\x00\x00\x00":
            challenge, nonce = _challenge(Negotiate.unpack(message), domain, timed=not wrapped)
            kept[_STATE] = _Waiting(nonce)
            if wrapped:
                challenge = NegTokenResp(NegState.accept_incomplete, NTLM_MECHANISM, challenge).pack()
            return Challenged(f"{scheme} {base64.b64encode(challenge).decode()}")
        if waiting is None:
            raise NotNtlm("an answer to no challenge")
        answer = Authenticate.unpack(message)
        login, is_right = _judged(answer, waiting.challenge, password_of)
    except (SpnegoError, ValueError, IndexError, KeyError, struct.error) as problem:
        raise NotNtlm(str(problem)) from None
    return Proof(login, is_right)


def _message(scheme: str, value: str) -> tuple[bytes, bool]:
    """The NTLM message in a header, and whether it was inside SPNEGO."""
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        raise NotNtlm("not base64") from None
    wrapped = False
    if scheme.lower() == "negotiate" and not raw.startswith(_SIGNATURE):
        try:
            token = unpack_token(raw)
        except (SpnegoError, ValueError, IndexError, KeyError, struct.error) as problem:
            raise NotNtlm(str(problem)) from None
        if isinstance(token, NegTokenInit) and token.mech_types[:1] == [NTLM_MECHANISM]:
            raw = token.mech_token or b""
        elif isinstance(token, NegTokenResp):
            raw = token.response_token or b""
        wrapped = True
    if not raw.startswith(_SIGNATURE) or len(raw) < 12:
        raise NotNtlm("not a message of NTLM")
    return raw, wrapped


def _challenge(negotiate: Negotiate, domain: str, *, timed: bool) -> tuple[bytes, bytes]:
    """The CHALLENGE message and its nonce. ``timed``: with a timestamp, which makes the client sign the whole exchange."""
    flags = (
        negotiate.flags
        | NegotiateFlags.request_target
        | NegotiateFlags.ntlm
        | NegotiateFlags.always_sign
        | NegotiateFlags.target_info
        | NegotiateFlags.target_type_domain
        | NegotiateFlags.unicode
    ) & ~(NegotiateFlags.oem | NegotiateFlags.lm_key)
    short = domain.partition(".")[0].upper()
    info = TargetInfo()
    info[AvId.nb_domain_name] = short
    info[AvId.nb_computer_name] = "EXCHANGE"
    info[AvId.dns_domain_name] = domain
    info[AvId.dns_computer_name] = f"exchange.{domain}"
    if timed:
        info[AvId.timestamp] = FileTime.now()
    nonce = os.urandom(8)
    return Challenge(flags, nonce, target_name=short, target_info=info, version=Version(10, 0, 20348)).pack(), nonce


def _judged(answer: Authenticate, nonce: bytes, password_of: Callable[[str], str | None]) -> tuple[str, bool]:
    """Who it is, and whether the proof was made with their password."""
    user, domain = answer.user_name or "", answer.domain_name or ""
    login = user if "@" in user or not domain else f"{domain}\\{user}"
    response = answer.nt_challenge_response or b""
    password = password_of(login)
    if password is None or len(response) <= _NTLM_V1_BYTES:
        return login, False
    key = ntowfv2(user, ntowfv1(password), domain)
    expected = hmac.new(key, nonce + response[_PROOF_BYTES:], "md5").digest()
    return login, hmac.compare_digest(expected, response[:_PROOF_BYTES])
