"""Mine the part detectors of a MsDPD model offline, for ``PartMiningHook(file=...)``.

python tools/mine_parts.py CONFIG OUT.npz --checkpoint CLASSIFIER.pth --pictures parts
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmmlc.engine.command_line import add_config_options, add_trust
from mmmlc.engine.launch import build_runner, load_config, load_network
from mmmlc.systems.msdpd.mine import mine_parts
from mmmlc.systems.msdpd.mined_file import load_mined
from mmmlc.systems.msdpd.mining_hook import PartMiningHook
from mmmlc.systems.msdpd.part_pictures import write_part_pictures


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config with mmmlc.MsDPDHead and mmmlc.PartMiningHook')
    parser.add_argument('out', help='file of mined parts, .npz')
    parser.add_argument(
        '--checkpoint',
        help='weights of the backbone that mines, e.g. of the plain classifier; without, those '
        'that the config starts from (init_cfg, load_from)',
    )
    parser.add_argument('--pictures', metavar='DIR', help='grids of the best patches')
    add_trust(parser)
    add_config_options(parser, 'train_dataloader.batch_size=8')
    return parser.parse_args()


def main() -> None:
    """Mine."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, Path(args.out).parent / 'mine_parts')
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if hook.type == 'mmmlc.PartMiningHook']
    if not hooks:
        raise ValueError(f'{args.config}: custom_hooks has no mmmlc.PartMiningHook to read')
    hook = PartMiningHook(**{key: value for key, value in hooks[0].items() if key != 'type'})
    runner = build_runner(cfg, trust=args.trust)
    load_network(runner, args.checkpoint)
    loader = runner.build_dataloader(cfg.train_dataloader, seed=hook.seed)
    mine_parts(
        runner.model,
        loader,
        hook.clusters,
        hook.locations,
        path=args.out,
        min_size=hook.min_size,
        instances=hook.instances,
        steps=hook.steps,
        seed=hook.seed,
    )
    if args.pictures:
        classes = loader.dataset.metainfo['classes']
        for path in write_part_pictures(args.pictures, *load_mined(args.out), classes):
            print(path)


if __name__ == '__main__':
    main()
