"""The modern configs take a step, on the same kinds of models made small; the average is kept."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.small_data import write_for
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import build_runner, load_config, load_weights
from mmmlc.registry import MODELS

FOLDER = ROOT / 'configs/modern'
CONFIGS = sorted(FOLDER.glob('*.py'))
STEPS = [path for path in CONFIGS if 'mcar' not in path.stem]  # of each backbone and head
SIDE = 56  # patches of 14 fit, and of 8 in place of 16
SMALL = {
    'mmpretrain.ResNet': (dict(depth=18, base_channels=4, stem_channels=4), 32),
    'mmpretrain.ConvNeXt': (dict(arch=dict(depths=[1] * 4, channels=[8, 8, 8, 16])), 16),
    'mmpretrain.SwinTransformer': (
        dict(arch=dict(embed_dims=8, depths=[1] * 4, num_heads=[1] * 4), img_size=SIDE),
        64,
    ),
}
VIT = dict(pretrained=False, embed_dim=24, depth=2, num_heads=2, img_size=SIDE)


def shrink(cfg: Config, folder: Path) -> Config:
    backbone = cfg.model.backbone
    backbone.pop('init_cfg', None)
    if backbone.type == 'mmmlc.TIMMFeatureMap':
        patch = 14 if 'patch14' in backbone.model_name else 8
        small, channels = VIT | dict(patch_size=patch), 24
    else:
        small, channels = SMALL[backbone.type]
    if 'toy' not in cfg.filename:
        backbone.update(small)
        cfg.model.head.in_channels = channels
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for transform in loader.dataset.pipeline:
            if transform.type == 'mmpretrain.Resize':
                transform.scale = (SIDE, SIDE)
            if transform.type == 'mmpretrain.Cutout':
                transform.shape = SIDE // 2
    write_for(cfg, folder / 'data')
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.max_epochs = 1
    return cfg


@pytest.mark.parametrize('path', STEPS, ids=lambda path: path.stem)
def test_config_takes_a_step(path, tmp_path):
    cfg = shrink(load_config(path, work_dir=tmp_path / 'work'), tmp_path)
    runner = build_runner(cfg)
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    after = dict(runner.model.named_parameters())
    assert all(v.isfinite().all() for v in after.values())
    weights = [name for name in after if name.startswith('head.') and after[name].ndim > 1]
    assert weights and not any(torch.equal(after[name], before[name]) for name in weights)
    decays = {group['weight_decay'] for group in runner.optim_wrapper.param_groups}
    assert decays == {0.05, 0.0}  # AdamW's, but not of norms and biases
    checkpoint = load_checkpoint_file(tmp_path / 'work' / 'epoch_1.pth')
    assert 'ema_state_dict' in checkpoint


def test_checkpoint_holds_the_average(tmp_path):
    """Exponential, over two steps: momentum m of the second iterate, the rest of the first."""
    cfg = shrink(load_config(FOLDER / 'modern_r101_coco.py', work_dir=tmp_path), tmp_path)
    cfg.train_dataloader.batch_size = 1
    cfg.custom_hooks[1].momentum = 0.25
    runner = build_runner(cfg)
    iterates = []
    step = runner.model.train_step

    def train_step(*args, **kwargs):
        losses = step(*args, **kwargs)
        iterates.append(runner.model.head.classifier.weight.detach().clone())
        return losses

    runner.model.train_step = train_step
    runner.train()
    assert len(iterates) == 2
    checkpoint = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    found = checkpoint['state_dict']['head.classifier.weight']
    torch.testing.assert_close(found, 0.75 * iterates[0] + 0.25 * iterates[1])
    last = checkpoint['ema_state_dict']['module.head.classifier.weight']
    torch.testing.assert_close(last, iterates[1])
    # What is tested is the average, too, though the hook copies the model once more.
    tester = build_runner(cfg)
    load_weights(tester, tmp_path / 'epoch_1.pth')
    tester.test()
    torch.testing.assert_close(tester.model.head.classifier.weight.data, found)


def test_fixed_queries_are_those_of_the_start(tmp_path):
    """In the average, too, which takes in buffers."""
    path = FOLDER / 'ml-decoder_r18_toy.py'
    runner = build_runner(shrink(load_config(path, work_dir=tmp_path), tmp_path))
    before = runner.model.head.query_embed.clone()
    runner.train()
    checkpoint = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    assert torch.equal(checkpoint['state_dict']['head.query_embed'], before)
    assert torch.equal(checkpoint['ema_state_dict']['module.head.query_embed'], before)


def test_recipe():
    """What the configs say they are."""
    for path in CONFIGS:
        cfg = Config.fromfile(path)
        assert cfg.model.head.loss.type == 'mmmlc.AsymmetricLoss'
        assert cfg.optim_wrapper.optimizer.type == 'mmengine.AdamW'
        warm_up, cosine = cfg.param_scheduler
        assert warm_up.type == 'mmengine.LinearLR' and warm_up.end == cosine.begin
        assert cosine.type == 'mmengine.CosineAnnealingLR'
        assert cosine.begin + cosine.T_max == cosine.end == cfg.train_cfg.max_epochs
        types = [t.type for t in cfg.train_dataloader.dataset.pipeline]
        assert 'mmpretrain.RandAugment' in types and 'mmpretrain.Cutout' in types
        hooks = [hook.type for hook in cfg.custom_hooks]
        assert 'mmengine.EMAHook' in hooks and 'mmmlc.VocabularyHook' in hooks
        assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size


@pytest.fixture
def without_memory(monkeypatch):
    """Models of full size, without memory for their weights."""
    # Rates of stochastic depth are read as numbers.
    monkeypatch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
        yield


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_full_size_gives_the_channels(path, without_memory):
    """Channels and maps of the full models."""
    cfg = Config.fromfile(path)
    side = 96 if 'toy' in path.stem else 448
    features = MODELS.build(cfg.model).extract_feat(torch.empty(2, 3, side, side))
    stride = 14 if 'b14' in path.stem else 16 if 'b16' in path.stem or 'toy' in path.stem else 32
    shape = (2, cfg.model.head.in_channels, side // stride, side // stride)
    assert features[-1].shape == shape


def test_example_of_the_page(without_memory, tmp_path):
    """A query decoder in place of the head."""
    page = (ROOT / 'docs/training.md').read_text(encoding='utf-8')
    blocks = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    (text,) = [block for block in blocks if 'QueryDecoderHead' in block]
    (tmp_path / 'config.py').write_text(text.replace("'configs/", f"'{ROOT}/configs/"))
    cfg = Config.fromfile(tmp_path / 'config.py')
    model = MODELS.build(cfg.model)
    features = model.extract_feat(torch.empty(2, 3, 448, 448))
    assert model.head.class_weight.shape == (80, 768, 1)
    assert model.head.attention_maps(features).shape == (2, 80, 14, 14)
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.keys() > {'.query_embed'}
