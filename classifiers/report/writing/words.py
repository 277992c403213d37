"""How the written documents put a number, a name or a list into a sentence.

Owns Markdown: what comes from data is escaped, whatever it holds, unless a function here made it. Refuses to
know what the sentences are about.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DASH",
    "Safe",
    "amount",
    "chance",
    "code",
    "counted",
    "escaped",
    "known",
    "listed",
    "measured",
    "moved",
    "number",
    "percent",
    "rendered",
    "row_of",
    "table",
]

_TEMPLATES: Final = Path(__file__).parent.parent / "templates"

#: Punctuation that Markdown, its tables, its mathematics or HTML would read as theirs.
_MARKS: Final = re.compile(r"([\\`*\[\]<>#|~$&])")
_BARE_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
#: Brackets that are no link: plain inside, nothing behind them that would make one, not at the beginning.
_PLAIN_BRACKETS: Final = re.compile(r"(?<=.)\\\[([\w ,./=+-]+)\\\](?![(\[:])")
_BULLET: Final = re.compile(r"^([-+=])|^(\d+)([.)])")
_LINK: Final = re.compile(r"\b(https?|ftp)://|\bwww\.", re.IGNORECASE)

_SMALL: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Safe(str):
    """Markdown that was made here, or checked; it is not escaped again."""

    __slots__ = ()


#: A cell in which there is nothing.
DASH: Final = Safe("-")


def _line(text: object) -> str:
    """One line, no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def escaped(text: object) -> Safe:
    r"""A text from data as Markdown that shows it and does nothing else.

    Examples
    --------
    >>> print(escaped("a|b *x* `y`\n<b>"))
    a\|b \*x\* \`y\` \<b\>
    >>> print(escaped("top_green: an auc of 0.866 [0.784, 0.940]"))
    top_green: an auc of 0.866 [0.784, 0.940]
    >>> print(escaped("- [x](https://a.b)"))
    \- \[x\](https:\//a.b)
    """
    if isinstance(text, Safe):
        return text
    made = _BARE_UNDERSCORE.sub(r"\\_", _MARKS.sub(r"\\\1", _line(text)))
    made = _PLAIN_BRACKETS.sub(r"[\1]", made)
    made = _LINK.sub(lambda found: found[0].replace("://", r":\//").replace("www.", r"www\."), made)
    return Safe(_BULLET.sub(lambda found: rf"\{found[1]}" if found[1] else rf"{found[2]}\{found[3]}", made))


def code(text: object) -> Safe:
    r"""A name from data as code, in as many backticks as it takes; fit for a table's cell too.

    Examples
    --------
    >>> print(code("design/shadow_density"), code("a`b|c"))
    `design/shadow_density` ``a`b\|c``
    """
    line = _line(text)
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence, pad = "`" * (longest + 1), " " * (line.startswith("`") or line.endswith("`") or not line)
    return Safe(f"{fence}{pad}{line}{pad}{fence}".replace("|", r"\|"))


def known(value: object) -> float | None:
    """A number, or None where a cell is empty.

    Examples
    --------
    >>> known(float("nan")), known(None), known(2)
    (None, None, 2.0)
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(value)  # type: ignore[arg-type]


def number(value: object, digits: int = 3) -> Safe:
    """A number to so many decimals, a dash for none; a minus that is one.

    Examples
    --------
    >>> print(number(0.88528), number(-0.00001), number(None), number(-1.4, 1))
    0.885 0.000 - -1.4
    """
    found = known(value)
    if found is None:
        return DASH
    shown = f"{found:.{digits}f}"
    return Safe(shown.removeprefix("-") if float(shown) == 0 else shown)


def percent(value: object) -> Safe:
    """A share in whole per cent.

    Examples
    --------
    >>> print(percent(0.4276), percent(1.0))
    43% 100%
    """
    found = known(value)
    return Safe("-" if found is None else f"{found:.0%}")


def measured(value: object, low: object, high: object, digits: int = 3) -> Safe:
    """A number with its 95% interval, or with the word that there is none.

    Examples
    --------
    >>> print(measured(0.898, 0.838, 0.954), "/", measured(0.9, None, None), "/", measured(None, None, None))
    0.898 [0.838, 0.954] / 0.900 (no interval) / undefined
    """
    if known(value) is None:
        return Safe("undefined")
    if known(low) is None or known(high) is None:
        return Safe(f"{number(value, digits)} (no interval)")
    return Safe(f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]")


def moved(value: object, low: object, high: object) -> Safe:
    """A change with its sign and its interval.

    Examples
    --------
    >>> print(moved(0.04, -0.01, 0.09), moved(-0.2, None, None))
    +0.040 [-0.010, 0.090] -0.200 (no interval)
    """
    found = known(value)
    return Safe("+" * (found is not None and float(number(found)) > 0) + measured(value, low, high))


def chance(p: object) -> Safe:
    """A p-value.

    Examples
    --------
    >>> print(chance(0.0123), chance(0.0001), chance(None))
    p = 0.012 p < 0.001 p unknown
    """
    found = known(p)
    if found is None:
        return Safe("p unknown")
    return Safe("p < 0.001" if found < 0.0005 else f"p = {found:.3f}")


def amount(n: object, one: str, many: str = "", *, words: bool = False) -> Safe:
    """So many of something.

    Parameters
    ----------
    many : str
        The plural, if it is not made by an s.
    words : bool
        Numbers up to ten as words.

    Examples
    --------
    >>> print(amount(1, "image"), "/", amount(12_000, "image"), "/", amount(2, "axis", "axes", words=True))
    1 image / 12,000 images / two axes
    """
    count = int(known(n) or 0)
    return Safe(f"{counted(count) if words else f'{count:,}'} {one if count == 1 else many or one + 's'}")


def counted(n: int) -> Safe:
    """A number, up to ten as a word.

    Examples
    --------
    >>> print(counted(0), counted(10), counted(1234))
    no ten 1,234
    """
    return Safe(_SMALL[n] if n < len(_SMALL) else f"{n:,}")


def listed(names: Iterable[object], *, last: str = "and", as_code: bool = False) -> Safe:
    r"""Names as a sentence lists them.

    Examples
    --------
    >>> print(listed(["a"]), "/", listed(["a", "b"]), "/", listed(["a", "b", "c_"], last="or"))
    a / a and b / a, b or c\_
    """
    shown = [code(name) if as_code else escaped(name) for name in names]
    if len(shown) < 2:
        return Safe("".join(shown))
    return Safe(f"{', '.join(shown[:-1])} {last} {shown[-1]}")


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Safe:
    """A Markdown table, every cell escaped: the first column to the left, the others to the right."""
    from classifiers.tables import markdown

    return Safe(
        markdown([escaped(cell) for cell in header], [[escaped(cell) for cell in row] for row in rows])
    )


def row_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as mappings, empty numbers as None."""
    rows = frame.to_dict("records")
    return [
        {str(k): None if isinstance(v, float) and math.isnan(v) else v for k, v in r.items()} for r in rows
    ]


def rendered(template: str, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> str:
    """A template filled in: one paragraph a line, no trailing blanks.

    Whatever a template shows is escaped unless it is `Safe`.

    Raises
    ------
    jinja2.UndefinedError
        If the template asks for what is not there.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        finalize=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # this is Markdown, and `finalize` escapes it
    )
    environment.globals |= {
        "amount": amount, "chance": chance, "code": code, "escaped": escaped, "listed": listed,
        "measured": measured, "moved": moved, "number": number, "percent": percent, "table": table,
        **functions,
    }  # fmt: skip
    made = environment.get_template(template).render(values)
    return "\n\n".join(_reflowed(part) for part in _parts(made)) + "\n"


def _parts(text: str) -> Iterator[list[str]]:
    """Lines of each paragraph; a fenced block is one, whatever lines it leaves blank."""
    lines: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        if line.startswith("```"):
            fenced = not fenced
        if line.strip() or fenced:
            lines.append(line.rstrip())
        elif lines:
            yield lines
            lines = []


def _reflowed(lines: list[str]) -> str:
    """A paragraph on one line; what is laid out in lines (a table, a list, code) as it is."""
    if re.match(r"\s*(\||- |```|@|    )", lines[0]):
        return "\n".join(lines)
    return " ".join(" ".join(lines).split())
