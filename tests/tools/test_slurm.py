"""The SLURM scripts, with an ``srun`` that writes down what it is asked for."""

from __future__ import annotations

import os
import subprocess

import pytest
from helpers.places import TOOLS


@pytest.fixture
def srun(tmp_path):
    """Runs a script; gives its exit status, what srun got, and the messages."""
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/bash\nprintf "%s\\n" "$@" >"$ASKED"\n')
    fake.chmod(0o755)

    def run(script: str, *words: str, **environment: str):
        names = ('GPUS', 'GPUS_PER_NODE', 'CPUS_PER_TASK', 'SRUN_ARGS')
        env = {k: v for k, v in os.environ.items() if k not in names}
        env |= dict(PATH=f'{tmp_path}:{env["PATH"]}', ASKED=str(tmp_path / 'asked'), **environment)
        command = ['bash', str(TOOLS / script), *words]
        result = subprocess.run(command, env=env, capture_output=True, text=True)
        asked = tmp_path / 'asked'
        return result, asked.read_text().splitlines() if asked.exists() else None

    return run


def test_training(srun):
    result, asked = srun('slurm_train.sh', 'gpu', 'my job', 'a b.py', '--amp', '--seed', '1')
    assert result.returncode == 0, result.stderr
    assert asked == [
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:8',
        '--ntasks=8',
        '--ntasks-per-node=8',
        '--cpus-per-task=5',
        '--kill-on-bad-exit=1',
        'python',
        '-u',
        str(TOOLS / 'train.py'),
        'a b.py',
        '--launcher',
        'slurm',
        '--amp',
        '--seed',
        '1',
    ]


def test_evaluation(srun):
    environment = dict(GPUS='16', GPUS_PER_NODE='4', CPUS_PER_TASK='7')
    environment['SRUN_ARGS'] = '--time=1:00:00 --account me'
    result, asked = srun('slurm_test.sh', 'p', 'j', 'c.py', 'e.pth', '--out', 'd', **environment)
    assert result.returncode == 0, result.stderr
    assert asked[2:10] == [
        '--gres=gpu:4',
        '--ntasks=16',
        '--ntasks-per-node=4',
        '--cpus-per-task=7',
        '--kill-on-bad-exit=1',
        '--time=1:00:00',
        '--account',
        'me',
    ]
    script = [str(TOOLS / 'test.py'), 'c.py', 'e.pth', '--launcher', 'slurm', '--out', 'd']
    assert asked[10:] == ['python', '-u', *script]


def test_few_gpus(srun):
    _, asked = srun('slurm_train.sh', 'p', 'j', 'c.py', GPUS='2')
    assert '--gres=gpu:2' in asked and '--ntasks=2' in asked and '--ntasks-per-node=2' in asked


def test_wrong_calls(srun):
    for script, words in (('slurm_train.sh', ['p', 'j']), ('slurm_test.sh', ['p', 'j', 'c.py'])):
        result, asked = srun(script, *words)
        assert result.returncode == 2 and asked is None
        assert 'PARTITION JOB_NAME CONFIG' in result.stderr
    result, asked = srun('slurm_train.sh', 'p', 'j', 'c.py', GPUS='12')
    assert result.returncode == 2 and asked is None
    assert 'GPUS=12 is no multiple of GPUS_PER_NODE=8' in result.stderr
