"""Checkpoints are read as plain data, by every tool: hostile, damaged, old, and our own."""

from __future__ import annotations

import contextlib
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import mmengine.runner.checkpoint as mmengine_checkpoint
import numpy as np
import pytest
import torch
from helpers.examples import system_examples
from helpers.hostile import call_by_getattr, plain_call, write_hostile
from helpers.places import TOOLS as TOOL_FOLDER
from helpers.places import TOY_CONFIG
from helpers.small_data import write_for
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import CheckpointLoader, load_checkpoint

from mmmlc.engine.checkpoints import load_checkpoint_file, save_checkpoint_file, use_strict_loaders
from mmmlc.engine.launch import load_config

INIT = 'model.backbone.init_cfg'


# How each tool is given a checkpoint; a new tool with --trust needs a line here, or among the
# examples of its system.
TOOLS = {
    'resume': lambda config, file: ('train.py', config, '--no-validate', '--resume', file),
    'load_from': lambda config, file: (
        'train.py', config, '--no-validate', '--cfg-options', f'load_from={file}',
    ),
    'init_cfg': lambda config, file: (
        'train.py', config, '--no-validate', '--cfg-options', f'{INIT}.type=Pretrained',
        f'{INIT}.checkpoint={file}',
    ),
    'pretrained': lambda config, file: (
        'train.py', config, '--no-validate', '--cfg-options', f'model.pretrained={file}',
    ),
    'test': lambda config, file: ('test.py', config, file),
    'tune': lambda config, file: (
        'tune_thresholds.py', config, file, config.with_name('tuned.pth'), '--split', 'val',
    ),
    'svm': lambda config, file: (
        'svm_eval.py', config, file, '--out', config.with_name('svm'), '--folds', 2, '--jobs', 1,
    ),
    'export': lambda config, file: (
        'make_model.py', '--config', config, '--checkpoint', file, '--out',
        config.with_name('ready'), '--force',
    ),
}  # fmt: skip
OTHER_MODEL = set()  # tools for which the one here does not do
for module in system_examples():
    TOOLS |= getattr(module, 'CHECKPOINT_TOOLS', {})
    OTHER_MODEL |= getattr(module, 'OTHER_MODEL', set())
PAYLOADS = [plain_call, call_by_getattr]


def run_tool(monkeypatch, words) -> None:
    """Run a tool in this process, in the folder of its configuration."""
    name, *options = map(str, words)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', [name, *options])
    # Slow: asking compilers for the log, and formatting the config for log and checkpoint.
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    if name != 'make_model.py':  # which writes it
        monkeypatch.setattr('mmengine.config.Config.pretty_text', property(lambda cfg: ''))
    runpy.run_path(str(TOOL_FOLDER / name), run_name='__main__')


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    """The toy config on two images, with all that puts more into a checkpoint."""
    folder = tmp_path_factory.mktemp('config')
    cfg = load_config(TOY_CONFIG, work_dir=folder / 'work')
    write_for(cfg, folder / 'data')
    cfg.model.backbone.update(stem_channels=4, base_channels=4)
    cfg.model.head.in_channels = 16
    cfg.train_cfg.max_epochs = cfg.param_scheduler.total_steps = 2
    cfg.train_dataloader.batch_size = 2
    cfg.custom_hooks.append(dict(type='mmengine.EMAHook'))
    cfg.default_hooks.checkpoint.update(save_best='mAP', max_keep_ckpts=-1)
    cfg.dump(folder / 'config.py')
    return folder / 'config.py'


@pytest.fixture(scope='module')
def trained(config) -> Path:
    """A real training checkpoint after the first of two epochs."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_tool(monkeypatch, ('train.py', config, '--seed', 0))
    # Later runs in this folder write epochs of their own.
    return (config.parent / 'work/epoch_1.pth').rename(config.with_name('trained.pth'))


@pytest.mark.parametrize('payload', PAYLOADS)
def test_hostile_files_work_where_they_may(tmp_path, payload):
    """Or the tests below would prove nothing."""
    write_hostile(tmp_path / 'hostile.pth', tmp_path / 'mark', payload)
    with contextlib.suppress(Exception):
        mmengine_checkpoint.load_from_local(str(tmp_path / 'hostile.pth'), 'cpu')
    assert (tmp_path / 'mark').exists()


@pytest.mark.parametrize(
    ('tool', 'payload'), [*((tool, plain_call) for tool in TOOLS), ('test', call_by_getattr)]
)
def test_hostile_file_is_refused(monkeypatch, tmp_path, config, tool, payload):
    file, mark = tmp_path / 'hostile.pth', tmp_path / 'mark'
    write_hostile(file, mark, payload)
    wanted = {plain_call: r'posix\.mkdir', call_by_getattr: r'HistoryBuffer\.__init__'}[payload]
    with pytest.raises(
        ValueError, match=rf'hostile\.pth.* is refused: it asks for {wanted}.*--trust'
    ):
        run_tool(monkeypatch, TOOLS[tool](config, file))
    assert not mark.exists()
    assert not config.with_name('converted.pth').exists()


@pytest.mark.parametrize('tool', sorted(TOOLS.keys() - OTHER_MODEL))
def test_old_file_needs_trust(monkeypatch, tmp_path, config, trained, tool):
    checkpoint = torch.load(trained, weights_only=False)
    checkpoint['meta']['args'] = SimpleNamespace(lr=0.1)
    torch.save(checkpoint, tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='old.pth is refused: it asks for types.SimpleNamespace'):
        load_checkpoint_file(tmp_path / 'old.pth')
    words = TOOLS[tool](config, tmp_path / 'old.pth')
    # Converting gets as far as the keys.
    keys = pytest.raises(ValueError, match='its keys are those of mmmlc already')
    with keys if tool == 'convert' else contextlib.nullcontext():
        run_tool(monkeypatch, (*words, '--trust'))
    use_strict_loaders()


# They train, and read what they have written themselves.
OWN_FILES_ALONE = {'endurance.py', 'torture.py'}


def test_every_tool_that_loads_is_tested(tmp_path):
    loads = re.compile(r'(build_runner|load_checkpoint_file|convert_mcar_file)\(')
    tools = {path.name for path in TOOL_FOLDER.glob('*.py') if loads.search(path.read_text())}
    tools -= OWN_FILES_ALONE
    assert tools == {words(tmp_path / 'config.py', Path('file'))[0] for words in TOOLS.values()}


def test_config_inside_a_checkpoint_is_not_executed(monkeypatch, tmp_path, config, trained):
    checkpoint, mark = torch.load(trained, weights_only=False), tmp_path / 'mark'
    checkpoint['meta']['config'] = f'import os\nos.mkdir({str(mark)!r})\n'
    torch.save(checkpoint, tmp_path / 'text.pth')
    words = TOOLS['resume'](config, tmp_path / 'text.pth')
    run_tool(monkeypatch, words)
    assert not mark.exists()
    run_tool(monkeypatch, (*words, '--trust'))
    assert mark.exists()  # or the test would prove nothing
    use_strict_loaders()


def test_own_checkpoint_loads_whole_and_silently(monkeypatch, config, trained, capfd):
    expected = torch.load(trained, weights_only=False)
    loaded = load_checkpoint_file(trained)
    assert loaded.keys() == expected.keys() >= {'ema_state_dict', 'optimizer', 'param_schedulers'}
    assert loaded['meta'] == expected['meta']
    assert loaded['param_schedulers'] == expected['param_schedulers']
    for key, value in expected['ema_state_dict'].items():
        assert torch.equal(loaded['ema_state_dict'][key], value)
    scalars = expected['message_hub']['log_scalars']
    for key, value in scalars.items():
        history = loaded['message_hub']['log_scalars'][key]
        for ours, theirs in zip(history.data, value.data, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert any('loss' in key for key in scalars)
    # A name of its own: mmengine names loggers by the second, and a run that starts in the second
    # of the test before would write to that test's captured stream.
    words = (*TOOLS['resume'](config, trained), '--cfg-options', 'experiment_name=resumed')
    run_tool(monkeypatch, words)
    printed = ''.join(capfd.readouterr())
    assert 'resumed epoch: 1' in printed
    assert 'safely' not in printed and 'Falling back' not in printed


SCHEDULERS = [
    dict(type='OneCycleLR', eta_max=0.1, total_steps=9),
    dict(type='OneCycleLR', eta_max=0.1, total_steps=9, anneal_strategy='linear', three_phase=True),
    dict(type='MultiStepLR', milestones=[2, 3]),
    dict(type='StepLR', step_size=2),
    dict(type='CosineAnnealingLR', T_max=9),
    dict(type='CosineRestartLR', periods=[3, 6], restart_weights=[1, 0.5], eta_min=0),
    dict(type='LinearLR', end=4),
    dict(type='ConstantLR', factor=0.5),
    dict(type='ExponentialLR', gamma=0.9),
    dict(type='PolyLR', power=0.9),
    dict(type='ReduceOnPlateauLR', monitor='loss'),
    dict(type='CosineAnnealingMomentum', T_max=9),
]


@pytest.mark.parametrize('config', SCHEDULERS, ids=lambda config: config['type'])
def test_states_of_schedules(tmp_path, config):
    def build():
        parameter = torch.nn.Parameter(torch.ones(3))
        wrapper = OptimWrapper(torch.optim.AdamW([parameter], lr=0.1))
        scheduler = PARAM_SCHEDULERS.build(config, default_args=dict(optimizer=wrapper))
        wrapper.update_params(parameter.sum())
        scheduler.step(dict(loss=1.0)) if 'monitor' in config else scheduler.step()
        return wrapper, scheduler

    wrapper, scheduler = build()
    state = dict(scheduler=scheduler.state_dict(), optimizer=wrapper.state_dict())
    save_checkpoint_file(state, tmp_path / 'state.pth')
    loaded = load_checkpoint_file(tmp_path / 'state.pth')
    assert loaded['scheduler'] == state['scheduler']
    other_wrapper, other = build()
    other.load_state_dict(loaded['scheduler'])
    other_wrapper.load_state_dict(loaded['optimizer'])
    for one in (scheduler, other):
        one.step(dict(loss=1.0)) if 'monitor' in config else one.step()
    assert wrapper.get_lr() == other_wrapper.get_lr()
    assert wrapper.get_momentum() == other_wrapper.get_momentum()


@pytest.mark.parametrize('cut', [0, 1, 1000, -20_000, -20])
@pytest.mark.parametrize('zipped', [True, False])
def test_truncated_file(tmp_path, cut, zipped):
    path = tmp_path / 'cut.pth'
    state = dict(state_dict=dict(a=torch.zeros(100, 100)))
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert load_checkpoint_file(path)['state_dict']['a'].shape == (100, 100)
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    with pytest.raises(ValueError, match=r'cut\.pth cannot be read as a checkpoint: \w+: .'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('text', ['version https://git-lfs.github.com/spec/v1', '<html>', '\0\1'])
def test_no_checkpoint_at_all(tmp_path, text):
    (tmp_path / 'text.pth').write_text(text)
    with pytest.raises(ValueError, match=r'text\.pth cannot be read as a checkpoint'):
        load_checkpoint_file(tmp_path / 'text.pth')


def test_missing_file_and_other_content(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth: no such checkpoint'):
        load_checkpoint_file(tmp_path / 'none.pth')
    torch.save(torch.zeros(2), tmp_path / 'tensor.pth')
    with pytest.raises(ValueError, match='holds an object of type Tensor, expected a dict'):
        load_checkpoint_file(tmp_path / 'tensor.pth')
    torch.save(dict(meta=[1]), tmp_path / 'meta.pth')
    with pytest.raises(ValueError, match='meta is of type list, expected a dict'):
        load_checkpoint_file(tmp_path / 'meta.pth')


def test_numbers_written_by_either_numpy(tmp_path):
    values = dict(score=np.float64(3.5), best=np.float32(0.5), array=np.arange(3), flag=np.bool_(1))
    path = tmp_path / 'old.pth'
    torch.save(values, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for module in (b'numpy.core.multiarray', b'numpy._core.multiarray'):
        path.write_bytes(content.replace(b'numpy._core.multiarray', module))
        loaded = load_checkpoint_file(path)
        assert loaded['score'] == 3.5 and loaded['best'] == 0.5 and loaded['flag']
        assert loaded['array'].tolist() == [0, 1, 2]


def test_what_the_user_allows(tmp_path):
    """Counts here too, and stays as it was; getattr doesn't, whoever has allowed it."""
    torch.save(dict(a=SimpleNamespace(b=1)), tmp_path / 'own.pth')
    write_hostile(tmp_path / 'hostile.pth', tmp_path / 'mark', call_by_getattr)
    before = [*torch.serialization.get_safe_globals()]  # torch 2.4 gives the list itself
    torch.serialization.add_safe_globals([SimpleNamespace, getattr])
    try:
        assert load_checkpoint_file(tmp_path / 'own.pth')['a'].b == 1
        with pytest.raises(ValueError, match='is refused'):
            load_checkpoint_file(tmp_path / 'hostile.pth')
        assert set(torch.serialization.get_safe_globals()) == {*before, SimpleNamespace, getattr}
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
    with pytest.raises(ValueError, match='SimpleNamespace'):
        load_checkpoint_file(tmp_path / 'own.pth')


ADDRESSES = [
    'https://example.org/files/{}',
    'torchvision://{}',
    'modelzoo://{}',
    'openmmlab://{}',
    'open-mmlab://{}',
    'mmcls://{}',
    's3://bucket/{}',
    'petrel://bucket/{}',
    'cluster:s3://bucket/{}',
]


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Every address leads to a file of ``tmp_path``."""
    import mmmlc.engine.addresses as addresses

    def zoo() -> dict[str, str]:
        return {path.name: f'https://example.org/{path.name}' for path in tmp_path.glob('*.pth')}

    for name in ('torchvision', 'external', 'mmcls'):
        monkeypatch.setattr(addresses, f'get_{name}_models', zoo)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(
        torch.hub,
        'download_url_to_file',
        lambda url, path, digits, progress: Path(path).write_bytes(
            (tmp_path / Path(url).name).read_bytes()
        ),
    )
    monkeypatch.setattr(
        addresses.fileio, 'get', lambda url, backend_args: (tmp_path / Path(url).name).read_bytes()
    )


@pytest.mark.parametrize('address', ADDRESSES)
def test_addresses(no_network, tmp_path, address):
    use_strict_loaders()
    model = torch.nn.Linear(2, 1)
    state = {f'backbone.{k}' if 'mmcls' in address else k: v for k, v in model.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'good.pth')
    other = torch.nn.Linear(2, 1)
    load_checkpoint(other, address.format('good.pth'), strict=True)
    assert torch.equal(other.weight, model.weight)
    write_hostile(tmp_path / 'hostile.pth', tmp_path / 'mark', plain_call)
    with pytest.raises(ValueError, match='is refused: it asks for posix.mkdir'):
        CheckpointLoader.load_checkpoint(address.format('hostile.pth'), 'cpu')
    assert not (tmp_path / 'mark').exists()


def test_addresses_that_lead_nowhere(no_network, monkeypatch):
    with pytest.raises(ValueError, match="torchvision:// knows no model 'resnet1'"):
        load_checkpoint_file('torchvision://resnet1')
    with pytest.raises(ValueError, match='pavi:// is not supported'):
        load_checkpoint_file('pavi://model')
    with pytest.raises(OSError, match='https://example.org/a.pth cannot be downloaded'):
        load_checkpoint_file('https://example.org/a.pth')


def test_every_scheme_of_mmengine_is_replaced():
    use_strict_loaders()
    loaders = {loader.__module__ for loader in CheckpointLoader._schemes.values()}
    assert loaders == {'mmmlc.engine.checkpoints'}


def test_interrupted_saving_leaves_the_old_file(tmp_path):
    path = tmp_path / 'folder' / 'a.pth'
    save_checkpoint_file(dict(a=1), path)
    with pytest.raises(Exception, match='pickle|local object'):
        save_checkpoint_file(dict(a=lambda: 0), path)
    assert load_checkpoint_file(path) == dict(a=1)
    assert [p.name for p in path.parent.iterdir()] == ['a.pth']
