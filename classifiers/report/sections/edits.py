"""What the heads answer when one thing is changed in the pixels.

Owns how dose and response are shown, edit by edit, beside a sham of equal size. Refuses to edit and to ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from classifiers.report.evidence import Evidence
from classifiers.report.figures import Mark, axis, forest, literal, points
from classifiers.report.parts import (
    Figure,
    Section,
    Table,
    View,
    ends,
    known,
    plain,
    score,
    short,
    signed,
)
from featurestore.text import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answered", "section"]

_HEIGHT: Final = 330
_LINKED: Final = "edits"
_STYLES: Final = {"edit": ("@c0", "circle"), "sham": ("@muted", "square-open")}


def _words(edit: str) -> tuple[str, str]:
    """What less and more of an edit make of a picture; empty for one that the code does not know."""
    from extractors.edits import EDITS

    found = EDITS.get(edit)
    return (found.less, found.more) if found else ("", "")


def _says(row: Any, positive: str) -> str:
    place = "" if row["within"] else "; beyond the range of real images"
    change = f"{signed(row['change'])} {ends(row['low'], row['high'])}"
    dial = f"{short(str(row['dial']))}: {signed(row['dial_sd'], 2)} sd" if row["dial"] else ""
    parts = [
        f"{row['kind']}, dose {signed(row['dose'], 2)}",
        f"P({positive}) {score(row['before'])}, change {change}",
        f"{dial}{place}",
        f"{plain(row['images'])} images, rms {plain(row['rms'])} grey levels",
    ]
    return "<br>".join(literal(part, 52) for part in parts if part)


def _with_origin(own: pd.DataFrame) -> pd.DataFrame:
    """The rows by dose, and between them the picture itself, at which nothing changes."""
    import pandas as pd

    if (own["dose"] == 0).any() or not len(own):
        return own.sort_values("dose", kind="stable")
    still = own.iloc[[0]].assign(dose=0.0, change=0.0, low=0.0, high=0.0, dial_sd=0.0, rms=0.0, within=1.0)
    return pd.concat([own, still]).sort_values("dose", kind="stable")


def _traces(own: pd.DataFrame, positive: str) -> tuple[dict[str, Any], ...]:
    traces = []
    for kind, colour, symbol, dash, name in (
        ("sham", "@muted", "square", "dot", "sham, equal in size"),
        ("edit", "@c0", "circle", "solid", "edit"),
    ):
        rows = _with_origin(own[own["kind"] == kind])
        if len(rows):
            trace = points(
                rows["dose"],
                rows["change"],
                name=name,
                colour=colour,
                symbol=[symbol if within else f"{symbol}-open" for within in rows["within"]],
                size=8,
                low=rows["low"],
                high=rows["high"],
                hover=[_says(row, positive) for _, row in rows.iterrows()],
                joined=True,
                legendrank=1 if kind == "edit" else 2,
            )
            trace["line"]["dash"] = dash
            traces.append(trace)
    return tuple(traces)


def _reach(own: pd.DataFrame) -> float:
    """The largest change of a head, so that all its plots have one scale."""
    found = [abs(float(one)) for name in ("low", "high", "change") for one in own[name] if known(one)]
    return max([0.02, *found]) * 1.08


def _figure(found: pd.DataFrame, edit: str, heads: Sequence[str], positive: str, place: int) -> Figure:
    less, more = _words(edit)
    own, views = found[found["edit"] == edit], []
    for head in heads:
        reach = _reach(found[found["head"] == head])
        layout = {
            "xaxis": axis(f"{less} ← dose → {more}" if less else "dose", zeroline=False),
            "yaxis": axis(f"change of P({positive})", range=[-reach, reach], zeroline=True),
            "showlegend": True,
            "hovermode": "closest",
        }
        views.append(View(head, _traces(own[own["head"] == head], positive), layout))
    dial = next((d for d in own["dial"] if d), "")
    rows = tuple(
        (
            str(row["head"]), str(row["kind"]), signed(row["dose"], 2), signed(row["change"]),
            ends(row["low"], row["high"]), signed(row["dial_sd"], 2), plain(row["images"]), plain(row["rms"]),
            "yes" if row["within"] else "no",
        )
        for _, row in own.sort_values(["head", "kind", "dose"], kind="stable").iterrows()
    )  # fmt: skip
    header = (
        "head", "kind", "dose", "change", "95% interval", "dial, sd", "images", "rms", "within real images",
    )  # fmt: skip
    name = edit.replace("_", " ")
    return Figure(
        f"edit-{place}",
        f"Response to {name}",
        f"What is changed is measured by {short(dial)}." if dial else "",
        tuple(views),
        Table(f"{name}: dose and response", header, rows, "ttnnnnnnt"),
        _HEIGHT,
        choice="head",
        linked=_LINKED,
        wide=False,
    )


def _mark(row: Any) -> Mark:
    low, high = row["slope_low"], row["slope_high"]
    says = f"{row['kind']}: {signed(row['slope'])} {ends(low, high)}"
    return Mark(str(row["edit"]).replace("_", " "), row["slope"], low, high, row["kind"], says)


def _overview(found: pd.DataFrame, heads: Sequence[str]) -> Figure | None:
    """Slopes of all edits, beside those of their shams."""
    if "slope" not in found or not found["slope"].notna().any():
        return None
    once = found.drop_duplicates(["edit", "kind", "head"])
    views, rows, height = [], [], 0
    for head in heads:
        own = once[once["head"] == head]
        drawn = [_mark(row) for _, row in own.iterrows() if known(row["slope"])]
        offset = {"edit": -0.14, "sham": 0.14}
        title = "change of the probability from dose 0 to 1, 95% interval"
        traces, layout, height = forest(drawn, _STYLES, title=title, at=0.0, offset=offset)
        views.append(View(head, traces, layout))
        for _, row in own[own["kind"] == "edit"].iterrows():
            sham = own[(own["kind"] == "sham") & (own["edit"] == row["edit"])]
            cells = (signed(row["slope"]), ends(row["slope_low"], row["slope_high"]))
            beyond = (signed(row["beyond"]), ends(row["beyond_low"], row["beyond_high"]))
            fake = signed(sham.iloc[0]["slope"]) if len(sham) else "–"
            rows.append((head, str(row["edit"]), *cells, fake, *beyond, str(row["verdict"])))
    header = ("head", "edit", "slope", "95% interval", "sham", "beyond its sham", "95% interval", "answer")
    says = (
        "An edit counts where it moves the answer further than its sham does; doses beyond the range of real "
        "images are left out."
    )
    numbers = Table("Slopes by head and edit", header, tuple(rows), "ttnnnnnt")
    title = "All edits: how strongly the head answers"
    return Figure("slopes", title, says, tuple(views), numbers, height + 10, choice="head", linked=_LINKED)


def _heads(evidence: Evidence, found: pd.DataFrame) -> list[str]:
    """The chosen head first, then by place on the leaderboard, then by name."""
    place = {str(head): i for i, head in enumerate(evidence.leaderboard["head"])}
    return sorted(set(found["head"]), key=lambda h: (h != evidence.head, place.get(h, len(place)), h))


def answered(evidence: Evidence) -> dict[str, str]:
    """Edit -> what became of the chosen head's answer, beyond its sham: rises, falls, like its sham."""
    found = evidence.counterfactuals
    if found is None or "verdict" not in found:
        return {}
    own = found[(found["head"] == evidence.head) & (found["kind"] == "edit")].drop_duplicates("edit")
    return {str(row["edit"]): str(row["verdict"]) for _, row in own.iterrows()}


def _said(own: pd.DataFrame, verdict: str) -> str:
    """The chosen head's slope and its sham's, in a sentence."""
    real = own[own["kind"] == "edit"]
    if "slope" not in own or not len(real) or not known(real.iloc[0]["slope"]):
        return ""
    row = real.iloc[0]
    text = f"slope {signed(row['slope'])} {ends(row['slope_low'], row['slope_high'])}"
    if known(row["beyond"]):
        text += f"; beyond its sham {signed(row['beyond'])} {ends(row['beyond_low'], row['beyond_high'])}"
    return f"{text}: {verdict}." if verdict else f"{text}."


def _scale(edit: str, doses: Sequence[float]) -> str:
    """What stands beside what on a strip."""
    less, more = _words(edit)
    if not less:
        return ""
    low, high = (", ".join(signed(d, 1) for d in doses if (d < 0) == side and d) for side in (True, False))
    return (
        f"From left to right: {less} ({low}), as it is, {more} ({high}); below each row of edits its shams."
    )


def section(evidence: Evidence, strips: Mapping[str, str]) -> Section:
    """An overview, then a plot an edit with its strip of pictures.

    Parameters
    ----------
    strips : mapping of str to str
        Edit -> data URI.
    """
    found, parts, heads, overview = evidence.counterfactuals, [], list[str](), None
    if found is not None:
        heads, verdicts = _heads(evidence, found), answered(evidence)
        overview = _overview(found, heads)
        for place, edit in enumerate(dict.fromkeys(found["edit"]), start=1):
            own = found[(found["edit"] == edit) & (found["head"] == heads[0])]
            parts.append(
                {
                    "figure": _figure(found, edit, heads, evidence.positive, place),
                    "strip": strips.get(edit),
                    "alt": f"Some pictures under the edit {edit.replace('_', ' ')} and its sham",
                    "scale": _scale(edit, sorted(set(own["dose"]))),
                    "said": _said(own, verdicts.get(edit, "")),
                    "name": edit.replace("_", " "),
                }
            )
    values = {
        "overview": overview,
        "parts": parts,
        "head": heads[0] if heads else "",
        "images": counted(int(found["images"].max()), "image") if found is not None else "",
        "reason": evidence.missing.get("counterfactuals", ""),
        "positive": evidence.positive,
        "linked": _LINKED,
    }
    aid = "One thing is changed in the pixels, all else kept, and the heads are asked again."
    return Section(
        "edits", "What the heads answer when a picture is changed", "Changed pictures", aid, values
    )
