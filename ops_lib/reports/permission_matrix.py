"""The permissions of hosts as a picture, user × right: worst first, each cell in a word, a mark and a colour. And as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ops_lib.access.rights import Matrix, Need, Right, Row
from ops_lib.reports.drawing import Canvas, Drawing, fitted, text_width
from ops_lib.reports.words import counted

if TYPE_CHECKING:
    import pandas as pd

USERS_DRAWN = 60
"""So many users of a host are drawn, the worst first; the others are counted."""

_LABELS, _CELL, _ROW, _HEAD, _TITLE, _LEGEND, _GAP = 196, 66, 24, 40, 30, 46, 8

_LOOKS = {  # what a cell is: fill, line, its word, dashed, with a bar, words of the legend
    "missing": ("missing-fill", "missing-line", "✗ missing", False, True, "needed and missing: the sync does not work"),
    "wanted": ("missing-fill", "missing-line", "✗ wanted", True, False, "missing, and the sync runs without"),
    "unknown": ("rule-fill", "rule-line", "? unknown", True, False, "could not be seen"),
    "more": ("differs-fill", "differs-line", "+ more", False, False, "more than needed"),
    "ok": ("both-fill", "both-line", "✓ ok", False, False, "as it should be"),
    "none": ("paper", "line", "–", False, False, "not needed"),
}


def look_of(row: Row) -> str:
    """How a cell is drawn."""
    if row.is_red:
        return "missing"
    if row.verdict == "missing":
        return "wanted"
    if row.verdict == "unknown" and row.expected in (Need.ALLOWED, Need.UNNEEDED):
        return "none"
    if row.verdict == "ok" and row.expected in (Need.ALLOWED, Need.UNNEEDED):
        return "none"
    return row.verdict


def draw_permissions(matrices: Sequence[Matrix]) -> Drawing:
    """Every host's users and rights, worst users first. Whoever has nothing wrong comes last, and is only counted where a host has many."""
    drawn = [(matrix, *_users(matrix)) for matrix in matrices]
    height = _LEGEND + sum(
        _GAP + _TITLE + _HEAD + _ROW * len(users) + (_ROW if left_out else 0) for _, users, left_out in drawn
    )
    canvas = Canvas(_LABELS + _CELL * len(Right) + 2, max(height, _LEGEND + _ROW) + 8)
    used: set[str] = set()
    top = float(_LEGEND)
    for matrix, users, left_out in drawn:
        top = _draw_host(canvas, matrix, users, left_out, top, used) + _GAP
    if not drawn:
        canvas.texts([{"x": 4, "y": _LEGEND + _ROW / 2, "text": "no accounts"}], size=12, name="muted")
    _legend(canvas, used)
    return canvas.draw(_words(matrices))


def table_of(matrices: Sequence[Matrix]) -> pd.DataFrame:
    """One row a user, right and host, worst first: ``host, user, right, verdict, expected, red, ews, powershell, why, disagreement, evidence``."""
    import pandas as pd

    columns = (
        "host",
        "user",
        "right",
        "verdict",
        "expected",
        "red",
        "ews",
        "powershell",
        "why",
        "disagreement",
        "evidence",
    )
    rows = [
        {
            "host": matrix.host,
            "user": row.user,
            "right": row.right.value,
            "verdict": row.verdict,
            "expected": row.expected.value,
            "red": row.is_red,
            "ews": row.ews.observed if row.ews else "",
            "powershell": row.powershell.observed if row.powershell else "",
            "why": row.why,
            "disagreement": row.disagreement,
            "evidence": "; ".join(each.evidence for each in (row.ews, row.powershell) if each and each.evidence),
        }
        for matrix in matrices
        for row in matrix.rows()
    ]
    return pd.DataFrame(rows, columns=columns).astype({name: "str" for name in columns if name != "red"})


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _users(matrix: Matrix) -> tuple[list[str], int]:
    """The users to draw, worst first, and how many of those with nothing wrong are left out."""

    def badness(user: str) -> tuple[int, ...]:
        looks = [look_of(row) for row in rows[user]]
        return tuple(-looks.count(each) for each in _LOOKS if each not in ("ok", "none"))

    rows: dict[str, list[Row]] = {user: [] for user in matrix.users}
    for row in matrix.rows():
        rows[row.user].append(row)
    users = sorted(matrix.users, key=lambda user: (badness(user), user))
    return users[:USERS_DRAWN], max(0, len(users) - USERS_DRAWN)


def _draw_host(
    canvas: Canvas, matrix: Matrix, users: Sequence[str], left_out: int, top: float, used: set[str]
) -> float:
    rows = {(row.user, row.right): row for row in matrix.rows()}
    title = (
        f"{matrix.host}: access by {matrix.access}" if matrix.access != "direct" else f"{matrix.host}: direct access"
    )
    canvas.texts([{"x": 4, "y": top + _TITLE / 2, "text": title}], size=13, bold=True)
    top += _TITLE
    heads = []
    for place, right in enumerate(Right):
        for line, word in enumerate(_heading(right)):
            heads.append({"x": _LABELS + _CELL * (place + 0.5), "y": top + 11 + 14 * line, "text": word})
    canvas.texts(heads, size=10, name="muted", align="center")
    top += _HEAD
    boxes, texts, labels = [], [], []
    for line, user in enumerate(users):
        y = top + _ROW * line
        labels.append({"x": 4, "y": y + _ROW / 2, "text": fitted(user, _LABELS - 6, 11)})
        for place, right in enumerate(Right):
            look = look_of(rows[user, right])
            used.add(look)
            box = _box(_LABELS + _CELL * place, y, look)
            boxes.append((box, look))
            texts.append({"x": (box["x"] + box["x2"]) / 2, "y": y + _ROW / 2, "text": _LOOKS[look][2], "look": look})
    _draw_cells(canvas, boxes)
    canvas.texts(labels, size=11)
    for look in _LOOKS:
        these = [each for each in texts if each["look"] == look]
        canvas.texts(
            these, size=10.5, align="center", bold=look == "missing", name="muted" if look == "none" else "ink"
        )
    top += _ROW * len(users)
    if left_out:
        said = f"and {left_out} more, none of them worse than the last one drawn; the table has them all"
        canvas.texts([{"x": 4, "y": top + _ROW / 2, "text": said}], size=12, name="muted")
        top += _ROW
    return top


def _heading(right: Right) -> tuple[str, ...]:
    words = {Right.EWS_ENABLED: ("EWS", "enabled"), Right.SEND_ON_BEHALF: ("send on", "behalf")}
    return words.get(right, tuple(right.value.split("_", 1)))


def _box(x: float, y: float, look: str) -> dict[str, Any]:
    fill, line, *_ = _LOOKS[look]
    return {"x": x + 2, "x2": x + _CELL - 2, "y": y + 2, "y2": y + _ROW - 2, "fill": fill, "stroke": line}


def _draw_cells(canvas: Canvas, boxes: Sequence[tuple[dict[str, Any], str]]) -> None:
    """Cells that can be told apart without their colours: dashed, or with a bar at the edge."""
    canvas.rects([box for box, look in boxes if not _LOOKS[look][3]], radius=2)
    canvas.rects([box for box, look in boxes if _LOOKS[look][3]], dash=(3, 2), radius=2)
    bars = [(box, _LOOKS[look][1]) for box, look in boxes if _LOOKS[look][4]]
    canvas.rects([{**box, "x2": box["x"] + 3, "fill": line, "stroke": ""} for box, line in bars])


def _legend(canvas: Canvas, used: set[str]) -> None:
    x, y, boxes, texts = 4.0, 6.0, [], []
    for look, (fill, line, word, _, _, words) in _LOOKS.items():
        if look not in used:
            continue
        said = f"{word[0]} {words}"
        if x + 25 + text_width(said, 11) > canvas.width:
            x, y = 4.0, y + 18
        box = {"x": x, "x2": x + 20, "y": y, "y2": y + 14, "fill": fill, "stroke": line}
        boxes.append((box, look))
        texts.append({"x": x + 25, "y": y + 7, "text": said})
        x += 40 + text_width(said, 11)
    _draw_cells(canvas, boxes)
    canvas.texts(texts, size=11)


def _words(matrices: Sequence[Matrix]) -> str:
    said = []
    for matrix in matrices:
        looks: dict[str, str] = {}
        for row in matrix.rows():
            worst = min(looks.get(row.user, "none"), look_of(row), key=list(_LOOKS).index)
            looks[row.user] = worst
        counts = [(look, list(looks.values()).count(look)) for look in _LOOKS]
        words = {
            "missing": "with something missing",
            "wanted": "with something wanted that is missing",
            "unknown": "not seen whole",
            "more": "with more than needed",
        }
        parts = [f"{number} {words[look]}" for look, number in counts if number and look in words]
        well = sum(number for look, number in counts if look in ("ok", "none"))
        said.append(
            f"{matrix.host}: {counted(len(looks), 'mailbox', 'mailboxes')}, {', '.join([*parts, f'{well} as they should be'])}"
        )
    return f"Who may do what, worst first. {'; '.join(said) or 'no accounts'}."
