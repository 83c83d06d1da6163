"""Hooks for mmengine's runner that belong to no system."""

from .channels_last import ChannelsLastHook
from .checkpoint import CheckpointHook
from .class_weights import ClassWeightHook
from .divergence import DivergenceHook
from .exact_resume import ExactResumeHook
from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointHook',
    'ClassWeightHook',
    'DivergenceHook',
    'ExactResumeHook',
    'RegionPictureHook',
    'VocabularyHook',
]
