"""Run many generated cases of tests/properties: files, configs, scores and losses.

python tools/generate_cases.py --cases 100000 --seed 7
python tools/generate_cases.py --cases 2000 --only checkpoints damaged_stores

Stops at the first case that is neither right nor refused with a clear error, made as small as it
still fails. The same number and seed give the same cases.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / 'tests'


def main(argv: list[str] | None = None) -> None:
    """Run the cases and print how many there were of each property."""
    sys.path.insert(0, str(TESTS))
    from helpers import cases

    properties = cases.find()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--cases', type=int, default=cases.CASES, help='of all properties together')
    parser.add_argument('--seed', type=int, default=cases.SEED)
    parser.add_argument('--only', nargs='+', choices=properties, metavar='PROPERTY')
    args = parser.parse_args(argv)
    if args.cases < 1:
        parser.error(f'--cases: {args.cases}, expected a positive number')
    logging.disable(logging.CRITICAL)  # the data sets log what they read
    warnings.filterwarnings('ignore')
    for name in args.only or properties:
        done = cases.run(name, cases.number_of_cases(name, args.cases, args.only), args.seed)
        print(f'{name}: {done:,} cases', flush=True)
    print(cases.summary(args.seed))


if __name__ == '__main__':
    main()
