"""Small models in the words of a config: 3 classes, 32 channels, a cell for 16 x 16 pixels."""

from __future__ import annotations

from typing import NamedTuple

C = 3
BACKBONE = dict(
    type='mmpretrain.ResNet',
    depth=18,
    stem_channels=8,
    base_channels=8,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
)
PREPROCESSOR = dict(type='mmpretrain.ClsDataPreprocessor')
HEAD = dict(type='mmmlc.MultiLabelConvHead', num_classes=C, in_channels=32, pooling='gwp')
QUERY_HEAD = dict(
    type='mmmlc.QueryDecoderHead',
    num_classes=C,
    in_channels=32,
    embed_dims=8,
    num_heads=2,
    feedforward_channels=16,
    drop_rate=0.0,  # two trainings are the same
    num_groups=2,
)
PLAIN = dict(
    type='mmpretrain.ImageClassifier',
    backbone=BACKBONE,
    head=HEAD,
    data_preprocessor=PREPROCESSOR,
)


class Classifier(NamedTuple):
    """A classifier for the tests that those of all systems pass; images are 64 x 64."""

    config: dict
    # Modes of mmmlc.TenViews; none where it reads proposals, which views have not.
    views: tuple[str, ...] = ('features', 'images')
    regions: int = 0  # that it finds in an image
