"""Which ways of signing in EWS offers, in the order its 401 names them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ops_lib.errors import InputError

WAYS = ("negotiate", "ntlm", "basic", "bearer")
# Every way there is but Negotiate, under which clients of Windows would first try Kerberos.
USUAL = ("ntlm", "basic", "bearer")


def read_ways(value: Any) -> tuple[str, ...]:
    """Reads a list of ways. Raises InputError for one that cannot be."""
    given = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    ways = tuple(str(one).lower() for one in given)
    unknown = [one for one in ways if one not in WAYS]
    if unknown or not ways or len(set(ways)) < len(ways):
        reason = f"there is no way to sign in called {unknown[0]}" if unknown else "each way once, and at least one"
        raise InputError(reason, subject="sign_in", fix=f"Use some of: {', '.join(WAYS)}.")
    return ways
