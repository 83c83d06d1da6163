# Mines part detectors before the training.
_base_ = '../default_runtime.py'

custom_hooks = [
    dict(type='mmmlc.VocabularyHook'),
    dict(
        type='mmmlc.PartMiningHook',
        clusters=(2000, 1000, 400, 200),
        locations=100_000,
        min_size=10,
    ),
]
