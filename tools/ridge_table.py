"""Compare the ridges of the task-driven pooling on mined parts, before MsDPD is trained.

python tools/ridge_table.py CONFIG PARTS.npz --checkpoint CLASSIFIER.pth

For each scale and ridge r (relative to the number of locations): how much of the pooled feature
differs between images, its cosine to the all-ones vector and to average pooling, and the mAP on the
validation images of linear classifiers that learned from the training images. Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmmlc.engine.command_line import add_config_options, add_trust
from mmmlc.engine.launch import build_runner, load_config, load_network
from mmmlc.systems.msdpd.mine import set_parts
from mmmlc.systems.msdpd.mined_file import load_mined
from mmmlc.systems.msdpd.ridge import RidgeRow, pool_images, ridge_rows

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HEADER = """
| scale {number}, r / M | varies | cosine to ones | cosine to average | mAP |
| --- | --- | --- | --- | --- |"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config with mmmlc.MsDPDHead')
    parser.add_argument('parts', help='file of mined parts, .npz')
    parser.add_argument(
        '--checkpoint', help='weights of the backbone that mined; without, those of the config'
    )
    parser.add_argument('--ridges', type=float, nargs='+', default=RIDGES, metavar='R')
    add_trust(parser)
    add_config_options(parser, 'train_dataloader.batch_size=8')
    return parser.parse_args()


def main() -> None:
    """Pool, fit and print."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, Path(args.parts).parent / 'ridge_table')
    runner = build_runner(cfg, trust=args.trust)
    load_network(runner, args.checkpoint)
    model = runner.model
    set_parts(model.head, load_mined(args.parts)[0], args.parts)
    train, *train_labels = pool_images(
        model, runner.build_dataloader(cfg.train_dataloader), args.ridges
    )
    test, *test_labels = pool_images(
        model, runner.build_dataloader(cfg.val_dataloader), args.ridges
    )
    for number, scales in enumerate(zip(train, test, strict=True), 1):
        print(HEADER.format(number=number))
        for row in ridge_rows(*scales, train_labels, test_labels, model.head.image_loss):
            print(_line(row))


def _line(row: RidgeRow) -> str:
    return (
        f'| {row.pooling} | {row.varying:.3f} | {row.ones:.3f} | {row.average:.3f} '
        f'| {100 * row.mean_ap:.1f} |'
    )


if __name__ == '__main__':
    main()
