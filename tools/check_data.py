"""Check the images and labels of a config, before a training finds out.

    python tools/check_data.py CONFIG --out work_dirs/check

Reads every image of every split with all cores. Prints counts, missing and broken files, images
that are there twice or in two splits, and label frequencies; with --out also writes them to files,
with plots and contact sheets. Exit status: 1 when files are missing or broken, otherwise 0.
"""

from __future__ import annotations

import argparse
import logging
import sys

from mmengine.logging import MMLogger
from rich.console import Console
from rich.progress import track

from mmmlc.data_report.files import check_files
from mmmlc.data_report.output import print_report, write_report
from mmmlc.data_report.report import SPLITS, load_splits, make_report
from mmmlc.engine.command_line import add_config_options
from mmmlc.engine.launch import load_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', nargs='+', choices=SPLITS, default=SPLITS, help='(all)')
    parser.add_argument('--out', metavar='DIR', help='tables, plots and contact sheets as files')
    parser.add_argument('--workers', type=int, metavar='N', help='processes (one per core)')
    parser.add_argument(
        '--sheet', type=int, default=36, metavar='N', help='images on a contact sheet (36)'
    )
    add_config_options(parser, 'train_dataloader.dataset.data_root=data/other')
    return parser.parse_args()


def main() -> int:
    """Check."""
    args = parse_args()
    console = Console()
    MMLogger.get_instance('mmengine', log_level=logging.WARNING)
    splits = load_splits(load_config(args.config, args.cfg_options), tuple(args.split))
    paths = list(dict.fromkeys(path for split in splits for path in split.paths))
    checks = track(check_files(paths, args.workers), 'Reading images', len(paths), console=console)
    report = make_report(splits, {check.path: check for check in checks})
    # All of it, unless the rest is in a file.
    print_report(report, console, most=20 if args.out else None)
    if args.out:
        files = write_report(report, args.out, args.sheet)
        console.print(f'Written to {args.out}: {", ".join(path.name for path in files)}')
    return 1 if report.unreadable else 0


if __name__ == '__main__':
    sys.exit(main())
