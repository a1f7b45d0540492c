"""Bodies: what users and editors do to them, what of them the CRM keeps, and that the CRM's links survive it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html

from ops_lib.database.engine import Database
from ops_lib.model import Entry, Kind, Origin
from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.values import Body
from ops_lib.sync.body import BEGIN_MARK, END_MARK, as_html, as_text, crm_block, with_block
from ops_lib.sync.mapping import MAX_NOTES_BYTES
from tests.support.sandbox import ALICE
from tests.support.server_desk import ServerDesk
from tests.sync.desk import Desk, at

CRM = "https://crm.example"


@pytest.fixture
def desk(sqlite_database: Database) -> Desk:
    return Desk(sqlite_database)


def block(notes: str = "", individual: str = "", activity_id: str = "12") -> str:
    entry = Entry(
        kind=Kind.EVENT,
        origin=Origin.CRM,
        description="Tour",
        when=at(1, 9),
        notes=notes,
        individual_id="7" if individual else None,
        individual_name=individual,
    )
    return crm_block(entry, activity_id, CRM)


def links_in(body: str) -> list[str]:
    """Where the links of a body lead, in order."""
    return [str(link.get("href")) for link in lxml_html.document_fromstring(body).iter("a")]


# ── what the CRM keeps of a body (O8) ────────────────────────────────────────────────────────────────────────────────
ACTIVE = {
    "script": "<script>steal()</script>",
    "script in capitals": "<SCRIPT SRC=//x.example/x.js></SCRIPT >",
    "unclosed script in a comment": "<!-- <script>steal()</script> -->",
    "handler": '<b onmouseover="steal()" onload=steal()></b>',
    "remote picture": '<img src="https://t.example/x.png" onerror=steal()>',
    "background": '<table background="https://t.example/x.png"><tr><td style="background:url(https://t.example/y)"></td></tr></table>',
    "form": '<form action="https://t.example"><input value="steal()"><button>steal()</button><select><option>steal()</option></select></form>',
    "javascript link": '<a href="javascript:steal()"></a><a href=" java\tscript:steal()"></a>',
    "data link": '<a href="data:text/html,<script>steal()</script>"></a>',
    "style": "<style>@import url(https://t.example/x.css); p {behavior: url(steal())}</style>",
    "style sheet": '<link rel="stylesheet" href="https://t.example/x.css">',
    "svg": '<svg onload="steal()"><a href="javascript:steal()"><text>steal()</text></a></svg>',
    "mathml": "<math><mtext><script>steal()</script></mtext></math>",
    "refresh": '<meta http-equiv="refresh" content="0;url=https://t.example/steal()">',
    "base": '<base href="https://t.example/">',
    "frame": '<iframe srcdoc="<script>steal()</script>">steal()</iframe>',
    "object": '<object data="https://t.example/x.swf"><param name=x value="steal()">steal()</object><embed src="https://t.example/x">',
    "media": '<video poster="https://t.example/x"><source src="https://t.example/x">steal()</video>',
    "template": "<template><script>steal()</script></template>",
    "conditional": "<!--[if mso]><v:shape onload='steal()'></v:shape><![endif]-->",
    "noscript": "<noscript><img src=x onerror=steal()>steal()</noscript>",
}


@pytest.mark.req("O8")
@pytest.mark.parametrize("name", ACTIVE)
def test_nothing_active_reaches_the_crm(desk: Desk, name: str) -> None:
    """Of an Outlook body the CRM keeps the words around what could act, and of that nothing."""
    desk.outlook.add(
        "Dentist",
        at(1, 8),
        body=f"<html><body><p>before</p>{ACTIVE[name]}<p>after</p></body></html>",
        body_is_html=True,
    )
    desk.settle()
    (activity,) = desk.activities()
    words = activity.notes.split()
    assert (words[0], words[-1]) == ("before", "after")
    assert "steal" not in activity.notes
    assert "t.example" not in activity.notes
    assert not re.search(r"<\w", activity.notes)


@pytest.mark.req("O8")
def test_words_that_look_like_markup_stay_words(desk: Desk) -> None:
    """Escaped markup is what somebody wrote: it is kept as text, in a text body too."""
    desk.outlook.add("one", at(1, 8), body="<p>use &lt;script&gt; &amp;amp; 1 &lt; 2</p>", body_is_html=True)
    desk.outlook.add("two", at(1, 9), body="use <script> &amp; 1 < 2", body_is_html=False)
    desk.settle()
    assert [a.notes for a in desk.activities()] == ["use <script> &amp; 1 < 2"] * 2


UNICODE = {
    "emoji": "👩‍👩‍👧‍👦 visit 🏡 🇩🇪",
    "right to left": "مرحبا \u202bשלום\u202c a",
    "combining": "e\u0301le\u0300ve A\u030angstro\u0308m",
    "beyond the plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎",
    "not for XML": "a\x00b\x08c\x0b\x1fd\ufffee\uffff",
    "separators": "a\u2028b\u2029c\u0085d",
    "invisible": "a\u200bb\ufeffc\u00add",
}


@pytest.mark.req("O8", "Y1")
@pytest.mark.parametrize("name", UNICODE)
def test_any_character_travels_or_is_left_out(sandbox: Sandbox, sqlite_database: Database, name: str) -> None:
    """Titles, places and notes in any script go both ways over the wire and settle; what XML cannot carry is left out, and nothing fails."""
    text = UNICODE[name]
    desk = ServerDesk(sqlite_database, sandbox=sandbox)
    tour = desk.add(f"Tour {text}", at(1, 10), location=text, notes=text)
    desk.settle()
    (item,) = desk.stored()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", item.values["item:Subject"])
    assert desk.get(tour).description == f"Tour {text}"
    assert _letters(text) <= _letters(item.values["item:Subject"])
    assert _letters(text) <= _letters(item.values["item:Body"].text)
    kept = item.values["item:Subject"]
    own = sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": kept,
            "calendar:Start": at(2, 9).start,
            "calendar:End": at(2, 10).start,
            "item:Body": Body(as_html(text), True),
        },
    )
    desk.settle()
    (activity,) = [a for a in desk.activities() if a.origin is Origin.EXCHANGE]
    assert _letters(text) <= _letters(activity.notes)
    desk.edit(activity.activity_id, description=f"again {text}")
    desk.settle()
    assert own.values["item:Subject"].startswith("again")


def _letters(text: str) -> set[str]:
    import unicodedata

    return {
        c for c in unicodedata.normalize("NFC", html.unescape(text)) if c.isalnum() or unicodedata.category(c) == "So"
    }


@pytest.mark.req("O8")
@pytest.mark.parametrize("is_html", [True, False])
def test_a_body_of_two_megabytes(sandbox: Sandbox, sqlite_database: Database, is_html: bool) -> None:
    """Of a body of two megabytes the CRM keeps 32 KB of text, whole characters; in Outlook it stays what it is when the title changes, and a
    CRM-born event keeps what its user pasted when the CRM's notes change."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox)
    words = "Wörter und 🏡 " * 110_000
    text = f"<html><body><p>{words}</p></body></html>" if is_html else words
    own = sandbox.organisation.create_item(
        ALICE,
        "calendar",
        {
            "item:Subject": "Long",
            "calendar:Start": at(2, 9).start,
            "calendar:End": at(2, 10).start,
            "item:Body": Body(text, is_html),
        },
    )
    tour = desk.add("Tour", at(1, 10), notes="first")
    desk.settle()
    (activity,) = [a for a in desk.activities() if a.origin is Origin.EXCHANGE]
    assert len(activity.notes.encode()) <= MAX_NOTES_BYTES
    assert len(activity.notes.encode()) > MAX_NOTES_BYTES - 100
    assert activity.notes.startswith("Wörter und 🏡")
    desk.edit(activity.activity_id, description="Longer")
    (ours,) = [item for item in desk.stored() if item.values["item:Subject"] == "Tour"]
    pasted = ours.values["item:Body"].text.replace("</body>", f"<p>{words}</p></body>")
    sandbox.organisation.update_item(ours, {"item:Body": Body(pasted, True)})
    desk.settle()
    assert own.values["item:Body"].text == text
    desk.edit(tour, notes="second")
    desk.settle()
    body = ours.values["item:Body"].text
    assert "second" in body
    assert "first" not in body
    assert body.count("Wörter") == 110_000


# ── what becomes of the CRM's block ──────────────────────────────────────────────────────────────────────────────────
def by_word(body: str) -> str:
    """As Outlook saves what was edited in it: paragraphs, spans, other quotes and dashes kept, blanks made to stay."""
    inner = re.sub(r"^.*?<body>|</body>.*$", "", body, flags=re.S)
    inner = re.sub(r"<div>(?=<div>)|(?<=</div>)</div>", "", inner)
    inner = inner.replace("<div>", '<p class="MsoNormal"><span lang="EN-US" style="font-size:11.0pt">')
    inner = inner.replace("</div>", "<o:p></o:p></span></p>\r\n").replace("up to date", "up to\r\ndate")
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta http-equiv="Content-Type" content="text/html">'
        '<style><!-- p.MsoNormal {margin:0cm} --></style></head><body lang="EN-US" link="#0563C1"><div class="WordSection1">'
        f'{inner}<p class="MsoNormal">my own words<o:p></o:p></p></div></body></html>'
    )


def in_a_table(body: str) -> str:
    return body.replace("<body>", "<body><table><tr><td>").replace(
        "</body>", "</td></tr></table><p>my own words</p></body>"
    )


def in_spans(body: str) -> str:
    """One mark torn into pieces by a spelling checker's formatting."""
    torn = body.replace("CRM: kept", "<span>CR</span><b>M: </b>k<i>ept</i>").replace(
        "end of CRM", "end&nbsp;of <u>CRM</u>"
    )
    return torn.replace("</body>", "<p>my own words</p></body>")


def with_breaks(body: str) -> str:
    """One paragraph with line breaks, as some phones make of everything."""
    inner = re.sub(r"^.*?<body>|</body>.*$", "", body, flags=re.S)
    return f"<html><body>{re.sub(r'<div>', '', inner).replace('</div>', '<br>')}my own words</body></html>"


def as_plain_text(body: str) -> str:
    """Converted to text and back, links gone."""
    return as_html(as_text(body, is_html=True) + "\n\nmy own words")


def quoted(body: str) -> str:
    """Answered and pasted back: every line in a quotation."""
    inner = re.sub(r"^.*?<body>|</body>.*$", "", body, flags=re.S)
    return f"<html><body><p>my own words</p><blockquote style='border-left:1px'>{inner}</blockquote></body></html>"


REWRITES: dict[str, Callable[[str], str]] = {
    "Word": by_word,
    "in a table": in_a_table,
    "in spans": in_spans,
    "with breaks": with_breaks,
    "plain text": as_plain_text,
    "quoted": quoted,
}


@pytest.mark.req("C2")
@pytest.mark.parametrize("name", REWRITES)
def test_the_links_survive_the_users_edit_of_the_body(desk: Desk, name: str) -> None:
    """Whatever an editor makes of the body, the next change of the notes finds the CRM's block, renews it with both links, and leaves the user's
    words and no second block."""
    tour = desk.add("Tour", at(1, 10), notes="first\nsecond line", individual_id="1")
    desk.settle()
    (item_id,) = desk.outlook.items
    desk.outlook.edit(item_id, body=REWRITES[name](desk.outlook.items[item_id].body or ""))
    desk.settle()
    for notes in ("third", "fourth"):
        desk.edit(tour, notes=notes)
        desk.settle()
    body = desk.outlook.items[item_id].body or ""
    text = as_text(body, is_html=True)
    assert text.count(BEGIN_MARK) == text.count(END_MARK) == 1
    assert links_in(body) == [f"{CRM}/activity/{tour}", f"{CRM}/individual/1"]
    assert "my own words" in text
    assert "fourth" in text
    assert not re.search("first|second line|third", text)


@pytest.mark.req("C2")
def test_a_body_made_plain_text(sandbox: Sandbox, sqlite_database: Database) -> None:
    """A body that the user made plain text, on a server, is found as HTML: the block is renewed with its links, the words stay."""
    desk = ServerDesk(sqlite_database, sandbox=sandbox)
    tour = desk.add("Tour", at(1, 10), notes="first")
    desk.settle()
    (item,) = desk.stored()
    plain = as_text(item.values["item:Body"].text, is_html=True) + "\r\n\r\nmy own words"
    sandbox.organisation.update_item(item, {"item:Body": Body(plain, False)})
    desk.settle()
    desk.edit(tour, notes="second")
    desk.settle()
    body = item.values["item:Body"].text
    assert links_in(body) == [f"{CRM}/activity/{tour}"]
    assert "my own words" in body
    assert "first" not in body


@pytest.mark.req("C2")
@pytest.mark.parametrize(
    ("cut", "left"),
    [
        (lambda lines: lines[: len(lines) // 2], ["mine above"]),
        (lambda lines: [lines[0], *lines[len(lines) // 2 :]], ["mine above", "mine below"]),
        (
            lambda lines: [line for line in lines if BEGIN_MARK not in line and END_MARK not in line],
            ["mine above", "mine below"],
        ),
        (lambda lines: ["<div>all new</div>"], ["all new"]),
        (lambda lines: [], []),
    ],
    ids=["truncated", "the beginning", "the marks", "everything", "to nothing"],
)
def test_half_a_block_is_replaced_by_a_whole_one(cut: Callable[[list[str]], list[str]], left: list[str]) -> None:
    """Of a block that was cut, deleted in part or altogether, a whole one is put back with its link, and no word of the user's is lost."""
    original = with_block(None, block("a note\nanother"), is_html=True)
    lines = ["<div>mine above</div>", *re.findall(r"<div>(?:(?!<div>).)*?</div>", original), "<div>mine below</div>"]
    body = f"<html><body>{''.join(cut(lines))}</body></html>"
    renewed = with_block(body, block("new note"), is_html=True)
    text = as_text(renewed, is_html=True)
    assert f"{CRM}/activity/12" in links_in(renewed)
    assert "new note" in text
    for words in left:
        assert words in text
    assert with_block(renewed, block("new note"), is_html=True).count("new note") == 1


@pytest.mark.req("C2")
def test_a_block_pasted_twice_is_one_again() -> None:
    """A body with the block twice keeps one, with the words before, between and behind."""
    one = re.sub(r"^.*?<body>|</body>.*$", "", with_block(None, block("old"), is_html=True), flags=re.S)
    body = f"<html><body><p>before</p>{one}<p>between</p>{one}<p>behind</p></body></html>"
    text = as_text(with_block(body, block("new"), is_html=True), is_html=True)
    assert text.count(BEGIN_MARK) == text.count(END_MARK) == 1
    assert "old" not in text
    assert [word for word in ("before", "between", "behind") if word in text] == ["before", "between", "behind"]


_EDITORS = ("p", "div", "span", "b", "table", "tr", "td", "ul", "li", "blockquote", "o:p", "font")

HOSTILE = {
    "markup": "</div></div><script>x()</script><b>bold</b>",
    "cdata": "]]> <![CDATA[ x ]]>",
    "entities": "&amp; &lt;b&gt; &#x3c; &nbsp;",
    "comment": "<!-- --> --> <!--[if mso]>",
    "the end mark": f"a\n{END_MARK}\nb",
    "the begin mark": f"a\n{BEGIN_MARK}\nb",
    "both marks": f"{END_MARK} {BEGIN_MARK}",
    "quotes": "\"'><a href='javascript:x()'>",
}


@pytest.mark.req("C2", "O8")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_field_of_the_crm_cannot_break_the_block(desk: Desk, name: str) -> None:
    """Markup, `]]>` and our own marks in notes and names are words in the block: it is found again whole, and nothing of it is left behind."""
    text = HOSTILE[name]
    tour = desk.add(f"Tour {text}", at(1, 10), notes=text, location=text)
    desk.settle()
    (item_id,) = desk.outlook.items
    body = (desk.outlook.items[item_id].body or "").replace("</body>", "<p>my own words</p></body>")
    assert set(links_in(body)) == {f"{CRM}/activity/{tour}"}
    tags = {element.tag for element in lxml_html.document_fromstring(body).iter() if isinstance(element.tag, str)}
    assert tags <= {"html", "body", "div", "a", "p", "head"}
    desk.outlook.edit(item_id, body=body)
    desk.settle()
    for notes in (f"{text} again", "clean"):
        desk.edit(tour, notes=notes)
        desk.settle()
    after = as_text(desk.outlook.items[item_id].body, is_html=True)
    assert [line for line in after.split("\n") if line] == [
        BEGIN_MARK,
        "Open the activity in the CRM",
        "clean",
        END_MARK,
        "my own words",
    ]


@pytest.mark.req("C2")
@settings(max_examples=150, deadline=None)
@given(
    notes=st.text(max_size=60),
    name=st.text(max_size=20),
    mine=st.lists(st.text(alphabet="abc äöü🏡<>&\"'-–", min_size=1, max_size=12), max_size=3),
)
def test_any_text_makes_a_block_that_is_found_again(notes: str, name: str, mine: list[str]) -> None:
    """Whatever is in the fields and around the block: renewed, it is there once, and the user's words are as they were."""
    around = "".join(f"<p>{html.escape(words)}</p>" for words in mine)
    first = with_block(f"<html><body>{around}</body></html>", block(notes, name), is_html=True)
    second = with_block(first, block("renewed"), is_html=True)
    text = as_text(second, is_html=True)
    assert text.count(BEGIN_MARK) == text.count(END_MARK) == 1
    assert text.partition(END_MARK)[2].split() == as_text(around, is_html=True).split()


TAGS = st.sampled_from(
    ["", *(f"<{tag}>" for tag in _EDITORS), *(f"</{tag}>" for tag in _EDITORS), "<br>", "<!-- c -->", " "]
)


@pytest.mark.req("C2")
@settings(max_examples=300, deadline=None)
@given(st.lists(TAGS, min_size=14, max_size=14), st.integers(0, 5), st.integers(1, 6))
def test_whatever_elements_a_block_is_torn_into_it_goes_and_the_words_around_it_stay(
    tags: list[str], first: int, count: int
) -> None:
    """Between any tags, opened and closed in any order, exactly what stands between the marks goes; a second renewal changes nothing more."""
    last = min(6, first + count)
    body = ""
    for number in range(7):
        body += tags[2 * number]
        body += BEGIN_MARK + " " if number == first else ""
        body += END_MARK + " " if number == last else ""
        body += tags[2 * number + 1] + f"word{number} "
    renewed = with_block(f"<html><body>{body}</body></html>", block("renewed"), is_html=True)
    words = set(re.findall(r"word\d", as_text(renewed, is_html=True)))
    assert words == {f"word{n}" for n in range(7) if not first <= n < last}
    assert links_in(renewed) == [f"{CRM}/activity/12"]
    again = with_block(renewed, block("renewed"), is_html=True)
    assert as_text(again, is_html=True) == as_text(renewed, is_html=True)
