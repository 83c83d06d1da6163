"""Views: cut where they should be, averaged as they should be, regions back where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.examples import classifiers
from helpers.places import TOY_CONFIG
from helpers.small_models import PLAIN, C
from helpers.view_lab import build, reference, samples

from mmmlc.engine.launch import load_config
from mmmlc.engine.prepare import use_ten_views
from mmmlc.models.features import image_features
from mmmlc.ops.boxes import boxes_from_views
from mmmlc.ops.views import cut_ten, cut_windows, view_windows, window_boxes

CLASSIFIERS = classifiers()
IMAGES = [name for name, found in CLASSIFIERS.items() if 'images' in found.views]
FEATURES = [name for name, found in CLASSIFIERS.items() if 'features' in found.views]
REGIONS = [name for name in IMAGES if CLASSIFIERS[name].regions]
RUNS = [(name, mode) for name, found in CLASSIFIERS.items() for mode in found.views]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64)


def mirrored(boxes: torch.Tensor, width: float) -> torch.Tensor:
    return torch.stack(
        [width - boxes[..., 2], boxes[..., 1], width - boxes[..., 0], boxes[..., 3]], -1
    )


# Cutting


@pytest.mark.parametrize('stride', [8, 16, 32])
def test_windows_of_the_paper(stride):
    """512 - 64 = 448 pixels: 56, 28 and 14 cells of 64, 32 and 16, from 0, the end, and half."""
    cells, view = 512 // stride, 448 // stride
    end, half = cells - view, (cells - view) // 2
    starts = [(0, 0), (end, 0), (0, end), (end, end), (half, half)]
    expected = [(x, y, x + view, y + view) for x, y in starts]
    assert view_windows((cells, cells), (512, 512), 64) == expected


def test_windows_of_pixels_equal_crops_of_the_image():
    """A map as large as the image is the image: 640 x 512 with a margin of 64."""
    assert view_windows((512, 640), (512, 640), 64)[3:] == [(64, 64, 640, 512), (32, 32, 608, 480)]


def test_windows_round_to_whole_cells():
    """7 cells of 100 pixels, a view of 80: 5.6 cells, so 6; the centre starts at cell 0."""
    windows = view_windows((7, 7), (100, 100), 20)
    assert windows[4] == (0, 0, 6, 6) and windows[3] == (1, 1, 7, 7)
    boxes = window_boxes(windows, (7, 7), (100, 100))
    np.testing.assert_allclose(boxes[3], [100 / 7, 100 / 7, 100, 100], rtol=1e-6)


@pytest.mark.parametrize('margin', [-1, 100])
def test_margin_out_of_range(margin):
    with pytest.raises(ValueError, match=f'margin is {margin}, expected 0 to 95 for images of 96'):
        view_windows((6, 6), (96, 128), margin)


def test_cuts_equal_slices_and_their_mirror_images():
    maps = torch.randn(2, 4, 6, 8)
    windows = view_windows((6, 8), (96, 128), 32)
    views = cut_ten(maps, windows)
    assert views.shape == (2, 10, 4, 4, 6)
    np.testing.assert_array_equal(views[:, 0], maps[..., :4, :6])
    np.testing.assert_array_equal(views[:, 3], maps[..., 2:, 2:])
    np.testing.assert_array_equal(views[:, 4], maps[..., 1:5, 1:7])
    np.testing.assert_array_equal(views[:, 5:], np.flip(views[:, :5].numpy(), -1))
    # Of mirrored images that are exactly that, the same views are cut.
    torch.testing.assert_close(cut_ten(maps, windows, maps.flip(-1)), views)


def test_boxes_of_views_return_to_the_image():
    """Cut an object out of the image with the view and by its box in the image: the same pixels."""
    image = torch.arange(40 * 60.0).reshape(1, 1, 40, 60)
    windows = view_windows((40, 60), (40, 60), 12)
    views = cut_ten(image, windows)[0, :, 0]
    box = torch.tensor([[3.0, 5, 11, 9]])
    places = window_boxes(windows, (40, 60), (40, 60)).repeat(2, 1)
    flags = torch.arange(10) >= 5
    found = boxes_from_views(box.expand(10, 1, 4), places, flags)[:, 0].int().tolist()
    for view, flag, (x1, y1, x2, y2) in zip(views, flags, found, strict=True):
        in_image = image[0, 0, y1:y2, x1:x2]
        np.testing.assert_array_equal(view[5:9, 3:11], in_image.flip(-1) if flag else in_image)


# The model against the classifier, one view after the other


@torch.no_grad()
@pytest.mark.parametrize('name', IMAGES)
def test_image_views_equal_forwards_of_crops(name, images):
    config = CLASSIFIERS[name].config
    found = build(config, mode='images', margin=16).predict(images, samples())
    expected = reference(config, images, 16)
    fields = [key for key in expected[0][0].keys() if key.endswith('_score')]  # noqa: SIM118 - no mapping
    assert 'pred_score' in fields
    for i, sample in enumerate(found):
        for field in fields:
            mean = np.mean([view[i].get(field).numpy() for view in expected], axis=0)
            np.testing.assert_allclose(sample.get(field), mean, atol=1e-6, err_msg=field)
        positive = (sample.pred_score >= 0.5).nonzero()[:, 0]
        np.testing.assert_array_equal(sample.pred_label, positive)


@torch.no_grad()
@pytest.mark.parametrize('name', REGIONS)
def test_regions_of_views_return_to_the_image(name, images):
    config, _, regions = CLASSIFIERS[name]
    found = build(config, mode='images', margin=16).predict(images, samples())
    expected = reference(config, images, 16)
    starts = [(0, 0), (16, 0), (0, 16), (16, 16), (8, 8)] * 2
    for i, sample in enumerate(found):
        boxes = [view[i].regions for view in expected]
        boxes[5:] = [mirrored(b, 48) for b in boxes[5:]]
        boxes = [b + torch.tensor([x, y, x, y]) for b, (x, y) in zip(boxes, starts, strict=True)]
        np.testing.assert_allclose(sample.regions, torch.cat(boxes), atol=1e-3)
        # The original image is four times as wide and twice as high as the input.
        original = (sample.regions * torch.tensor([4, 2, 4, 2])).clamp(min=0)
        original = original.minimum(torch.tensor([256, 128, 256, 128]))
        np.testing.assert_allclose(sample.regions_original, original, atol=1e-2)
        assert sample.region_views.tolist() == [v for v in range(10) for _ in range(regions)]
        labels = torch.cat([view[i].region_labels for view in expected])
        np.testing.assert_array_equal(sample.region_labels, labels)


@torch.no_grad()
@pytest.mark.parametrize('name', FEATURES)
@pytest.mark.parametrize('mirror', ['map', 'image'])
def test_feature_views_equal_neck_and_head_on_slices(name, mirror, images):
    """64 pixels are 4 cells here, and a view of 48 pixels is 3."""
    config = CLASSIFIERS[name].config
    found = build(config, mode='features', margin=16, mirror=mirror).predict(images)
    model = build(config)
    maps = model.backbone(images)[0]
    assert maps.shape[-2:] == (4, 4)
    cuts = [maps[..., y : y + 3, x : x + 3] for y, x in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]]
    other = maps if mirror == 'map' else model.backbone(images.flip(-1))[0].flip(-1)
    cuts += [
        other[..., y : y + 3, x : x + 3].flip(-1)
        for y, x in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
    ]
    heads = [model.head.predict(model.neck((cut,)) if model.with_neck else (cut,)) for cut in cuts]
    for i, sample in enumerate(found):
        mean = np.mean([view[i].pred_score.numpy() for view in heads], axis=0)
        np.testing.assert_allclose(sample.pred_score, mean, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(('name', 'mode'), [run for run in RUNS if run[0] in REGIONS])
def test_five_views_without_mirror_images(name, mode, images):
    config, _, regions = CLASSIFIERS[name]
    model = build(config, mode=mode, margin=16, mirror='none')
    assert len(model.predict(images, samples())[0].regions) == 5 * regions


@torch.no_grad()
@pytest.mark.parametrize(('name', 'mode'), RUNS)
def test_views_without_margin_equal_the_classifier(name, mode, images):
    """Five views of the whole image: exactly the single prediction."""
    config = CLASSIFIERS[name].config
    found = build(config, mode=mode, margin=0, mirror='none')(images)
    expected = torch.stack([s.pred_score for s in build(config).predict(images)])
    torch.testing.assert_close(found, expected)


@torch.no_grad()
@pytest.mark.parametrize(('name', 'mode'), RUNS)
def test_images_do_not_depend_on_their_batch(name, mode, images):
    model = build(CLASSIFIERS[name].config, mode=mode, margin=16)
    together = model.predict(images, samples())
    alone = [model.predict(image[None], samples()[:1])[0] for image in images]
    for one, two in zip(together, alone, strict=True):
        torch.testing.assert_close(one.pred_score, two.pred_score)
        if 'regions' in one:
            torch.testing.assert_close(one.regions, two.regions, atol=1e-3, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize('name', IMAGES)
def test_scales_are_averaged_and_regions_stay_in_input_pixels(name, images):
    config = CLASSIFIERS[name].config
    model = build(config, mode='images', margin=16, scales=(64, 96))
    found = model.predict(images, samples())
    large = F.interpolate(images, (96, 96), mode='bilinear', antialias=True)
    one = build(config, mode='images', margin=16).predict(images, samples())
    two = build(config, mode='images', margin=16).predict(large, samples(shape=(96, 96)))
    for sample, a, b in zip(found, one, two, strict=True):
        torch.testing.assert_close(sample.pred_score, (a.pred_score + b.pred_score) / 2)
        assert ('regions' in sample) == (name in REGIONS)
        if name in REGIONS:
            expected = torch.cat([a.regions, b.regions * 64 / 96])
            torch.testing.assert_close(sample.regions, expected, atol=1e-3, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize('name', FEATURES)
def test_other_model_is_fused(name, images, tmp_path):
    other, own = build(PLAIN), CLASSIFIERS[name].config
    torch.nn.init.normal_(other.head.classifier.weight, std=3)
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
    views = dict(mode='features', margin=16)
    config = PLAIN | dict(classifier=PLAIN['type'], checkpoint=str(tmp_path / 'other.pth'))
    fused = build(own, **views, others=[config | views | dict(scales=(96,))])
    assert fused.state_dict().keys() == build(own).state_dict().keys()
    first, second = build(own, **views), build(PLAIN, **views, scales=(96,))
    first.load_state_dict(fused.state_dict(), strict=True)
    second.load_state_dict(other.state_dict())
    expected = (first(images) + second(images)) / 2
    torch.testing.assert_close(fused(images), expected)
    with pytest.raises(FileNotFoundError, match=r'model.others\[0\].checkpoint: no such file none'):
        build(own, others=[config | dict(checkpoint='none.pth')])
    with pytest.raises(ValueError, match=r'model.others\[0\] has the keys .*expected checkpoint'):
        build(own, others=[PLAIN])
    with pytest.raises(ValueError, match='other.pth does not fit'):
        build(own, others=[config | dict(head=config['head'] | dict(num_classes=C + 1))])


# Around the model


@pytest.mark.parametrize('name', IMAGES)
def test_weights_have_the_same_names(name):
    config = CLASSIFIERS[name].config
    single, views = build(config), build(config, mode='images')
    assert list(single.state_dict()) == list(views.state_dict())
    assert [n for n, _ in single.named_parameters()] == [n for n, _ in views.named_parameters()]
    views.load_state_dict(single.state_dict(), strict=True)


@pytest.mark.parametrize('name', IMAGES)
def test_it_trains_as_the_classifier(name, images):
    config = CLASSIFIERS[name].config
    single, views = build(config), build(config, mode='images')
    labelled = [s.set_gt_label([0, 2]) for s in samples()]
    expected, found = (m.train()(images, labelled, mode='loss') for m in (single, views))
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value)
    sum(found.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in views.parameters())
    assert views.backbone.conv1.weight.grad.abs().sum() > 0


@torch.no_grad()
@pytest.mark.parametrize('mode', ['features', 'images'])
def test_features_are_averaged_over_views(mode, images):
    model, single = build(PLAIN, mode=mode, margin=16), build(PLAIN)
    if mode == 'images':
        ends = [(0, 0), (0, 16), (16, 0), (16, 16), (8, 8)]
        views = [images[..., y : y + 48, x : x + 48] for y, x in ends]
        maps = [single.extract_feat(v)[0] for view in views for v in (view, view.flip(-1))]
    else:
        windows = view_windows((4, 4), (64, 64), 16)
        views = cut_windows(single.backbone(images)[0], windows).unbind(1)
        maps = [v for view in views for v in (view, view.flip(-1))]
    expected = torch.stack([x.mean((-2, -1)) + x.amax((-2, -1)) for x in maps]).mean(0) / 2
    torch.testing.assert_close(image_features(model, images), expected)


@torch.no_grad()
def test_features_of_a_single_model(images):
    plain = build(PLAIN)
    maps = plain.backbone(images)[0]
    expected = (maps.mean((-2, -1)) + maps.amax((-2, -1))) / 2
    torch.testing.assert_close(image_features(plain, images), expected)


@torch.no_grad()
@pytest.mark.parametrize('name', FEATURES)
def test_half_precision_autocast(name, images):
    model = build(CLASSIFIERS[name].config, mode='features', margin=16)
    with torch.autocast('cpu', torch.bfloat16):
        found = model(images)
    torch.testing.assert_close(found, model(images), atol=0.05, rtol=0)


def test_default_margin_is_the_papers_at_most_an_eighth():
    model = build(PLAIN, mode='features')
    sizes = (512, 512), (640, 640), (448, 448), (96, 128)
    assert [model._margin(torch.empty(1, 3, *size)) for size in sizes] == [
        64, 64, 56, 12,
    ]  # fmt: skip


@pytest.mark.parametrize('name', sorted(set(IMAGES) - set(FEATURES)))
def test_more_than_a_backbone_and_a_head(name):
    config = CLASSIFIERS[name].config
    kind = config['type'].removeprefix('mmmlc.')
    with pytest.raises(ValueError, match=f"model.mode is 'features', but {kind} needs more"):
        build(config, mode='features')


@pytest.mark.parametrize('name', [name for name, found in CLASSIFIERS.items() if not found.views])
def test_proposals_have_no_views(name):
    with pytest.raises(ValueError, match='reads proposals, which its views have not'):
        build(CLASSIFIERS[name].config, mode='images')


def test_wrong_options():
    with pytest.raises(ValueError, match="model.mode is 'crops', expected one of 'features'"):
        build(PLAIN, mode='crops')
    with pytest.raises(ValueError, match="model.mirror is 'x', expected one of 'map'"):
        build(PLAIN, mirror='x')
    with pytest.raises(
        ValueError, match=r'model.scales is \[64\], expected sides above the margin'
    ):
        build(PLAIN, scales=[64], margin=64)
    with pytest.raises(ValueError, match='LinearClsHead has no threshold: set model.threshold'):
        neck = dict(type='mmpretrain.GlobalAveragePooling')
        head = dict(type='mmpretrain.LinearClsHead', num_classes=C, in_channels=32)
        build(PLAIN | dict(neck=neck, head=head), mode='features')


def test_backbone_without_a_map():
    vit = dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=32, patch_size=16)
    head = dict(type='mmpretrain.MultiLabelLinearClsHead', num_classes=C, in_channels=192)
    model = build(PLAIN | dict(backbone=vit, head=head), mode='features', margin=16)
    with pytest.raises(ValueError, match=r"the backbone returns \(2, 192\), .*model.mode='images'"):
        model(torch.zeros(2, 3, 32, 32))


def test_command_line_views_keep_the_config():
    cfg = load_config(TOY_CONFIG)
    kind = cfg.model.type
    use_ten_views(cfg, 'images')
    assert (cfg.model.type, cfg.model.classifier) == ('mmmlc.TenViews', kind)
    use_ten_views(cfg, 'features')  # again: the mode only
    assert (cfg.model.classifier, cfg.model.mode) == (kind, 'features')
