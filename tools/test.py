"""Evaluate a checkpoint, with the table of classes and, on request, pictures of the regions.

python tools/test.py CONFIG CHECKPOINT --show-dir pictures
python tools/test.py work_dirs/mcar_r101_coco
bash tools/dist_test.sh CONFIG CHECKPOINT 8
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmmlc.engine import RunOptions, build_runner, leave_processes, load_config, load_weights
from mmmlc.engine.command_line import add_config_options, add_launcher, add_trust, parse_launched
from mmmlc.engine.prepare import VIEWS
from mmmlc.engine.work_dirs import checkpoint_of, config_of


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file, or the work directory of a training')
    parser.add_argument(
        'checkpoint', nargs='?', help='file or address (the best one of the work directory)'
    )
    parser.add_argument('--work-dir', help='log and results (work_dirs/<config name>)')
    parser.add_argument('--out', metavar='DIR', help='per-class table, plot and numbers as files')
    parser.add_argument('--show-dir', metavar='DIR', help='pictures: boxes, classes and scores')
    parser.add_argument('--show-proposals', metavar='FILE', help='draw its proposals beside them')
    parser.add_argument('--show-max', type=int, metavar='N', help='at most N pictures a process')
    parser.add_argument('--views', choices=VIEWS, help='average ten views, cut from these')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (GPU)')
    add_config_options(parser, 'model.topn=2 model.prediction=global')
    add_trust(parser)
    add_launcher(parser)
    return parse_launched(parser)


def main() -> None:
    """Evaluate."""
    args = parse_args()
    if Path(args.config).is_dir():
        args.checkpoint = args.checkpoint or checkpoint_of(Path(args.config))
        args.config = config_of(Path(args.config))
    elif args.checkpoint is None:
        sys.exit(f'test.py: {args.config} needs a checkpoint beside it')
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    options = RunOptions(
        test=True,
        amp=args.amp,
        views=args.views,
        out_dir=args.out,
        show_dir=args.show_dir,
        show_proposals=args.show_proposals,
        show_max=args.show_max,
    )
    runner = build_runner(cfg, args.trust, options)
    load_weights(runner, args.checkpoint)
    runner.test()
    leave_processes()


if __name__ == '__main__':
    main()
