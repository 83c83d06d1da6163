# Types keep their scope, so that these files also work under another default scope.
default_scope = 'mmpretrain'

default_hooks = dict(
    timer=dict(type='mmengine.IterTimerHook'),
    logger=dict(type='mmengine.LoggerHook', interval=50),
    param_scheduler=dict(type='mmengine.ParamSchedulerHook'),
    # The last epoch is the result. Picking the best one would select on the test set.
    checkpoint=dict(type='mmengine.CheckpointHook', interval=1, max_keep_ckpts=1),
    sampler_seed=dict(type='mmengine.DistSamplerSeedHook'),
    exact_resume=dict(type='mmmlc.ExactResumeHook'),
)
custom_hooks = [dict(type='mmmlc.VocabularyHook')]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
visualizer = dict(type='mmengine.Visualizer', vis_backends=[dict(type='mmengine.LocalVisBackend')])
log_level = 'INFO'
randomness = dict(seed=None, deterministic=False)
load_from = None
resume = False
