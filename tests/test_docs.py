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


@pytest.mark.slow
def test_site(tmp_path, run):
    run('python', '-m', 'sphinx', '-W', '--keep-going', '-q', 'docs', tmp_path)
    assert 'FeatureExtractor' in (tmp_path / 'api.html').read_text()
