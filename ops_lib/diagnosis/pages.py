"""The pages of `docs/statuses/`, made from the tables of statuses, sub-causes and checks: ``python -m ops_lib.diagnosis.pages`` writes them.

A test compares them with the tables, so that neither says what the other does not.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ops_lib.diagnosis import statuses as s
from ops_lib.diagnosis.checks import CHECKS
from ops_lib.diagnosis.statuses import MEANINGS
from ops_lib.diagnosis.sub_causes import SUB_CAUSES

FOLDER = Path(__file__).parents[2] / "docs" / "statuses"

RULES: dict[str, str] = {
    s.ACCESS_DENIED_FOLDER: "Set at once when the server says that the default Calendar or Tasks folder is not there or not ours (`ErrorAccessDenied`, `ErrorFolderNotFound`, `ErrorItemNotFound`): trying again cannot mend it.",
    s.FORBIDDEN: "Set at once by `HTTP 403`, and by a directory that does not know the application (`AADSTS700016`, `AADSTS7000112`).",
    s.NOT_SYNCING: "Set when four cycles in a row failed with something that may pass and has no status of its own, at once when a cycle stops at the brake on deletions, and shown when the last success is over 45 minutes ago.",
    s.INTERNAL_SERVER_ERROR: "Set when four cycles in a row ended in `ErrorInternalServerError` or an `HTTP 5xx`.",
    s.VERSION_NOT_SUPPORTED: "Set at once by `ErrorInvalidServerVersion`, `ErrorIncorrectSchemaVersion` and their like.",
    s.IMPERSONATION_FAILED: "Set at once by `ErrorImpersonateUserDenied`, `ErrorImpersonationDenied`, `ErrorImpersonationFailed`.",
    s.INVALID_FOLDER: "Set when the default folder does not give the properties that were asked for (`ErrorItemPropertyRequestFailed`, `ErrorInvalidPropertyRequest`).",
    s.INVALID_URL: "Set when four cycles in a row found no name, no connection or no trusted certificate, and at once when something else than EWS answers at the URL.",
    s.MAILBOX_NOT_SET_UP: "Set at once by `ErrorNonExistentMailbox`, `ErrorNonPrimarySmtpAddress`, `ErrorInvalidLicense` and their like.",
    s.NOT_ENABLED: "Shown while the process is switched off for the account, or its host is retired.",
    s.SYNCING: "Set by a cycle that succeeded with something to keep in step, and shown for 45 minutes after the last success. Single entries that fail do not change it: `syncops status` lists them.",
    s.UNATTEMPTED: "Shown until the first cycle has ended, and after a cycle that found nothing on either side.",
    s.UNAUTHORIZED: "Set at once by `HTTP 401`, by a refused token and by a sign-in that is missing; it stops every account that shares the credential, so that no account is locked out.",
}  # fmt: skip

_MADE = "<!-- Made by `python -m ops_lib.diagnosis.pages` from ops_lib/diagnosis; edit the tables there. -->\n"


def file_of(status: str) -> str:
    """The page of a status."""
    return re.sub(r"[^a-z0-9]+", "_", status.lower()).strip("_") + ".md"


def home_of(key: str) -> str:
    """The page that holds a sub-cause's section: that of the first status it stands behind."""
    return file_of(SUB_CAUSES[key].statuses[0])


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    return {"README.md": _index(), "checks.md": _checks(), **{file_of(each): _page(each) for each in MEANINGS}}


def _page(status: str) -> str:
    meaning = MEANINGS[status]
    lines = [
        _MADE,
        f"# {status}\n",
        f"> {meaning.meaning}\n",
        f"**Rule.** {RULES[status]}\n",
        f"**Who must act.** {_sentence(meaning.owner)} **Next step.** {meaning.next_step}\n",
        "**How it looks.** `syncops status` shows the sub-cause beneath the status, `syncops diagnose ACCOUNT` begins with the check that saw it.\n",
    ]
    behind = [key for key, each in SUB_CAUSES.items() if status in each.statuses]
    lines += ["| sub-cause | how it shows itself | who must act |", "|---|---|---|"]
    lines += [
        f"| [{SUB_CAUSES[key].title}]({_link(key, status)}) | {SUB_CAUSES[key].looks} | {SUB_CAUSES[key].owner} |"
        for key in behind
    ]
    lines.append("")
    for key in behind:
        if home_of(key) == file_of(status):
            lines += _section(key)
    return "\n".join(lines).rstrip() + "\n"


def _link(key: str, status: str) -> str:
    page = home_of(key)
    return f"#{key}" if page == file_of(status) else f"{page}#{key}"


def _section(key: str) -> list[str]:
    each = SUB_CAUSES[key]
    others = [f"[{status}]({file_of(status)})" for status in each.statuses[1:]]
    lines = [
        f"## {key}\n",
        f"**{_sentence(each.title)}** {each.meaning}\n",
        f"- looks: {each.looks}",
        f"- who must act: {each.owner}",
        f"- next step: {each.next_step}",
    ]
    return [*lines, *([f"- also behind: {', '.join(others)}"] if others else []), ""]


def _index() -> str:
    lines = [
        _MADE,
        "# The thirteen statuses\n",
        "`syncops status` shows one for each account and process; `syncops diagnose ACCOUNT` finds out what is behind it, with evidence.",
        "[checks.md](checks.md) lists what is looked at.\n",
        "| status | who must act | sub-causes |",
        "|---|---|---|",
    ]
    for status, meaning in MEANINGS.items():
        keys = [key for key, each in SUB_CAUSES.items() if status in each.statuses]
        lines.append(f"| [{status}]({file_of(status)}) | {meaning.owner} | {len(keys)} |")
    lines += ["", "| sub-cause | |", "|---|---|"]
    lines += [f"| [{key}]({home_of(key)}#{key}) | {each.title} |" for key, each in SUB_CAUSES.items()]
    return "\n".join(lines) + "\n"


def _checks() -> str:
    lines = [
        _MADE,
        "# What a diagnosis looks at\n",
        "Collecting only looks: it writes nothing anywhere, ends in time, and what it cannot see is a fact too. Judging is pure and goes by the facts",
        "alone: `syncops diagnose --save FILE` keeps them, `--facts FILE` judges them again, on any machine, by that day's checks. *unknown* means that",
        "it could not be seen; it is never *ok*. A check that an earlier failure explains says *follows from* it.\n",
        "| check | layer | asks | expects |",
        "|---|---|---|---|",
    ]
    for check in CHECKS:
        question = (check.look.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| {check.name} | {check.layer} | {question} | {check.expected} |")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def main() -> None:
    """Write every page; what is none any more is removed."""
    made = pages()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.md"):
        if file.name not in made:
            file.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(made)} pages in docs/statuses\n")


if __name__ == "__main__":
    main()
