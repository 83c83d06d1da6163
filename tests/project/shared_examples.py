"""A config of every shared part, as a user of another OpenMMLab package would write it.

The parts of a system are in ``tests/systems/<name>/examples_<name>.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

from helpers.small_data import write_coco, write_image, write_proposals, write_voc
from helpers.small_models import HEAD, PLAIN, QUERY_HEAD
from mmengine.config import Config

CLASSES = [f'class {i}' for i in range(4)]
TEN_VIEWS = dict(type='mmmlc.TenViews', classifier=PLAIN['type'], mode='images')

MODELS = [
    HEAD,
    QUERY_HEAD,
    PLAIN | TEN_VIEWS,
    dict(type='mmmlc.TIMMFeatureMap', model_name='resnet10t'),
    dict(type='mmmlc.MultiLabelBCELoss', pos_weight=[1, 2, 3, 4]),
    dict(type='mmmlc.AsymmetricLoss'),
    dict(type='mmmlc.MultiLabelDataPreprocessor', num_classes=4),
]
DATA_SAMPLERS = [dict(type='mmmlc.TotalBatchSampler', sampler=range(8), batch_size=4)]
METRICS = [
    dict(type='mmmlc.MultiLabelMetric'),
    dict(type='mmmlc.VOCServerFiles', out_dir='files'),
    dict(type='mmmlc.ValidationLoss'),
    dict(type='mmmlc.WeakDetectionMetric', style='coco'),
    dict(type='mmmlc.ProposalMetric'),
]
HOOKS = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ClassWeightHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(type='mmmlc.CheckpointHook', interval=1),
    dict(type='mmmlc.DivergenceHook'),
    dict(type='mmmlc.ExactResumeHook'),
    dict(type='mmmlc.RegionPictureHook', out_dir='pictures'),
]
PIPELINE = [dict(type='mmmlc.LoadImage'), dict(type='mmmlc.PackInputs')]


def transforms(folder: Path) -> list[dict]:
    file = write_proposals(folder / 'proposals.npz', str(folder), ['a.jpg'])
    return [
        *PIPELINE,
        dict(type='mmmlc.RandomFlip', prob=0.5),
        dict(type='mmmlc.RandomCrop', crop_size=32),
        dict(type='mmmlc.RandomResizedCrop', scale=32),
        dict(type='mmmlc.CenterCrop', crop_size=32),
        dict(type='mmmlc.LoadProposals', file=str(file)),
    ]


def datasets(folder: Path) -> list[dict]:
    """Data sets with the transforms of mmmlc, and their files."""
    root = dict(data_root=str(folder), pipeline=PIPELINE)
    coco = dict(
        type='mmmlc.CocoMultiLabel', ann_file='coco.json', data_prefix=dict(img_path=''), **root
    )
    write_coco(folder, Config(coco), CLASSES)
    write_voc(folder, Config(dict(split='trainval')))
    write_image(folder / 'Flickr' / 'a.jpg', 0)
    (folder / 'labels.csv').write_text('path,labels\nFlickr/a.jpg,cat;dog\n')
    lists = {'ConceptsList/Concepts81.txt': 'cat', 'ImageList/TestImagelist.txt': 'a.jpg'}
    lists['Groundtruth/TrainTestLabels/Labels_cat_Test.txt'] = '1'
    for name, text in lists.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + '\n')
    content = dict(
        metainfo=dict(classes=CLASSES), data_list=[dict(img_path='Flickr/a.jpg', gt_label=[0, 2])]
    )
    (folder / 'openmmlab.json').write_text(json.dumps(content))
    return [
        coco,
        dict(type='mmmlc.VOC', split='trainval', **root),
        dict(type='mmmlc.NUSWIDE', split='test', **root),
        dict(type='mmmlc.OwnLabels', ann_file='labels.csv', **root),
        dict(type='mmmlc.MultiLabelDataset', ann_file='openmmlab.json', **root),
    ]


def strategies(folder: Path) -> list[dict]:
    return [dict(type='mmmlc.FSDPStrategy', work_dir=str(folder))]
