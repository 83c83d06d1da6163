"""How many generated cases there were, in the closing lines of pytest."""

from __future__ import annotations

import os

from cases import COUNTS, SEED, summary


def pytest_terminal_summary(terminalreporter):
    if COUNTS:
        terminalreporter.write_line(summary(int(os.environ.get('MMMLC_SEED', SEED))))
