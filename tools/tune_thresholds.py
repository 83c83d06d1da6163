"""Tune a threshold per class on a named split and store them in a checkpoint.

    python tools/tune_thresholds.py CONFIG CHECKPOINT OUT --split val

Each class gets the threshold with its highest F1 on these images; `pred_label` then follows them.
OUT holds weights, thresholds and the split's name; it is for prediction, not for --resume.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmmlc.engine import RunOptions, build_runner, load_config, load_weights
from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.command_line import add_config_options, add_trust


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('out', help='checkpoint to write')
    parser.add_argument(
        '--split',
        required=True,
        choices=('train', 'val', 'test'),
        help='whose images to tune on: those of train_, val_ or test_dataloader, in every case '
        'with the transforms of the test',
    )
    parser.add_argument('--work-dir', help='log (work_dirs/<config name>)')
    add_trust(parser)
    add_config_options(parser, 'model.topn=2')
    return parser.parse_args()


def main() -> None:
    """Tune and write."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    warn_about_the_test_images(cfg, args.split)
    test_on(cfg, args.split)
    checkpoint = load_checkpoint_file(args.checkpoint, trust=args.trust)
    runner = build_runner(cfg, options=RunOptions(test=True))
    load_weights(runner, args.checkpoint, trust=args.trust)
    if not hasattr(runner.model.head, 'thresholds'):
        kind = type(runner.model.head).__name__
        raise ValueError(f'model.head is {kind}, expected one that keeps thresholds per class')
    # Scores don't depend on thresholds, but those of an earlier tuning would stay in the state.
    runner.model.head.thresholds = None
    metrics = runner.test()
    (metric,) = runner.test_evaluator.metrics
    runner.model.head.thresholds = metric.class_thresholds.float()
    write(args, runner, checkpoint.get('meta') or {}, metrics['tuned_macro_F1'])


def warn_about_the_test_images(cfg: Config, split: str) -> None:
    """Say so where the images of the test are tuned on."""
    if dataset_of(cfg, split) == dataset_of(cfg, 'test'):
        print(
            f'tune_thresholds: {split}_dataloader has the images of test_dataloader: precision, '
            'recall and F1 of a test at these thresholds will be too high',
            file=sys.stderr,
        )


def test_on(cfg: Config, split: str) -> None:
    """Make the split the one to test, measured by our metric alone."""
    loader = copy.deepcopy(cfg.test_dataloader)
    loader.dataset = dataset_of(cfg, split)
    cfg.test_dataloader = loader
    cfg.test_evaluator = dict(
        type='mmmlc.MultiLabelMetric',
        threshold=cfg.model.head.get('threshold', 0.5),  # where a class has no positive
        tune_threshold='class',
        split=split,
    )


def dataset_of(cfg: Config, split: str) -> ConfigDict:
    """Config of a split's data set, with the transforms of the test."""
    dataset = copy.deepcopy(cfg[f'{split}_dataloader'].dataset)
    if 'pipeline' not in dataset:
        raise ValueError(
            f'{split}_dataloader.dataset is a {dataset.type} without pipeline of its own, expected '
            'a single data set'
        )
    dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    dataset.test_mode = True
    return dataset


def write(args: argparse.Namespace, runner: Runner, meta: dict, macro_f1: float) -> None:
    """Write the checkpoint; ``meta['thresholds']`` says where they come from."""
    dataset = runner.test_dataloader.dataset
    meta['thresholds'] = dict(
        split=args.split, source=str(dataset.source), images=len(dataset), macro_F1=macro_f1
    )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(meta=meta, state_dict=runner.model.state_dict()), out)
    values = runner.model.head.thresholds
    print(
        f'{out}: {len(values)} thresholds from {values.min():.3f} to {values.max():.3f}, tuned on '
        f'{args.split} ({len(dataset)} images); macro F1 there {macro_f1:.2f}'
    )


if __name__ == '__main__':
    main()
