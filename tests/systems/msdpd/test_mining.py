"""Mining of part detectors: sampling, planted parts, files, the hook in a training."""

from __future__ import annotations

import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mining_lab import planted
from mmengine.config import Config
from mmpretrain.structures import DataSample
from PIL import Image
from sklearn.linear_model import LogisticRegression

from mmmlc.engine.checkpoints import save_checkpoint_file
from mmmlc.engine.launch import build_runner, load_config, load_network
from mmmlc.systems.msdpd.classifiers import fit_classifier, image_features
from mmmlc.systems.msdpd.clusters import fit_detectors, mine_scale, nearest_members
from mmmlc.systems.msdpd.mined_file import load_mined, save_mined
from mmmlc.systems.msdpd.part_pictures import patch_box, top_members
from mmmlc.systems.msdpd.sampling import gather_points, sample_points


class TinyModel(torch.nn.Module):
    """Two maps that are the image itself and its half."""

    def __init__(self):
        super().__init__()
        self.head = SimpleNamespace(num_classes=3)

    def data_preprocessor(self, batch: dict, training: bool) -> dict:
        assert not training
        return batch

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert not self.training
        return inputs, inputs[..., ::2, ::2]


def make_batches() -> list[dict]:
    samples = [
        DataSample(metainfo=dict(img_path=f'{i}.png', flip=i == 1)).set_gt_label(labels)
        for i, labels in enumerate(([0], [1, 2], []))
    ]
    images = torch.arange(3 * 2 * 4 * 6.0).reshape(3, 2, 4, 6)
    return [
        dict(inputs=images[:2], data_samples=samples[:2]),
        dict(inputs=images[2:], data_samples=samples[2:]),
    ]


def test_sampled_points_are_where_they_say():
    model, batches = TinyModel(), make_batches()
    sampled = sample_points(model, batches, (1, 0), per_image=5)
    assert model.training
    assert sampled.names == ['0.png', '1.png', '2.png']
    assert sampled.flipped.tolist() == [False, True, False]
    assert sampled.labels.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    images = torch.cat([batch['inputs'] for batch in batches])
    for scale, maps in zip(sampled.scales, (images[..., ::2, ::2], images), strict=True):
        assert scale.size == tuple(maps.shape[2:]) and scale.points.shape == (15, 2)
        for point, image, location in zip(scale.points, scale.images, scale.locations, strict=True):
            row, column = divmod(int(location), scale.size[1])
            torch.testing.assert_close(point, maps[image, :, row, column])
    again = sample_points(model, batches, (1, 0), per_image=5)
    torch.testing.assert_close(again.scales[0].locations, sampled.scales[0].locations)
    assert gather_points(sampled).names == sampled.names


def test_no_batch():
    with pytest.raises(ValueError, match='the data loader gave no batch'):
        sample_points(TinyModel(), [], (0,), 5)


def test_planted_parts_are_ranked_by_entropy():
    sampled, labels = planted()
    mined = mine_scale(sampled, labels, clusters=3, keep=2, steps=20)
    order = mined.ranking.order.tolist()
    np.testing.assert_allclose(mined.ranking.entropy[order], [0, math.log(2)], atol=1e-6)
    assert mined.weight.shape == (2, 3)
    # The detectors tell the two kept parts apart; the third is left out.
    logits = sampled.points[:120] @ mined.weight.T + mined.bias
    assert logits[:60].argmax(1).tolist() == [0] * 60
    assert logits[60:].argmax(1).tolist() == [1] * 60


def test_more_detectors_wanted_than_clusters():
    sampled, labels = planted()
    assert len(mine_scale(sampled, labels, clusters=3, keep=10, steps=0).weight) == 3
    assert len(mine_scale(sampled, labels, clusters=999, keep=999, min_size=1, steps=0).bias) <= 180


def test_nearest_members():
    assignments = torch.tensor([0, 1, 1, 2, 1, 0])
    distances = torch.tensor([0.5, 0.3, 0.1, 0.0, 0.2, 0.4])
    chosen, targets = nearest_members(assignments, distances, torch.tensor([1, 0]), 2)
    pairs = {*zip(chosen.tolist(), targets.tolist(), strict=True)}
    assert pairs == {(2, 0), (4, 0), (5, 1), (0, 1)}


def test_fit_against_scikit_learn():
    """The same decisions as a regression by scikit-learn with the same decay."""
    points = torch.randn(90, 4)
    targets = (points[:, 0] > 0).long() + (points[:, 1] > 0.5).long()
    weight, bias = fit_detectors(points, targets, torch.zeros(3, 4), torch.zeros(3), 300)
    unit = points.square().mean().sqrt()
    # Ours: mean cross-entropy + 1e-4 / 3 |w|^2. scikit-learn's: sum + |w|^2 / (2 C).
    reference = LogisticRegression(C=3 / (2 * 90 * 1e-4), max_iter=5000, tol=1e-8)
    reference.fit((points / unit).numpy(), targets.numpy())
    expected = reference.predict_proba((points / unit).numpy())
    np.testing.assert_allclose((points @ weight.T + bias).softmax(1), expected, atol=2e-3)


def test_first_classifier_against_scikit_learn():
    """The same decisions as one regression a class by scikit-learn with the same decay."""
    features = 3 * torch.randn(80, 5)
    targets = (features[:, :2] + 2 * torch.randn(80, 2) > 0).float()
    layer, decay = torch.nn.Linear(5, 2), 0.02
    valid = torch.ones(80, 2, dtype=torch.bool)
    valid[:30, 1] = False

    def loss(logits, targets, valid):
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets, reduction='none'
        )
        return (losses * valid).sum() / len(logits)

    fit_classifier(layer, features, targets, valid, loss, 200, decay)
    for label, rows in enumerate((slice(0, 80), slice(30, 80))):
        # Ours: sum / 80 + decay / 2 |w|^2. scikit-learn's: sum + |w|^2 / (2 C).
        reference = LogisticRegression(C=1 / (80 * decay), max_iter=5000, tol=1e-8)
        reference.fit(features[rows].numpy(), targets[rows, label].numpy())
        weight = layer.weight[label].detach()
        np.testing.assert_allclose(weight, reference.coef_[0], atol=2e-3)
        np.testing.assert_allclose(layer.bias[label].item(), reference.intercept_[0], atol=2e-3)


def test_file_round_trip(tmp_path):
    sampled, labels = planted()
    mined = mine_scale(sampled, labels, clusters=3, keep=2)
    path = tmp_path / 'parts.npz'
    names = [f'{i}.png' for i in range(180)]
    save_mined(path, [mined], names, torch.zeros(180, dtype=torch.bool))
    (loaded,), loaded_names, flipped = load_mined(path)
    assert loaded_names == names and not flipped.any() and loaded.size == (1, 1)
    for name in ('weight', 'bias', 'centres', 'assignments', 'images', 'distances'):
        torch.testing.assert_close(getattr(loaded, name), getattr(mined, name))
    torch.testing.assert_close(loaded.ranking.shares, mined.ranking.shares)
    assert [*tmp_path.iterdir()] == [path]


def test_foreign_and_truncated_files(tmp_path):
    sampled, labels = planted()
    path = tmp_path / 'parts.npz'
    save_mined(path, [mine_scale(sampled, labels, 3, 2)], ['a'] * 180, torch.zeros(180).bool())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match='parts.npz is not a whole file of mined parts'):
        load_mined(path)
    np.savez(tmp_path / 'other.npz', format=np.array('something'))
    with pytest.raises(ValueError, match="other.npz is not .*: format something, expected 'mmmlc"):
        load_mined(tmp_path / 'other.npz')
    with pytest.raises(FileNotFoundError, match='none.npz: no such file of mined parts'):
        load_mined(tmp_path / 'none.npz')


def test_patch_boxes():
    np.testing.assert_allclose(patch_box(5, (2, 4), False), (0, 0, 0.75, 1.5))
    np.testing.assert_allclose(patch_box(5, (2, 4), True), (0.25, 0, 1, 1.5))


def test_top_members_are_the_nearest_of_different_images():
    sampled, labels = planted()
    mined = mine_scale(sampled._replace(images=sampled.images // 2), labels, 3, 2)
    cluster = int(mined.ranking.order[0])
    top = top_members(mined, cluster, 4)
    assert (mined.assignments[top] == cluster).all()
    assert len({*mined.images[top].tolist()}) == 4
    assert mined.distances[top].tolist() == sorted(mined.distances[top].tolist())


@pytest.fixture(scope='module')
def toys(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('toys') / 'data'
    words = [sys.executable, 'tools/make_toy_scenes.py', folder, '--train=48', '--val=8']
    subprocess.run([str(word) for word in words], cwd=root, check=True, capture_output=True)
    return folder


def toy_config(root, toys, work_dir, **hook) -> Config:
    cfg = load_config(root / 'configs/msdpd/msdpd_r18_toy.py', work_dir=work_dir)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(toys)
    cfg.model.backbone.init_cfg = None
    cfg.train_cfg.max_epochs = cfg.param_scheduler.total_steps = 1
    mining = next(h for h in cfg.custom_hooks if h.type == 'mmmlc.PartMiningHook')
    mining.update(clusters=(20, 20), locations=400, min_size=3, **hook)
    return cfg


def test_hook_in_a_training(root, toys, tmp_path):
    runner = build_runner(toy_config(root, toys, tmp_path))
    runner.train()
    (first, second), names, _ = load_mined(tmp_path / 'parts_epoch_0.npz')
    assert len(names) == 48 and first.size == (12, 12) and second.size == (6, 6)
    head = runner.model.head
    for scale, mined in zip(head.detectors, (first, second), strict=True):
        assert scale.used.sum() == len(mined.weight) <= 20
        assert not scale.used[len(mined.weight) :].any()
        # Training moved them, but not far.
        moved = scale.weight[: len(mined.weight)]
        assert 0 < (moved - mined.weight).norm() < 0.5 * mined.weight.norm()
    pictures = sorted((tmp_path / 'parts_epoch_0').glob('*'))
    assert [p.name for p in pictures] == ['parts_scale1.png', 'parts_scale2.png']
    assert np.asarray(Image.open(pictures[0])).std() > 10


@pytest.mark.slow
def test_a_file_skips_the_mining(root, toys, tmp_path):
    runner = build_runner(toy_config(root, toys, tmp_path / 'first'))
    runner.train()
    file = tmp_path / 'first/parts_epoch_0.npz'
    second = build_runner(toy_config(root, toys, tmp_path / 'second', file=str(file)))
    hook = next(h for h in second.hooks if type(h).__name__ == 'PartMiningHook')
    hook.before_train(second)
    (mined, _), _, _ = load_mined(file)
    weight = second.model.head.detectors[0].weight
    torch.testing.assert_close(weight[: len(mined.weight)].detach(), mined.weight)
    assert not (tmp_path / 'second/parts_epoch_0.npz').exists()
    # The classifiers were fitted to the features of these detectors.
    found = image_features(second.model, second.train_dataloader)
    logits = second.model.head.logits(list(found.features))
    for name in ('scale1', 'fused'):
        first_loss = second.model.head.image_loss(logits[name], found.targets, found.valid)
        assert first_loss < 0.5 * 20 * math.log(2)  # of classifiers that are zero


@pytest.mark.slow
def test_without_parts_only_the_classifiers_are_fitted(root, toys, tmp_path):
    cfg = toy_config(root, toys, tmp_path)
    cfg.model.head.num_parts = (0, 0)
    runner = build_runner(cfg)
    runner.train()
    assert runner.model.head.fusion.weight.abs().max() > 0.1
    assert not list(tmp_path.glob('parts_epoch_*'))


@pytest.mark.slow
def test_mined_again_in_the_course_of_a_training(root, toys, tmp_path):
    cfg = toy_config(root, toys, tmp_path, every=2, pictures=False)
    cfg.train_cfg.max_epochs = cfg.param_scheduler.total_steps = 3
    build_runner(cfg).train()
    assert [p.name for p in sorted(tmp_path.glob('parts_*'))] == [
        'parts_epoch_0.npz',
        'parts_epoch_2.npz',
    ]
    (first, _), _, _ = load_mined(tmp_path / 'parts_epoch_0.npz')
    (second, _), _, _ = load_mined(tmp_path / 'parts_epoch_2.npz')
    assert not torch.equal(first.centres, second.centres)


def test_wrong_number_of_clusters(root, toys, tmp_path):
    cfg = toy_config(root, toys, tmp_path)
    cfg.custom_hooks[0].clusters = (20,)
    with pytest.raises(ValueError, match='clusters has 1 values, the head 2 scales'):
        build_runner(cfg).train()


def test_network_of_another_classifier(root, toys, tmp_path):
    """The checkpoint serves alone: what the config starts from need not be there."""
    cfg = toy_config(root, toys, tmp_path)
    trained = build_runner(cfg).model
    state = trained.state_dict()
    other_head = {'head.fc.weight': torch.zeros(3, 64)}
    below = {key: value for key, value in state.items() if not key.startswith('head.')}
    save_checkpoint_file(dict(state_dict=below | other_head), tmp_path / 'plain.pth')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='nowhere.pth')
    runner = build_runner(cfg)
    load_network(runner, tmp_path / 'plain.pth')
    for key, value in below.items():
        assert torch.equal(runner.model.state_dict()[key], value), key
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        load_network(runner, None)


@pytest.mark.parametrize('shape', [None, (3, 3)])
def test_network_that_does_not_fit(root, toys, tmp_path, shape):
    runner = build_runner(toy_config(root, toys, tmp_path))
    state, name = runner.model.state_dict(), 'backbone.layer1.0.conv1.weight'
    del state[name]
    if shape is not None:
        state[name] = torch.zeros(shape)
    save_checkpoint_file(dict(state_dict=state), tmp_path / 'cut.pth')
    with pytest.raises(ValueError, match=rf'cut\.pth does not fit .*: 1 of the \d+ .* is {name}'):
        load_network(runner, tmp_path / 'cut.pth')
