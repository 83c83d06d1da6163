# The moving average of the weights is what gets validated, saved and tested.
_base_ = '../default_runtime.py'

custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(
        type='mmengine.EMAHook',
        ema_type='mmengine.ExponentialMovingAverage',
        momentum=3e-4,
        update_buffers=True,
    ),
]
