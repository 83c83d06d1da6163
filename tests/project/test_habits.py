"""What runs outside the tests says what they say: workflow, hooks of a commit, issue forms."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

PYTHONS = ['3.10', '3.11', '3.12', '3.13']


def read(root, name):
    return yaml.safe_load((root / name).read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def workflow(root):
    return read(root, '.github/workflows/tests.yml')


def test_workflow_runs_the_test_command_of_the_readme(workflow, root):
    (job,) = workflow['jobs'].values()
    assert job['strategy']['matrix'] == {'python': PYTHONS}
    assert job['runs-on'].startswith('ubuntu') and job['timeout-minutes'] == 90
    *uses, tests = job['steps']
    block = re.search(r'## Develop\n\n```bash\n(.*?)\n```', (root / 'README.md').read_text(), re.S)
    assert tests['run'] in [line.partition('#')[0].strip() for line in block[1].splitlines()]
    assert [step['uses'].partition('@')[0] for step in uses] == [
        'actions/checkout',
        'actions/setup-python',
    ]
    assert uses[1]['with']['cache'] == 'pip'
    # tools/install.sh starts from the interpreter that PYTHON names.
    assert tests['env'] == {'PYTHON': '${{ steps.python.outputs.python-path }}'}
    assert uses[1]['id'] == 'python'


def test_workflow_may_only_read(workflow, root):
    assert workflow['permissions'] == {'contents': 'read'}
    text = (root / '.github/workflows/tests.yml').read_text()
    assert 'secrets' not in text and 'pull_request_target' not in text
    assert all(re.fullmatch(r'actions/[\w-]+@v\d+', u) for u in re.findall(r'uses: (\S+)', text))


def test_workflow_and_metadata_name_the_same_pythons(root):
    run = [sys.executable, 'setup.py', '-q', '--classifiers']
    shown = subprocess.run(run, cwd=root, check=True, capture_output=True, text=True).stdout
    assert re.findall(r'Python :: (3\.\d+)$', shown, re.M) == PYTHONS


def test_checks_before_a_commit_have_the_versions_of_the_tests(root):
    hosted, local = read(root, '.pre-commit-config.yaml')['repos']
    assert re.fullmatch(r'v\d+\.\d+\.\d+', hosted['rev'])
    requirements = (root / 'requirements' / 'tests.txt').read_text()
    for hook in local['hooks']:
        assert hook['language'] == 'system'  # of the active environment, not one of its own
        python, *words = hook['entry'].split()
        assert python == 'python'
        if words[0] == '-m':
            assert re.search(rf'^{words[1]}>=(\d+)\.(\d+),<\1\.\d+$', requirements, re.M), words[1]
        else:
            assert (root / words[0]).is_file()
    assert {hook['id'] for hook in local['hooks']} == {
        'ruff-check',
        'ruff-format',
        'mypy',
        'ledger',
    }


@pytest.mark.parametrize('name', ['bug_report', 'request'])
def test_issue_forms(root, name):
    form = read(root, f'.github/ISSUE_TEMPLATE/{name}.yml')
    assert form.keys() == {'name', 'description', 'labels', 'body'}
    assert {field['type'] for field in form['body']} <= {'textarea', 'input', 'markdown'}
    ids = [field['id'] for field in form['body']]
    assert len(ids) == len(set(ids))
    assert all(field['attributes']['label'] for field in form['body'])


def test_bug_reports_ask_for_what_is_needed(root):
    form = read(root, '.github/ISSUE_TEMPLATE/bug_report.yml')
    needed = {f['id'] for f in form['body'] if f.get('validations', {}).get('required')}
    assert {f['id'] for f in form['body']} >= needed | {'config'}
    assert needed == {'what', 'command', 'install'}
    text = ' '.join(field['attributes'].get('description', '') for field in form['body'])
    (tool,) = re.findall(r'tools/\w+\.py', text)
    assert (root / tool).is_file()
