"""SCA-DNN's configs: what they promise, and a small training, test and picture of one of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.small_data import write_coco, write_dataset, write_for
from mmengine.config import Config
from mmengine.registry import DATASETS
from sca_lab import needs_mmdet

from mmmlc.engine.launch import build_runner, load_config

CONFIGS = sorted((ROOT / 'configs/sca').glob('sca_*.py'))
# The splits of COCO differ in their files alone.
STEPS = [path for path in CONFIGS if path.stem != 'sca_x101_coco17']
SAMPLER = dict(
    type='mmdet.RandomSampler', num=16, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True
)
FULL = [path for path in CONFIGS if 'x101' in path.stem]


def small(path: Path, folder: Path) -> Config:
    """One step on two images, a narrow backbone in place of a large one."""
    cfg = load_config(path, work_dir=folder / 'work')
    cfg.model.backbone.init_cfg = None
    if path in FULL:
        cfg.model.backbone = dict(
            type='mmpretrain.ResNet', depth=18, base_channels=4, out_indices=(0, 1, 2, 3)
        )
        cfg.model.neck.in_channels = [4, 8, 16, 32]
        cfg.model.head.update(width=16, sampler=SAMPLER)
        cfg.model.patch_generator.test_cfg.max_per_img = 20
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for transform in cfg[key].dataset.pipeline:
            if transform.type == 'mmpretrain.Resize':
                transform.scale = (120, 80) if transform.get('keep_ratio') else (64, 64)
    write_for(cfg, folder / 'data')
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    return cfg


@pytest.mark.parametrize('path', STEPS, ids=lambda path: path.stem)
def test_config_takes_a_step_and_validates(path, tmp_path):
    needs_mmdet()
    runner = build_runner(small(path, tmp_path))
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    metrics = {}
    runner.val_loop.evaluator.evaluate, evaluate = (
        lambda size: metrics.update(evaluate(size)) or metrics,
        runner.val_loop.evaluator.evaluate,
    )
    runner.train()
    changed = {k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])}
    assert {k.split('.')[0] for k in changed} == {'backbone', 'neck', 'patch_generator', 'head'}
    assert all(v.isfinite().all() for v in runner.model.state_dict().values())
    # One run has the classification, the detection and the location regressor.
    assert {'mAP', 'CF1', 'OF1', 'patch_IoU', 'box_IoU'} <= set(metrics)
    assert {'det_mAP', 'det_AP'} & set(metrics)


@pytest.mark.parametrize('path', FULL, ids=lambda path: path.stem)
def test_published_network(path):
    """ResNeXt-101, four levels, patches of 7 x 7, two layers of 1,024, contexts twice as wide."""
    model = Config.fromfile(path).model
    assert (model.backbone.type, model.backbone.depth) == ('mmpretrain.ResNeXt', 101)
    assert model.neck.in_channels == [256, 512, 1024, 2048]
    assert model.head.roi_extractor.featmap_strides == [4, 8, 16, 32]
    assert model.head.roi_extractor.roi_layer == dict(
        type='RoIAlign', output_size=7, sampling_ratio=0
    )
    assert (model.head.width, model.head.expansion, model.head.branch) == (1024, 2.0, 'both')
    assert model.head.relation_heads == 0


@pytest.mark.parametrize('path', FULL[:2], ids=lambda path: path.stem)
def test_all_images_of_coco_are_kept(path, tmp_path):
    """82,783 and 40,504 in the slides: also those without any annotation."""
    cfg = Config.fromfile(path)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = cfg[key].dataset
        dataset.data_root = str(tmp_path)
        write_coco(tmp_path, dataset, ['a', 'b', 'c', 'd'], images=3)
        cut_annotations(tmp_path / dataset.ann_file)
        assert len(DATASETS.build(dataset)) == 3


def cut_annotations(path: Path) -> None:
    """Take the boxes of the first image away."""
    content = json.loads(path.read_text())
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] != 1]
    path.write_text(json.dumps(content))


def test_a_data_set_without_boxes_is_refused(tmp_path):
    needs_mmdet()
    cfg = small(CONFIGS[0].parent / 'sca_r18_toy.py', tmp_path)
    cfg.train_dataloader.dataset.with_boxes = False
    with pytest.raises(ValueError, match='SCA-DNN trains with boxes'):
        build_runner(cfg).train()


def test_voc_difficult_objects_are_objects(tmp_path):
    """As in the plain baselines, where they are positive in training."""
    cfg = Config.fromfile(CONFIGS[0].parent / 'sca_x101_voc07.py')
    dataset = cfg.train_dataloader.dataset
    write_dataset(tmp_path, dataset, 20)
    assert dataset.difficult == 'positive'
    sample = DATASETS.build(dataset)[0]['data_samples']
    assert len(sample.boxes) == 1 and sample.gt_label.tolist() == [0]
