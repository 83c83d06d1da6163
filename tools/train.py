"""Train a model from a config.

python tools/train.py configs/mcar/mcar_r101_coco.py
bash tools/dist_train.sh configs/mcar/mcar_r101_coco.py 8
"""

from __future__ import annotations

import argparse

from mmmlc.engine import RunOptions, build_runner, leave_processes, load_config
from mmmlc.engine.command_line import add_config_options, add_launcher, add_trust, parse_launched


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='logs and checkpoints (work_dirs/<config name>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint, or from the latest in the work directory',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (GPU)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the images per update, auto_scale_lr.base_batch_size',
    )
    parser.add_argument('--sync-bn', action='store_true', help='batch norm over all GPUs')
    parser.add_argument('--no-validate', action='store_true', help='no evaluation in training')
    parser.add_argument('--seed', type=int, help='seed of everything random')
    add_config_options(parser, 'model.backbone.init_cfg=None model.topn=2')
    add_trust(parser)
    add_launcher(parser)
    return parse_launched(parser)


def main() -> None:
    """Train."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    options = RunOptions(
        amp=args.amp,
        resume=args.resume,
        validate=not args.no_validate,
        seed=args.seed,
        scale_rates=args.auto_scale_lr,
        sync_bn=args.sync_bn,
    )
    build_runner(cfg, args.trust, options).train()
    leave_processes()


if __name__ == '__main__':
    main()
