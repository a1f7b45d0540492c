"""Where a secret could have got to: every form it may have, and every frame an error may carry."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

OURS = str(Path(__file__).parents[1])


def forms(secret: str) -> set[bytes]:
    """A secret in plain, URL-encoded, and in base64 at any of the three offsets, as Basic sign-in and logs write it."""
    plain = secret.encode()
    found = {plain, quote(secret, safe="").encode(), quote_plus(secret).encode()}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * offset + plain)
            # The characters at the ends hold bits of what stands before and after.
            found.add(encoded[(0, 2, 3)[offset] : -4])
    return found


def dumped(error: BaseException) -> str:
    """An error with all it came from, and the locals of every frame but the tests' own: what a crash dump would show."""
    lines: list[str] = []
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__]
        lines += [repr(each), str(each), repr(vars(each))]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if not frame.f_code.co_filename.startswith(OURS):
                for name, value in frame.f_locals.items():
                    try:
                        lines.append(f"{name} = {value!r}")
                    except Exception as unprintable:  # noqa: BLE001 - a dump would go on as well
                        lines.append(f"{name}: {unprintable!r}")
    return "\n".join(lines)


def found_in(content: bytes, secrets: Iterable[str]) -> list[str]:
    """Which of the secrets, in any form, are in there; by their first characters, not to print them whole."""
    return sorted({secret[:4] + "…" for secret in secrets for form in forms(secret) if form in content})
