"""The sweep tool: resuming, change detection, failures and kills, and the numbers of its tables."""

from __future__ import annotations

import doctest
import json
import os
import runpy
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from helpers.optional import needs_mmdet
from helpers.small_data import write_for
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmmlc.evaluation.bootstrap import compare
from mmmlc.evaluation.prediction_files import read_predictions
from mmmlc.registry import MODELS

sys.path.append(str(next(p for p in Path(__file__).parents if (p / 'setup.py').exists()) / 'tools'))

from sweeps.jobs import JobBusy, JobFailed, child_environment, run_job, run_jobs
from sweeps.plan import plan, with_needs
from sweeps.report import agreeing_pairs, render, results_of, spread_text, write_report
from sweeps.sweep_file import read_sweep

ROOT = Path(sys.path[-1]).parent

# Trains and tests in milliseconds: the checkpoint holds config.score of the seed, a test adds
# config.bonus to it. Every call leaves a line in calls.txt.
FAKE = """
import json, os, runpy, sys, time
kind, config, *rest = sys.argv[1:]
work = rest[rest.index('--work-dir') + 1]
cfg = runpy.run_path(config)
seed = cfg['randomness']['seed']
with open('calls.txt', 'a') as file:
    file.write(f'{kind} {work}\\n')
os.makedirs(work)
if kind == 'train':
    if cfg['hang']:
        with open('hanging.part', 'w') as file:
            file.write(str(os.getpid()))
        os.rename('hanging.part', 'hanging.txt')
        time.sleep(60)
    if cfg['fail']:
        print('line before')
        sys.exit('out of cheese')
    with open(work + '/epoch_1.pth', 'w') as file:
        file.write(str(cfg['score'][seed]))
    with open(work + '/last_checkpoint', 'w') as file:
        file.write(os.path.abspath(work + '/epoch_1.pth'))
else:
    os.makedirs(work + '/now')
    score = float(open(rest[0]).read()) + cfg['bonus']
    with open(work + '/now/now.json', 'w') as file:
        json.dump(dict(mAP=score, OF1=float('nan'), time=1.0, data_time=2.0), file)
    if '--out' in rest and not cfg['forgets']:
        import numpy as np
        from mmmlc.evaluation.prediction_files import Predictions, write_predictions
        out = rest[rest.index('--out') + 1]
        os.makedirs(out)
        with open(out + '/summary.json', 'w') as file:
            json.dump(dict(mAP=-1.0), file)
        rng = np.random.default_rng(0)
        truth = rng.random((30, 2)) < 0.5
        noise = rng.normal(size=(30, 2)) + np.random.default_rng(seed).normal(size=(30, 2))
        names = [np.arange(n).astype(str) for n in truth.shape]
        scores, none = score * truth + noise, np.zeros_like(truth)
        file = Predictions(*names, scores, truth, none, ~none, scores > 1)
        write_predictions(out + '/predictions.npz', file)
"""

CONFIG = """
score = [1.0, 2.0, 6.0]
bonus = 0.0
hang = fail = forgets = False
start = None
train_cfg = dict(by_epoch=True, max_epochs=5)
param_scheduler = dict(type='mmengine.OneCycleLR', total_steps=5)
test_dataloader = dict(dataset=dict(data_root='data', ann_file='val.json'))
randomness = dict(seed=None)
"""

SWEEP = """
title: A sweep
metrics: [mAP]
train_command: '{python} fake.py train {config}'
test_command: '{python} fake.py test {config} {checkpoint}'
defaults: {config: config.py, seeds: [0, 1]}
"""


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / 'fake.py').write_text(FAKE)
    (tmp_path / 'config.py').write_text(CONFIG)
    return tmp_path


def write_sweep(project: Path, rest: str):
    path = project / 'toy.yaml'
    path.write_text(SWEEP + rest)
    sweep = read_sweep(path)
    return sweep, plan(sweep, project)


def calls(project: Path) -> list[str]:
    """What has been called since the last time, as 'train a/seed0'."""
    path = project / 'calls.txt'
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    words = [line.split() for line in lines]
    return [f'{kind} {"/".join(Path(work).parts[-3:-1])}' for kind, work in words]


RUNS = """
runs:
  - {name: a}
  - {name: b, overrides: {score: [4.0, 2.0, 7.5]}}
  - {name: c, test_of: a, overrides: {bonus: 0.5}, seeds: [0]}
"""


def test_numbers_of_the_table(project):
    sweep, jobs = write_sweep(
        project,
        RUNS.replace('{name: a}', '{name: a, seeds: [0, 1, 2]}').replace(
            '{name: b,', '{name: b, seeds: [0, 1, 2],'
        )
        + """
tables:
  - title: T
    rows: {A: a, B: b, C: c}
    difference_to: a
    published: {paper: {A: 10.5, B: 30, C: 20}}
""",
    )
    assert run_jobs(jobs, project).complete
    results = results_of(sweep, jobs)
    # a: 1, 2, 6: mean 3, squared deviations 4 + 1 + 9 = 14, / 2 = 7.
    # b - a: 3, 0, 1.5: mean 1.5, squared deviations 2.25 * 2 = 4.5, / 2 = 2.25.
    data = results['runs']
    assert data['a']['mean']['mAP'] == 3 and data['a']['deviation']['mAP'] == pytest.approx(7**0.5)
    assert data['c']['mean']['mAP'] == 1.5 and data['c']['deviation']['mAP'] is None
    assert data['a']['seeds']['0']['metrics'] == {'mAP': 1.0, 'OF1': None}

    text = render(sweep, results_of(sweep, jobs))
    assert '| A | 3.0 ± 2.6 |  | 10.5 | 5 | 3 seeds |' in text
    assert '| B | 4.5 ± 2.8 | +1.5 ± 1.5 | 30 | 5 | 3 seeds |' in text
    # The difference is to seed 0 of a alone, not to its mean of 3.
    assert '| C | 1.5 | +0.5 (1 seed) | 20 | 5 | 1 seed |' in text
    assert 'Here: C < A < B. paper: A < C < B; 2 of 3 pairs stand so here.' in text
    assert 'data/val.json' in text and 'Not finished' not in text


def test_report_is_made_without_running(project):
    sweep, jobs = write_sweep(project, RUNS)
    text = render(sweep, results_of(sweep, jobs))
    assert 'No run has finished yet.' in text and 'Not finished: a seed 0, a seed 1' in text
    run_jobs(with_needs(jobs, ['c']), project)
    assert calls(project) == ['train a/seed0', 'test c/seed0']
    for path in write_report(sweep, results_of(sweep, jobs), project):
        assert path.parent == project and path.stem == 'toy'
    assert '| c | 1.5 | 5 | 1 seed |' in (project / 'toy.md').read_text()
    assert json.loads((project / 'toy.json').read_text())['runs']['c']['mean']['mAP'] == 1.5
    assert calls(project) == []


def test_finished_jobs_are_not_run_again(project):
    _, jobs = write_sweep(project, RUNS)
    run_jobs(jobs, project)
    assert len(calls(project)) == 4 + 5  # c only tests
    _, jobs = write_sweep(project, RUNS)
    assert run_jobs(jobs, project).done == [] and calls(project) == []
    (project / 'work_dirs/sweeps/toy/b/seed1/test.json').unlink()
    run_jobs(jobs, project)
    assert calls(project) == ['test b/seed1']
    (project / 'work_dirs/sweeps/toy/b/seed1/train.json').unlink()
    run_jobs(jobs, project)
    assert calls(project) == ['train b/seed1']  # the same training, whose test is there


def test_results_move_with_their_folder(project):
    runs = """
runs:
  - {name: first, seeds: [0]}
  - {name: second, overrides: {start: '{work_dir:first}/epoch_1.pth'}, seeds: [0]}
  - {name: bonus, test_of: second, overrides: {bonus: 0.5}}
"""
    _, jobs = write_sweep(project, runs)
    run_jobs(with_needs(jobs, ['second']), project)
    calls(project)
    moved = project.rename(project.with_name(f'{project.name}-moved'))
    jobs = plan(read_sweep(moved / 'toy.yaml'), moved)
    assert [job.name for job in jobs if job.record() is None] == [
        'first seed 0 test',
        'bonus seed 0 test',
    ]
    assert run_jobs(jobs, moved).complete  # with the checkpoints of the new place
    assert calls(moved) == ['test first/seed0', 'test bonus/seed0']


def test_changed_config_is_never_reused(project):
    _, jobs = write_sweep(project, RUNS)
    run_jobs(jobs, project)
    calls(project)
    (project / 'config.py').write_text(CONFIG.replace('[1.0, 2.0, 6.0]', '[9.0, 9.0, 9.0]'))
    sweep, jobs = write_sweep(project, RUNS)
    # b overrides the score, so that the change does not reach it.
    states = {job.run.name: job.state() for job in jobs}
    assert states == {'a': 'changed', 'b': 'finished', 'c': 'changed'}
    assert '| a | - |  | 0 of 2 seeds |' in render(sweep, results_of(sweep, jobs))
    old = jobs[0].any_record()['fingerprint'][:8]
    run_jobs(jobs, project)
    assert len(calls(project)) == 5
    assert results_of(sweep, jobs)['runs']['c']['mean']['mAP'] == 9.5
    aside = project / f'work_dirs/sweeps/toy/a/seed0-{old}'
    assert (aside / 'train/epoch_1.pth').read_text() == '1.0'


B_JOBS = [f'{kind} b/seed{seed}' for seed in range(2) for kind in ('train', 'test')]
TESTS = [f'test {run}/seed{seed}' for run in 'ab' for seed in range(2)] + ['test c/seed0']


@pytest.mark.parametrize(
    ('old', 'new', 'due'),
    [
        ('{bonus: 0.5}', '{bonus: 0.6}', ['test c/seed0']),
        ('{name: b,', '{name: b, epochs: 3,', B_JOBS),
        ('fake.py test', './fake.py test', TESTS),
        ('metrics: [mAP]', 'metrics: [OF1]', []),
    ],
    ids=['override', 'epochs', 'command', 'metrics'],
)
def test_what_makes_a_job_due(project, old, new, due):
    _, jobs = write_sweep(project, RUNS)
    run_jobs(jobs, project)
    calls(project)
    path = project / 'toy.yaml'
    path.write_text(path.read_text().replace(old, new))
    run_jobs(plan(read_sweep(path), project), project)
    assert calls(project) == due


def test_failure_stops_only_what_needs_it(project):
    runs = RUNS.replace('{name: a}', '{name: a, seeds: [0], overrides: {fail: true}}')
    sweep, jobs = write_sweep(project, runs)
    outcome = run_jobs(jobs, project)
    assert not outcome.complete and len(outcome.done) == 4
    (message,) = outcome.failed
    assert message.startswith('a seed 0 train failed with status 1')
    assert message.endswith('line before\nout of cheese')
    assert outcome.blocked == [
        'a seed 0 test waits for a seed 0 train',
        'c seed 0 test waits for a seed 0 train',
    ]
    assert 'Not finished: a seed 0, c seed 0.' in render(sweep, results_of(sweep, jobs))
    calls(project)
    run_jobs(jobs, project)
    assert calls(project) == ['train a/seed0']  # a failure is tried again


def test_command_that_does_not_start_or_leaves_nothing(project):
    (project / 'toy.yaml').write_text(
        SWEEP.replace('{python} fake.py train', 'no-such-command').replace(
            '{python} fake.py test', 'true'
        )
        + RUNS
    )
    train, test = plan(read_sweep(project / 'toy.yaml'), project)[:2]
    with pytest.raises(JobFailed, match='a seed 0 train: no-such-command .*No such file'):
        run_job(train, project)
    with pytest.raises(JobFailed, match='a seed 0 train left no .*last_checkpoint'):
        run_job(test, project)
    test.needs[-1].work_dir.mkdir(parents=True)
    (train.work_dir / 'last_checkpoint').write_text('epoch_1.pth')
    (train.work_dir / 'epoch_1.pth').write_text('1')
    with pytest.raises(JobFailed, match='a seed 0 test left no metrics'):
        run_job(test, project)


def wait_for(condition, what: str) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.025)
    raise TimeoutError(what)


def alive(pid: int) -> bool:
    status = Path(f'/proc/{pid}/stat')
    return status.exists() and status.read_text().rpartition(')')[2].split()[0] != 'Z'


HANGING = 'runs: [{name: a, seeds: [0], overrides: {hang: true}}]'


COMPARED = """
runs:
  - {name: a, overrides: {score: [0.1, 0.2]}}
  - {name: b, overrides: {score: [6.0, 6.0]}}
  - {name: c, test_of: a, overrides: {bonus: 0.5}, seeds: [0]}
"""


def test_compared_runs(project):
    """Tests from before the comparison are run again, for their predictions; nothing else is."""
    sweep, jobs = write_sweep(project, COMPARED)
    run_jobs(jobs, project)
    before = render(sweep, results_of(sweep, jobs))
    assert len(calls(project)) == 4 + 5 and 'comparisons' not in results_of(sweep, jobs)

    sweep, jobs = write_sweep(project, COMPARED + 'compare: [[b, a]]')
    # The numbers are there all the same.
    text = render(sweep, results_of(sweep, jobs))
    assert (
        text
        == before
        + """
## Comparisons

Not compared, for want of predictions: b with a.
"""
    )
    assert [job.name for job in jobs if job.state() == 'to run'] == [
        *('a seed 0 test', 'a seed 1 test', 'b seed 0 test', 'b seed 1 test')
    ]
    notes = []
    assert run_jobs(jobs, project, lambda job, note: notes.append(note)).complete
    assert calls(project) == [f'test {run}/seed{seed}' for run in 'ab' for seed in range(2)]
    assert set(notes) == {'its predictions are not there, which a comparison needs'}
    assert run_jobs(jobs, project).done == [] and calls(project) == []

    results = results_of(sweep, jobs)
    # Metrics are the test's, not those of the files beside the predictions.
    assert results['runs']['a']['seeds']['0']['metrics']['mAP'] == 0.1
    folder = project / 'work_dirs/sweeps/toy'
    paths = [folder / f'{run}/seed{k}/test/results' for run in 'ba' for k in (0, 1)]
    b0, b1, a0, a1 = map(read_predictions, paths)
    (expected,) = compare([b0, b1], [a0, a1], ['mAP'])
    (found,) = results['comparisons']
    assert found['runs'] == ['b', 'a'] and found['seeds'] == [[0, 1], [0, 1]]
    assert found['differences'] == [dict(expected._asdict(), verdict='better')]
    text = render(sweep, json.loads(json.dumps(results)))
    assert '| measure | b | a | difference | 95 % interval | b is |' in text
    assert f'| mAP | {expected.a:.2f} | {expected.b:.2f} | +{expected.difference:.2f} |' in text
    assert '2,000 resamples of 30 images' in text


def test_comparison_without_predictions(project):
    runs = COMPARED.replace('score: [0.1, 0.2]', 'forgets: true')
    sweep, jobs = write_sweep(project, runs + 'compare: [[b, a]]')
    outcome = run_jobs(with_needs(jobs, ['a']), project)
    assert len(outcome.failed) == 2
    assert outcome.failed[0].startswith('a seed 0 test left no ')
    assert (
        'results/predictions.npz, which `compare` needs: expected mmmlc.Multi' in outcome.failed[0]
    )


def test_killed_sweep_starts_the_run_again(project):
    _, jobs = write_sweep(project, HANGING)
    if (sweep_pid := os.fork()) == 0:
        try:
            run_jobs(jobs, project)
        finally:
            os._exit(1)
    marker = project / 'hanging.txt'
    wait_for(marker.exists, 'the training did not start')
    os.kill(sweep_pid, signal.SIGKILL)
    os.waitpid(sweep_pid, 0)
    # The training itself goes on and keeps the lock: a second one must not join it.
    training = int(marker.read_text())
    with pytest.raises(JobBusy, match='a seed 0 train is still running in another process'):
        run_job(jobs[0], project)
    assert run_jobs(jobs, project).busy and alive(training)
    os.kill(training, signal.SIGKILL)
    wait_for(lambda: not alive(training), 'the training did not die')

    assert jobs[0].state() == 'to run' and jobs[0].work_dir.is_dir()
    (jobs[0].work_dir / 'half_written.pth').write_text('')
    config = project / 'toy.yaml'
    config.write_text(config.read_text().replace('hang: true', 'hang: false'))
    jobs = plan(read_sweep(config), project)
    notes = []
    assert run_jobs(jobs, project, lambda job, note: notes.append(note)).complete
    assert notes[0] == 'it was interrupted or failed'
    assert not (jobs[0].work_dir / 'half_written.pth').exists()


def test_interrupt_ends_the_command(project):
    _, jobs = write_sweep(project, HANGING)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_jobs(jobs, project)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not alive(int((project / 'hanging.txt').read_text()))
    assert jobs[0].record() is None


def test_run_that_starts_from_another(project):
    runs = """
runs:
  - {name: first, seeds: [0]}
  - {name: second, overrides: {start: ['{work_dir:first}/epoch_1.pth']}, seeds: [0, 1]}
"""
    _, jobs = write_sweep(project, runs)
    second = {job.seed: job for job in jobs if job.run.name == 'second' and job.kind == 'train'}
    expected = 'work_dirs/sweeps/toy/first/seed0/train/epoch_1.pth'
    # first has a single seed, which serves every seed of second.
    assert [second[seed].config.start for seed in (0, 1)] == [[expected]] * 2
    assert [job.name for job in second[1].needs] == ['first seed 0 train']
    before = second[1].fingerprint
    _, jobs = write_sweep(project, runs.replace('first, seeds', 'first, epochs: 2, seeds'))
    after = next(j for j in jobs if j.name == 'second seed 1 train').fingerprint
    assert before != after
    with pytest.raises(ValueError, match=r'second seed 0: \{work_dir:third\}: no run above it'):
        write_sweep(project, runs.replace('work_dir:first', 'work_dir:third'))


def test_seed_and_epochs_reach_the_config(project):
    _, jobs = write_sweep(project, 'runs: [{name: a, epochs: 2, seeds: [7]}]')
    cfg = jobs[0].config
    assert cfg.randomness.seed == 7 and cfg.train_cfg.max_epochs == 2
    assert cfg.param_scheduler.total_steps == 2
    text = 'runs: [{name: a, epochs: 2, overrides: {param_scheduler: %s}}]'
    steps = '{_delete_: true, type: mmengine.MultiStepLR, milestones: [3]}'
    with pytest.raises(ValueError, match='epochs 2 does not say what becomes of mmengine.Multi'):
        write_sweep(project, text % steps)
    with pytest.raises(ValueError, match="run a: override 'trainer.x' fits no key of config.py"):
        write_sweep(project, 'runs: [{name: a, overrides: {trainer.x: 1}}]')


@pytest.mark.parametrize(
    ('rest', 'message'),
    [
        ('runs: [{name: a}, {name: a}]', r"runs\[1\]: the name 'a' stands twice"),
        ('runs: [{name: a, seed: 3}]', "unknown key 'seed', expected some of"),
        ('runs: [{name: a, seeds: 3}]', 'run a: seeds is 3, expected a list of integers'),
        ('runs: [{name: a, seeds: [3, 3]}]', 'hold a seed twice'),
        ('runs: [{name: ../a}]', "name '../a', expected letters"),
        ('runs: [{name: a, epochs: 0}]', 'epochs is 0, expected a positive integer'),
        ('runs: [{name: b, test_of: a}]', "test_of 'a' is no run above it that trains"),
        ('runs: [{name: a}, {name: b, test_of: a, seeds: [4]}]', "seed 4 is not trained by 'a'"),
        ('runs: [{name: a, overrides: {x.y: 1, x.y: 2}}]', "line 7: 'x.y' twice"),
        ('runs: []', "'runs' is missing or empty"),
        ('runs: [{name: a}]\ncompare: [[a, b]]', r"compare\[0\]: 'b' is no run, expected one of"),
        ('runs: [{name: a}]\ncompare: [a]', r"compare\[0\] is 'a', expected two runs"),
        ('runs: [{name: a}]\ncompare: [[a, a]]', r"compare\[0\] is \['a', 'a'\], expected two"),
        ('runs: [{name: a}]\ncompare: a', "compare is 'a', expected a list of pairs of runs"),
        ('runs: [{name: a}]\ntables: [{title: T, rows: [b]}]', "'b' is no run"),
        (
            'runs: [{name: a}]\ntables: [{title: T, rows: [a], published: {p: {c: 1}}}]',
            "'c' is no r",
        ),
    ],
)
def test_wrong_sweep_file_is_refused(project, rest, message):
    with pytest.raises(ValueError, match=message):
        write_sweep(project, rest)


def test_missing_sweep_file_and_unknown_names(project):
    with pytest.raises(FileNotFoundError, match='none.yaml: no such sweep file'):
        read_sweep(project / 'none.yaml')
    _, jobs = write_sweep(project, RUNS)
    with pytest.raises(ValueError, match="--only: 'z' is no run of the sweep"):
        with_needs(jobs, ['a', 'z'])
    (project / 'toy.yaml').write_text(SWEEP.replace('mAP', 'map') + RUNS)
    sweep = read_sweep(project / 'toy.yaml')
    run_jobs(with_needs(jobs, ['c']), project)
    with pytest.raises(ValueError, match=r"no run has a metric 'map', expected .*'OF1', 'mAP'"):
        render(sweep, results_of(sweep, jobs))


def test_examples_of_the_docstrings():
    assert doctest.testmod(sys.modules[spread_text.__module__]) == (0, 2)


def test_pairs_without_ties_and_unpublished_rows():
    # a and b tie in the paper, d is not published.
    assert agreeing_pairs(dict(a=1, b=2, c=3, d=0), dict(a=5, b=5, c=7)) == (2, 2)


def test_commands_keep_memory_and_use_the_cores(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    environment = child_environment()
    assert environment['MALLOC_MMAP_MAX_'] == '0'
    assert environment['OMP_NUM_THREADS'] == str(len(os.sched_getaffinity(0)))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert child_environment()['OMP_NUM_THREADS'] == '1'


def command(project: Path, monkeypatch, *words: str) -> int:
    """Exit status of tools/sweep.py."""
    monkeypatch.setattr(sys, 'argv', ['sweep.py', 'toy.yaml', *words])
    monkeypatch.chdir(project)
    before = signal.getsignal(signal.SIGTERM)
    try:
        runpy.run_path(str(ROOT / 'tools/sweep.py'), run_name='__main__')
    except SystemExit as end:
        return end.code
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def test_command_line(project, monkeypatch, capsys):
    path = project / 'toy.yaml'
    path.write_text(SWEEP + RUNS.replace('{name: b,', '{name: b, seeds: [5],'))
    assert command(project, monkeypatch, '--dry-run', '--only', 'c') == 0
    train, test = capsys.readouterr().out.splitlines()
    assert 'fake.py train' in train and train.endswith('/a/seed0/train')
    assert '--no-validate' in train and '--no-validate' not in test
    assert '/a/seed0/train/CHECKPOINT' in test and test.endswith('/c/seed0/test')
    assert command(project, monkeypatch) == 1  # b has no score for seed 5
    output = capsys.readouterr().out
    assert 'b seed 5 train failed with status 1' in output and 'IndexError' in output
    assert 'a seed 1 test: ' in output
    assert '| a | 1.5 ± 0.7 | 5 | 2 seeds |' in (project / 'toy.md').read_text()
    assert command(project, monkeypatch, '--only', 'a', 'c') == 0
    assert command(project, monkeypatch, '--list') == 0
    output = capsys.readouterr().out
    assert output.count('finished') == 5 and output.count('to run') == 2
    assert command(project, monkeypatch, '--report') == 0
    assert command(project, monkeypatch, '--only', 'z') == "--only: 'z' is no run of the sweep"


def test_tables_with_results_from_elsewhere_are_kept(project, monkeypatch, capsys):
    """As in a fresh clone, where the tables are committed and the work directories are not."""
    (project / 'toy.yaml').write_text(SWEEP + RUNS)
    assert command(project, monkeypatch) == 0
    tables = [(project / name).read_text() for name in ('toy.md', 'toy.json')]
    shutil.rmtree(project / 'work_dirs')
    capsys.readouterr()
    assert command(project, monkeypatch, '--only', 'a') == 0
    output = capsys.readouterr().out
    assert 'kept toy.md and .json' in output
    assert 'lacks (b seed 0, b seed 1, c seed 0); --overwrite replaces them' in output
    assert [(project / name).read_text() for name in ('toy.md', 'toy.json')] == tables
    here = project / 'work_dirs/sweeps/toy/toy.md'
    assert '| a | 1.5 ± 0.7 | 5 | 2 seeds |' in here.read_text()
    assert command(project, monkeypatch, '--report', '--overwrite') == 0
    assert 'Not finished: b seed 0' in (project / 'toy.md').read_text()
    # Nothing is lost now, so the next report needs no permission.
    assert command(project, monkeypatch) == 0
    assert 'kept' not in capsys.readouterr().out
    assert (project / 'toy.md').read_text().count('2 seeds') == 2


def test_tables_without_their_numbers_are_kept(project, monkeypatch, capsys):
    (project / 'toy.yaml').write_text(SWEEP + RUNS)
    (project / 'toy.md').write_text('table')
    assert command(project, monkeypatch, '--only', 'a') == 0
    assert 'lacks (no toy.json)' in capsys.readouterr().out
    assert (project / 'toy.md').read_text() == 'table'


def test_broken_tables_are_not_overwritten(project, monkeypatch):
    (project / 'toy.yaml').write_text(SWEEP + RUNS)
    (project / 'toy.json').write_text('<<<<<<< HEAD')
    assert 'toy.json: expected tables of tools/sweep.py' in command(project, monkeypatch)
    assert (project / 'toy.json').read_text() == '<<<<<<< HEAD'


SHIPPED = sorted((ROOT / 'docs/results').glob('*.yaml'))


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_tables_are_those_of_their_numbers(path):
    results = json.loads(path.with_suffix('.json').read_text())
    assert path.with_suffix('.md').read_text() == render(read_sweep(path), results)


def removed(config: str) -> bool:
    """Whether a config belongs to a system that is not in this tree, folder and all."""
    return not (ROOT / config).parent.is_dir()


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_sweep_builds_its_models(path):
    sweep = read_sweep(path)
    if gone := [run.config for run in sweep.runs.values() if removed(run.config)]:
        pytest.skip(f'begins with {gone[0]}, whose system is not in this tree')
    jobs = plan(sweep, ROOT)
    assert jobs
    models = {repr(job.config.model): job.config.model for job in jobs}
    if any('mmdet.' in text for text in models):
        needs_mmdet()
    init_default_scope('mmpretrain')
    for model in models.values():
        MODELS.build(model)


def test_real_training_and_test(tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/modern/modern_r18_toy.py')
    cfg.param_scheduler = None
    write_for(cfg, tmp_path / 'data')
    cfg.dump(tmp_path / 'config.py')
    path = tmp_path / 'toy.yaml'
    path.write_text('metrics: [mAP]\nruns: [{name: a, config: config.py, epochs: 1}]')
    sweep = read_sweep(path)
    jobs = plan(sweep, tmp_path)
    outcome = run_jobs(jobs, tmp_path)
    assert outcome.complete, outcome.failed
    a = results_of(sweep, jobs)['runs']['a']
    assert 0 <= a['mean']['mAP'] <= 100 and a['mean']['top3_OF1'] >= 0
    assert a['seeds']['0']['epochs'] == 1 and 'time' not in a['mean']
    assert (jobs[0].work_dir / 'epoch_1.pth').is_file()


def test_merged_overrides_may_be_overridden(tmp_path):
    text = (
        'title: t\nmetrics: [mAP]\nruns:\n'
        '  - {name: a, config: c.py, epochs: 1, overrides: &base {x.y: 1, z: 2}}\n'
        '  - {name: b, config: c.py, epochs: 1, overrides: {<<: *base, x.y: 3}}\n'
    )
    (tmp_path / 'merged.yaml').write_text(text)
    runs = read_sweep(tmp_path / 'merged.yaml').runs
    assert runs['b'].overrides == {'x.y': 3, 'z': 2}
