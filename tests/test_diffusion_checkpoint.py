"""Reading checkpoints: good ones load, all others give an error that says why."""

import pickle
import re
import tarfile
import zipfile

import pytest
import torch

from mmdiff.diffusion import (
    Architecture,
    CheckpointError,
    UNet,
    get_architecture,
    load_safely,
    load_weights,
    read_checkpoint,
)

ARCH = get_architecture('adm-64-small')


@pytest.fixture(scope='module')
def state_dict():
    return UNet(ARCH).state_dict()


@pytest.fixture
def saved(tmp_path, state_dict):
    path = tmp_path / 'unet.pt'
    torch.save(state_dict, path)
    return path


@pytest.mark.parametrize('zipped', [True, False])
def test_round_trip(tmp_path, state_dict, zipped):
    path = tmp_path / 'unet.pt'
    torch.save(state_dict, path, _use_new_zipfile_serialization=zipped)
    unet = UNet(ARCH)
    assert load_weights(unet, read_checkpoint(path), str(path)) == []
    for key, value in unet.state_dict().items():
        assert torch.equal(value, state_dict[key]), key


def test_keys_of_unbuilt_blocks_are_named(saved, state_dict):
    unet = UNet(ARCH, last_block=12)
    left_out = load_weights(unet, read_checkpoint(saved), 'x')
    assert set(left_out) == set(state_dict) - set(unet.state_dict())
    assert 'output_blocks.3.0.in_layers.0.weight' in left_out
    assert 'out.2.bias' in left_out


def test_state_dict_of_a_truncated_unet_loads_again(tmp_path):
    unet = UNet(ARCH, last_block=12)
    assert load_weights(UNet(ARCH, last_block=12), unet.state_dict(), 'x') == []
    assert load_weights(UNet(ARCH, last_block=5), unet.state_dict(), 'x')
    with pytest.raises(CheckpointError, match=r'missing: output_blocks\.3'):
        load_weights(UNet(ARCH), unet.state_dict(), 'x')


def test_prefix_and_mmengine_layout(tmp_path, state_dict):
    path = tmp_path / 'segmentor.pth'
    model = {f'backbone.unet.{key}': value for key, value in state_dict.items()}
    torch.save({'state_dict': model | {'head.weight': torch.zeros(1)}, 'meta': {}}, path)
    assert set(read_checkpoint(path, 'backbone.unet.')) == set(state_dict)
    with pytest.raises(CheckpointError, match=r"no key that starts with prefix='neck\.'"):
        read_checkpoint(path, 'neck.')
    with pytest.raises(CheckpointError, match='does not hold a guided-diffusion U-Net'):
        load_weights(UNet(ARCH), read_checkpoint(path), str(path))


@pytest.mark.parametrize('last_block', [None, 12])
def test_faulty_keys_are_named(state_dict, last_block):
    unet = UNet(ARCH, last_block)
    faulty = dict(state_dict)
    del faulty['input_blocks.2.0.in_layers.2.bias']
    faulty['output_blocks.0.9.weight'] = torch.zeros(1)
    faulty['middle_block.0.in_layers.0.weight'] = torch.zeros(7)
    with pytest.raises(CheckpointError) as error:
        load_weights(unet, faulty, 'my.pt')
    message = str(error.value)
    assert message.startswith('my.pt does not fit the architecture')
    assert 'missing: input_blocks.2.0.in_layers.2.bias' in message
    assert 'unexpected: output_blocks.0.9.weight' in message
    assert (
        'misshapen: middle_block.0.in_layers.0.weight (checkpoint (7,), architecture (128,))'
    ) in message


def test_checkpoint_of_another_architecture(state_dict):
    other = Architecture(64, 32, (1, 2), num_res_blocks=1, attention_resolutions=())
    # The built blocks are the same; those left out tell that it is another model.
    with pytest.raises(CheckpointError, match='does not fit the architecture'):
        load_weights(UNet(other, last_block=2), state_dict, 'x')


@pytest.mark.parametrize('share', [0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize('zipped', [True, False])
def test_truncated_file(tmp_path, state_dict, share, zipped):
    path = tmp_path / 'unet.pt'
    torch.save(state_dict, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r'is (empty|truncated, or is not a file)'):
        read_checkpoint(path)


def archive(kind, path):
    """An archive with a checkpoint in it, in place of a checkpoint."""
    with zipfile.ZipFile(path, 'w') if kind == 'zip' else tarfile.open(path, f'w:{kind}') as file:
        add = file.write if kind == 'zip' else file.add
        add(__file__, 'models/unet.pt')
    return path.read_bytes()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty'),
        (b'\x89PNG\r\n', 'is truncated, or is not a file'),
        (b'PK\x03\x04 no zip', 'is truncated, or is not a file'),
        (
            b'version https://git-lfs.github.com/spec/v1\noid sha256:4\n',
            'is a pointer of Git LFS, not the file: run `git lfs pull`',
        ),
        (b'\n<!doctype html><title>404', 'is a web page'),
        (b'<html>Sign in</html>', 'is a web page'),
        (b'{"error": "Repository not found"}', 'is JSON text'),
        ('zip', 'is an archive of other files: unpack it, and name one of models/unet.pt'),
        ('', 'is an archive: unpack it'),
        ('gz', 'is an archive: unpack it'),
    ],
)
def test_foreign_file(tmp_path, content, message):
    path = tmp_path / 'unet.pt'
    path.write_bytes(content if isinstance(content, bytes) else archive(content, path))
    with pytest.raises(CheckpointError, match=rf'unet\.pt {message}'):
        read_checkpoint(path)


def test_folder(tmp_path, saved):
    with pytest.raises(CheckpointError, match=r'is a folder, .*; name one of unet\.pt'):
        read_checkpoint(tmp_path)
    zipfile.ZipFile(saved).extractall(tmp_path / 'unpacked.pt')
    with pytest.raises(CheckpointError, match='a checkpoint that something unpacked'):
        read_checkpoint(tmp_path / 'unpacked.pt')


@pytest.mark.parametrize('name', ['unet.safetensors', 'unet.pt', 'unet'])
def test_safetensors_whatever_the_suffix(tmp_path, state_dict, name):
    safetensors = pytest.importorskip('safetensors.torch')
    path = tmp_path / name
    safetensors.save_file({k: v.contiguous() for k, v in state_dict.items()}, path)
    assert load_weights(UNet(ARCH), read_checkpoint(path), name) == []
    assert load_safely(path).keys() == state_dict.keys()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match='is truncated, or is no safetensors file'):
        read_checkpoint(path)


def test_pytorch_file_with_the_suffix_of_safetensors(tmp_path, saved):
    path = saved.rename(tmp_path / 'unet.safetensors')
    with pytest.raises(CheckpointError, match=r'was written by torch\.save: rename it'):
        read_checkpoint(path)


@pytest.mark.parametrize('wrapper', ['module.', 'model.', '_orig_mod.', 'model.module._orig_mod.'])
def test_keys_of_wrapped_networks(tmp_path, state_dict, wrapper):
    path = tmp_path / 'unet.pt'
    wrapped = {f'{wrapper}{key}': value for key, value in state_dict.items()}
    torch.save(wrapped, path)
    assert load_weights(UNet(ARCH), read_checkpoint(path), str(path)) == []
    torch.save({f'net.{key}': value for key, value in wrapped.items()}, path)
    with pytest.raises(CheckpointError, match=rf"It is below 'net\.{re.escape(wrapper)}': save"):
        load_weights(UNet(ARCH), read_checkpoint(path), str(path))


def test_entries_of_a_training(tmp_path, recwarn):
    """As DiT's training saves them, timm's, and MMEngine's."""
    path = tmp_path / 'training.pt'
    weights, averaged = {'weight': torch.zeros(1)}, {'weight': torch.ones(1)}
    optimizer = dict(state={0: {'step': torch.ones(1)}}, param_groups=[{'lr': 1.0}])

    def read(content, **kwargs):
        torch.save(content | dict(opt=optimizer, epoch=3), path)
        return read_checkpoint(path, **kwargs)['weight'].item()

    assert read(dict(model=averaged)) == 1
    assert read(dict(state_dict=averaged, ema_state_dict=weights)) == 1
    assert read(dict(model=weights, ema=averaged), entry='model') == 0
    assert not recwarn
    for name in ('ema', 'params_EMA'):
        with pytest.warns(UserWarning, match=f"model, {name}: '{name}', the averaged weights"):
            assert read({'model': weights, name: averaged}) == 1
    with pytest.raises(CheckpointError, match=r"several state dicts, net, unet: .*entry='net'"):
        read(dict(net=weights, unet=averaged))
    with pytest.raises(CheckpointError, match="no state dict under entry='opt'; it has model"):
        read(dict(model=weights), entry='opt')


@pytest.mark.parametrize('content', [torch.zeros(3), [1, 2], {'epoch': 3}, {}])
def test_file_without_a_state_dict(tmp_path, content):
    path = tmp_path / 'unet.pt'
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r'is not a state dict|has no key'):
        read_checkpoint(path)


class Evil:
    """Pickles to code that would run at loading."""

    def __reduce__(self):
        return (open, ('evil-was-here', 'w'))


@pytest.mark.parametrize('plain', [True, False])
def test_code_in_a_file_does_not_run(tmp_path, monkeypatch, plain):
    monkeypatch.chdir(tmp_path)
    if plain:
        (tmp_path / 'evil.pt').write_bytes(pickle.dumps(Evil()))
    else:
        torch.save({'time_embed.0.weight': Evil()}, tmp_path / 'evil.pt')
    with pytest.raises(CheckpointError):
        read_checkpoint('evil.pt')
    assert not (tmp_path / 'evil-was-here').exists()


def test_missing_file():
    with pytest.raises(FileNotFoundError, match=r'checkpoint file /no/such\.pt does not exist'):
        read_checkpoint('/no/such.pt')
