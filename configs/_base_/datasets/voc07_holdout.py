# PASCAL VOC 2007, labels without boxes. The last 500 of the 5,011 trainval images are the
# validation images: the papers do not say on which images their validation loss is, and on the test
# images it would be a choice by the test.
num_classes = 20
data_root = 'data/VOCdevkit/VOC2007'

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.VOC',
        data_root=data_root,
        split='trainval',
        difficult='positive',  # as MCAR's authors train; AP ignores them
        indices=4511,
        with_boxes=False,
    ),
)
val_dataloader = dict(
    batch_size=16,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.VOC',
        data_root=data_root,
        split='trainval',
        indices=-500,
        with_boxes=False,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.VOC', data_root=data_root, split='test', with_boxes=False, test_mode=True
    ),
)

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
