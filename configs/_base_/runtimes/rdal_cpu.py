# On two CPU cores; keeps the checkpoint with the lowest validation loss beside the last.
_base_ = '../default_runtime.py'

custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]
default_hooks = dict(checkpoint=dict(save_best='loss', rule='less'))
