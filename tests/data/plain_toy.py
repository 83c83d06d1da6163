# A plain classifier on ToyScenes with a one-cycle schedule, for tests that no system owns.
_base_ = '../../configs/modern/modern_r18_toy.py'

model = dict(head=dict(loss=dict(_delete_=True, type='mmmlc.MultiLabelBCELoss')))
custom_hooks = [dict(type='mmmlc.VocabularyHook'), dict(type='mmmlc.ChannelsLastHook')]

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='mmengine.SGD', lr=0.5, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(_delete_=True),
)
param_scheduler = dict(
    _delete_=True,
    type='mmengine.OneCycleLR',
    eta_max=0.5,
    total_steps=5,  # epochs; as many as max_epochs
    by_epoch=True,
    convert_to_iter_based=True,
)
