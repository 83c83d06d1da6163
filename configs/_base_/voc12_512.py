# PASCAL VOC 2012: 11,540 trainval and 10,991 test images, 20 classes. The labels of the test images
# are hidden: testing writes the files for the evaluation server. Nothing is left for validation, so
# a config of this data also sets val_cfg = None.
_base_ = './voc07_512.py'

data_root = 'data/VOCdevkit/VOC2012'

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = None
test_dataloader = dict(dataset=dict(data_root=data_root, with_labels=False))

val_evaluator = None
test_evaluator = dict(
    _delete_=True,
    type='mmmlc.VOCServerFiles',
    out_dir='work_dirs/voc12_server',
    comp='comp1',
    num_images=10991,
)
