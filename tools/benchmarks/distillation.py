"""KD-WSD, in one run: training steps of the teacher and of the distillation.

The teacher's step on a batch is compared with a loop over its images, a distillation step with a
student's step and a teacher's forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmmlc.systems.kd_wsd.wsddn import WSDDN

from .timing import median_ratio

IMAGES, SIZE, TEACHER_SIZE, CLASSES, PROPOSALS = 8, 224, 448, 20, 500
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
TRAINED_SIZE = 480  # of the teacher in its own training
BACKBONE = dict(type='mmpretrain.ResNet', depth=18, strides=(1, 2, 2, 1))
PREPROCESSOR = dict(type='mmpretrain.ClsDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3)
STUDENT = dict(
    type='mmpretrain.ImageClassifier',
    backbone=BACKBONE,
    head=dict(type='mmmlc.MultiLabelConvHead', num_classes=CLASSES, in_channels=512),
    data_preprocessor=PREPROCESSOR,
)
STAGES = {
    'stage1': dict(
        losses=dict(
            features=dict(
                type='mmmlc.RoIFeatureLoss',
                student_channels=512,
                teacher_channels=512,
                weight=1e-3,
            )
        ),
        update='backbone',
        label_weight=0.0,
    ),
    'stage2': dict(
        losses=dict(
            predictions=dict(
                type='mmmlc.ClassAwareLoss', num_classes=CLASSES, num_proposals=PROPOSALS
            )
        )
    ),
}


def run() -> Iterator[dict]:
    """Yield the teacher's figures and one for each stage."""
    name = torch.cuda.get_device_name() if DEVICE == 'cuda' else 'cpu'
    torch.manual_seed(0)
    ratio, difference = teacher_ratio()
    reach = '>= 2' if DEVICE == 'cuda' else '>= 1'
    figure = 'distillation.teacher_loop_over_batch'
    yield dict(figure=figure, value=ratio, reach=reach, device=name)
    figure = 'distillation.teacher_relative_difference_of_losses'
    yield dict(figure=figure, value=difference, reach='<= 1e-4', device=name)
    for stage, options in STAGES.items():
        torch.manual_seed(0)
        figure = f'distillation.{stage}_over_student_and_teacher'
        yield dict(figure=figure, value=step_ratio(options), reach='<= 1.15', device=name)


def teacher_ratio() -> tuple[float, float]:
    """Time of a step that loops over the images over that of one on the batch, and loss difference.

    Batch statistics stay out of it, or the two would not compute the same.
    """
    teacher = _teacher(dict(BACKBONE, norm_eval=True), width=None).train().to(DEVICE)
    optimizer = OptimWrapper(torch.optim.SGD(teacher.parameters(), 1e-6))
    batch = _batch(TRAINED_SIZE)

    def step(parts: int) -> float:
        """Gradients of all parts are added up before the weights move; returns the loss."""
        data = teacher.data_preprocessor(batch, True)
        images, samples, total = data['inputs'], data['data_samples'], 0
        size = IMAGES // parts
        for start in range(0, IMAGES, size):
            some = slice(start, start + size)
            loss = teacher.loss(images[some], samples[some])['loss_image'] / parts
            loss.backward()
            total += loss.detach()
        optimizer.step()
        optimizer.zero_grad()
        return float(total)

    looped, batched = step(IMAGES), step(1)
    ratio = median_ratio(lambda: step(IMAGES), lambda: step(1), repeats=5)
    return ratio, abs(looped - batched) / batched


def step_ratio(options: dict) -> float:
    """Time of a training step with the teacher over those of student and teacher by themselves."""
    student = MODELS.build(STUDENT).to(DEVICE).train()
    distiller = MODELS.build(
        dict(type='mmmlc.Distiller', student=STUDENT, student_size=SIZE, **options)
    )
    distiller.to(DEVICE).train()
    teacher = _teacher(BACKBONE, width=1024)
    distiller.set_teacher(teacher)
    optimizers = [OptimWrapper(torch.optim.SGD(m.parameters(), 1e-6)) for m in (student, distiller)]
    small, large = _batch(SIZE), _batch(TEACHER_SIZE)

    @torch.no_grad()
    def ask() -> None:
        data = distiller.data_preprocessor(large, True)
        teacher.regions(data['inputs'], data['data_samples'])

    return median_ratio(
        lambda: distiller.train_step(large, optimizers[1]),
        lambda: (student.train_step(small, optimizers[0]), ask()),
        repeats=5,
    )


def _teacher(backbone: dict, width: int | None) -> WSDDN:
    head = dict(type='mmmlc.WSDDNHead', num_classes=CLASSES, in_channels=512, width=width)
    model = dict(
        type='mmmlc.WSDDN', backbone=backbone, head=head, data_preprocessor=dict(PREPROCESSOR)
    )
    return MODELS.build(model)


def _batch(size: int) -> dict:
    samples = []
    for _ in range(IMAGES):
        corners = torch.rand(PROPOSALS, 2, 2).sort(dim=1).values
        sample = DataSample(metainfo=dict(img_shape=(size, size)))
        sample.set_gt_label([0, 1])
        sample.set_field(corners.flatten(1), 'proposals')
        sample.set_field(torch.rand(PROPOSALS), 'proposal_scores')
        sample.set_field(torch.ones(PROPOSALS, dtype=torch.bool), 'proposal_valid')
        samples.append(sample)
    images = torch.randint(256, (IMAGES, 3, size, size), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)
