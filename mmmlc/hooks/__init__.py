"""Hooks for mmengine's runner."""

from .channels_last import ChannelsLastHook
from .class_weights import ClassWeightHook
from .distillation import TeacherHook
from .part_mining import PartMiningHook
from .part_pictures import PartPictureHook
from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = [
    'ChannelsLastHook',
    'ClassWeightHook',
    'PartMiningHook',
    'PartPictureHook',
    'RegionPictureHook',
    'TeacherHook',
    'VocabularyHook',
]
