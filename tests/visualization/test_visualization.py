"""Pictures: boxes where they belong, and only those asked for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from PIL import Image

from mmmlc.engine.hooks.region_pictures import RegionPictureHook
from mmmlc.proposals.store import ImageProposals, encode, write_store
from mmmlc.visualization.curves import draw_curves, read_scalars
from mmmlc.visualization.regions import BLUE, MARGIN, MIN_SIDE, class_colour, draw_prediction

CLASSES = ('bus', 'car', 'dog')


def make_sample(local=(0.9, 0.9, 0.9)) -> DataSample:
    sample = DataSample().set_pred_score(torch.tensor([0.9, 0.7, 0.2]))
    sample.set_pred_label([0, 1]).set_gt_label([0])
    sample.set_field(torch.tensor([0.5, 0.6, 0.1]), 'global_score')
    sample.set_field(torch.tensor(local), 'local_score')
    boxes = torch.tensor([[10.0, 20, 50, 60], [60, 5, 90, 95], [0, 0, 30, 15]])
    sample.pred_instances = InstanceData(
        bboxes=boxes, labels=torch.tensor([0, 1, 2]), scores=torch.tensor(local)
    )
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


def make_attention_sample() -> DataSample:
    """Two regions in the order of visits, both of the class 2."""
    sample = DataSample().set_pred_score(torch.tensor([0.1, 0.2, 0.9])).set_pred_label([2])
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 20, 50, 60], [60, 5, 90, 95]]),
        labels=torch.tensor([2, 2]),
        scores=torch.tensor([0.8, 0.3]),
    )
    return sample


def test_attention_has_a_colour_per_visit():
    picture = draw_prediction(Image.new('RGB', (100, 100)), make_attention_sample(), CLASSES)
    left, top, _, bottom = drawn(picture, 0)
    np.testing.assert_allclose([left, top, bottom], [10, 20, 60], atol=1)
    assert drawn(picture, 1)[3] == pytest.approx(95, abs=1)
    assert len(drawn(picture, 2)) == 0


@pytest.mark.parametrize('make', [make_sample, make_attention_sample])
def test_of_several_views_the_central_one_is_drawn(make):
    sample = make()
    sample.pred_instances.views = torch.zeros(len(sample.pred_instances), dtype=torch.long)
    sample.pred_instances.views[0] = 4
    picture = draw_prediction(Image.new('RGB', (100, 100)), sample, CLASSES)
    assert len(drawn(picture, 0)) and not len(drawn(picture, 1))


def test_proposals_stand_beside_the_regions():
    sample = make_attention_sample()
    proposals = torch.tensor([[0.5, 0.25, 0.75, 1.0]])
    alone = np.asarray(draw_prediction(Image.new('RGB', (100, 100)), sample, CLASSES))
    both = np.asarray(
        draw_prediction(Image.new('RGB', (100, 100)), sample, CLASSES, proposals=proposals)
    )
    np.testing.assert_array_equal(both[:MIN_SIDE, :MIN_SIDE], alone[:MIN_SIDE])
    right = both[:MIN_SIDE, MIN_SIDE + MARGIN :]
    assert right.shape[1] == MIN_SIDE
    ys, xs = np.nonzero((right == BLUE).all(-1))
    extremes = np.array([xs.min(), ys.min(), xs.max(), ys.max()]) / MIN_SIDE
    np.testing.assert_allclose(extremes, [0.5, 0.25, 0.75, 1.0], atol=0.01)


def test_hook_draws_five_proposals_of_the_image(tmp_path):
    """Ten boxes, each twice: non-maximum suppression leaves one of each."""
    image = tmp_path / 'photos' / 'a.png'
    image.parent.mkdir()
    Image.new('RGB', (100, 100)).save(image)
    starts = np.linspace(0, 0.9, 10)
    boxes = np.stack([starts, starts, starts + 0.1, starts + 0.1], 1).clip(0, 1).repeat(2, 0)
    scores = np.linspace(1, 0.05, 20)
    record = ImageProposals('a.png', 100, 100, 20)
    write_store(tmp_path / 'p.bin', 'photos', [record], [encode(boxes, scores)], {})
    hook = RegionPictureHook(str(tmp_path / 'out'), proposals=str(tmp_path / 'p.bin'))
    sample = make_attention_sample()
    sample.set_metainfo(dict(img_path=str(image)))
    np.testing.assert_allclose(hook._best_proposals(sample), boxes[:10:2], atol=1e-4)
    dataset = SimpleNamespace(metainfo=dict(classes=CLASSES))
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset))
    hook.before_test(runner)
    hook.after_test_iter(runner, 0, outputs=[sample])
    with Image.open(tmp_path / 'out/000000_a.jpg') as picture:
        assert picture.width == 2 * MIN_SIDE + MARGIN
    with pytest.raises(FileNotFoundError, match='no such proposals file'):
        RegionPictureHook(str(tmp_path), proposals=str(tmp_path / 'none.bin'))


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


def make_located_sample() -> DataSample:
    """Two objects, the second with a low score, and their contexts."""
    sample = DataSample().set_pred_score(torch.tensor([0.9, 0.1, 0.2])).set_pred_label([0])
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[30.0, 30, 60, 60], [5, 5, 10, 10]]),
        contexts=torch.tensor([[15.0, 15, 75, 75], [0, 0, 20, 20]]),
        scores=torch.tensor([0.8, 0.3]),
        labels=torch.tensor([0, 1]),
    )
    return sample


def test_objects_and_their_contexts():
    image = Image.new('RGB', (100, 100))
    picture = draw_prediction(image, make_located_sample(), CLASSES)
    np.testing.assert_allclose(drawn(picture, 0), [15, 15, 75, 75], atol=1)
    pixels = np.asarray(picture)[:MIN_SIDE] == class_colour(0)
    row = pixels.all(-1)[round(45 * MIN_SIDE / 100)]  # through the middle of both
    assert row.sum() == 2 * 1 + 2 * 3  # thin lines of the context, thick ones of the object
    assert not len(drawn(picture, 1))
    assert len(drawn(draw_prediction(image, make_located_sample(), CLASSES, 0.2), 1))
