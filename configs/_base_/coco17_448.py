# COCO 2017: the images of 2014, divided anew: 118,287 for training, 5,000 for validation; 117,266
# and 4,952 have labels.
_base_ = './coco14_448.py'

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
