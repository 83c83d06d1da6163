"""Train one-vs-rest linear classifiers on a network's features, and evaluate them.

    python tools/svm_eval.py CONFIG CHECKPOINT --views features --out svm/rdal-512
    python tools/svm_eval.py CONFIG CHECKPOINT --out svm/both --also svm/rdal-640
    python tools/svm_eval.py CONFIG --out floor --classifier logistic

By default SVMs (RDAL, Section 5.1). Without CHECKPOINT, or with `none`, the features are those of
the weights that a training would start from (init_cfg, load_from).

The features of the training and of the test images are kept under OUT/train and OUT/test, and all
classifiers share them. The same command goes on after an interruption, and only trains the
classifiers again once the features are complete.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmmlc.dependencies import require_svm
from mmmlc.engine import RunOptions, build_runner, load_config, load_weights
from mmmlc.engine.command_line import add_config_options, add_trust
from mmmlc.engine.feature_files import Features, average_features, extract_features, open_features
from mmmlc.engine.launch import load_network
from mmmlc.engine.prepare import VIEWS
from mmmlc.evaluation.linear_classifiers import (
    COSTS,
    LinearClassifier,
    decide,
    fit_one_vs_rest,
    normalise,
)
from mmmlc.models.features import image_features
from mmmlc.ops.wording import listed
from mmmlc.registry import DATASETS, METRICS


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        default='none',
        help='checkpoint file; none: what a training would start from',
    )
    parser.add_argument('--classifier', choices=COSTS, default='svm', help='(svm)')
    parser.add_argument('--out', metavar='DIR', help='(work_dirs/<config name>/svm)')
    parser.add_argument('--views', choices=VIEWS, help='average over ten views, cut from these')
    parser.add_argument(
        '--also', nargs='+', default=[], metavar='DIR', help='average with the features of these'
    )
    parser.add_argument(
        '--costs', nargs='+', type=float, metavar='C', help="candidates of C, or of ridge's alpha"
    )
    parser.add_argument(
        '--folds', type=int, default=3, help='of the cross-validation (3); ridge leaves one out'
    )
    parser.add_argument('--jobs', type=int, default=-1, help='classes at once (all cores)')
    parser.add_argument('--seed', type=int, default=0, help='of the folds and of LIBLINEAR (0)')
    parser.add_argument(
        '--raw',
        action='store_true',
        help='features as they are, neither of length 1 (svm) nor standardised (the others)',
    )
    add_trust(parser)
    add_config_options(parser, 'model.head.feature=sampled')
    return parser.parse_args(arguments)


def build_datasets(cfg: Config, runner: Runner) -> dict[str, object]:
    """The training images, seen through the pipeline of the test, and the test images."""
    config = cfg.train_dataloader.dataset.copy()
    if 'pipeline' not in config:
        raise ValueError(
            f'train_dataloader.dataset is {config.type}, without a pipeline: expected the data set '
            'itself, without another around it'
        )
    # Unlike in training, a broken image must not be replaced by another one.
    config.update(pipeline=cfg.test_dataloader.dataset.pipeline, test_mode=True)
    return dict(train=DATASETS.build(config), test=runner.test_dataloader.dataset)


def digest_of(checkpoint: str, runner: Runner) -> str:
    """A hash of the checkpoint file, or without one of the weights in the model."""
    digest = hashlib.sha256()
    if checkpoint == 'none':
        for name, value in runner.model.state_dict().items():
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return f'none, {digest.hexdigest()[:16]}'
    with open(checkpoint, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def fingerprint(checkpoint: str, cfg: Config, dataset: str) -> dict:
    """What the features depend on, in plain values; the checkpoint by :func:`digest_of`."""
    data = dict(cfg[f'{dataset}_dataloader'].dataset)
    data['pipeline'] = cfg.test_dataloader.dataset.pipeline
    parts = {'model': cfg.model, 'data': data}
    texts = {k: json.dumps(Config(dict(x=v)).to_dict(), default=str) for k, v in parts.items()}
    hashes = {k: hashlib.sha256(text.encode()).hexdigest()[:16] for k, text in texts.items()}
    return dict(checkpoint=checkpoint, **hashes)


def build_network(args: argparse.Namespace, cfg: Config, console: Console) -> Runner:
    """A runner whose model has the weights of the checkpoint, or those of a training's start."""
    if args.checkpoint != 'none':
        runner = build_runner(cfg, args.trust, RunOptions(test=True, views=args.views))
        load_weights(runner, args.checkpoint)
        return runner
    # What stays random, as a head, is then the same when the command goes on.
    seed = (cfg.get('randomness') or {}).get('seed')
    options = RunOptions(train=False, views=args.views, seed=args.seed if seed is None else seed)
    runner = build_runner(cfg, args.trust, options)
    load_network(runner, None)
    console.print(
        f'no checkpoint: features of the weights that a training of {args.config} starts from '
        '(init_cfg, load_from)',
        soft_wrap=True,
    )
    return runner


def collect_features(args: argparse.Namespace, cfg: Config, console: Console):
    """Features of both splits, averaged with those of ``--also``; and the test data set."""
    runner = build_network(args, cfg, console)
    weights = digest_of(args.checkpoint, runner)
    datasets = build_datasets(cfg, runner)
    runner.call_hook('before_run')
    runner.call_hook('before_test')  # checks the classes
    classes = datasets['test'].metainfo['classes']
    if datasets['train'].metainfo['classes'] != classes:
        raise ValueError('train_dataloader.dataset and test_dataloader.dataset differ in classes')
    found = {}
    for name, dataset in datasets.items():
        folders = [Path(args.out) / name, *(Path(other) / name for other in args.also)]
        own = extract_features(
            runner.model,
            partial(image_features, runner.model),
            dataset,
            folders[0],
            fingerprint(weights, cfg, name),
            len(classes),
            cfg.test_dataloader.batch_size,
            cfg.test_dataloader.num_workers,
            console,
        )
        parts = [own, *(open_features(folder) for folder in folders[1:])]
        found[name] = average_features(parts, folders)
    return found['train'], found['test'], datasets['test']


def inputs_of(args: argparse.Namespace, data: Features) -> np.ndarray:
    """Features as the classifiers get them; what is standardised is so by their training."""
    return normalise(data.features) if args.classifier == 'svm' and not args.raw else data.features


def train(args: argparse.Namespace, data: Features, console: Console) -> list[LinearClassifier]:
    """One classifier per class, with a progress bar."""
    columns = (TextColumn(args.classifier), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task('classes', total=data.positive.shape[1])
        return fit_one_vs_rest(
            inputs_of(args, data),
            np.asarray(data.positive),
            np.asarray(data.ignored),
            args.costs,
            args.folds,
            args.jobs,
            args.seed,
            lambda: progress.advance(bar),
            kind=args.classifier,
            standardise=args.classifier != 'svm' and not args.raw,
        )


def report(found: list[LinearClassifier], classes: list[str], console: Console) -> None:
    """Say which classes have no classifier, or none that was finished."""
    missing = [name for name, one in zip(classes, found, strict=True) if one.cost == 0]
    unfinished = [name for name, one in zip(classes, found, strict=True) if not one.converged]
    if missing:
        console.print(f'not trained, for want of positives or negatives: {listed(missing)}')
    if unfinished:
        console.print(f'stopped before they converged: {listed(unfinished)}')


def evaluate(cfg: Config, scores: np.ndarray, data: Features, meta: dict, out: Path) -> dict:
    """The metrics of ``test_evaluator``; files into ``out``."""
    evaluators = (
        cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    )
    configs = [dict(e) for e in evaluators if e.type == 'mmmlc.MultiLabelMetric']
    config = configs[0] if configs else dict(type='mmmlc.MultiLabelMetric')
    config.pop('also', None)
    # A yes of a classifier is a distance above 0, that is, a sigmoid above 0.5.
    config.update(threshold=0.5, out_dir=str(out))
    metric = METRICS.build(config)
    metric.dataset_meta = meta
    rows = zip(scores, data.positive, data.difficult, data.ignored, data.images, strict=True)
    for score, positive, difficult, ignored, path in rows:
        sample = dict(
            pred_score=torch.from_numpy(score),
            gt_label=positive.nonzero()[0],
            gt_label_difficult=difficult.nonzero()[0],
            gt_label_ignore=ignored.nonzero()[0],
            img_path=path,
        )
        metric.process(None, [sample])
    return metric.evaluate(len(scores))


def main(arguments: list[str] | None = None) -> dict:
    """Extract, train, evaluate."""
    args = parse_args(arguments)
    require_svm()
    cfg = load_config(args.config, args.cfg_options)
    args.out = args.out or str(Path(cfg.work_dir) / 'svm')
    cfg.work_dir = args.out
    console = Console()
    train_data, test_data, dataset = collect_features(args, cfg, console)
    found = train(args, train_data, console)
    report(found, dataset.metainfo['classes'], console)
    distances = decide(inputs_of(args, test_data), found)
    # Classifiers of the same features stand beside each other.
    out = Path(args.out) if args.classifier == 'svm' else Path(args.out) / args.classifier
    out.mkdir(exist_ok=True)
    np.savez(
        out / f'{args.classifier}.npz',
        weight=np.stack([one.weight for one in found]),
        bias=np.array([one.bias for one in found]),
        cost=np.array([one.cost for one in found]),
        distances=distances,
    )
    scores = torch.from_numpy(distances).sigmoid().numpy()
    metrics = evaluate(cfg, scores, test_data, dataset.metainfo, out)
    console.print(
        f'mAP {metrics["mAP"]:.2f}, CF1 {metrics["CF1"]:.2f}, OF1 {metrics["OF1"]:.2f}; top 3: '
        f'CF1 {metrics["top3_thr_CF1"]:.2f}, OF1 {metrics["top3_thr_OF1"]:.2f}. Written to '
        f'{out}: summary.json, per_class.*, predictions.npz, {args.classifier}.npz',
        soft_wrap=True,
    )
    return metrics


if __name__ == '__main__':
    main()
