"""Metafiles: read by OpenMMLab's tools and ours, refused when wrong, and nothing made is stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.apis import ModelHub
from modelindex.load_model_index import load

sys.path.append(str(next(p for p in Path(__file__).parents if (p / 'setup.py').exists()) / 'tools'))

from ledger import stale
from metafiles.pages import with_tables
from metafiles.read import read_metafile, read_metafiles
from metafiles.runs import with_numbers_of_runs
from strict_yaml import read_yaml

ROOT = Path(sys.path[-1]).parent
SYSTEMS = read_metafiles(ROOT)


def test_nothing_is_stale():
    assert [str(path) for path in stale(ROOT)] == [], 'run python tools/ledger.py'


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda system: system.name)
def test_every_config_of_the_folder_has_an_entry(system):
    configs = {f'configs/{system.name}/{p.name}' for p in system.path.parent.glob('*.py')}
    assert {model.config for model in system.models} == configs


def test_model_index_is_read_by_openmmlab(monkeypatch):
    """By the library that mim and mmpretrain share, and by mmpretrain's hub."""
    models = {model.name: model for system in SYSTEMS for model in system.models}
    index = load(str(ROOT / 'model-index.yml'))
    assert [model.name for model in index.models] == list(models)
    collections = {collection.name: collection for collection in index.collections}
    for collection in collections.values():
        assert collection.readme is None or (ROOT / collection.readme).is_file()
    for found in index.models:
        assert found.in_collection in collections and (ROOT / found.config).is_file()
        rows = [(result.dataset, result.metrics) for result in found.results or ()]
        shown = {(data, name): v for data, row in rows for name, v in row.items()}  # as mim does
        for result in models[found.name].results:
            if not result.options:
                of_data = {name: v for (data, name), v in shown.items() if data == result.data}
                assert of_data == result.metrics
    monkeypatch.setattr(ModelHub, '_models_dict', {})
    monkeypatch.setattr(ModelHub, '_register_mmpretrain_models', classmethod(lambda cls: None))
    ModelHub.register_model_index(ROOT / 'model-index.yml', config_prefix=ROOT)
    for name in models:
        assert isinstance(ModelHub.get(name).config, Config)


def test_citation_names_the_papers():
    citation = read_yaml(ROOT / 'CITATION.cff')
    assert citation['cff-version'] == '1.2.0' and citation['title'].startswith('mmmlc')
    for paper in citation['references']:
        assert paper['authors'] and paper['title'] and (paper.get('doi') or paper.get('url'))
    assert {paper['notes'].split(',')[0] for paper in citation['references']} >= {
        'MCAR', 'RDAL', 'KD-WSD', 'MsDPD', 'SCA-DNN',
    }  # fmt: skip


# --- in a copy of the files that hold numbers


@pytest.fixture
def copy(tmp_path) -> Path:
    for pattern in ('README.md', 'model-index.yml', 'docs/**/*.*', 'configs/**/*.*'):
        for path in ROOT.glob(pattern):
            if path.suffix in ('.md', '.yml', '.json'):
                target = tmp_path / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    return tmp_path


def names(paths, root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in paths)


SYSTEM = """
Collections:
  - Name: Sixth
    Published:
      - {Setting: b, Dataset: VOC07 test, Metrics: {mAP: 70.0}, No Command: not written}
Models:
  - Name: sixth_r18_voc07
    In Collection: Sixth
    Config: configs/sixth/sixth_r18_voc07.py
    Metadata: {Training Data: VOC 2007, Setting: ResNet-18}
    Published:
      - {Setting: a, Dataset: VOC07 test, Metrics: {mAP: 80.0, CF1: 70.0, OF1: 60.0}}
    Results:
      - Task: Multi-Label Image Classification
        Dataset: VOC07 test
        Setting: a
        Metrics: {mAP: 79.5, CF1: 69.4}
        Commands: [python tools/train.py configs/sixth/sixth_r18_voc07.py]
"""


def write_system(folder: Path, text: str = SYSTEM) -> Path:
    path = folder / 'configs/sixth/metafile.yml'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_new_system_is_found_by_its_folder(copy):
    write_system(copy)
    block = '<!-- numbers:sixth.configs begin -->\n<!-- numbers:sixth.configs end -->\n'
    (copy / 'docs/sixth.md').write_text(f'Before\n\n{block}After\n')
    changed = names(stale(copy, write=True), copy)
    assert changed == ['README.md', 'docs/ledger.md', 'docs/sixth.md', 'model-index.yml']
    assert stale(copy) == []
    assert (
        '| `sixth_r18_voc07.py` | VOC 2007 | ResNet-18 | 80.0 |'
        in (copy / 'docs/sixth.md').read_text()
    )
    ledger = (copy / 'docs/ledger.md').read_text().partition('## Sixth')[2]
    assert '| a | VOC07 test | mAP | 80.0 |  | 79.5 | reproduced | 1 |  |' in ledger
    assert '| a | VOC07 test | CF1 | 70.0 |  | 69.4 | differs | 1 |  |' in ledger
    assert '| a | VOC07 test | OF1 | 60.0 |  |  | not run | 1 |  |' in ledger
    assert '| b | VOC07 test | mAP | 70.0 |  |  | no command yet |  | not written |' in ledger
    assert '  - configs/sixth/metafile.yml\n' in (copy / 'model-index.yml').read_text()


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda system: system.name)
def test_system_can_be_deleted(copy, system):
    """Then only pages of all systems are stale, and the tool puts them right."""
    shutil.rmtree(copy / 'configs' / system.name)
    for path in [*copy.glob(f'docs/{system.name}.md'), *copy.glob(f'docs/results/{system.name}_*')]:
        path.unlink()
    changed = names(stale(copy, write=True), copy)
    assert 'model-index.yml' in changed
    assert set(changed) <= {
        'README.md',
        'docs/ledger.md',
        'docs/results/README.md',
        'model-index.yml',
    }
    assert stale(copy) == []
    assert f'configs/{system.name}/' not in (copy / 'model-index.yml').read_text()


def test_check_names_what_is_stale_and_what_to_run(copy):
    for name in ('ledger.py', 'strict_yaml.py', 'metafiles'):
        source = ROOT / 'tools' / name
        if source.is_dir():
            shutil.copytree(source, copy / 'tools' / name)
        else:
            (copy / 'tools').mkdir(exist_ok=True)
            shutil.copy(source, copy / 'tools')
    path = copy / 'configs/sca/metafile.yml'
    if not path.exists():  # as in a tree without SCA-DNN
        path = write_system(copy)
        subprocess.run([sys.executable, 'tools/ledger.py'], cwd=copy, check=True)
    number = read_metafile(path).published[0].value
    path.write_text(path.read_text().replace(f'mAP: {number}', 'mAP: 12.3'))
    command = [sys.executable, 'tools/ledger.py']
    check = subprocess.run([*command, '--check'], cwd=copy, capture_output=True, text=True)
    assert check.returncode == 1 and 'docs/ledger.md' in check.stderr
    assert 'run python tools/ledger.py' in check.stderr
    subprocess.run(command, cwd=copy, check=True)
    subprocess.run([*command, '--check'], cwd=copy, check=True)
    assert '| 12.3 |' in (copy / 'docs/ledger.md').read_text()


def test_markers_must_fit(tmp_path):
    system = read_metafile(write_system(tmp_path))
    with pytest.raises(ValueError, match="page: no table 'seventh.configs', expected one of"):
        with_tables(
            '<!-- numbers:seventh.configs begin -->\n<!-- numbers:seventh.configs end -->',
            [system],
            'page',
        )
    with pytest.raises(
        ValueError, match=r"page: markers \['ledger'\], expected a begin and an end"
    ):
        with_tables('<!-- numbers:ledger begin -->\n', [system], 'page')
    text = 'a `<!-- numbers:ledger begin -->` in a sentence\n'
    assert with_tables(text, [system], 'page') == text


# --- numbers of sweeps


def runs(**values: list[float]) -> str:
    """The JSON of a sweep with an mAP and an OF1 (ten less) for each seed."""
    record = dict(commit='abc', uncommitted=True, finished='2026-01-02 03:04:05 UTC')
    return json.dumps(
        dict(
            runs={
                run: dict(
                    seeds={
                        str(seed): dict(metrics=dict(mAP=mAP, OF1=mAP - 10), records=[record])
                        for seed, mAP in enumerate(found)
                    }
                )
                for run, found in values.items()
            }
        )
    )


def test_numbers_below_a_source_are_those_of_the_sweep(tmp_path):
    (tmp_path / 'toy.json').write_text(runs(ours=[61, 62, 66], base=[60, 62, 60.5], one=[70]))
    text = (
        '  - Dataset: d\n    Source: toy.json ours beside base\n    Metrics: {mAP: 1.0, OF1: 2.0}\n'
        '    Seeds: 7\n    Remark: stays\n  - Dataset: e\n    Source: toy.json one beside base\n'
        '    Remark: too\n'
    )
    made = with_numbers_of_runs(text, tmp_path)
    # 61, 62, 66: mean 63, squared deviations 4 + 1 + 9 = 14, / 2 = 7. Differences 1, 0, 5.5: mean
    # 13/6, squared deviations 49/36 + 169/36 + 400/36 = 618/36, / 2 = 8.58. Base: mean 182.5/3.
    assert made == (
        '  - Dataset: d\n    Source: toy.json ours beside base\n'
        '    Metrics: {mAP: 63.0, OF1: 53.0}\n    Spread: {mAP: 2.6, OF1: 2.6}\n'
        '    Baseline: 60.8 ± 1.0\n    Difference: +2.2 ± 2.9\n'
        '    Seeds: 0, 1, 2\n    Finished: 2026-01-02\n    Commits: abc with changes\n'
        '    Remark: stays\n  - Dataset: e\n    Source: toy.json one beside base\n'
        '    Metrics: {mAP: 70.0}\n    Baseline: 60.8 ± 1.0\n    Difference: +10.0 (seed 0)\n'
        '    Seeds: 0\n    Finished: 2026-01-02\n    Commits: abc with changes\n    Remark: too\n'
    )
    assert with_numbers_of_runs(made, tmp_path) == made


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('toy.json', 'expected "FILE.json RUN'),
        ('toy.json z', "'z' has no result there"),
        ('toy.json ours beside none', "'none' has no result there"),
    ],
)
def test_wrong_source(tmp_path, source, message):
    (tmp_path / 'toy.json').write_text(runs(ours=[60], none=[]))
    with pytest.raises(ValueError, match=message):
        with_numbers_of_runs(f'  - Dataset: d\n    Source: {source}\n', tmp_path)


# --- wrong metafiles


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('Name: Sixth', 'Nam: Sixth', r"Collections\[0\]: unknown key 'Nam', expected"),
        ('In Collection: Sixth', 'In Collection: Fifth', r"\[0\]: In Collection 'Fifth', exp"),
        ('Name: sixth_r18_voc07', 'Name: other', "Name 'other', expected that of configs/sixth"),
        ('{mAP: 80.0,', '{mAP: 801,', 'Metrics: mAP is 801, expected a number from 0 to 100'),
        ('{mAP: 80.0,', '{mAP: "80",', "Metrics: mAP is '80', expected a number"),
        ('{mAP: 80.0,', '{mAP: 80.0, mAP: 8.0,', "line 12: 'mAP' twice"),
        (', No Command: not written', '', 'no config: expected Commands, No Command or Not Ours'),
        ('not written}', 'b, Not Ours: c}', 'expected one of Commands, No Command and Not Ours'),
        ('Task: Multi-Label', 'Task: Single-Label', "Task is 'Single-Label Image Classification'"),
        ('Commands: [python', 'Remark: [python', 'expected a Source or Commands'),
        ('    Metadata: {T', '    Metadat: {T', "unknown key 'Metadat'"),
    ],
)  # fmt: skip
def test_wrong_metafile_is_refused(tmp_path, old, new, message):
    assert old in SYSTEM
    path = write_system(tmp_path, SYSTEM.replace(old, new))
    with pytest.raises(ValueError, match=message) as error:
        read_metafile(path)
    assert 'sixth/metafile.yml' in str(error.value)


def test_config_as_it_is_comes_last(tmp_path):
    """mim shows the last result of a data set."""
    result = SYSTEM[SYSTEM.index('      - Task') :].replace(
        'Setting: a', 'Setting: a\n        Options: x=1'
    )
    read_metafile(write_system(tmp_path, SYSTEM.replace('      - Task', f'{result}      - Task')))
    with pytest.raises(ValueError, match='on VOC07 test: the one without Options must be last'):
        read_metafile(write_system(tmp_path, SYSTEM + result))
