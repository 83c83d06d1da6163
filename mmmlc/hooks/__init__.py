"""Hooks for mmengine's runner."""

from .channels_last import ChannelsLastHook
from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = ['ChannelsLastHook', 'RegionPictureHook', 'VocabularyHook']
