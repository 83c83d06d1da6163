"""A config of every registered part, as a user of another OpenMMLab package would write it."""

from __future__ import annotations

import json
from pathlib import Path

import sca_lab
from helpers.small_data import write_coco, write_image, write_proposals, write_voc
from mmengine.config import Config

C = 4
CLASSES = [f'class {i}' for i in range(C)]
BACKBONE = dict(type='mmpretrain.ResNet', depth=18, base_channels=4, stem_channels=4)
HEAD = dict(type='mmmlc.MultiLabelConvHead', num_classes=C, in_channels=32)
NECK = dict(
    type='mmmlc.RecurrentAttention',
    in_channels=32,
    num_classes=C,
    num_regions=2,
    sampled_size=2,
    feature_width=8,
    hidden_width=8,
)
RDAL_HEAD = dict(
    type='mmmlc.RecurrentAttentionHead',
    num_classes=C,
    constraints=dict(type='mmmlc.RegionConstraintLoss'),
)
TEN_VIEWS = dict(type='mmmlc.TenViews', classifier='mmmlc.MCAR', mode='images')
WSDDN_HEAD = dict(type='mmmlc.WSDDNHead', num_classes=C, in_channels=32, width=8, pool_size=2)
PREPROCESSOR = dict(type='mmpretrain.ClsDataPreprocessor')

MODELS = [
    dict(type='mmmlc.MCAR', backbone=BACKBONE, head=HEAD),
    HEAD,
    dict(type='mmmlc.MsDPDHead', num_classes=C, in_channels=(8, 16), num_parts=(3, 2)),
    NECK,
    RDAL_HEAD,
    dict(
        type='mmmlc.ProposalClassifier',
        backbone=BACKBONE,
        neck=NECK | dict(localisation='given'),
        head=dict(type='mmmlc.RecurrentAttentionHead', num_classes=C),
        data_preprocessor=PREPROCESSOR,
    ),
    TEN_VIEWS | dict(backbone=BACKBONE, head=HEAD),
    dict(type='mmmlc.WSDDN', backbone=BACKBONE, head=WSDDN_HEAD),
    WSDDN_HEAD,
    dict(type='mmmlc.MultiScaleDataPreprocessor', scales=(32, 64)),
    dict(type='mmmlc.VGGHead', num_classes=C, in_channels=8, map_size=2, width=8),
    dict(
        type='mmmlc.Distiller',
        student=dict(
            type='mmpretrain.ImageClassifier',
            backbone=BACKBONE,
            head=HEAD,
            data_preprocessor=PREPROCESSOR,
        ),
        losses=dict(predictions=dict(type='mmmlc.PlainDistillationLoss')),
    ),
    dict(type='mmmlc.RoIFeatureLoss', student_channels=8, teacher_channels=16),
    dict(type='mmmlc.ClassAwareLoss', num_classes=C, num_proposals=10),
    dict(type='mmmlc.PlainDistillationLoss'),
    dict(type='mmmlc.FitNetsLoss', student_channels=8, teacher_channels=16),
    dict(type='mmmlc.AttentionTransferLoss'),
    dict(type='mmmlc.TIMMFeatureMap', model_name='resnet10t'),
    dict(type='mmmlc.MultiLabelBCELoss', pos_weight=[1, 2, 3, 4]),
    dict(type='mmmlc.AsymmetricLoss'),
    dict(type='mmmlc.EuclideanSoftmaxLoss'),
    dict(type='mmmlc.RegionConstraintLoss'),
    sca_lab.MODEL,
    sca_lab.HEAD,
]
NEED_MMDET = ('mmmlc.SCADNN', 'mmmlc.SCAHead')
DATA_SAMPLERS = [dict(type='mmmlc.TotalBatchSampler', sampler=range(8), batch_size=4)]
METRICS = [
    dict(type='mmmlc.MultiLabelMetric'),
    dict(type='mmmlc.VOCServerFiles', out_dir='files'),
    dict(type='mmmlc.ValidationLoss'),
    dict(type='mmmlc.WeakDetectionMetric', style='coco'),
    dict(type='mmmlc.PatchIoU'),
    dict(type='mmmlc.ProposalMetric'),
]
HOOKS = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ClassWeightHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(type='mmmlc.RegionPictureHook', out_dir='pictures'),
    dict(type='mmmlc.PartMiningHook', clusters=(3, 2)),
    dict(type='mmmlc.PartPictureHook', out_dir='pictures'),
    dict(type='mmmlc.TeacherHook', config='teacher.py', checkpoint='teacher.pth'),
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
