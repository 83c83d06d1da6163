"""Two and three processes against one: gradients, one step of the optimiser, and all metrics.

Every config that names ``mmmlc.ChannelsLastHook``, which is at least one of every system, trains
one step over twelve small images and tests five, by the runner and with its own hooks, losses,
optimiser and metrics; with norms in evaluation mode, no dropout, and nothing drawn by chance.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from helpers import one_step
from helpers.optional import mmdet_problem, needs_mmdet
from helpers.places import CONFIGS
from helpers.tool_lab import make_toys
from mmengine.config import Config

pytestmark = pytest.mark.slow
THREE = ['rdal/rdal_r18_toy.py']
# The gradient of a bias that a softmax cancels is rounding; so it counts beside all the others.
SMALLEST = 1e-4


def configs_with_the_hook() -> list[str]:
    paths = [p for p in CONFIGS.glob('[!_]*/*.py') if '_r18_' in p.name]
    hooks = {p: Config.fromfile(p).custom_hooks for p in paths}
    named = [p for p in paths if any(h.type == 'mmmlc.ChannelsLastHook' for h in hooks[p])]
    return sorted(str(p.relative_to(CONFIGS)) for p in named)


NAMES = configs_with_the_hook()


def can_run(name: str) -> bool:
    return not (name.startswith('sca/') and mmdet_problem())


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Path:
    """Folder with what one, two and three processes found."""
    folder = tmp_path_factory.mktemp('runs')
    make_toys(folder / 'data', one_step.IMAGES, one_step.TEST_IMAGES)
    for split in ('train', 'val'):
        names = sorted(path.name for path in (folder / 'data' / split).iterdir())
        one_step.write_proposals(folder / 'data', split, names)
    names = [name for name in NAMES if can_run(name)]
    if any(name.startswith('kd_wsd/') for name in names):
        one_step.write_teacher(folder)
    one_step.run_all(names, folder, 1)
    for processes, some in ((2, names), (3, THREE)):
        arguments = (some, str(folder), processes)
        torch.multiprocessing.spawn(one_step.in_process, arguments, nprocs=processes)
    return folder


def results(runs: Path, name: str, processes: int) -> list[dict]:
    """Of the run with one process, and of each of several."""
    if name.startswith('sca/'):
        needs_mmdet()
    stem = Path(name).stem
    files = [f'{stem}_1_0.pth', *(f'{stem}_{processes}_{rank}.pth' for rank in range(processes))]
    return [torch.load(runs / file, weights_only=False) for file in files]


def norm(values: dict) -> float:
    return math.sqrt(sum(float(v.double().square().sum()) for v in values.values()))


def worst_gradient(expected: dict, found: dict) -> float:
    """The largest relative error of a weight's gradient."""
    assert expected.keys() == found.keys()
    least = SMALLEST * norm(expected)
    return max(
        float((found[name] - value).norm() / max(float(value.norm()), least))
        for name, value in expected.items()
    )


CASES = [*((name, 2) for name in NAMES), *((name, 3) for name in THREE)]


@pytest.mark.parametrize(('name', 'processes'), CASES)
def test_a_step_of_several_processes_is_that_of_one(runs, name, processes):
    alone, *together = results(runs, name, processes)
    start = torch.load(runs / f'{Path(name).stem}_start.pth')
    trained = {k: v - start[k] for k, v in alone['weights'].items() if v.is_floating_point()}
    assert norm(trained) > 0 and len(alone['gradients']) > 40
    for rank in together:
        assert worst_gradient(alone['gradients'], rank['gradients']) < 1e-5
        off = {k: rank['weights'][k] - alone['weights'][k] for k in trained}
        assert norm(off) < 1e-5 * norm({k: alone['weights'][k] for k in trained})
    for rank in together[1:]:
        assert all(torch.equal(v, together[0]['weights'][k]) for k, v in rank['weights'].items())


@pytest.mark.parametrize(('name', 'processes'), CASES)
def test_metrics_count_nothing_twice(runs, name, processes):
    """Five images on two or three processes: mmengine's sampler hands out one more."""
    alone, *together = results(runs, name, processes)
    assert alone['metrics']['images'] == one_step.TEST_IMAGES
    for rank in together:
        assert rank['metrics'] == pytest.approx(alone['metrics'], rel=1e-6, nan_ok=True)
    expected, *others = (runs / f'voc_{n}_{rank}' for n, rank in ((1, 0), (processes, 0)))
    assert all(len(list(f.rglob('comp1_cls_test_*.txt'))) == 20 for f in (expected, *others))
    assert not (runs / f'voc_{processes}_1').exists()


def test_every_metric_is_among_them(runs):
    keys = {k for name in NAMES if can_run(name) for k in results(runs, name, 2)[0]['metrics']}
    wanted = {'mAP', 'det_mAP', 'CorLoc', 'proposal_CorLoc', 'loss', 'images'}
    assert wanted | ({'patch_IoU'} if can_run('sca/') else set()) <= keys
