"""Pictures: boxes where they belong, and only those asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from PIL import Image

from mmmlc.visualization import draw_curves, draw_prediction
from mmmlc.visualization.curves import read_scalars
from mmmlc.visualization.regions import MIN_SIDE, class_colour

CLASSES = ('bus', 'car', 'dog')


def make_sample(local=(0.9, 0.9, 0.9)) -> DataSample:
    sample = DataSample().set_pred_score(torch.tensor([0.9, 0.7, 0.2]))
    sample.set_pred_label([0, 1]).set_gt_label([0])
    sample.set_field(torch.tensor([0.5, 0.6, 0.1]), 'global_score')
    sample.set_field(torch.tensor(local), 'local_score')
    sample.set_field(torch.tensor([0, 1, 2]), 'region_labels')
    boxes = torch.tensor([[10.0, 20, 50, 60], [60, 5, 90, 95], [0, 0, 30, 15]])
    sample.set_field(boxes, 'regions_original')
    return sample


def drawn(picture: Image.Image, label: int) -> np.ndarray:
    """Where the frame of a class is, in pixels of a 100 x 100 original: (x, y) extremes."""
    pixels = np.asarray(picture)[:MIN_SIDE]
    ys, xs = np.nonzero((pixels == class_colour(label)).all(-1))
    return np.array([xs.min(), ys.min(), xs.max(), ys.max()]) * 100 / MIN_SIDE if len(xs) else xs


def test_boxes_stand_where_the_regions_are():
    image = Image.new('RGB', (100, 100), (90, 90, 90))
    picture = draw_prediction(image, make_sample(), CLASSES)
    assert picture.width == MIN_SIDE and picture.height > MIN_SIDE
    left, top, _, bottom = drawn(picture, 0)  # the text may reach further to the right
    np.testing.assert_allclose([left, top, bottom], [10, 20, 60], atol=1)
    assert drawn(picture, 1)[3] == pytest.approx(95, abs=1)
    assert len(drawn(picture, 2)) == 0  # its final score, 0.2, is not above 0.6
    assert image.getpixel((10, 20)) == (90, 90, 90)  # the input stays


def test_regions_need_both_scores():
    image = Image.new('RGB', (100, 100))
    picture = draw_prediction(image, make_sample(local=(0.9, 0.05, 0.9)), CLASSES)
    assert len(drawn(picture, 0)) and not len(drawn(picture, 1))
    low = draw_prediction(image, make_sample(), CLASSES, min_score=0.1)
    assert len(drawn(low, 2))


def test_plain_predictions_get_a_caption_only():
    sample = DataSample().set_pred_score(torch.tensor([0.9, 0.7, 0.2])).set_pred_label([0, 1])
    picture = draw_prediction(Image.new('RGB', (500, 400), 'blue'), sample, CLASSES)
    pixels = np.asarray(picture)
    assert pixels.shape[1] == 500
    assert (pixels[:400] == (0, 0, 255)).all()
    assert (pixels[400:] < 128).any()  # dark text


def test_curves(tmp_path):
    for name, shift in (('a', 0), ('b', 1)):
        folder = tmp_path / name / '20260101' / 'vis_data'
        folder.mkdir(parents=True)
        lines = [dict(loss=1.0 / (i + 1 + shift), step=i) for i in range(5)]
        lines += [dict(mAP=10.0 * i, step=i) for i in range(3)]
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    assert read_scalars(tmp_path / 'a', 'mAP') == [(0, 0.0), (1, 10.0), (2, 20.0)]
    draw_curves(dict(one=tmp_path / 'a', two=tmp_path / 'b'), tmp_path / 'curves.png')
    assert np.asarray(Image.open(tmp_path / 'curves.png').convert('L')).std() > 5
    with pytest.raises(FileNotFoundError, match='expected a training log'):
        read_scalars(tmp_path / 'missing', 'loss')
