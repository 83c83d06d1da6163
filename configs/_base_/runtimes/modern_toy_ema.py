# Minutes on two CPU cores; the moving average of the weights is what gets validated and saved.
_base_ = '../default_runtime.py'

custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(type='mmmlc.ChannelsLastHook'),
    dict(
        type='mmengine.EMAHook',
        ema_type='mmengine.ExponentialMovingAverage',
        momentum=0.02,  # over 63 steps an epoch
        update_buffers=True,
    ),
]
