"""The docs site builds, without a warning."""

import re
import subprocess

import pytest


def anchors_of(page):
    """The names of a page's headings, as GitHub makes them."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    headings = re.findall(r'^#+ (.*)$', text, re.M)
    return {re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings}


def test_links_lead_somewhere(root):
    pages = [root / 'README.md', root / 'CONTRIBUTING.md', *sorted((root / 'docs').glob('*.md'))]
    links = [
        (page, target, anchor)
        for page in pages
        for target, anchor in re.findall(r'\]\(([^)#\s]*)(?:#([^)]*))?\)', page.read_text())
        if '://' not in target
    ]
    assert len(links) > 50
    assert [(page.name, to) for page, to, _ in links if not (page.parent / to).exists()] == []
    lost = [
        (page.name, to, anchor)
        for page, to, anchor in links
        if anchor and anchor not in anchors_of(page.parent / to if to else page)
    ]
    assert lost == []


def test_lines_are_narrow(root):
    """But for tables, and the targets of links."""
    pages = [root / name for name in ('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md')]
    wide = [
        f'{page.name}:{number}'
        for page in [*pages, *sorted((root / 'docs').glob('*.md'))]
        for number, line in enumerate(page.read_text().splitlines(), 1)
        if len(re.sub(r'\]\([^)]*\)', ']', line)) > 100 and not line.lstrip().startswith('|')
    ]
    assert wide == []


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


# What the paper's tables and figures name, as docs/paper_tables.md must.
PAPER = {
    'Figure 3': ['timesteps', 'blocks', 'pool sizes', 'ResNet-50'],
    'Figure 4': ['CUB', 'probe_gd_cub.py'],
    'Figure 5': ['(a)', '(b)', '(c)', 'all 37 blocks', "12 layers of MAE's ViT-B"],
    'Figure 6': ['(a) Attention', '(b) DifFormer', '(c) DifFeed'],
    'Figure 7': ['Aircraft', 'Cars', 'CUB', 'Dogs', 'Flowers', 'NABirds', 'GD', 'Attention',
                 'DifFormer', 'DifFeed'],
    'Figure 8': ['ViT-L', 'ResNet-50'],
    'Figure 9': ['Linear', 'MLP', 'CNN', 'Attention'],
    'Table 1': ['SimCLR', 'SwAV', 'MAE', 'BigBiGAN', 'MAGE', 'U-Net Encoder', 'GD', 'Attention',
                'DifFormer', 'DifFeed', 'FID', '26.21', '28.54', '9.10'],
    'Table 2': ['| 1 |', '| 2 |', '| 4 |', '1 %', 'CUB'],
    'Table 3': ['| {150} | {24} |', '| {90,150,300} | {24} |', '| {150} | {19,24,30} |',
                '| {90,150,300} | {19,24,30} |'],
    'Table 4': ['all', 'bottleneck', 'windowed', 'multi-scale'],
    'Table 5': ['SimCLR', 'SwAV', 'GD', 'DifFormer', 'DifFeed'],
    'Table 6': ['Supervised', 'SimCLR', 'SwAV', 'DreamTeacher', 'ViT-B', 'ViT-L', 'GD', 'DifFeed'],
    'Table 7': ['Aircraft', 'Cars', 'CUB', 'Dogs', 'Flowers', 'NABirds', 'ImageNet-1k', '1 %',
                '10 %', 'ImageNet-50'],
    'Table 8': ['BigBiGAN', 'MAGE', 'GD', 'DifFormer', 'DifFeed'],
    'Table 9': ['| 24 | 90 |', *(f'| 19 | {t} |' for t in (10, 30, 50, 90, 150, 300, 500))],
    'Table 10': ['supervised', 'SimCLR', 'MAE', 'MAGE', 'GD (L)'],
    'Table 11': ['b=18, 512', 'b=15, 512', 'b=18, 256', 'Learnable', 'b=24, 256'],
    'Table 12': ['Linear-1k', 'Linear-4k', 'Linear-16k', 'Linear-65k', 'MLP-1k-2k', 'MLP-4k-2k |',
                 'MLP-4k-2k-2k', 'MLP-16k-2k'],
    'Table 13': [f'CNN-1k-{head}' for head in ('256-256', '512-256', '1k-256', '1k-1k', '2k-512',
                                               '2k-2k', '4k-2k', '4k-2.5k')],
    'Table 14': [f'Attention-1K-{layers}' for layers in range(1, 6)],
    'Table 15': [f'| {b} |' for b in (21, 24, 27, 30, 33, 36)],
    'Table 16': ['SimCLR', 'MAE', 'Attention', 'DifFormer', 'DifFeed'],
}  # fmt: skip


@pytest.fixture(scope='module')
def paper_sections(root):
    """The sections of docs/paper_tables.md by the table or figure that they begin with."""
    page = (root / 'docs/paper_tables.md').read_text()
    sections = re.split(r'^## ', page, flags=re.MULTILINE)
    return {re.split(r'[:\n]', section)[0]: section for section in sections}


@pytest.mark.parametrize('name', PAPER)
def test_a_table_of_the_paper_is_on_its_page(name, paper_sections):
    section = paper_sections[name]
    text = re.sub(r'\[`[^`]*`\]\([^)]*\)', '', section)
    words = section if name.startswith('Figure') else text
    assert [row for row in PAPER[name] if row.lower() not in words.lower()] == []


@pytest.mark.parametrize('name', PAPER)
def test_a_row_of_the_paper_has_a_config_or_a_command_or_is_cited(name, paper_sections, root):
    rows = [line for line in paper_sections[name].splitlines() if line.startswith('|')]
    headers = {place for place, row in enumerate(rows) if set(row) <= set('|-: ')}
    body = [row for place, row in enumerate(rows) if not {place, place + 1} & headers]
    assert body
    for row in body:
        files = re.findall(r'\(\.\./(configs/\S+\.py)\)|(tools/[\w/]+\.py)', row)
        assert files or 'cited' in row.lower(), row
        assert all((root / (config or tool)).is_file() for config, tool in files), row


@pytest.mark.slow
def test_tutorial_as_written(root, tmp_path, environment):
    for name in ('tools', 'configs'):
        (tmp_path / name).symlink_to(root / name)
    page = (root / 'docs/tutorial.md').read_text()
    blocks = re.findall(r'^```bash\n(.*?)^```', page, re.M | re.S)
    assert len(blocks) == 4
    for block in blocks:
        result = subprocess.run(
            ['bash', '-euo', 'pipefail', '-c', block], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, f'{block}\n{result.stdout[-2000:]}{result.stderr[-2000:]}'
    # The commands write what the page says.
    assert len(list((tmp_path / 'tutorial/demo/vis').iterdir())) == 60
    assert (tmp_path / 'tutorial/run/sheet.png').is_file()
    assert 'mIoU' in result.stdout


@pytest.mark.slow
def test_site(tmp_path, run):
    run('python', '-m', 'sphinx', '-W', '--keep-going', '-q', 'docs', tmp_path)
    assert 'FeatureExtractor' in (tmp_path / 'api.html').read_text()
