"""Hooks for mmengine's runner."""

from .channels_last import ChannelsLastHook
from .class_weights import ClassWeightHook
from .distillation import TeacherHook
from .part_mining import PartMiningHook
from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = [
    'ChannelsLastHook',
    'ClassWeightHook',
    'PartMiningHook',
    'RegionPictureHook',
    'TeacherHook',
    'VocabularyHook',
]
