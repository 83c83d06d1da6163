"""The channels-last format in two processes: gradients are those of one process with both batches.

The cases run in one pair of processes, without mmpretrain, so that they are there soon.
"""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import EMAHook
from mmengine.model import MMDistributedDataParallel, MMSeparateDistributedDataParallel
from mmengine.model.wrappers import MMFullyShardedDataParallel
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner.priority import get_priority
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from torch.profiler import profile

from mmmlc.engine.hooks.channels_last import ChannelsLastHook

STEPS = 3
PLAIN = dict(broadcast_buffers=False)
OPTIONS = {
    'plain': PLAIN,
    'unused': PLAIN | dict(find_unused_parameters=True),
    'views': PLAIN | dict(gradient_as_bucket_view=True),
    'static': PLAIN | dict(static_graph=True),
    'small buckets': PLAIN | dict(bucket_cap_mb=0.001, find_unused_parameters=True),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(first, second)


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(size, generator=generator) for size in ((4, 3, 16, 16), (4, 4)))


def convert(model: nn.Module) -> None:
    ChannelsLastHook().before_run(SimpleNamespace(model=model))


def convert_twice(model: nn.Module) -> None:
    convert(model)
    model.to(memory_format=torch.contiguous_format)
    convert(model)
    convert(model)  # and once where nothing changes


def convert_alone(model: nn.Module) -> None:
    """What plain torch offers, and the hook once did."""
    model.to(memory_format=torch.channels_last)


def gradients(call, model: nn.Module, rows: slice) -> list[list[Tensor]]:
    """Of every weight in every step of plain gradient descent."""
    images, targets = data()
    found = []
    for _ in range(STEPS):
        model.zero_grad()
        (call(images[rows]) - targets[rows]).square().mean().backward()
        found.append([p.grad.clone() for p in model.parameters()])
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
    return found


def worst(found: list[list[Tensor]]) -> list[float]:
    """The largest relative error of a weight's gradient, of each step."""
    expected = gradients(alone := network(), alone, slice(None))
    return [
        max(float((a - b).norm() / a.norm()) for a, b in zip(*pair, strict=True))
        for pair in zip(expected, found, strict=True)
    ]


def errors(name: str, rank: int, change) -> list[float]:
    model, rows = network(), slice(rank, None, 2)
    if name == 'separate':
        MMSeparateDistributedDataParallel(model)
        change(model)
        return worst(gradients(model, model, rows))
    wrapped = MMDistributedDataParallel(model, **OPTIONS.get(name, PLAIN))
    change(wrapped)
    call = torch.compile(wrapped, backend='eager') if name == 'compiled' else wrapped
    return worst(gradients(call, model, rows))


def frozen_is_converted() -> bool:
    model = network()
    model[0][0].requires_grad_(False)
    convert(MMDistributedDataParallel(model, **PLAIN))
    return has_format(model[0][0])


def has_format(layer: nn.Conv2d) -> bool:
    return layer.weight.is_contiguous(memory_format=torch.channels_last)


def reductions(rank: int) -> int:
    """How often a step exchanges gradients: with a reducer of before it would be twice."""
    wrapped = MMDistributedDataParallel(network(), **PLAIN)
    convert_twice(wrapped)
    images, targets = data()
    with profile() as events:
        (wrapped(images[rank::2]) - targets[rank::2]).square().mean().backward()
    return sum(event.name == 'c10d::allreduce_' for event in events.events())


def average_has_the_format() -> bool:
    wrapped = MMDistributedDataParallel(network(), **PLAIN)
    hooks = sorted([EMAHook(), ChannelsLastHook()], key=lambda h: get_priority(h.priority))
    for hook in hooks:
        hook.before_run(SimpleNamespace(model=wrapped))
    average = next(h for h in hooks if isinstance(h, EMAHook)).ema_model.module
    return has_format(average[0][0])


def refusal(wrapped: nn.Module) -> str:
    before = [p.stride() for p in wrapped.parameters()]
    with pytest.raises(ValueError, match='take the hook out of custom_hooks') as caught:
        convert(wrapped)
    assert [p.stride() for p in wrapped.parameters()] == before
    return str(caught.value)


def refusals() -> dict[str, str]:
    hooked = MMDistributedDataParallel(network(), **PLAIN)
    hooked.register_comm_hook(None, fp16_compress_hook)
    sharded = MMFullyShardedDataParallel(network(), device_id=torch.device('cpu'))
    group = MMDistributedDataParallel(network(), process_group=dist.new_group([0, 1]), **PLAIN)
    found = dict(hooked=hooked, sharded=sharded, group=group)
    return {name: refusal(model) for name, model in found.items()}


def in_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    warnings.simplefilter('ignore')
    found = {name: errors(name, rank, convert) for name in (*OPTIONS, 'separate', 'compiled')}
    found['twice'] = errors('unused', rank, convert_twice)
    found |= {f'{name} alone': errors(name, rank, convert_alone) for name in ('plain', 'unused')}
    found |= dict(reductions=reductions(rank), average=average_has_the_format())
    found['frozen'] = frozen_is_converted()
    torch.save(found | refusals(), f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def found(tmp_path_factory) -> list[dict]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp('two')
    torch.multiprocessing.spawn(in_process, (str(folder),), nprocs=2)
    return [torch.load(folder / f'{rank}.pt') for rank in range(2)]


@pytest.mark.parametrize('case', [*OPTIONS, 'separate', 'compiled', 'twice'])
def test_gradients_are_those_of_one_process(found, case):
    for rank in found:
        assert max(rank[case]) < 1e-5


def test_frozen_layers_are_converted_too(found):
    assert all(rank['frozen'] for rank in found)


def test_torch_alone_gets_them_wrong(found):
    """Why the hook does more than to convert; torch could do away with it by erring no more."""
    for rank in found:
        assert rank['plain alone'][0] > 0.5
        assert min(rank['unused alone']) > 0.5


def test_gradients_are_exchanged_once(found):
    assert [rank['reductions'] for rank in found] == [1, 1]


def test_the_moving_average_has_the_format_too(found):
    assert all(rank['average'] for rank in found)


def test_what_cannot_be_laid_out_anew_is_refused(found):
    for rank in found:
        assert 'wrapped by MMFullyShardedDataParallel, which has laid out' in rank['sharded']
        assert 'DistributedDataParallel has a communication hook, and cannot' in rank['hooked']
        assert 'DistributedDataParallel has a process group of its own' in rank['group']


def test_other_wrappers_are_refused():
    class Engine:
        """Like DeepSpeed's, no module."""

        def parameters(self):
            return iter(())

    MODEL_WRAPPERS.register_module(module=Engine)
    try:
        assert 'wrapped by Engine' in refusal(Engine())
    finally:
        del MODEL_WRAPPERS.module_dict['Engine']
