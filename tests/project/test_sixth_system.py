"""A system is added by new files alone, and then is one like the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.small_data import write_coco
from helpers.tool_lab import data_options
from helpers.tree_copies import copy_tree, run_in
from mmengine.config import Config

SYSTEM, NAME = Path(__file__).parent / 'sixth_system', 'smooth_max'
CONFIG = f'configs/{NAME}/{NAME}_r18_toy.py'
# Everything that systems have to pass, and what reads the whole tree.
TESTS = [
    f'tests/systems/{NAME}',
    'tests/project/test_layers.py',
    'tests/project/test_reuse.py',
    'tests/models/test_views.py',
    'tests/models/test_thresholds.py',
    f'mmmlc/systems/{NAME}',
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def tree(tmp_path_factory) -> Path:
    """The tree with the files of the sixth system, none of which was there."""
    tree = copy_tree(tmp_path_factory.mktemp('sixth') / 'tree')
    new = [path for path in SYSTEM.rglob('*') if path.is_file() and path.suffix != '.pyc']
    assert len(new) >= 11
    for path in new:
        target = tree / path.relative_to(SYSTEM)
        assert not target.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return tree


def test_everything_of_its_kind_is_tested(tree):
    chosen = f'{NAME} or layers or reuse'
    output = run_in(tree, '-m', 'pytest', '-v', '-p', 'no:cacheprovider', '-k', chosen, *TESTS)
    for test in (
        'test_models_follow_stored_thresholds[smooth_max]',
        'test_feature_views_equal_neck_and_head_on_slices[map-smooth_max]',
        'test_systems_start_with_tensor_functions[smooth_max]',
        'test_page_runs[None-docs/smooth_max.md-1]',
        'test_pages_list_every_part',
        'test_imports_go_down',
        'test_pair_ranking',
        'pooling.smooth_max',
    ):
        assert any(test in line and 'PASSED' in line for line in output.splitlines()), test


def test_its_numbers_are_read(tree):
    """The list of metafiles is the one existing file that names it, and is written by a tool."""
    run_in(tree, 'tools/ledger.py')
    run_in(tree, 'tools/ledger.py', '--check')
    assert f'  - configs/{NAME}/metafile.yml\n' in (tree / 'model-index.yml').read_text()


def test_it_trains(tree, tmp_path):
    cfg = Config.fromfile(tree / CONFIG)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        write_coco(tmp_path, loader.dataset, [f'class {i}' for i in range(20)])
    options = [*data_options(tmp_path), 'train_cfg.max_epochs=1', 'param_scheduler.total_steps=1']
    output = run_in(
        tree, 'tools/train.py', CONFIG, '--work-dir', tmp_path / 'work', '--cfg-options', *options
    )
    assert (tmp_path / 'work/epoch_1.pth').is_file()
    assert 'Epoch(val) [1]' in output and ' mAP: ' in output
