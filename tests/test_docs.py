"""The docs site builds, without a warning."""

import re

import pytest


def test_links_lead_somewhere(root):
    pages = [root / 'README.md', root / 'CONTRIBUTING.md', *sorted((root / 'docs').glob('*.md'))]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r'\]\(([^)#\s]+)(?:#[^)]*)?\)', page.read_text())
        if '://' not in target
    ]
    assert len(links) > 50
    assert [(page.name, to) for page, to in links if not (page.parent / to).exists()] == []


def test_pages_that_code_names_exist(root):
    files = [
        path for folder in ('configs', 'mmdiff', 'tools') for path in (root / folder).rglob('*')
    ]
    named = {
        page
        for path in files
        if path.suffix in ('.py', '.sh', '.yml') and '.mim' not in path.parts
        for page in re.findall(r'docs/[\w-]+\.\w+', path.read_text())
    }
    assert len(named) > 3
    assert [page for page in sorted(named) if not (root / page).exists()] == []


@pytest.mark.slow
def test_site(tmp_path, run):
    run('python', '-m', 'sphinx', '-W', '--keep-going', '-q', 'docs', tmp_path)
    assert 'FeatureExtractor' in (tmp_path / 'api.html').read_text()
