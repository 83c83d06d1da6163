# PASCAL VOC 2012: 11,540 trainval and 10,991 test images, 20 classes. The labels of the test images
# are hidden: testing writes the files for the evaluation server. Nothing is left for validation, so
# a config of this data also sets val_cfg = None.
num_classes = 20
data_root = 'data/VOCdevkit/VOC2012'

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
    ),
)
val_dataloader = None
test_dataloader = dict(
    batch_size=16,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.VOC', data_root=data_root, split='test', with_labels=False, test_mode=True
    ),
)

val_evaluator = None
test_evaluator = dict(
    type='mmmlc.VOCServerFiles',
    out_dir='work_dirs/voc12_server',
    comp='comp1',
    num_images=10991,
)
