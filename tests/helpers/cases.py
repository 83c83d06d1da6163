"""Generated cases: what a property is, how many cases of it run, and what an error has to say.

A property is a strategy of hypothesis and a check. The check gets a case and a folder of its own,
and asserts that what comes out is right, or a clear error, see :func:`right_or_refused`. A module
``generate_<topic>.py`` in ``tests/properties`` is found by its name:

    @generated(st.integers(), share=2)
    def whole_numbers(case, folder):
        assert int(str(case)) == case

``share`` says how many of all cases are of this property, relative to the others.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

SEED = 20240229
CASES = 5000
# A case that computes for so long hangs. It is the processor's time, which a busy machine does not
# change.
CPU_SECONDS = 60
REFUSALS = (ValueError, TypeError, FileNotFoundError, OSError)


class Property(NamedTuple):
    """A check, its cases, and its share of them."""

    check: Callable[[Any, Path], None]
    strategy: Any
    share: float


PROPERTIES: dict[str, Property] = {}
COUNTS: Counter = Counter()  # cases by property, of this process


def generated(strategy: Any, share: float = 1.0) -> Callable:
    """Register a check under its name."""

    def register(check: Callable[[Any, Path], None]) -> Callable[[Any, Path], None]:
        assert check.__name__ not in PROPERTIES, f'two properties are called {check.__name__}'
        PROPERTIES[check.__name__] = Property(check, strategy, share)
        return check

    return register


def find() -> dict[str, Property]:
    """All properties, of all ``generate_*.py`` in ``tests/properties``."""
    folder = Path(__file__).parents[1] / 'properties'
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for path in sorted(folder.glob('generate_*.py')):
        importlib.import_module(path.stem)
    return dict(sorted(PROPERTIES.items()))


def number_of_cases(name: str, total: int, names: Sequence[str] | None = None) -> int:
    """How many of all cases (of some properties) are of a property; rounded up."""
    shares = sum(PROPERTIES[one].share for one in names or PROPERTIES)
    return int(-(-total * PROPERTIES[name].share // shares))


def run(name: str, cases: int, seed: int) -> int:
    """Run cases of a property, and count them; the first that fails is made small and raised."""
    check, strategy, _ = PROPERTIES[name]
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        # At least so many: hypothesis stops earlier where it thinks that it has seen all.
        while done < cases:
            before = done

            @hypothesis.seed(seed + done)
            @settings(
                max_examples=cases - done,
                database=None,
                deadline=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
            )
            @given(strategy)
            def one(case: Any) -> None:
                nonlocal done
                done += 1
                with no_hang():
                    check(case, Path(folder))

            one()
            assert done > before
    COUNTS[name] += done
    return done


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """Fail when what is inside computes for a minute."""
    if (
        not hasattr(signal, 'ITIMER_VIRTUAL')
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def stop(*_: Any) -> None:
        raise AssertionError(f'the case was not done after {CPU_SECONDS} s of computing')

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def right_or_refused(
    function: Callable[[], Any],
    *names: str,
    errors: Sequence[type[Exception]] = REFUSALS,
) -> tuple[bool, Any]:
    """Whether a function returns, and what; or its error, which is of an allowed type and clear.

    Args:
        function: Called without arguments.
        names: The message holds one of them: the file, the key, the value.
        errors: Allowed types; every other one passes through, and fails the case.
    """
    try:
        return True, function()
    except tuple(errors) as error:
        text = str(error)
        assert any(name in text for name in names), f'the error names none of {names}: {text!r}'
        return False, error


def summary(seed: int) -> str:
    """The closing line."""
    parts = ', '.join(f'{name} {count:,}' for name, count in sorted(COUNTS.items()))
    return f'{sum(COUNTS.values()):,} generated cases, seed {seed} ({parts})'
