"""The system's parts, see helpers/examples.py."""

from __future__ import annotations

from helpers.small_models import PLAIN, C, Classifier

HEAD = dict(type='mmmlc.SmoothMaxHead', num_classes=C, in_channels=32)
MODELS = [HEAD, dict(type='mmmlc.PairRankingLoss')]
CLASSIFIERS = dict(smooth_max=Classifier(PLAIN | dict(head=HEAD)))
