"""What the benchmarks found, as one table: docs/performance.md between its two marks.

    python benchmarks/table.py [--check]

Reads benchmarks/results/*.json, which the benchmarks write. ``--check`` changes nothing, and ends with 1 if
the table is another.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ratios import RESULTS, Ratio, number

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- table: make bench -->", "<!-- end of table -->"
#: In this order; others follow by name.
ORDER = (
    "design", "throughput", "listing", "manifest", "extract", "dataloader", "engines", "stores", "million",
    "heads", "study", "commands",
)  # fmt: skip


def table() -> str:
    files = {path.stem: path for path in sorted(RESULTS.glob("*.json"))}
    names = [*(name for name in ORDER if name in files), *(name for name in files if name not in ORDER)]
    lines = ["| what | against | goal | median (lowest to highest) | pairs | |", "|---|---|---|---|---|---|"]
    notes = []
    for name in names:
        found = json.loads(files[name].read_text())
        command = found.get("command", f"benchmarks/{name}.py")
        notes.append(f"- `{command}`: {found['about']} ({found['machine']})")
        for one in found["ratios"]:
            ratio = Ratio(**{**one, "values": tuple(one["values"])})
            spread = f"{number(ratio.median)} ({number(min(ratio.values))} to {number(max(ratio.values))})"
            said = "; ".join(
                filter(None, [ratio.verdict(), ratio.detail, ratio.bound and f"bound by {ratio.bound}"])
            )
            cells = (ratio.what, ratio.against, ratio.goal, spread, str(len(ratio.values)), said)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", *notes])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    made = f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"
    if check:
        return int(made != text)
    PAGE.write_text(made, encoding="utf-8")
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
