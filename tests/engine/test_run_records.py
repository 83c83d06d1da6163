"""A run's log file and records go with its runner, and no earlier."""

from __future__ import annotations

import gc

import psutil
from helpers.places import TOY_CONFIG
from helpers.small_data import write_for
from mmengine.logging import MMLogger

from mmmlc.engine import build_runner, load_config
from mmmlc.engine.run_records import end_with


def make_runner(folder, name: str):
    cfg = load_config(TOY_CONFIG, dict(experiment_name=name), folder / name)
    write_for(cfg, folder / 'data')
    return build_runner(cfg)


def test_open_files_stay_what_they_are(tmp_path):
    counts = []
    for cycle in range(4):
        make_runner(tmp_path, f'run_{cycle}').val()
        gc.collect()
        counts.append(psutil.Process().num_fds())
    assert counts[1:] == counts[1:2] * 3
    assert not {*MMLogger._instance_dict} & {f'run_{cycle}' for cycle in range(4)}


class Run:
    """What is asked of a runner."""

    experiment_name = 'twice'


def test_the_last_of_a_name_ends_its_records(tmp_path):
    """Two runs that begin in one second have one name, and one logger."""
    logger = MMLogger.get_instance('twice', log_file=tmp_path / 'a.log')
    first, second = Run(), Run()
    end_with(first)
    end_with(second)
    del first
    gc.collect()
    assert MMLogger._instance_dict['twice'] is logger
    logger.info('still here')
    assert 'still here' in (tmp_path / 'a.log').read_text()
    del second
    gc.collect()
    assert 'twice' not in MMLogger._instance_dict
