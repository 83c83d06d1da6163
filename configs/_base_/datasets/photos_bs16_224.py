# CocoPhotos at 224 x 224 with crops and flips, batches of 16.
_base_ = ['./coco_photos.py', '../pipelines/photos_resizedcrop224.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
