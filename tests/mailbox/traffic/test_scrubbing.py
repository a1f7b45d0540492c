"""Nothing of a person's is left in a capture, wherever it stood and however it was written; what a diagnosis needs is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from ops_lib.mailbox.traffic import cassettes, documents, own_words, records, web, words
from ops_lib.mailbox.traffic.recording import Look, Recorder
from ops_lib.mailbox.traffic.standins import StandIns
from tests.mailbox import cassettes as real
from tests.mailbox.traffic.planted_texts import envelope, exchange, exchanges, found_in

KEY = b"a key for tests, thirty-two long"


def stand_ins() -> StandIns:
    return StandIns(KEY)


LETTERS = st.characters(min_codepoint=0x41, max_codepoint=0x2FFF, categories=("Lu", "Ll", "Lo", "Lt"))
WORDS = st.text(LETTERS, min_size=5, max_size=12).filter(
    lambda word: len(set(word)) > 3
)  # "AAAAA" stands in any base64
PHONES = st.tuples(st.integers(200, 999), st.integers(200, 999), st.integers(1000, 9999))
TEXTS = st.one_of(
    WORDS,
    st.tuples(WORDS, WORDS).map(" ".join),
    st.tuples(WORDS, st.sampled_from("&<>'\"%+;\\/=?#@._-"), WORDS).map("".join),
    WORDS.map(lambda word: f"{word}@{word[::-1]}.test"),
    PHONES.map(lambda parts: f"+1 {parts[0]} {parts[1]} {parts[2]}"),
    PHONES.map(lambda parts: f"{parts[0]}-{parts[1]}-{parts[2]}"),
    PHONES.map(lambda parts: f"{parts[0]}{parts[1]}{parts[2]}"),
    WORDS.map(str.upper),
)


def capture_of(text: str) -> cassettes.Cassette:
    """A cassette of traffic in which the text is everywhere."""
    recorder = Recorder()
    recorder.exchanges += exchanges(text)
    told = {
        "error": "MailboxMissing",
        "message": f'no mailbox; the server says: "{text}"',
        "subject": text,
        "fix": text,
    }
    recorder.looks += [
        Look("name", [text, 443], [text]),
        Look(
            "certificate", [text], {"certificate": {"subject": f"CN={text},O={text}", "names": [text], "issuer": text}}
        ),
        Look("token", [], {"access_token": text, "expires_in": 60}),
        Look("connection", [text], error=told),
    ]
    scrubber = stand_ins()
    probes = {"status": {"seen": {"calendar": {"evidence": text, "status": text, text: text}}, "why": text}}
    facts = {
        "account": {"mailbox": text, "user_email": text},
        "probes": probes,
        "host": {"name": text, "url": f"https://{text}/x", "tenant_id": text},
    }
    return cassettes.scrubbed(recorder, records.scrubbed(facts, scrubber), scrubber)


@pytest.mark.req("T5", "R9")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
@example("Ægir Þórsson-Ñandú")
@example("Zoë Čapek & Søns <zoë.čapek@söns.test>")
@example("+45 12 34 56 78")
@example("Straße ẞ İstanbul")
def test_no_text_of_a_persons_is_left_in_any_form(tmp_path: Path, text: str) -> None:
    """A name, an address, a phone number or a subject that stands in every place of the traffic is nowhere in the file, in no encoding."""
    assume(not own_words.is_own(text) or any(each.isdigit() for each in text))
    file = tmp_path / "capture.yaml"
    cassettes.write(capture_of(text), file, over=True)
    content = file.read_bytes()
    assert found_in(content, text) == []
    for word in text.replace("@", " ").split():
        if len(word) >= 5 and not own_words.is_own(word) and word.isalpha():
            assert found_in(content, word) == []


@pytest.mark.req("T5", "R9")
@pytest.mark.parametrize(
    "text", ["Kowalczyk Zebra", "Zoë Čapek & Søns", "+45 12 34 56 78", "zebra@kowal.test", "555-123-4567", "ДмитрийЖ", "O'Brien-Łukasz", "小林 さくら"]
)  # fmt: skip
def test_the_allow_lists_hold_without_the_last_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The search for what was replaced is a second fence: the first lets nothing through either."""
    monkeypatch.setattr(cassettes, "_swept", lambda cassette, stand_ins: cassette)
    cassettes.write(capture_of(text), tmp_path / "x.yaml")
    assert found_in((tmp_path / "x.yaml").read_bytes(), text) == []


@pytest.mark.req("T5")
def test_no_secret_is_left() -> None:
    """Passwords, tokens, cookies and NTLM messages become stand-ins; the sign-in's scheme stays."""
    sent = exchange(
        b"",
        sent={"Authorization": "Bearer ey.secret.token"},
        headers=(("Set-Cookie", "exchangecookie=0123abc; path=/"),),
    )
    recorder = Recorder()
    recorder.exchanges.append(sent)
    cassette = cassettes.scrubbed(recorder, {}, stand_ins())
    shown = json.dumps(cassette.interactions)
    assert "Bearer REPLACED" in shown
    assert "exchangecookie=secret-" in shown
    assert "ey.secret.token" not in shown
    assert "0123abc" not in shown


# ── what stays ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "text",
    [
        "The account does not have permission to impersonate the requested user.",
        "The specified object was not found in the store.",
        "The primary SMTP address must be specified when referencing a mailbox.",
        "Synchronization state data is corrupt or otherwise invalid.",
        "AADSTS50057: The user account is disabled.",
    ],
)
def test_what_servers_say_stays(text: str) -> None:
    """An error text without anybody in it stays word for word: people search for it."""
    assert words.plain(text, stand_ins()) == text


def test_what_autodiscover_told_stays_without_whose_it_is() -> None:
    """Of an Autodiscover answer the protocols, paths and versions stay; hosts, names and distinguished names are stand-ins."""
    space = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    answer = (
        f'<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response xmlns="{space}"><User>'
        "<DisplayName>Anna Kowalczyk</DisplayName><LegacyDN>/o=Contoso/cn=anna</LegacyDN><AutoDiscoverSMTPAddress>anna@contoso.test</AutoDiscoverSMTPAddress>"
        "</User><Account><AccountType>email</AccountType><Action>settings</Action><Protocol><Type>EXPR</Type><Server>ex01.contoso.test</Server>"
        "<ServerVersion>73C18EA8</ServerVersion><EwsUrl>https://mail.contoso.test/EWS/Exchange.asmx</EwsUrl></Protocol></Account></Response></Autodiscover>"
    )  # fmt: skip
    shown = documents.body(answer.encode(), "text/xml", stand_ins())
    domain = stand_ins().host("contoso.test")
    assert f"https://mail.{domain}/EWS/Exchange.asmx" in shown
    for kept in (
        "<Type>EXPR</Type>",
        "<ServerVersion>73C18EA8</ServerVersion>",
        "<Action>settings</Action>",
        "<AccountType>email</AccountType>",
    ):
        assert kept in shown
    assert found_in(shown.encode(), "Kowalczyk") == []
    assert "contoso" not in shown.lower()
    assert "replaced" not in shown.lower(), "every element is known"


def test_a_name_in_an_error_text_goes_and_the_rest_stays() -> None:
    """Of a message that names somebody only the name goes."""
    assert words.plain("The mailbox of Grace Kowalczyk is locked.", stand_ins()) == "The mailbox of … is locked."
    assert words.plain("Will Grant may sign in.", stand_ins()) == "… may sign in."


def test_what_a_diagnosis_needs_of_soap_stays() -> None:
    """Codes, classes, flags, times, counts, rights and the server's version stay as they were."""
    body = (
        '<m:GetFolderResponse><m:ResponseMessages><m:GetFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
        "<m:Folders><t:CalendarFolder><t:FolderClass>IPF.Appointment</t:FolderClass><t:DisplayName>Kalender</t:DisplayName><t:TotalCount>7</t:TotalCount>"
        "<t:EffectiveRights><t:Read>true</t:Read></t:EffectiveRights><t:ExtendedProperty><t:ExtendedFieldURI PropertyTag=\"0x6639\" "
        'PropertyType="Integer"/><t:Value>1531</t:Value></t:ExtendedProperty></t:CalendarFolder></m:Folders></m:GetFolderResponseMessage>'
        "</m:ResponseMessages></m:GetFolderResponse>"
    )  # fmt: skip
    version = '<t:ServerVersionInfo MajorVersion="15" MinorVersion="20" MajorBuildNumber="8000" MinorBuildNumber="1" Version="V2018_01_08"/>'
    whole = envelope(body, version)
    shown = documents.body(whole.encode(), "text/xml", stand_ins())
    assert shown == whole.partition("?>")[2]


@pytest.mark.parametrize("name", [
    "impersonate_carol_denied", "get_folder_not_there", "sync_calendar_initial_pages_of_10", "delete_event_twice", "get_calendar_rights_none",
    "resolve_names_known_and_unknown", "call_unknown_operation", "post_malformed_xml", "get_calendar_wrong_password", "get_events_pull_calendar",
])  # fmt: skip
def test_a_recorded_answer_of_another_server_keeps_its_outcome(name: str) -> None:
    """An answer is read to the same codes after scrubbing as before: nothing that decides is lost."""
    for recorded in real.load(name):
        said = documents.body(recorded.body, recorded.headers.get("Content-Type", ""), stand_ins()).encode()
        after = real.Interaction(recorded.operation, "", recorded.status, recorded.headers, said)
        assert real.outcome(after) == real.outcome(recorded)


def test_a_person_called_like_a_month_goes() -> None:
    """A month stays where a recurrence has it, and nowhere else."""
    body = "<m:X><t:Month>April</t:Month><t:GivenName>April</t:GivenName><t:Unheard>May June</t:Unheard></m:X>"
    shown = documents.body(envelope(body).encode(), "text/xml", stand_ins())
    assert "<t:Month>April</t:Month>" in shown
    assert shown.count("April") == 1
    assert "May" not in shown


# ── stand-ins ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_same_has_the_same_stand_in() -> None:
    """Case and place do not matter, captures with the same key agree, and another key gives others."""
    one, other = stand_ins(), StandIns(b"another key")
    assert one.address("Anna@Contoso.test") == stand_ins().address("anna@contoso.test")
    assert one.address("anna@contoso.test") != other.address("anna@contoso.test")
    assert one.opaque("AAMkAD1") == stand_ins().opaque("AAMkAD1") != one.opaque("AAMkAD2")


def test_stand_ins_keep_their_shape() -> None:
    """Addresses of one domain stay in one domain, a host stays below it, well-known labels and Microsoft's hosts stay themselves."""
    scrubber = stand_ins()
    anna, ben = scrubber.address("anna@contoso.test"), scrubber.address("ben@contoso.test")
    assert anna != ben
    assert anna.partition("@")[2] == ben.partition("@")[2]
    assert scrubber.host("autodiscover.contoso.test") == f"autodiscover.{anna.partition('@')[2]}"
    assert scrubber.host("mail.contoso.test:444") == f"mail.{anna.partition('@')[2]}:444"
    assert scrubber.host("outlook.office365.com") == "outlook.office365.com"
    assert scrubber.host("contoso.onmicrosoft.com").endswith(".onmicrosoft.com")
    assert "contoso" not in scrubber.host("contoso.onmicrosoft.com")
    assert scrubber.host("127.0.0.1") == "127.0.0.1"
    assert scrubber.host("10.1.2.3").startswith("198.1")
    assert scrubber.host("fd00::12").startswith("2001:db8::")
    assert len(scrubber.guid("8d6c1f1e-aaaa-bbbb-cccc-123456789abc")) == 36


def test_a_token_keeps_what_is_judged_of_it() -> None:
    """Expiry, permissions and audience of a token can still be read; whose it is cannot, and it is signed by nobody."""
    claims = {"exp": 1764000000, "scp": "EWS.AccessAsUser.All", "aud": "https://outlook.office365.com", "upn": "anna@contoso.test", "roles": ["full_access_as_app"]}  # fmt: skip
    packed = documents._packed(claims)
    shown = documents.token(f"{documents._packed({'alg': 'RS256'})}.{packed}.c2lnbmF0dXJl", stand_ins())
    import jwt

    read = jwt.decode(shown, options={"verify_signature": False})
    assert {name: read[name] for name in ("exp", "scp", "aud", "roles")} == {
        name: claims[name] for name in ("exp", "scp", "aud", "roles")
    }
    assert read["upn"].endswith(".example")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("x-ews-policy-reason", "EWS is blocked by EwsApplicationAccessPolicy", "EWS is blocked by EwsApplicationAccessPolicy"),
        ("www-authenticate", 'Basic realm="mail.contoso.test"', "Basic"),
        ("retry-after", "30", "30"),
        ("server", "Microsoft-IIS/10.0", "Microsoft-IIS/10.0"),
        ("x-ms-diagnostics", '2000003;reason="The token has expired.";error_category="token_expired"', '2000003;reason="The token has expired.";error_category="token_expired"'),
        ("x-unheard-of", "anything", None),
    ],
)  # fmt: skip
def test_headers(name: str, value: str, shown: str | None) -> None:
    """Headers stay where they are known and hold nothing of anybody's; others go."""
    kept = web.answer_headers([(name, value)], stand_ins())
    assert list(kept.values()) == ([[shown]] if shown is not None else [])


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"\x00\x01\x02" * 50, "application/octet-stream"), (b"<a:b xmlns:a='urn:x'>Anna</a:b>", "application/xml"), ("Grüße".encode("latin-1"), "text/plain")],
)  # fmt: skip
def test_what_is_not_understood_is_replaced_whole(content: bytes, kind: str) -> None:
    """A body in no language of the scrubber's is not kept, only its size."""
    assert documents.body(content, kind, stand_ins()) == f"[replaced: {len(content)} bytes]"


def test_what_was_let_through_by_chance_is_found_in_the_end() -> None:
    """A word that was replaced in one place and happens to be a server's word in another is gone from both, unless it is ours."""
    recorder = Recorder()
    recorder.exchanges.append(exchange(envelope("<m:X><t:Name>Anna Zebrowska</t:Name></m:X>").encode()))
    scrubber = stand_ins()
    scrubber.remember("Anna Zebrowska")
    cassette = cassettes.scrubbed(recorder, {"note": "seen by zebrowska"}, scrubber)
    assert cassette.manifest["note"] == "seen by …"
    assert cassette.manifest["replaced"]["last look"] == 1


def test_a_manifest_counts_what_was_replaced(tmp_path: Path) -> None:
    """How many addresses, names, ids and secrets were replaced stands in the file, and nothing of what they were."""
    recorder = Recorder()
    recorder.exchanges.append(exchange(envelope("<m:X><t:EmailAddress>a@b.test</t:EmailAddress></m:X>").encode()))
    file = tmp_path / "x.yaml"
    cassettes.write(cassettes.scrubbed(recorder, {}, stand_ins()), file)
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    assert document["manifest"]["replaced"]["address"] == 1
