"""Samples as files, and what FID's library makes of them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff.diffusion.sample_folder import SampleFolder

MODEL = ('adm-64-small', 'mmdiff://adm-64-small_digit-scenes.pt')


def pixels(path):
    with Image.open(path) as image:
        assert image.mode == 'RGB'
        return np.asarray(image).astype(int)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_values_are_guided_diffusions(tmp_path):
    """Of scripts/image_sample.py: ((sample + 1) * 127.5).clamp(0, 255).to(torch.uint8)"""
    image = torch.tensor([-1.0, -0.999, 0.0, 0.5, 1.0, 2.0]).repeat(3, 2, 1)
    SampleFolder(tmp_path, {}).write(7, image)
    assert names(tmp_path) == ['000007.png', 'samples.json']
    assert pixels(tmp_path / '000007.png')[0, :, 1].tolist() == [0, 0, 127, 191, 255, 255]


def test_goes_on_where_it_was(tmp_path, monkeypatch):
    folder = SampleFolder(tmp_path, {'steps': 2})
    folder.write(3, torch.zeros(3, 4, 4))

    def killed(self, path, *args):
        path.write_bytes(b'half of an ima')
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('PIL.Image.Image.save', killed)
        with pytest.raises(KeyboardInterrupt):
            folder.write(4, torch.zeros(3, 4, 4))
    again = SampleFolder(tmp_path, {'steps': 2})
    assert again.missing(range(2, 6)) == [2, 4, 5]
    assert [path.name for path in tmp_path.glob('*.png')] == ['000003.png']


def test_other_settings_are_refused(tmp_path):
    SampleFolder(tmp_path, {'steps': 2, 'weights': 'a'})
    with pytest.raises(ValueError, match=r"other settings, steps=2, not 4; weights='a', not 'b'"):
        SampleFolder(tmp_path, {'steps': 4, 'weights': 'b'})


def test_sample_to_a_folder(tmp_path, call_tool):
    out = tmp_path / 'samples'
    options = ('--steps=1', '--sampler=ddpm', '--batch-size=2')
    call_tool('tools/sample.py', *MODEL, out, '--num=3', *options)
    files = ['000000.png', '000001.png', '000002.png']
    assert names(out) == [*files, 'samples.json']
    first = [pixels(out / name) for name in files]
    assert all(image.shape == (64, 64, 3) for image in first)
    assert (first[0] != first[1]).mean() > 0.1

    # What is there stays, and what is missing is drawn again as it was, but for last bits.
    (out / files[1]).unlink()
    (out / files[2]).write_bytes(b'')
    call_tool('tools/sample.py', *MODEL, out, '--num=3', *options)
    assert (out / files[2]).read_bytes() == b''
    assert abs(pixels(out / files[1]) - first[1]).max() <= 1

    # A part of the seeds, such as another process draws.
    call_tool('tools/sample.py', *MODEL, tmp_path / 'other', '--seed=2', '--num=1', *options)
    assert names(tmp_path / 'other') == [files[2], 'samples.json']
    assert abs(pixels(tmp_path / 'other' / files[2]) - first[2]).max() <= 1

    settings = json.loads((out / 'samples.json').read_text())
    assert (settings['arch'], settings['steps'], settings['sampler']) == (MODEL[0], 1, 'ddpm')
    with pytest.raises(SystemExit, match=r'out: .*samples of other settings, sampler='):
        call_tool('tools/sample.py', *MODEL, out, '--num=3', '--steps=1')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['samples.jpg'], 'out must be a .png file or a folder, got samples.jpg'),
        (['samples', '--num=0'], '--num must be at least 1, got 0'),
        (['samples', '--seed=-1'], '--seed must be at least 0, got -1'),
    ],
)
def test_sample_refuses(options, message, call_tool, capsys):
    with pytest.raises(SystemExit):
        call_tool('tools/sample.py', *MODEL, *options)
    assert message in capsys.readouterr().err


@pytest.fixture
def small_extractor():
    """Registered in place of Inception, whose weights are a download: means of four cells."""
    fidelity = pytest.importorskip('torch_fidelity')

    class SmallExtractor(fidelity.FeatureExtractorBase):
        def __init__(self, name, features_list, **kwargs):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return ('2048',)

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return '2048'

        def forward(self, images):
            return (torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1),)

    fidelity.register_feature_extractor('small', SmallExtractor)
    settings = dict(fid=True, feature_extractor='small', cuda=False, verbose=False)
    return lambda **kwargs: fidelity.calculate_metrics(save_cpu_ram=True, **settings, **kwargs)[
        'frechet_inception_distance'
    ]


def test_fid_of_a_folder(tmp_path, small_extractor):
    """Against a folder, and against statistics as docs/fid.md makes them of guided-diffusion's."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (2, 40, 3, 2, 2)).astype(np.float32)
    values[1] *= 0.5
    for number, images in enumerate(values):
        folder = SampleFolder(tmp_path / str(number), {})
        for seed, image in enumerate(images):
            folder.write(seed, torch.from_numpy(image))
    inputs = {f'input{n + 1}': str(tmp_path / str(n)) for n in range(2)}
    fid = small_extractor(cache=False, **inputs)
    assert fid > 100
    assert small_extractor(cache=False, **inputs | {'input2': inputs['input1']}) < 1e-2 * fid

    features = np.stack(
        [pixels(path).transpose(2, 0, 1).ravel() for path in sorted(tmp_path.glob('1/*.png'))]
    )
    reference = {'mu': features.mean(0), 'sigma': np.cov(features, rowvar=False)}
    torch.save(
        {'mu': reference['mu'].astype('float32'), 'sigma': reference['sigma'].astype('float64')},
        tmp_path / 'reference-small-stat-fid-2048.pt',
    )
    by_statistics = small_extractor(
        input1=inputs['input1'], input2='reference', input2_cache_name='reference',
        cache_root=str(tmp_path),
    )  # fmt: skip
    assert by_statistics == pytest.approx(fid, rel=1e-4)
