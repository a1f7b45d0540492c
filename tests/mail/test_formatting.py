"""Formatted bodies: nothing active, every picture accounted for, and the text that the note holds."""

from __future__ import annotations

import pytest

from ops_lib.errors import InputError
from ops_lib.mail.formatting import pictures_in, text_of, whole


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("<p>x<script>alert(1)</script></p>", "<script>"),
        ("<SCRIPT src=https://x.example/a.js></SCRIPT>x", "<script>"),
        ("<p>x</p><iframe src='https://x.example'></iframe>", "<iframe>"),
        ("<form>x<input></form>", "<form>"),
        ("<base href='https://x.example'>x", "<base>"),
        ("<meta http-equiv=Refresh content='0;url=https://x.example'>x", "<meta>"),
        ("<p onclick=alert(1)>x</p>", "onclick"),
        ("<img src=x onerror=alert(1)>", "leads to"),
        ("<a href='javascript:alert(1)'>x</a>", "javascript:"),
        ("<a href='java\nscript:alert(1)'>x</a>", "javascript:"),
        ("<a href='\x01JaVaScRiPt:alert(1)'>x</a>", "JaVaScRiPt:"),
        ("<a href='&#106;avascript:alert(1)'>x</a>", "javascript:"),
        ("<a href='data:text/html,x'>x</a>", "data:"),
        ("<img src='file:///etc/passwd'>", "file:"),
        ("<a href='/prices'>x</a>", "'/prices'"),
        ("<img src='house.png'>", "'house.png'"),
        ("<p style='width:expression(alert(1))'>x</p>", "a style"),
        ("<style>@import 'https://x.example'</style>x", "a style"),
        ("<svg onload=alert(1)></svg>x", "<svg>"),
        ("<svg><style><img src=x onerror=alert(1)></style></svg>x", "<svg>"),
        ("<noscript><p title='</noscript><img src=x onerror=alert(1)>'>x</noscript>", "<noscript>"),
        ("<xmp><img src=x onerror=alert(1)></xmp>", "<xmp>"),
        ("<!--><img src=x onerror=alert(1)>-->x", "leads to"),
        ("<!-- x --!><img src=x onerror=alert(1)>-->x", "leads to"),
        ("  <p> </p>", "says nothing"),
        ("", "says nothing"),
        ("x" * 4_000_001, "4,000,000"),
    ],
)  # fmt: skip
def test_what_is_refused(body: str, named: str) -> None:
    """What is active, or leads where a letter cannot, is refused by its name with a mend."""
    with pytest.raises(InputError) as error:
        pictures_in(body)
    assert named in error.value.message
    assert error.value.fix


def test_what_is_taken() -> None:
    """Text, tables, styles, links of the usual kinds, and pictures: those inside are told, each once."""
    body = (
        "<style>p { color: #803 }</style><table background='https://x.example/b.png'><tr><td style='color:red'>x</td></tr></table>"
        "<a href='https://x.example'>a</a><a href='mailto:a@example.test'>b</a><a href='tel:+1'>c</a><a href='#top'>d</a><a name='top'></a>"
        "<img src='cid:house'><img src='CID:garden%201'><img src='cid:house'><img src='https://x.example/p.png'>"
    )
    assert pictures_in(body) == ["house", "garden 1"]
    assert pictures_in("<img src='https://x.example/p.png'>") == []


def test_the_note_of_a_formatted_body() -> None:
    """Text as it reads, links with their addresses where the words do not say them, pictures with their words."""
    body = (
        "<p>See <a href='https://x.example/a'><b>our</b> prices</a>, <a href='https://x.example/'>https://x.example</a> or"
        " <a href='mailto:a@example.test'>me</a><br>bye <img src='cid:h' alt='The house'></p>"
    )
    assert (
        text_of(body)
        == "See our prices (https://x.example/a), https://x.example or me (a@example.test)\nbye [The house]"
    )


def test_a_fragment_becomes_a_document() -> None:
    """A fragment is put into a document with its encoding; a document stays as it is."""
    assert whole("<p>x</p>").startswith("<html><head><meta")
    assert whole("<p>x</p>").endswith("<body><p>x</p></body></html>")
    assert whole("<HTML><body>x</body></HTML>") == "<HTML><body>x</body></HTML>"
