# COCO 2017 with its boxes: the images of 2014, divided anew: 118,287 for training, 5,000 for
# validation.
_base_ = './coco14_boxes.py'

train_dataloader = dict(
    dataset=dict(
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img_path='val2017'),
    ),
)
test_dataloader = val_dataloader
