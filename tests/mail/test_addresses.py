"""Addresses, names and subjects: what could become another header or another person is refused or made harmless."""

from __future__ import annotations

from email.headerregistry import Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_lib.errors import InputError
from ops_lib.mail.addresses import file_name, mail_address, shown_name, subject_line


@pytest.mark.parametrize(
    ("entered", "wire"),
    [
        ("ruth@example.test", "ruth@example.test"),
        ("  Ruth.O'Hara+crm@Example.TEST ", "Ruth.O'Hara+crm@example.test"),
        ("info@bücher.example", "info@xn--bcher-kva.example"),
        ("info@例え.example", "info@xn--r8jz45g.example"),
        ("admin@intranet", "admin@intranet"),
    ],
)
def test_addresses_as_they_travel(entered: str, wire: str) -> None:
    """A domain beyond ASCII travels in its wire form; the part before the @ is kept as written."""
    assert mail_address(entered, "individual Ruth") == wire


@pytest.mark.parametrize(
    "entered",
    [
        "", "ruth", "@example.test", "ruth@", "a b@example.test", "a@b@example.test", "ruth@example..test", "ruth@-x.test",
        ".ruth@example.test", "ruth.@example.test", "ru..th@example.test", '"ruth"@example.test', "ruth@exa_mple.test",
        "jürgen@example.test", "ruth@example.test\r\nBcc: x@evil.example", "ruth@exa\u2028mple.test", "ruth\u200b@example.test",
        "ruth@exam\u00adple.test", "<ruth@example.test>", "ruth@example.test,x@evil.example", "a" * 65 + "@example.test",
        "ruth@" + "a" * 64 + ".test", "ruth@" + "a." * 130 + "test", "ruth@xn--\x00.test", "ruth@[127.0.0.1]",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(entered: str) -> None:
    """Anything else is refused, naming whose it is and the mend, in one printable line."""
    with pytest.raises(InputError) as error:
        mail_address(entered, "individual Ruth")
    assert error.value.subject == "individual Ruth"
    assert error.value.fix
    assert str(error.value).isprintable()


@given(st.text(max_size=60), st.text(max_size=60))
def test_an_accepted_address_is_one_address(local: str, domain: str) -> None:
    """Whatever is accepted is plain ASCII and reads back as the same single address."""
    try:
        wire = mail_address(f"{local}@{domain}", "x")
    except InputError:
        return
    assert wire.isascii()
    assert wire.isprintable()
    assert Address(addr_spec=wire).addr_spec == wire


@given(st.text())
def test_names_stay_names(name: str) -> None:
    """A name is one line without marks of direction, and never looks like an address."""
    shown = shown_name(name)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set('\r\n\u202e\u2066<>"@＠')


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Ruth  Öz", "Ruth Öz"), ("boss@bank.example", ""), ("Ruth\r\nBcc: x", "Ruth Bcc: x"), ("a\u202eb", "ab")],
)
def test_names_that_would_deceive(name: str, shown: str) -> None:
    """A name that is an address is left out; line breaks and turned text are made plain."""
    assert shown_name(name) == shown


@pytest.mark.parametrize(
    "subject",
    ["a\r\nBcc: x@evil.example", "a\nb", "a\x00b", "a\u2028b", "a\u202egpj.exe", "", "  ", "x" * 256, "😀" * 128],
)
def test_subjects_that_are_refused(subject: str) -> None:
    """A subject is one line of at most 255 characters as Exchange counts them, without anything that cannot be seen."""
    with pytest.raises(InputError) as error:
        subject_line(subject)
    assert error.value.fix


def test_subjects_that_are_taken() -> None:
    """Letters and pictures of any script, composed; white space around it goes."""
    assert subject_line("  Gru\u0308ße 😀 – 見学 ") == "Grüße 😀 – 見学"
    assert subject_line("x" * 255) == "x" * 255


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\plan.pdf", "plan.pdf"),
        ("a\r\nb.txt", "ab.txt"),
        ("exe\u202efdp.exe", "exefdp.exe"),
        ("Ü.pdf", "Ü.pdf"),
    ],
)
def test_names_of_files(name: str, kept: str) -> None:
    """A file travels under its last name, without what turns or breaks it."""
    assert file_name(name) == kept


def test_a_file_without_a_name() -> None:
    """Where nothing is left of a name, it is refused."""
    with pytest.raises(InputError, match="no name"):
        file_name("a/\r\n..")
