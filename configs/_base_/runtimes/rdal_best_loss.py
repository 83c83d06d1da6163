# Keeps the checkpoint with the lowest validation loss beside the last.
_base_ = '../default_runtime.py'

default_hooks = dict(checkpoint=dict(save_best='loss', rule='less'))
