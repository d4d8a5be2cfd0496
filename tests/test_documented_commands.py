"""Every command of the README and the docs is run by a test, or needs what a test has not.

The code blocks run in bash, whose programs only write down how they were called.
"""

import re
import runpy
import shutil
import subprocess
from argparse import ArgumentParser

import pytest

PROGRAMS = ('awk', 'bash', 'curl', 'fidelity', 'git', 'pip', 'pre-commit', 'python')
RECORD = """
# In one write, as some are in the background.
record() { printf -v line '%s\\x1f' "$@"; printf '%s\\n' "$line" >> "$RECORD"; }
cd() { :; }
"""

# What a command names, and what it needs that a test has not.
NEEDS = {
    'a GPU': ['-m gpu', 'benchmark_gpu.py', 'benchmark_training.py', 'fidelity'],
    "data or weights to download, or weeks of a GPU's time": [
        r'_(ade20k|coco|cub|in1k|in50|tiny-imagenet)\b',
        'data/(imagenet|tiny-imagenet)',
        '256x256_diffusion_uncond.pt',
        r'features/([35]-|b24_t150|cub|knn)',
    ],
    'the network': ['^(curl|git)', '^pip install', '^pre-commit'],
    'hours of a CPU': ['_cifar10.py', 'data/cifar10', 'pretrain_adm-64-small_(camvid|nuclei)'],
}
# Commands by how they begin, and tests that run them on less data or for fewer iterations, as
# FILE::NAME without test_.
RUN_BY = {
    'bash (.ci/run|tools/(quickstart|run_tests|setup_env).sh)': 'stack::scripts_set_up_the_stack',
    '(pip wheel|python -c)': 'packaging::wheel_trains_in_an_environment_of_its_own_from_elsewhere',
    'python -m pytest': 'diffusion_unet::every_block',
    'python /path/to/mmdiff/tools/train.py': 'inheritance::training_resume_and_test',
    'python tools/analysis_tools/benchmark.py': 'benchmark::table',
    'python tools/analysis_tools/benchmark_configs.py': 'benchmark::configs_side_by_side',
    'python tools/analysis_tools/benchmark_pretraining.py': 'benchmark::pretraining_beside_a',
    'python tools/analysis_tools/benchmark_scaling.py': 'benchmark::scaling',
    'python tools/analysis_tools/cka.py': 'analysis::cka_command',
    'python tools/analysis_tools/compare_runs.py': 'compare_runs::trains_and_tables',
    'python tools/analysis_tools/feature_pca.py': 'analysis::feature_pca',
    'python tools/analysis_tools/gate_weights.py': 'feature_aggregator::the_weights_as_a_picture',
    'python tools/analysis_tools/int8_cost.py': 'benchmark::int8',
    'python tools/analysis_tools/plot_curves.py': 'visualization::curves_of_a_resumed_run',
    'python tools/analysis_tools/plot_scores.py': 'visualization::scores_of_comparisons',
    'python tools/analysis_tools/plot_pretraining.py': 'visualization::a_diffusion_model_over',
    'python tools/analysis_tools/probe_grid.py': 'analysis::probe_grid',
    'python tools/analysis_tools/training_memory.py': 'fsdp::training_memory',
    'python tools/cache_features.py': 'feature_cache::a_killed_run_goes_on_in_two_processes',
    'python tools/check_data.py': 'check_data::command_line',
    'python tools/(clean_features|distill).py': 'tools_teacher::what_a_run_makes_starts_another',
    'python tools/dataset_converters/digit_scenes.py': 'digit_scenes::is_deterministic',
    'python tools/dataset_converters/texture_mosaics.py': 'texture_mosaics::more_images_do_not',
    'python (tools/export|labels).py': 'export::program_of_the_docs_labels_as_the_model',
    'python tools/few_labels.py': 'few_labels::from_folders_to_a_segmentor',
    'python tools/image_demo.py': 'tools::digit_scenes_from_training_to_pictures',
    'python tools/knn.py': 'knn::command_line',
    'python tools/(pretrain|sample).py': 'tools_pretrain::pretrain_resume_and_sample',
    'python tools/(test|train).py': 'tools::digit_scenes_from_training_to_pictures',
}


def script_of(page):
    """All commands of a page: those of the blocks, then those within lines."""
    block = r'^```(?:bash|shell)\n(.*?)^```'
    text = page.read_text()
    lines = ' '.join(re.sub(block, '', text, flags=re.M | re.S).split())
    inline = re.findall(r'(?<!`)`((?:bash|pip|python) [^`]+)`(?!`)', lines)
    # An environment to activate is none of what is tested.
    blocks = re.sub(r'^\. .*', '', '\n'.join(re.findall(block, text, re.M | re.S)), flags=re.M)
    return blocks + '\n' + '\n'.join(inline)


@pytest.fixture(scope='module')
def commands(root, tmp_path_factory):
    """Lists of arguments, by page."""
    folder = tmp_path_factory.mktemp('commands')
    stubs = ''.join(f'{name}() {{ record {name} "$@"; }}\n' for name in PROGRAMS)
    found = {}
    for page in [
        root / 'README.md',
        root / 'CONTRIBUTING.md',
        *sorted((root / 'docs').glob('*.md')),
    ]:
        record = folder / page.stem
        result = subprocess.run(
            [shutil.which('bash'), '-euc', RECORD + stubs + script_of(page) + '\nwait'],
            cwd=folder,
            env=dict(RECORD=str(record), PATH=''),
            check=False,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, f'{page.name}: {result.stderr}'
        if record.exists():
            found[page.name] = [line.split('\x1f')[:-1] for line in record.read_text().splitlines()]
    return found


def test_each_is_run_by_a_test_or_needs_what_a_test_has_not(commands, root):
    lines = {' '.join(command) for of_page in commands.values() for command in of_page}
    assert len(lines) > 100
    needs = {need: reason for reason, patterns in NEEDS.items() for need in patterns}
    unknown = [
        line
        for line in sorted(lines)
        if not any(re.search(need, line) for need in needs)
        and not any(re.match(command, line) for command in RUN_BY)
    ]
    assert unknown == []
    left = [
        pattern
        for pattern, look in (
            *((need, re.search) for need in needs),
            *((command, re.match) for command in RUN_BY),
        )
        if not any(look(pattern, line) for line in lines)
    ]
    assert left == [], 'no command is like these any more'
    for test in RUN_BY.values():
        file, name = test.split('::')
        assert name
        assert f'def test_{name}' in (root / f'tests/test_{file}.py').read_text(), test


def test_files_that_they_name_exist(commands, root):
    named = {
        (page, argument)
        for page, of_page in commands.items()
        for command in of_page
        for argument in command
        if re.fullmatch(r'(configs|tools|tests|requirements)/[\w./-]+\.(py|sh|yml|txt)', argument)
        and 'HEAD' not in argument
    }
    assert len(named) > 50
    assert [pair for pair in sorted(named) if not (root / pair[1]).exists()] == []


class ParsedError(Exception):
    """The tool has read its command line."""


def test_tools_take_their_arguments(commands, root, monkeypatch, capsys):
    parse = ArgumentParser.parse_known_args

    def parse_and_stop(parser, *args, **kwargs):
        found, unknown = parse(parser, *args, **kwargs)
        if unknown:
            return found, unknown
        raise ParsedError

    monkeypatch.setattr(ArgumentParser, 'parse_known_args', parse_and_stop)
    tools = sorted(
        {
            tuple(command[1:])
            for of_page in commands.values()
            for command in of_page
            if command[0] == 'python' and re.match(r'tools/.*\.py$', command[1])
        }
    )
    refused = []
    for tool in tools:
        monkeypatch.setattr('sys.argv', list(tool))
        try:
            with pytest.raises(ParsedError):
                runpy.run_path(str(root / tool[0]), run_name='__main__')
        except SystemExit as stop:
            refused.append((' '.join(tool), stop.code, capsys.readouterr().err[-300:]))
    assert refused == []
