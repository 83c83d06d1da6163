"""Measure the speed and memory that mmmlc claims, as ratios within one run.

    python tools/benchmark.py mcar
    python tools/benchmark.py metrics labels

Prints one JSON object per figure and line: figure, value, reach (what is claimed), device.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

SUITES = (
    'distillation',
    'imports',
    'labels',
    'mcar',
    'metrics',
    'parts',
    'rdal',
    'sca',
    'views',
    'proposals',
)


def main() -> None:
    """Run the suites named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('suites', nargs='+', choices=SUITES, metavar='|'.join(SUITES))
    for suite in parser.parse_args().suites:
        print(f'{suite}: measuring, minutes on a CPU ...', file=sys.stderr, flush=True)
        for figure in importlib.import_module(f'benchmarks.{suite}').run():
            print(json.dumps(figure), flush=True)


if __name__ == '__main__':
    main()
