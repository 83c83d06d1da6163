"""RDAL's parts, see helpers/examples.py."""

from __future__ import annotations

from helpers.small_models import PLAIN, C, Classifier

NECK = dict(
    type='mmmlc.RecurrentAttention',
    in_channels=32,
    num_classes=C,
    num_regions=2,
    sampled_size=4,
    feature_width=6,
    hidden_width=5,
    localisation='xavier',
)
HEAD = dict(type='mmmlc.RecurrentAttentionHead', num_classes=C)
RDAL = PLAIN | dict(neck=NECK, head=HEAD)
PROPOSALS = RDAL | dict(type='mmmlc.ProposalClassifier', neck=NECK | dict(localisation='given'))
CONSTRAINTS = dict(type='mmmlc.RegionConstraintLoss')
MODELS = [
    NECK,
    HEAD | dict(constraints=CONSTRAINTS),
    PROPOSALS,
    dict(type='mmmlc.EuclideanSoftmaxLoss'),
    CONSTRAINTS,
]
CLASSIFIERS = dict(rdal=Classifier(RDAL, regions=2), rdal_proposals=Classifier(PROPOSALS, views=()))
