from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_lib.model import AllDay, Entry, Kind, Origin
from ops_lib.sync.body import BEGIN_MARK, END_MARK, as_html, as_text, crm_block, with_block


def entry(notes: str = "", **more: object) -> Entry:
    return Entry(
        kind=Kind.EVENT,
        origin=Origin.CRM,
        description="x",
        when=AllDay(date(2026, 1, 1), date(2026, 1, 2)),
        notes=notes,
        **more,
    )  # type: ignore[arg-type]


@pytest.mark.req("C2")
def test_the_block_links_activity_and_individual() -> None:
    """The block has a link to the activity and one to the individual; names and notes cannot break out of it."""
    block = crm_block(
        entry("<b>1 & 2</b>", individual_id="7", individual_name="O'Brien <script>"), "12", "https://crm.example/"
    )
    assert 'href="https://crm.example/activity/12"' in block
    assert 'href="https://crm.example/individual/7"' in block
    assert "<script>" not in block
    assert as_text(block, is_html=True).splitlines()[1:-1] == [
        "Open the activity in the CRM",
        "For: O'Brien <script>",
        "<b>1 & 2</b>",
    ]


def test_a_new_block_takes_the_place_of_the_old() -> None:
    """What the user wrote before and after the block stays where it is; the block is there once."""
    first = with_block(
        "<html><body><p>before</p></body></html>", crm_block(entry("one"), "12", "https://crm.example"), is_html=True
    )
    edited = first.replace("</body>", "<p>after</p></body>").replace("<p>before", "<p>before, edited")
    second = with_block(edited, crm_block(entry("two"), "12", "https://crm.example"), is_html=True)
    text = as_text(second, is_html=True)
    assert text.count(BEGIN_MARK) == text.count(END_MARK) == 1
    assert "two" in text
    assert "one" not in text
    assert text.index("before, edited") > text.index(END_MARK)
    assert "after" in text


def test_a_block_that_word_rewrote_is_found() -> None:
    """Outlook turns a body into paragraphs and spans with non-breaking spaces; the block is still found by what is seen."""
    block = crm_block(entry("one"), "12", "https://crm.example")
    body = with_block("<html><body><p>mine</p></body></html>", block, is_html=True)
    rewritten = (
        body.replace("<div>", '<p class="MsoNormal"><span style="x">')
        .replace("</div>", "</span></p>")
        .replace("kept up", "kept\u00a0up")
    )
    text = as_text(
        with_block(rewritten, crm_block(entry("two"), "12", "https://crm.example"), is_html=True), is_html=True
    )
    assert text.count(BEGIN_MARK) == 1
    assert "one" not in text
    assert "mine" in text


def test_a_block_that_the_user_removed_is_put_back() -> None:
    """A body whose block was deleted, in part or whole, gets a new one and keeps its words."""
    for body in ("<p>only mine</p>", f"<p>{END_MARK}</p><p>only mine</p>", "only mine"):
        text = as_text(
            with_block(body, crm_block(entry(), "12", "https://crm.example"), is_html=body.startswith("<")),
            is_html=True,
        )
        assert BEGIN_MARK in text
        assert "only mine" in text


@pytest.mark.req("O8")
@pytest.mark.parametrize(
    "active",
    [
        "<script>steal()</script>",
        "<style>p{}</style>",
        '<img src="https://tracker.example/x.png" onerror="x()">',
        '<iframe src="https://x.example">frame</iframe>',
        '<form action="https://x.example"><input name="a" value="secret"><textarea>t</textarea></form>',
        '<object data="x"></object><embed src="x">',
        "<svg><script>x()</script></svg>",
    ],
)
def test_active_content_is_gone_and_the_text_stays(active: str) -> None:
    """Scripts, styles, pictures, frames, forms and objects leave nothing behind; the words around them stay."""
    text = as_text(f"<p>before</p>{active}<p>after <a href='javascript:x()'>a link</a></p>", is_html=True)
    assert [line for line in text.split("\n") if line] == ["before", "after a link"]


@pytest.mark.req("O8")
@pytest.mark.parametrize(
    "tag",
    [
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "section",
        "article",
    ],
)
def test_what_stands_on_lines_of_its_own(tag: str) -> None:
    """Paragraphs, list items, headings and the like are lines of their own; words within a line stay on it."""
    assert as_text(f"<div>before<{tag}>in <b>bold</b> words</{tag}>after</div>", is_html=True).split("\n") == [
        "before",
        "in bold words",
        "after",
    ]


def test_breaks_rows_and_cells() -> None:
    """A break ends the line, a rule leaves an empty one; a table's rows are lines, its cells words; blanks and line ends of the markup are one blank, but in what is
    preformatted."""
    assert as_text("one<br>two<hr>three", is_html=True) == "one\ntwo\n\nthree"
    cells = "<table><tr><th>a</th><th>b</th></tr><tr><td>c</td><td>d</td></tr></table>"
    assert as_text(cells, is_html=True).split("\n") == ["a b", "c d"]
    assert as_text("<p>one\n  two\t three</p><pre>one\ntwo</pre>", is_html=True) == "one two three\none\ntwo"
    assert as_text("<p>a<!-- no --> b</p><p>c</p><p></p><p></p><p>d</p>tail", is_html=True).endswith("d\ntail")


@pytest.mark.req("O8")
@pytest.mark.parametrize(
    "tag",
    ["script", "style", "title", "iframe", "object", "applet", "svg", "math", "template", "noscript", "textarea", "select", "button", "audio", "video"],
)  # fmt: skip
def test_what_is_left_out_with_all_that_is_in_it(tag: str) -> None:
    """Of what acts, or is no text of the body, no word stays; the words before and behind it do."""
    assert as_text(f"<div>before<{tag}>inside</{tag}>after</div>", is_html=True).split() == ["beforeafter"]


def test_a_two_megabyte_body_is_read() -> None:
    """A body of two megabytes, and one that nests thousands deep, cost a moment and end in text."""
    assert len(as_text("<p>" + "word " * 400_000 + "</p>", is_html=True)) > 1_900_000
    assert "deep" in as_text("<div>" * 3_000 + "deep" + "</div>" * 3_000, is_html=True)


@given(st.text())
def test_any_text_survives_a_body(text: str) -> None:
    """Text that is made HTML and read back is the same, blanks and control characters aside; nothing raises."""

    def words(value: str) -> list[str]:
        import unicodedata

        kept = "".join(c for c in value if unicodedata.category(c) not in {"Cc", "Cs", "Cn"} or c in "\t\n\r")
        return unicodedata.normalize("NFC", kept).split()

    assert words(as_text(as_html(text), is_html=True)) == words(text)


@given(st.text(alphabet="<>/divpspan =\"'a&;–", max_size=200))
def test_rubbish_is_a_body_too(markup: str) -> None:
    """Broken markup never raises, and the block is there afterwards."""
    body = with_block(markup, crm_block(entry("n"), "1", "https://crm.example"), is_html=True)
    assert BEGIN_MARK in as_text(body, is_html=True)
