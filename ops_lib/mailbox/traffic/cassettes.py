"""The file: one YAML document that plain vcrpy can load, with what vcrpy has no place for beside its interactions.

``interactions`` are vcrpy's (version 1), in the order they happened, each with the moment it was sent (``at``) and, where the answer broke off, how
(``broke``). ``unanswered`` are requests without an answer; ``looks`` what was seen of names, connections, certificates and sign-ins.
``manifest`` says what this is, how it came about, and the SHA-256 of the rest.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ops_lib.errors import InputError
from ops_lib.mailbox.traffic import documents, records, web
from ops_lib.mailbox.traffic.recording import Exchange, Recorder
from ops_lib.mailbox.traffic.standins import StandIns

FORMAT = "syncops cassette"
VERSION = 1
LARGEST_FILE = 64_000_000

_SHORTEST_ORIGINAL = 4
_OURS = frozenset({"example", "secret", "replaced", "syncops"})
"""Parts of stand-ins."""


@dataclass(frozen=True, slots=True)
class Cassette:
    """What a file holds, scrubbed. All plain: strings, numbers, lists and mappings."""

    manifest: dict[str, Any]
    interactions: list[dict[str, Any]] = field(default_factory=list)
    unanswered: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that was recorded, and over what the manifest says besides it."""
        said = {key: value for key, value in self.manifest.items() if key != "sha256"}
        text = json.dumps([said, self.interactions, self.unanswered, self.looks], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


# ── made of what was recorded ────────────────────────────────────────────────────────────────────────────────────────
def scrubbed(recorder: Recorder, facts: Mapping[str, Any], stand_ins: StandIns) -> Cassette:
    """What was recorded, with stand-ins. ``facts`` go into the manifest; they are scrubbed by whoever gives them."""
    interactions: list[dict[str, Any]] = []
    unanswered: list[dict[str, Any]] = []
    for exchange in recorder.exchanges:
        request = _request(exchange, stand_ins)
        at = datetime.fromtimestamp(exchange.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if exchange.status == 0:
            broke = {
                "broke": exchange.broke,
                **({"detail": _detail(exchange.detail, stand_ins)} if exchange.detail else {}),
            }
            unanswered.append({"request": request, "at": at, "before": len(interactions), **broke})
            continue
        interaction = {"request": request, "response": _response(exchange, stand_ins), "at": at}
        interactions.append(interaction | ({"broke": exchange.broke} if exchange.broke else {}))
    looks: list[dict[str, Any]] = []
    for look in recorder.looks:
        kept: dict[str, Any] = {"look": look.kind, "arguments": records.scrubbed(look.arguments, stand_ins, "names")}
        if look.error is not None:
            kept["error"] = records.scrubbed(look.error, stand_ins)
        else:
            kept["seen"] = records.scrubbed(look.seen, stand_ins, "names")
        looks.append(kept)
    manifest = {"format": FORMAT, "version": VERSION, **facts}
    manifest["replaced"] = dict(sorted(stand_ins.counts.items()))
    cassette = _swept(Cassette(manifest, interactions, unanswered, looks), stand_ins)
    cassette.manifest["sha256"] = cassette.digest
    return cassette


def _request(exchange: Exchange, stand_ins: StandIns) -> dict[str, Any]:
    content_type = next((value for name, value in exchange.headers.items() if name.lower() == "content-type"), "")
    headers = web.request_headers(exchange.headers, stand_ins)
    return {
        "method": exchange.method,
        "uri": web.url(exchange.url, stand_ins),
        "headers": {name: [value] for name, value in headers.items()},
        "body": documents.body(exchange.body, content_type, stand_ins) or None,
    }


def _response(exchange: Exchange, stand_ins: StandIns) -> dict[str, Any]:
    content_type = next((value for name, value in exchange.answer_headers if name.lower() == "content-type"), "")
    headers = web.answer_headers(exchange.answer_headers, stand_ins)
    content = "" if exchange.broke else documents.body(exchange.content, content_type, stand_ins)
    if exchange.broke:
        stand_ins.counts["body"] += bool(exchange.content)
    reason = exchange.reason if exchange.reason in http.client.responses.values() else ""
    return {
        "status": {"code": exchange.status, "message": reason},
        "headers": headers,
        "body": {"string": content},
    }


def _detail(text: str, stand_ins: StandIns) -> str:
    return str(records.scrubbed(text, stand_ins, "detail"))


# ── a last look ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _swept(cassette: Cassette, stand_ins: StandIns) -> Cassette:
    """Whatever was replaced in one place must not stand in another: what an allow-list let through by chance goes here."""
    originals = sorted({each.casefold() for each in _telling(stand_ins.originals)}, key=len, reverse=True)
    if not originals:
        return cassette
    found = re.compile(r"(?<![\w])(?:" + "|".join(map(re.escape, originals)) + r")(?![\w])")

    def clean(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: clean(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [clean(each, key) for each in value]
        if isinstance(value, str) and found.search(value.casefold()):
            stand_ins.counts["last look"] += 1
            return _without(value, found)
        return value

    swept = Cassette(
        cassette.manifest, *(clean(each) for each in (cassette.interactions, cassette.unanswered, cassette.looks))
    )
    swept.manifest.update({key: clean(value) for key, value in cassette.manifest.items() if key != "replaced"})
    swept.manifest["replaced"] = dict(sorted(stand_ins.counts.items()))
    return swept


def _without(text: str, found: re.Pattern[str]) -> str:
    folded = text.casefold()
    if len(folded) != len(text):  # a letter that folds into two: the places are not the same
        return "…"
    shown, at = [], 0
    for match in found.finditer(folded):
        shown += [text[at : match.start()], "…"]
        at = match.end()
    return "".join([*shown, text[at:]])


def _telling(originals: set[str]) -> set[str]:
    """What would tell somebody something: not numbers, not the words and values that stand everywhere."""
    from ops_lib.mailbox.traffic import own_words, soap

    return {
        each
        for each in originals
        if len(each) >= _SHORTEST_ORIGINAL
        and not re.fullmatch(r"[\d\W_]+", each)
        and each not in soap.ENUMERATIONS
        and each.casefold() not in soap.DISTINGUISHED
        and not own_words.is_own(each)
        and each.casefold() not in _OURS
        and not each.startswith(("http://schemas.", "urn:"))
    }


# ── written and read ─────────────────────────────────────────────────────────────────────────────────────────────────
def write(cassette: Cassette, path: Path, *, over: bool = False) -> None:
    """Write it whole or not at all, for its owner's eyes. **Raises** `InputError` where there is a file already, or none can be."""
    document = {
        "version": 1,
        "manifest": cassette.manifest,
        "interactions": cassette.interactions,
        "unanswered": cassette.unanswered,
        "looks": cassette.looks,
    }
    content = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not over:
            _refuse_another(beside, path)
        beside.replace(path)
    except FileExistsError:
        raise InputError("there is a file of that name", subject=str(path), fix="name another, or --force.") from None
    except OSError as error:
        raise InputError(
            f"the file cannot be written ({error.strerror})", subject=str(path), fix="name a place where you may write."
        ) from None
    finally:
        with suppress(OSError):
            beside.unlink()


def _refuse_another(beside: Path, path: Path) -> None:
    """Take the name, unless somebody has it, also since a moment ago. **Raises** `FileExistsError`."""
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def read(path: Path) -> Cassette:
    """The cassette in a file. **Raises** `InputError` for what is none, is newer, or was changed since it was made."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError("this is too large to be a cassette", subject=str(path), fix=_FIX)
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 it is a safe loader's
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", subject=str(path), fix=_FIX) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise InputError("this is no YAML", subject=str(path), fix=_FIX) from None
    manifest = document.get("manifest") if isinstance(document, dict) else None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError("this is no cassette of syncops: it has no manifest of one", subject=str(path), fix=_FIX)
    if not isinstance(manifest.get("version"), int) or manifest["version"] > VERSION:
        raise InputError(
            f"this cassette has version {manifest.get('version')}, and this syncops reads up to {VERSION}",
            subject=str(path),
            fix="replay it with a newer syncops.",
        )
    parts = [document.get(name) for name in ("interactions", "unanswered", "looks")]
    if not all(isinstance(part, list) and all(isinstance(each, dict) for each in part) for part in parts):
        raise InputError("a part of the cassette is missing", subject=str(path), fix=_FIX)
    cassette = Cassette(manifest, *parts)
    try:
        is_whole = cassette.digest == manifest.get("sha256")
    except (TypeError, ValueError):  # values that no cassette holds
        is_whole = False
    if not is_whole:
        raise InputError(
            "the cassette was changed after it was made: its SHA-256 is another", subject=str(path), fix=_FIX
        )
    return cassette


_FIX = "name a file that syncops capture has written."


class _Dumper(yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper):  # type: ignore[misc]
    """Long texts in blocks, to be read by people."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Times stay texts: a digest is taken over what was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012 as PyYAML has it
        first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
