"""VOC 2012 from the config to the files for the server, with the tool a user calls."""

from __future__ import annotations

import runpy
import sys
import tarfile

import numpy as np
import pytest
import torch
from helpers.places import CONFIGS, TOOLS
from helpers.small_data import write_dataset
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope

from mmmlc.datasets.voc import VOC
from mmmlc.registry import MODELS

pytestmark = pytest.mark.slow


def _let_images_matter(model: torch.nn.Module) -> None:
    """Set the batch norms to the layers' random outputs, which vanish with depth otherwise."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train().extract_feat(torch.randn(8, 3, 64, 64))


def test_the_tool_writes_the_files(tmp_path, monkeypatch):
    path = CONFIGS / 'mcar/mcar_mbv2_voc12.py'
    cfg = Config.fromfile(path)
    write_dataset(tmp_path, cfg.test_dataloader.dataset, num_classes=20)
    for xml in (tmp_path / 'Annotations').iterdir():
        xml.unlink()  # the labels are hidden
    cfg.model.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    _let_images_matter(model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'model.pth')
    options = [
        f'test_dataloader.dataset.data_root={tmp_path}',
        'test_dataloader.dataset.pipeline.1.scale=(64,64)',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        'test_evaluator.num_images=2',
    ]
    words = [path, tmp_path / 'model.pth', '--out', tmp_path / 'out', '--work-dir', tmp_path / 'w']
    monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, words), '--cfg-options', *options])
    monkeypatch.setenv('LOCAL_RANK', '0')
    runpy.run_path(str(TOOLS / 'test.py'), run_name='__main__')
    columns = []
    for name in VOC.METAINFO['classes']:
        path = tmp_path / f'out/results/VOC2012/Main/comp1_cls_test_{name}.txt'
        pairs = [line.split() for line in path.read_text().splitlines()]
        assert [img_id for img_id, _ in pairs] == ['000000', '000001']
        columns.append([float(score) for _, score in pairs])
    scores = np.array(columns).T
    with tarfile.open(tmp_path / 'out/results.tar.gz') as archive:
        assert len(archive.getnames()) == 20
    assert (np.abs(scores[0] - scores[1]) > 1e-6).any()
    cfg.test_dataloader.dataset.pipeline[1].scale = (64, 64)
    data = pseudo_collate(list(DATASETS.build(cfg.test_dataloader.dataset)))
    with torch.no_grad():
        predictions = model.eval().test_step(data)
    expected = np.stack([p.pred_score.numpy() for p in predictions])
    np.testing.assert_allclose(scores, expected, atol=1e-6)
