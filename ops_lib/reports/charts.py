"""The report's pictures: how the accounts stand, what went which way, and one user's week on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from ops_lib.diagnosis.statuses import UNATTEMPTED
from ops_lib.reports.drawing import Canvas, Drawing, fitted, text_width, wrapped
from ops_lib.reports.frames import VERDICTS
from ops_lib.reports.week import Week
from ops_lib.reports.words import counted, day_words

DIRECTION_WORDS = {"crm_to_exchange": "CRM → Outlook", "exchange_to_crm": "Outlook → CRM"}

# ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
_LABELS, _BARS, _WORDS, _ROW = 380, 380, 340, 26


def _bars(rows: list[tuple[str, list[tuple[str, int, str]]]], words: str, none: str = "no accounts") -> Drawing:
    """Horizontal bars: a label, and the parts of the bar as (colour, number, word); the numbers stand beside it in words."""
    largest = max((sum(number for _, number, _ in parts) for _, parts in rows), default=0) or 1
    canvas = Canvas(_LABELS + _BARS + _WORDS, 12 + _ROW * max(1, len(rows)))
    boxes, labels, sums = [], [], []
    for place, (label, parts) in enumerate(rows):
        top, x = 6 + _ROW * place, float(_LABELS)
        for name, number, _ in parts:
            wide = _BARS * number / largest
            if number:
                boxes.append(
                    {
                        "x": x,
                        "x2": x + max(wide, 2),
                        "y": top + 4,
                        "y2": top + _ROW - 4,
                        "fill": name,
                        "stroke": "paper",
                    }
                )
            x += max(wide, 2) if number else 0
        middle = top + _ROW / 2
        labels.append({"x": 4, "y": middle, "text": fitted(label, _LABELS - 14, 12)})
        said = " · ".join(f"{number} {word}" for _, number, word in parts if number) or "nothing"
        sums.append({"x": x + 8, "y": middle, "text": fitted(said, _LABELS + _BARS + _WORDS - x - 10, 12)})
    canvas.lines([{"x": _LABELS, "x2": _LABELS, "y": 4, "y2": canvas.height - 4}], name="line")
    canvas.rects(boxes)
    canvas.texts(labels, size=12)
    canvas.texts(sums, size=12, name="muted")
    if not rows:
        canvas.texts([{"x": 4, "y": canvas.height / 2, "text": none}], size=12, name="muted")
    return canvas.draw(words)


def draw_counts(counts: pd.DataFrame) -> Drawing:
    """What was written, by host and direction. ``counts`` as `frames.counts` gives them."""
    rows = []
    for (host, direction), group in counts.groupby(["host", "direction"], sort=True):
        sums = group[["created", "updated", "deleted", "skipped", "failed"]].sum()
        parts = [
            ("created", int(sums["created"]), "created"),
            ("updated", int(sums["updated"]), "updated"),
            ("deleted", int(sums["deleted"]), "removed"),
            ("wrong", int(sums["failed"]), "failed"),
        ]
        rows.append((f"{host}: {DIRECTION_WORDS[str(direction)]}", parts))
    return _bars(rows, _said("What was written, by host and direction", rows))


def draw_statuses(accounts: pd.DataFrame) -> Drawing:
    """How the calendars stand, by community. ``accounts`` as `frames.accounts` gives them."""
    shades = {
        "wrong": "wrong",
        "failing": "updated",
        "late": "updated",
        "well": "well",
        "not yet": "idle",
        "off": "idle",
    }
    calendars = accounts[accounts["process"] == "calendar"]
    rows = []
    for community, group in calendars.groupby("community", sort=True):
        parts = []
        for verdict in VERDICTS:
            of_verdict = group[group["verdict"] == verdict]
            for status, number in sorted(of_verdict["status"].value_counts().items()):
                word = f"{status} ({verdict})" if verdict in ("failing", "late") else str(status)
                shade = "idle" if status == UNATTEMPTED and verdict == "well" else shades[verdict]
                parts.append((shade, int(number), word))
        rows.append((str(community), parts))
    return _bars(rows, _said("How the calendars stand, by community", rows))


def draw_causes(incidents: pd.DataFrame) -> Drawing:
    """What failed most, by cause, the most frequent first. ``incidents`` as `frames.incidents` gives them."""
    rows = []
    for cause, group in sorted(incidents.groupby("cause"), key=lambda each: (-each[1]["cycles"].sum(), str(each[0]))):
        still = group[group["is_open"]]["cycles"].sum()
        rows.append(
            (
                str(cause),
                [
                    ("wrong", int(still), "open"),
                    ("updated", int(group["cycles"].sum() - still), "over"),
                ],
            )
        )
    return _bars(rows, _said("Failed cycles by cause", rows), "no failures")


def _said(title: str, rows: list[tuple[str, list[tuple[str, int, str]]]]) -> str:
    lines = [
        f"{label}: {', '.join(f'{number} {word}' for _, number, word in parts if number) or 'nothing'}"
        for label, parts in rows
    ]
    return f"{title}. {'; '.join(lines) or 'no accounts'}."


# ── a week ───────────────────────────────────────────────────────────────────────────────────────────────────────────
_GUTTER, _DAY, _HOUR, _FOLDED, _CHIP = 44, 166, 44, 7, 16
_LEGEND, _HEAD = 30, 42
_SIDES = ("crm", "exchange")

_LOOKS = {  # what an entry is: fill, line, mark before the title, words of the legend
    "both": ("both-fill", "both-line", "", "in both, the same"),
    "rule": ("rule-fill", "rule-line", "○\u00a0", "on this side only, as the rules have it"),
    "differs": ("differs-fill", "differs-line", "≠\u00a0", "in both, but different"),
    "missing": ("missing-fill", "missing-line", "!\u00a0", "missing on the other side"),
    "unknown": ("rule-fill", "rule-line", "?\u00a0", "the other side was not read"),
}


def draw_week(week: Week) -> Drawing:
    """A user's week: for each day the CRM's column beside Outlook's, whole days on top, hours in the user's zone."""
    pieces = _pieces(week)
    timed = [piece for piece in pieces if not piece["all_day"]]
    hours = _Hours(timed)
    chips = _chip_rows([piece for piece in pieces if piece["all_day"]])
    all_day_height = _CHIP * max(1, chips) + 8
    top = _LEGEND + _HEAD + all_day_height
    canvas = Canvas(_GUTTER + 7 * _DAY + 2, top + hours.height + 12)
    _grid(canvas, week, hours, top)
    _place(timed, hours, top)
    for piece in pieces:
        if piece["all_day"]:
            left = _left(piece)
            y = _LEGEND + _HEAD + 4 + piece["lane"] * _CHIP
            piece.update(x=left, x2=left + _DAY / 2 - 5, y=y, y2=y + _CHIP - 2)
    _draw_pieces(canvas, pieces)
    _legend(canvas, week, pieces)
    return canvas.draw(_week_words(week))


def _pieces(week: Week) -> list[dict[str, Any]]:
    """An entry's part of each day and side: day 0–6, minutes from midnight, and how it looks."""
    pieces = []
    for row in week.entries.to_dict("records"):
        start = row["start"].tz_convert(week.zone)
        end = max(start, row["end"].tz_convert(week.zone))  # the CRM may hold one that ends before it starts
        for day in range(7):
            date_ = week.first_day + timedelta(days=day)
            begins = max(_minutes(start, date_), 0)
            ends = min(_minutes(end, date_), 24 * 60)
            if ends < begins or begins >= 24 * 60 or (ends == begins and (end > start or _minutes(start, date_) < 0)):
                continue
            pieces.append(
                {
                    "day": day,
                    "side": row["side"],
                    "all_day": row["all_day"],
                    "from": begins,
                    "to": ends,
                    "title": row["title"],
                    "time": f"{start:%H:%M}" if start.date() == date_ else "…",
                    "look": _look(row),
                    "struck": row["status"] == "Cancelled" and row["side"] == "crm",
                    "lane": 0,
                    "lanes": 1,
                }
            )
    return pieces


def _look(row: Mapping[Any, Any]) -> str:
    if row["state"] in ("both", "differs", "unknown"):
        return "rule" if row["state"] == "differs" and row["expected"] else str(row["state"])
    return "rule" if row["expected"] else "missing"


def _minutes(moment: datetime, day: date) -> int:
    """Minutes on the clock from the day's midnight; the two days of a year that are longer or shorter keep their 24 hours of clock."""
    return (moment.date() - day).days * 24 * 60 + moment.hour * 60 + moment.minute


class _Hours:
    """How high each hour is drawn: the working day and hours that hold something in full, the others of the drawn day folded."""

    def __init__(self, timed: list[dict[str, Any]]) -> None:
        busy = {
            hour
            for piece in timed
            for hour in range(piece["from"] // 60, -(-max(piece["to"], piece["from"] + 30) // 60))
        }
        busy |= set(range(8, 18))
        self.first, self.last = min(busy), min(max(busy) + 1, 24)
        self._tops = [0.0]
        for hour in range(self.first, self.last):
            self._tops.append(self._tops[-1] + (_HOUR if hour in busy else _FOLDED))
        self.height = self._tops[-1]
        self.marks = [
            hour for hour in range(self.first, self.last + 1) if hour in busy or hour - 1 in busy or hour == self.last
        ]  # a folded hour has no room for its number

    def y(self, minutes: int) -> float:
        """The place of a minute of the day, from the top of the hours."""
        hour, minute = divmod(minutes, 60)
        place = hour - self.first
        if place + 1 >= len(self._tops):
            return self.height
        return self._tops[place] + (self._tops[place + 1] - self._tops[place]) * minute / 60


def _chip_rows(chips: list[dict[str, Any]]) -> int:
    """Give each whole-day entry its row: the same on both sides where both have it, so that they stand beside each other."""
    rows = 0
    for day in range(7):
        held: dict[str, list[str]] = {side: [] for side in _SIDES}
        titles: list[str] = []
        for piece in sorted((c for c in chips if c["day"] == day), key=lambda c: (c["title"], c["side"])):
            own = held[piece["side"]]
            nth = own.count(piece["title"])
            own.append(piece["title"])
            places = [place for place, title in enumerate(titles) if title == piece["title"]]
            if nth >= len(places):
                titles.append(piece["title"])
                places.append(len(titles) - 1)
            piece["lane"] = places[nth]
        rows = max(rows, len(titles))
    return rows


def _left(piece: Mapping[str, Any]) -> float:
    return float(_GUTTER + piece["day"] * _DAY + (_DAY / 2 if piece["side"] == "exchange" else 2))


def _place(timed: list[dict[str, Any]], hours: _Hours, top: float) -> None:
    """Entries at the same time stand side by side within their column."""
    for day in range(7):
        for side in _SIDES:
            column = [piece for piece in timed if piece["day"] == day and piece["side"] == side]
            _lanes(column)
    for piece in timed:
        wide = (_DAY / 2 - 5) / piece["lanes"]
        piece["x"] = _left(piece) + piece["lane"] * wide
        piece["x2"] = piece["x"] + wide - (1 if piece["lane"] + 1 < piece["lanes"] else 0)
        piece["y"] = top + hours.y(piece["from"])
        piece["y2"] = max(top + hours.y(piece["to"]) - 1, piece["y"] + 13)


def _lanes(column: list[dict[str, Any]]) -> None:
    """Spread what overlaps over lanes; a group of entries that touch each other shares its width evenly."""
    column.sort(key=lambda piece: (piece["from"], -piece["to"], piece["title"]))
    group: list[dict[str, Any]] = []
    ends: list[int] = []
    for piece in [*column, None]:
        if piece is None or (ends and piece["from"] >= max(ends)):
            for member in group:
                member["lanes"] = len(ends)
            group, ends = [], []
        if piece is None:
            return
        until = max(piece["to"], piece["from"] + 18)  # a short one is drawn high enough to be read
        free = next((lane for lane, end in enumerate(ends) if end <= piece["from"]), None)
        if free is None:
            free = len(ends)
            ends.append(until)
        ends[free] = until
        piece["lane"] = free
        group.append(piece)


def _grid(canvas: Canvas, week: Week, hours: _Hours, top: float) -> None:
    bottom = top + hours.height
    days = [week.first_day + timedelta(days=day) for day in range(7)]
    canvas.rects(
        [
            {"x": _GUTTER + n * _DAY, "x2": _GUTTER + (n + 1) * _DAY, "y": _LEGEND, "y2": bottom, "fill": "today"}
            for n in (0, 2, 4, 6)
        ]
    )
    marks = [(hour, top + hours.y(hour * 60)) for hour in hours.marks]
    canvas.lines([{"x": _GUTTER, "x2": canvas.width - 2, "y": y, "y2": y} for _, y in marks], name="line")
    edges = [_GUTTER + n * _DAY for n in range(8)]
    canvas.lines([{"x": x, "x2": x, "y": _LEGEND, "y2": bottom} for x in edges], name="rule-line")
    middles = [_GUTTER + n * _DAY + _DAY / 2 - 1 for n in range(7)]
    canvas.lines([{"x": x, "x2": x, "y": _LEGEND + 24, "y2": bottom} for x in middles], name="line")
    hour_words = [{"x": _GUTTER - 5, "y": y, "text": f"{hour:02}:00"} for hour, y in marks]
    canvas.texts(hour_words, size=10, name="muted", align="right")
    heads = [
        {"x": x + _DAY / 2, "y": _LEGEND + 12, "text": day_words(day)} for x, day in zip(edges, days, strict=False)
    ]
    canvas.texts(heads, size=12, bold=True, align="center")
    for side, word in enumerate(("CRM", "Outlook")):
        spots = [{"x": x + _DAY * (0.25 + 0.5 * side), "y": _LEGEND + 31, "text": word} for x in edges[:7]]
        canvas.texts(spots, size=10.5, name="muted", align="center")
    canvas.texts(
        [{"x": _GUTTER - 5, "y": _LEGEND + _HEAD + 11, "text": "all day"}], size=10, name="muted", align="right"
    )


def _draw_pieces(canvas: Canvas, pieces: list[dict[str, Any]]) -> None:
    for look, (fill, line, mark, _) in _LOOKS.items():
        chosen = [piece for piece in pieces if piece["look"] == look]
        boxes = [
            {**{name: piece[name] for name in ("x", "y", "x2", "y2")}, "fill": fill, "stroke": line,
             "stroke_width": 1.6 if look in ("differs", "missing") else 1}
            for piece in chosen
        ]  # fmt: skip
        canvas.rects(boxes, dash=(3, 2) if look in ("rule", "unknown") else (), radius=2)
        if look in ("differs", "missing"):
            canvas.lines(
                [stroke for box in boxes for stroke in _hatching(box, look == "missing")], name=line, width=0.6
            )
        for struck in (False, True):
            words = [text for piece in chosen if piece["struck"] is struck for text in _texts(piece, mark)]
            # A ground beneath the letters, so that the hatching does not run through them.
            if look in ("differs", "missing"):
                canvas.rects([_ground(text, fill) for text in words])
            canvas.texts(words, size=9.5, struck=struck, name="muted" if struck or look == "rule" else "ink")


def _texts(piece: Mapping[str, Any], mark: str) -> list[dict[str, Any]]:
    size, room, high = 9.5, piece["x2"] - piece["x"] - 6, piece["y2"] - piece["y"]
    said = f"{mark}{piece['title']}" if piece["all_day"] else f"{mark}{piece['time']} {piece['title']}"
    if piece["struck"]:
        said += " (cancelled)"
    if room < 52:
        said = said.replace("\u00a0", " ")  # in a narrow lane the mark stands alone
    lines = wrapped(said, room, size, max(1, int((high - 2) // 11)))
    start = piece["y"] + (high / 2 if len(lines) == 1 and high < 20 else 7.5)
    return [{"x": piece["x"] + 3, "y": start + 11 * place, "text": line} for place, line in enumerate(lines)]


def _ground(text: Mapping[str, Any], fill: str) -> dict[str, Any]:
    return {
        "x": text["x"] - 1,
        "x2": text["x"] + text_width(text["text"], 9.5),
        "y": text["y"] - 5.5,
        "y2": text["y"] + 5.5,
        "fill": fill,
    }


def _hatching(box: Mapping[str, Any], crossed: bool) -> list[dict[str, float]]:
    """Slanting lines inside a box, so that it can be told apart without its colour."""
    left, right, top, bottom = box["x"], box["x2"], box["y"], box["y2"]
    strokes = []
    reach = int(right - left + bottom - top)
    for offset in range(6, reach, 7):
        x, y = left + offset, top
        if x > right:
            x, y = right, top + offset - (right - left)
        x2, y2 = left, top + offset
        if y2 > bottom:
            x2, y2 = left + offset - (bottom - top), bottom
        strokes.append({"x": x, "y": y, "x2": x2, "y2": y2})
        if crossed:
            strokes.append({"x": left + right - x, "y": y, "x2": left + right - x2, "y2": y2})
    return strokes


def _legend(canvas: Canvas, week: Week, pieces: list[dict[str, Any]]) -> None:
    used = {piece["look"] for piece in pieces}
    x = float(_GUTTER)
    for look, (fill, line, mark, words) in _LOOKS.items():
        if look not in used:
            continue
        box = {"x": x, "x2": x + 22, "y": 6, "y2": 20, "fill": fill, "stroke": line}
        canvas.rects([box], dash=(3, 2) if look in ("rule", "unknown") else (), radius=2)
        if look in ("differs", "missing"):
            canvas.lines(_hatching(box, look == "missing"), name=line, width=0.6)
        said = f"{mark}{words}"
        canvas.texts([{"x": x + 27, "y": 13, "text": said}], size=11)
        x += 44 + text_width(said, 11)
    zone = f"times in {week.zone.key}"
    canvas.texts([{"x": canvas.width - 4, "y": 13, "text": zone}], size=11, name="muted", align="right")


def _week_words(week: Week) -> str:
    last = week.first_day + timedelta(days=6)
    said = [f"The week of {week.user.name}, {day_words(week.first_day)} to {day_words(last)}"]
    if week.unread:
        said.append(f"Outlook was not read: {week.unread}")
    else:
        said.append(f"{counted(week.together, 'entry', 'entries')} the same on both sides")
        known = week.entries.drop_duplicates("entry")
        one_sided = known[known["expected"] & (known["state"] != "both")]
        if len(one_sided):
            said.append(f"{len(one_sided)} on one side only, as the rules have it")
        said.append(f"{counted(week.parted, 'entry', 'entries')} missing or different by fault or delay")
    return ". ".join(part.rstrip(".") for part in said) + "."
