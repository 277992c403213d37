"""What every command line of kyara shares: one thread per BLAS, logging, errors as one line.

Import this before anything that imports numpy. Refuses to know any command.
"""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from featurestore.errors import KyaraError, MissingError

__all__ = [
    "THREAD_VARIABLES",
    "Terminated",
    "command_parser",
    "dispatch",
    "finishing",
    "give_memory_back",
    "keep_memory",
    "pin_threads",
    "run",
    "say",
]

Command = tuple[str, Callable[[argparse.Namespace], int], str]

#: What BLAS and OpenMP ask for how many threads to start.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)

#: Objects between two searches for cycles: at Python's own 700 a tenth of every import goes to searches
#: that find nothing.
_CYCLES = 50_000

#: Of glibc's malloc: what is larger is given back at once, and so much may be free.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_MAY_BE_FREE = 256 << 20


def pin_threads() -> None:
    """Pin BLAS and OpenMP to one thread, so that sums come in one order and results repeat.

    It works on libraries that are loaded after it: call it before numpy is imported.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    # what does run in several threads (a network that learns) must not spin while it waits for its turn
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def keep_memory(largest_bytes: int = 32 << 20) -> None:
    """Let memory that was freed stay with this process where its C library is glibc; elsewhere do nothing.

    By itself glibc gives the memory of each picture back to the system, and gets it anew, page by page, for
    the next one: a tenth of what extraction takes, and threads wait for each other while pages come and go.

    Parameters
    ----------
    largest_bytes : int
        A single array that is larger goes back when it is freed.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, largest_bytes)
        mallopt(_TRIM_THRESHOLD, _MAY_BE_FREE)


def give_memory_back() -> None:
    """Let what is free now go back to the system, `keep_memory` or not, where the C library is glibc."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of its own, which no other C library has."""
    if sys.platform != "linux":
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), name, None)


def command_parser(
    package: str, description: str, commands: Iterable[Command]
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """A parser of ``python -m <package> COMMAND``, and each command's own to add options to.

    Parameters
    ----------
    commands : iterable of (name, function, help text)
        The function takes the parsed options and returns an exit code; see `dispatch`.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    chosen = parser.add_subparsers(required=True, metavar="COMMAND")
    parsers = {}
    for name, call, text in commands:
        parsers[name] = chosen.add_parser(name, help=text, description=text)
        parsers[name].set_defaults(call=call)
    return parser, parsers


def dispatch(parser: argparse.ArgumentParser, argv: list[str]) -> int:
    """Parse a command line and call the command it names."""
    options = parser.parse_args(argv)
    code: int = options.call(options)
    return code


class Terminated(BaseException):
    """SIGTERM came, from a scheduler that wants the machine back: put things away and end."""


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one does not wait
    raise Terminated


@contextmanager
def finishing() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM ask, for a while, and not end: what is yielded tells whether it did.

    Who hears so ends what is under way and puts it away; at the end of the block the process ends as it would
    have. Where nobody asked any more, everything was begun, and is done: the process goes on. A second signal
    does not wait. In another thread than the first, where no signal comes, it never did.

    Raises
    ------
    Terminated
        At the end, if somebody heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = heard = False

    def asks() -> bool:
        nonlocal heard
        heard = heard or asked
        return asked

    def note(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield asks
    finally:
        signal.signal(signal.SIGTERM, before)
    if heard:
        raise Terminated


def say(error: object) -> None:
    """One line, whatever the error's text holds."""
    sys.stderr.write(f"kyara: error: {' '.join(str(error).split())}\n")


def run(main: Callable[[list[str]], int | None], argv: list[str] | None = None) -> int:
    """Call a command; print a `KyaraError` as one line and return its exit code.

    Returns
    -------
    int
        0 clean; 1 unforeseen; 2 usage or params; 3 bad data; 4 something missing that a command
        can fetch, install or make; 130 interrupted, 143 terminated.
    """
    gc.set_threshold(_CYCLES)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what a picture's metadata lack is no news
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for package in ("featurestore", "extractors", "classifiers", "collection"):
        logging.getLogger(package).setLevel(
            logging.INFO
        )  # ours; what libraries tell of themselves is no news
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return main(sys.argv[1:] if argv is None else argv) or 0
    except KyaraError as error:
        say(error)
        return error.exit_code
    except BrokenPipeError:
        # the reader of our output went away (| head): nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        say(f"{error}; run: make setup, then: source .venv/bin/activate")
        return MissingError.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "; free some and run it again: what was committed is kept" if full else ""
        say(f"{where}{error.strerror or error}{mend}")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("kyara: interrupted; what was committed is kept\n")
        return 130
    except Terminated:
        sys.stderr.write("kyara: terminated; what was committed is kept\n")
        return 128 + signal.SIGTERM
