"""Pictures as SVG: colours that read in the light and in the dark, text that fits, and Altair drawing shapes whose places we chose.

Every place is computed here, in pixels: nothing depends on which fonts a machine has, so the same data gives the same bytes everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FONT = "Arial, Helvetica, Liberation Sans, sans-serif"

COLOURS: dict[str, tuple[str, str]] = {
    # name: (in the light, in the dark). Fills from Okabe and Ito's set, told apart with any kind of colour blindness.
    "paper": ("#ffffff", "#15191e"),
    "ink": ("#1c2430", "#e8ecf1"),
    "muted": ("#5a6675", "#a3aebb"),
    "line": ("#d5dbe2", "#333c47"),
    "today": ("#f1f4f8", "#1e252d"),
    "both-fill": ("#cfe4f4", "#173f5f"),
    "both-line": ("#0072b2", "#56b4e9"),
    "rule-fill": ("#f0f1f3", "#262d35"),
    "rule-line": ("#8a94a1", "#7d8895"),
    "differs-fill": ("#fdebc4", "#55400a"),
    "differs-line": ("#b87400", "#f0b73d"),
    "missing-fill": ("#fadbcd", "#5e2812"),
    "missing-line": ("#c04a00", "#ff9466"),
    "well": ("#009e73", "#2fbf97"),
    "created": ("#0072b3", "#4aa3dc"),
    "updated": ("#e69f00", "#e6a824"),
    "deleted": ("#8c5a9e", "#b98acb"),
    "wrong": ("#d55e00", "#f07f3c"),
    "idle": ("#b3bbc5", "#5d6874"),
}


@dataclass(frozen=True)
class Drawing:
    """A picture and what it says in words. Jupyter shows the picture; `inline` gives it to an HTML page of ours."""

    svg: str
    words: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.words}

    def inline(self, prefix: str) -> str:
        """The picture for our HTML page: colours by the page's variables, ids of its own, and the words for who cannot see it."""
        svg = re.sub(r"#[0-9a-f]{6}\b", lambda found: _VARIABLES.get(found[0], found[0]), self.svg)
        svg = re.sub(r'\bid="(\w+)"', rf'id="{prefix}-\1"', svg)
        svg = re.sub(r"url\(#(\w+)\)", rf"url(#{prefix}-\1)", svg)
        svg = re.sub(r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"', r'<svg \1width="100%"', svg, count=1)
        label = self.words.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


_VARIABLES = {light: f"var(--{name})" for name, (light, _) in COLOURS.items()}


def css_variables(dark: bool) -> str:
    """The colours as custom properties of a style sheet."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLOURS.items())


def colour(name: str) -> str:
    """The colour's value in the light; `Drawing.inline` turns it into the page's variable."""
    return COLOURS[name][0]


# ── text ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
_NARROW, _WIDE = frozenset("iIjlt|!.,:;'()[]{} \u00a0-–·f"), frozenset("MWmw@%&—≠→")


def text_width(text: str, size: float) -> float:
    """About how wide a text is in pixels; rather too much than too little, since nobody knows the reader's font."""
    share = sum(0.33 if c in _NARROW else 0.9 if c in _WIDE else 0.68 if c.isupper() else 0.56 for c in text)
    return share * size


def fitted(text: str, width: float, size: float) -> str:
    """The text, cut with an ellipsis where it is too wide."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def wrapped(text: str, width: float, size: float, lines: int) -> list[str]:
    """The text in at most so many lines, broken between words, the last one cut where more was to come."""
    done: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}".strip()
        if text_width(longer, size) <= width or not line:
            line = longer
            continue
        done.append(line)
        line = word
    done.append(line)
    kept = done[:lines]
    if len(done) > lines and kept:
        kept[-1] = f"{kept[-1]} {done[lines]}"
    return [fitted(each, width, size) for each in kept]


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────────
class Canvas:
    """Shapes at pixels, drawn in the order they were added; y grows downwards."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._layers: list[Any] = []

    def rects(self, rows: Sequence[Mapping[str, Any]], *, dash: Sequence[int] = (), radius: float = 0) -> None:
        """Boxes: ``x, y, x2, y2, fill, stroke`` (colours by name, stroke may be empty), ``stroke_width``."""
        import altair as alt

        data = [
            {**row, "fill": colour(row["fill"]), "stroke": colour(row["stroke"]) if row.get("stroke") else "transparent",
             "stroke_width": row.get("stroke_width", 1)}
            for row in rows
        ]  # fmt: skip
        mark = {"cornerRadius": radius, **({"strokeDash": list(dash)} if dash else {})}
        self._add(
            data,
            lambda chart: chart.mark_rect(**mark).encode(
                x=self._x("x"),
                x2="x2:Q",
                y=self._y("y"),
                y2="y2:Q",
                fill=alt.Fill("fill:N", scale=None),
                stroke=alt.Stroke("stroke:N", scale=None),
                strokeWidth=alt.StrokeWidth("stroke_width:Q", scale=None),
            ),
        )

    def lines(self, rows: Sequence[Mapping[str, Any]], *, name: str, width: float = 1) -> None:
        """Straight lines ``x, y, x2, y2`` in one colour."""
        self._add(
            rows,
            lambda chart: chart.mark_rule(color=colour(name), strokeWidth=width).encode(
                x=self._x("x"), x2="x2:Q", y=self._y("y"), y2="y2:Q"
            ),
        )

    def texts(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        size: float,
        name: str = "ink",
        align: str = "left",
        bold: bool = False,
        struck: bool = False,
    ) -> None:
        """Texts ``x, y, text`` whose baseline's middle is at y."""
        import altair as alt

        self._add(
            [row for row in rows if row["text"]],
            lambda chart: chart.mark_text(
                align=align,
                baseline="middle",
                font=FONT,
                fontSize=size,
                fontWeight="bold" if bold else "normal",
                fontStyle="italic" if struck else "normal",
                color=colour(name),
                limit=0,
            ).encode(x=self._x("x"), y=self._y("y"), text=alt.Text("text:N")),
        )

    def draw(self, words: str) -> Drawing:
        """The picture. ``words`` say what it shows."""
        import altair as alt
        import vl_convert

        self._layers.insert(
            0,
            self._chart([{"x": 0, "y": 0, "x2": self.width, "y2": self.height}])
            .mark_rect(fill=colour("paper"))
            .encode(x=self._x("x"), x2="x2:Q", y=self._y("y"), y2="y2:Q"),
        )
        chart = alt.layer(*self._layers).properties(
            width=self.width, height=self.height, padding=0, autosize={"type": "none"}, background=colour("paper")
        )
        chart = chart.configure_view(stroke=None)
        return Drawing(_tidy(vl_convert.vegalite_to_svg(chart.to_dict())), words)

    def _add(self, rows: Sequence[Mapping[str, Any]], make: Any) -> None:
        if rows:
            self._layers.append(make(self._chart(rows)))

    @staticmethod
    def _chart(rows: Iterable[Mapping[str, Any]]) -> Any:
        import altair as alt

        return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))

    def _x(self, name: str) -> Any:
        import altair as alt

        return alt.X(f"{name}:Q", axis=None, scale=alt.Scale(domain=[0, self.width], nice=False, zero=False))

    def _y(self, name: str) -> Any:
        import altair as alt

        return alt.Y(f"{name}:Q", axis=None, scale=alt.Scale(domain=[self.height, 0], nice=False, zero=False))


def _tidy(svg: str) -> str:
    """Without what only Vega's own scripts use."""
    return re.sub(r' (aria-\w+|role|pointer-events|class)="[^"]*"', "", svg)
