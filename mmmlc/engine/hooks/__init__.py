"""Hooks for mmengine's runner that belong to no system."""

from .channels_last import ChannelsLastHook
from .class_weights import ClassWeightHook
from .exact_resume import ExactResumeHook
from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = [
    'ChannelsLastHook',
    'ClassWeightHook',
    'ExactResumeHook',
    'RegionPictureHook',
    'VocabularyHook',
]
