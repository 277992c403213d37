"""``python -m collection``, command by command: options, params.yaml, a call, what is printed.

Each file adds one command. Imports of what a command needs are inside it, so that ``--help`` stays light.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

__all__ = ["Commands", "count"]

#: What a command adds itself to.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def count(text: str) -> int:
    """A number from 1, as an option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)
