"""Hooks for mmengine's runner that belong to no system."""

from .channels_last import ChannelsLastHook
from .checkpoint import CheckpointHook
from .class_weights import ClassWeightHook
from .divergence import DivergenceHook
from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointHook',
    'ClassWeightHook',
    'DivergenceHook',
    'RegionPictureHook',
    'VocabularyHook',
]
