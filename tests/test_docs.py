"""The docs site builds, without a warning."""

import pytest

pytestmark = pytest.mark.slow


def test_site(tmp_path, run):
    run('python', '-m', 'sphinx', '-W', '--keep-going', '-q', 'docs', tmp_path)
    assert 'FeatureExtractor' in (tmp_path / 'api.html').read_text()
