"""Options that several command-line tools have."""

from __future__ import annotations

import argparse
import os

from mmengine.config import DictAction


def add_config_options(parser: argparse.ArgumentParser, example: str) -> None:
    """Add ``--cfg-options``, with an example of what to override."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help=f'override config keys, e.g. {example}',
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust``."""
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle old checkpoints in full: code hidden in them would run',
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add ``--launcher`` and the rank; for :func:`parse_launched`."""
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    # torchrun gives it in the environment, older launchers as an option.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def parse_launched(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line, and leave the rank where mmengine looks for it."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
