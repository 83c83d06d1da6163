"""Models with regions that are ready: made, read, predicted, drawn."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from helpers.places import tool
from helpers.ready_models import CLASSES, random_state, ready_config, write_colours, write_ready
from helpers.small_models import PLAIN
from PIL import Image

from mmmlc.ready import get_model, linear, make
from mmmlc.registry import DATASETS

MCAR = PLAIN | dict(type='mmmlc.MCAR', topn=2, head=PLAIN['head'] | dict(pooling='gap'))


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp('photos'), 12)


def test_regions_are_in_pixels_of_the_image(photos, tmp_path):
    model = get_model(write_ready(tmp_path / 'm', MCAR))
    found, samples = model.predict(photos), [*model.samples(photos)]
    for one, sample in zip(found, samples, strict=True):
        assert len(one.regions) == 2
        for region, row in zip(one.regions, range(2), strict=True):
            instance = sample.pred_instances[row]
            # 64 x 64 pixels of the input are 50 x 40 of the image.
            scale = torch.tensor([50, 40, 50, 40]) / 64
            torch.testing.assert_close(
                torch.tensor([region.box]), instance.input_bboxes * scale, atol=1e-4, rtol=0
            )
            assert region.label == CLASSES[int(instance.labels)]
            assert region.score == pytest.approx(float(instance.scores))
    arrays = [np.array(Image.open(path)) for path in photos]
    assert [one.regions for one in model.predict(arrays)] == [one.regions for one in found]


def test_pictures_show_the_regions_of_predicted_labels(photos, tmp_path):
    model = get_model(write_ready(tmp_path / 'm', MCAR))
    (sample,) = model.samples(photos[:1])
    picture = np.array(model.draw(photos[0], sample))
    sample.pred_label = sample.pred_instances.labels[:0]
    bare = np.array(model.draw(photos[0], sample))
    height = 384 * 40 // 40  # of the enlarged photograph
    assert np.array_equal(bare[:height], np.array(
        Image.open(photos[0]).resize((480, height), Image.Resampling.LANCZOS)
    ))  # fmt: skip
    sample.pred_label = sample.pred_instances.labels.clone()
    drawn = np.array(model.draw(photos[0], sample))
    assert (drawn[:height] != bare[:height]).any()
    assert picture.shape[1] == 480


def test_scores_of_images_that_the_heads_did_not_see(photos):
    """By the head of its fold, in equal batches: rounding moves the end of a region."""
    cfg = ready_config(MCAR)
    cfg.test_dataloader.dataset.update(
        ann_file=photos[0].replace('0.png', 'labels.csv'),
        data_prefix=dict(img_path=photos[0].rpartition('/')[0]),
    )
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model = make.MODELS.build(copy.deepcopy(cfg.model)).eval()
    model.load_state_dict(random_state(cfg))
    heads = [make.LinearMaps(torch.randn(3, 32), torch.randn(3)) for _ in range(3)]
    folds = torch.arange(len(photos)) * 2 % 3
    found = linear.CrossValidated(heads[0], folds, heads, torch.zeros(len(photos), 3), 1.0, {})
    counts = []
    scores = make.unseen_scores(model, dataset, cfg, found, counts.append)
    assert sum(counts) == len(photos)
    for fold, maps in enumerate(heads):
        make.put_in(model, maps)
        for rows in (folds == fold).nonzero().flatten().split(3):
            inputs = [dataset[int(row)] for row in rows]
            samples = model.test_step({key: [one[key] for one in inputs] for key in inputs[0]})
            for row, sample in zip(rows, samples, strict=True):
                torch.testing.assert_close(scores[row], sample.pred_score, atol=1e-5, rtol=0)
                assert (sample.pred_score >= sample.global_score).all()


def test_made_with_regions(photos, tmp_path):
    folder = photos[0].rpartition('/')[0]
    cfg = ready_config()
    torch.save(dict(state_dict=random_state(cfg)), tmp_path / 'w.pth')
    cfg.dump(tmp_path / 'config.py')
    words = [f'{folder}/labels.csv', '--images', folder, '--out', tmp_path / 'm', '--workers', 0]
    words += ['--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'w.pth']
    words += ['--regions', 2, '--device', 'cpu', '--work-dir', tmp_path / 'work']
    tool('make_model').main([str(word) for word in words])
    model = get_model(tmp_path / 'm')
    assert type(model.model).__name__ == 'MCAR' and model.model.topn == 2
    assert all(len(one.regions) == 2 for one in model.predict(photos))
    assert 'at 2 regions' in (tmp_path / 'm/README.md').read_text()
