"""The tool that makes models: from labels, on packaged weights and another network; as they are."""

from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest
import torch
from helpers.places import tool
from helpers.ready_models import CLASSES, PIPELINE, random_state, ready_config, write_colours
from sklearn.metrics import average_precision_score

from mmmlc.engine import load_config
from mmmlc.ready import get_model, linear, make
from mmmlc.registry import MODELS

IMAGES, TRAIN = 72, 48


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Photographs in two splits: ``labels.csv`` has all, ``coco.json`` those of train."""
    folder = tmp_path_factory.mktemp('photos')
    write_colours(folder, IMAGES)
    head, *rows = (folder / 'labels.csv').read_text().splitlines()
    split = ['train' if i < TRAIN else 'val' for i in range(IMAGES)]
    lines = [f'{head},split', *(f'{row},{name}' for row, name in zip(rows, split, strict=True))]
    (folder / 'labels.csv').write_text('\n'.join(lines) + '\n')
    names = [row.split(',')[1].split(';') for row in rows[:TRAIN]]
    pairs = [(i, CLASSES.index(name)) for i, row in enumerate(names) for name in row if name]
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.png', height=40, width=50, coco_url=f'http://x/{i}')
            for i in range(TRAIN)
        ],
        annotations=[
            dict(id=k, image_id=i, category_id=c, bbox=[1, 2, 3, 4], iscrowd=0)
            for k, (i, c) in enumerate(pairs)
        ],
        categories=[dict(id=c, name=name) for c, name in enumerate(CLASSES)],
    )
    (folder / 'coco.json').write_text(json.dumps(content))
    return folder


def truth_of(photos):
    """Paths and labels (N, C) of all photographs."""
    rows = (photos / 'labels.csv').read_text().splitlines()[1:]
    labels = [[name in row.split(',')[1].split(';') for name in CLASSES] for row in rows]
    return [str(photos / row.split(',')[0]) for row in rows], np.array(labels)


def scores_of(model, paths):
    return np.array([[*found.scores.values()] for found in model.predict(paths)])


@pytest.fixture
def run(photos, tmp_path):
    def run(*words):
        common = ['--work-dir', tmp_path / 'work', '--workers', 0, '--device', 'cpu']
        tool('make_model').main([str(word) for word in (*words, *common)])

    return run


def test_from_labels_on_packaged_weights(run, photos, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'models/mine'
    (tmp_path / 'about.md').write_text('## Data\n\nSquares.\n')
    (tmp_path / 'terms').write_text('Do what you like.\n')
    words = [photos / 'labels.csv', '--images', photos, '--split', 'train', '--val-split', 'val']
    words += ['--size', 64, '--half', '--about', tmp_path / 'about.md', '--out', out]
    run(*words, '--licence', tmp_path / 'terms')
    names = {'LICENSE', 'README.md', 'about.md', 'classes.csv', 'config.py', 'model.safetensors'}
    assert {path.name for path in out.iterdir()} == names | {'photographs.csv'}
    card = (out / 'README.md').read_text()
    for part in ('## Data\n\nSquares.', '| training images, classes | 48, 3 |', '`LICENSE`'):
        assert part in card
    assert 'tools/make_model.py' in card and '--val-split val' in card
    assert len((out / 'photographs.csv').read_text().splitlines()) == 1 + TRAIN
    # What the card says is what the folder does.
    paths, truth = truth_of(photos)
    model = get_model(out)
    scores = scores_of(model, paths)
    ap = [100 * average_precision_score(truth[TRAIN:, c], scores[TRAIN:, c]) for c in range(3)]
    assert f'| mAP on labels.csv, 3 classes | {np.mean(ap):.1f} |' in card
    assert min(ap) > 80  # squares of a colour are easy
    assert f'mAP on labels.csv, 3 classes: {np.mean(ap):.1f}' in capsys.readouterr().out
    for name, threshold in zip(CLASSES, model.thresholds.tolist(), strict=True):
        assert re.search(rf'\| {name} \| 24 \| [\d.]+ \| .* \| {threshold:.3f} \|', card)
    # Again: only with --force, and the features are there already.
    with pytest.raises(FileExistsError, match='mine is there'):
        run(*words)
    monkeypatch.setattr(make, 'both_views', None)
    run(*words, '--force')
    assert not (out / 'LICENSE').exists()
    torch.testing.assert_close(get_model(out).model.state_dict(), model.model.state_dict())
    # Not with other labels.
    rows = (photos / 'labels.csv').read_text()
    (photos / 'labels.csv').write_text(rows.replace('0.png,blue', '0.png,red', 1))
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        run(*words, '--force')
    (photos / 'labels.csv').write_text(rows)


@pytest.fixture
def network(photos, tmp_path):
    """A config of another network, and a checkpoint of it."""
    cfg = ready_config()
    cfg.test_dataloader.dataset.update(
        ann_file=str(photos / 'labels.csv'), data_prefix=dict(img_path=str(photos)), split='val'
    )
    state = random_state(cfg)
    cfg.dump(tmp_path / 'config.py')
    meta = dict(dataset_meta=dict(classes=CLASSES))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'w.pth')
    return tmp_path / 'config.py', tmp_path / 'w.pth', cfg, state


def test_on_another_network(run, photos, network, tmp_path):
    """Its weights below the head, and classifiers that are those of the pooled maps."""
    config, checkpoint, cfg, state = network
    words = ['--images', photos, '--config', config, '--checkpoint', checkpoint]
    run(photos / 'coco.json', *words, '--out', tmp_path / 'mine')
    model = get_model(tmp_path / 'mine')
    found = model.model.state_dict()
    for key, value in state.items():
        assert key.startswith('head.') or torch.equal(found[key], value), key
    assert model.model.head.pooling == 'gap'
    written = load_config(tmp_path / 'mine/config.py')
    assert [step.type for step in written.test_dataloader.dataset.pipeline] == [
        step['type'] for step in PIPELINE
    ]
    # By hand: features of both views, folds, regressions, thresholds.
    paths, truth = truth_of(photos)
    features = torch.stack([view for view in views(cfg, state, paths[:TRAIN])], 1)
    positive = torch.from_numpy(truth[:TRAIN])
    assert not positive.any(1).all()  # images without annotations are negatives
    labels = linear.Labels(positive, torch.ones_like(positive))
    wanted = linear.cross_validate(features, labels, linear.divide(labels, paths[:TRAIN]))
    logits = torch.from_numpy(scores_of(model, paths[:TRAIN])).logit()
    expected = wanted.final.logits(features[:, 0])
    torch.testing.assert_close(logits.float(), expected, atol=5e-3, rtol=0)
    thresholds = linear.choose_thresholds(wanted.logits.sigmoid(), labels)
    torch.testing.assert_close(model.thresholds, thresholds, atol=1e-3, rtol=0)
    lines = (tmp_path / 'mine/photographs.csv').read_text().splitlines()
    assert len(lines) == 1 + TRAIN and lines[1] == '0.png,,,http://x/0'


def views(cfg, state, paths):
    """Average pooled maps of images and of their mirror images, each (N, D)."""
    from PIL import Image

    model = MODELS.build(copy.deepcopy(cfg.model))
    model.load_state_dict(state)
    model.eval()
    images = [Image.open(path).resize((64, 64), Image.Resampling.BILINEAR) for path in paths]
    pixels = torch.stack([torch.from_numpy(np.array(image)) for image in images]).float()
    pixels = pixels.permute(0, 3, 1, 2)[:, [2, 1, 0]]
    with torch.no_grad():
        for inputs in (pixels, pixels.flip(3)):
            yield model.extract_feat(inputs)[-1].mean((2, 3))


def test_a_trained_model_as_it_is(run, photos, network, tmp_path):
    config, checkpoint, _, state = network
    words = ['--config', config, '--checkpoint', checkpoint, '--out', tmp_path / 'mine']
    run(*words)
    model = get_model(tmp_path / 'mine')
    torch.testing.assert_close(dict(model.model.state_dict()), state, rtol=0, atol=0)
    written = load_config(tmp_path / 'mine/config.py')
    assert written.model == load_config(config).model
    assert 'photographs.csv' not in (tmp_path / 'mine/README.md').read_text()
    run(*words, '--force', '--val', photos / 'labels.csv', '--val-split', 'val', '--images', photos)
    paths, truth = truth_of(photos)
    scores = scores_of(model, paths[TRAIN:])
    ap = np.mean([average_precision_score(truth[TRAIN:, c], scores[:, c]) for c in range(3)])
    card = (tmp_path / 'mine/README.md').read_text()
    assert f'| mAP on labels.csv, 3 classes | {100 * ap:.1f} |' in card
    assert '| class | val positives | val AP | threshold |' in card
    torch.save(dict(state_dict=state), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match='w.pth names no classes, expected meta.dataset_meta'):
        run(*words, '--force')
    assert get_model(tmp_path / 'mine').classes == CLASSES  # the one before is still there


def test_rare_classes_are_named(run, photos, network, tmp_path, capsys):
    rows = (photos / 'labels.csv').read_text().replace('green', 'blue')
    (tmp_path / 'rare.csv').write_text(rows.replace('blue;blue', 'blue') + '0x.png,owl,\n')
    (photos / '0x.png').write_bytes((photos / '0.png').read_bytes())
    config, checkpoint, *_ = network
    words = ['--images', photos, '--config', config, '--checkpoint', checkpoint]
    run(tmp_path / 'rare.csv', *words, '--split', 'train', '--out', tmp_path / 'mine')
    out = capsys.readouterr().out
    assert 'in no image, so never predicted: owl' in out
    model = get_model(tmp_path / 'mine')
    paths, _ = truth_of(photos)
    found = model.predict(paths[:TRAIN])
    assert model.classes == ('blue', 'owl', 'red')
    assert not any('owl' in one.labels for one in found)
    assert '| owl | 0 | not measured |' in (tmp_path / 'mine/README.md').read_text()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'expected LABELS, or --config and --checkpoint'),
        (['a.csv'], '--images: expected the folder'),
        (['a.csv', '--images', 'x', '--checkpoint', 'w.pth'], '--checkpoint needs the --config'),
        (['a.csv', '--images', 'x', '--size', '8'], 'a --size of at least 32'),
        (['a.csv', '--images', 'x', '--regions', '-1'], '--regions and --workers of at least 0'),
    ],
)
def test_wrong_command_lines(words, message, capsys):
    with pytest.raises(SystemExit):
        tool('make_model').main([*words, '--out', 'nowhere'])
    assert message in capsys.readouterr().err


def test_splits_of_coco_and_regions_without_mcar(run, photos, tmp_path, monkeypatch):
    words = [photos / 'coco.json', '--images', photos, '--out', tmp_path / 'mine']
    with pytest.raises(ValueError, match='coco.json is in the format of COCO, which has no split'):
        run(*words, '--split', 'train')
    monkeypatch.setattr(MODELS, 'get', lambda name: None)
    with pytest.raises(ValueError, match='regions is 4, which needs mmmlc.MCAR: it is not there'):
        run(*words, '--regions', 4)
    assert not (tmp_path / 'mine').exists()
