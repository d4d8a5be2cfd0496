"""Settings that nothing reads: misspelt ones, and variables that a config has already copied."""

import ast
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import FlexibleRunner, Runner

# What MMEngine's runners read of a config: their arguments, and what they look up in it.
READ = {
    *signature(Runner).parameters,
    *signature(FlexibleRunner).parameters,
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'init_weights_for_test_or_val',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
    # Read where the model has none of its own; a base may have copied it there.
} - {'data_preprocessor'}
# Dicts of which MMEngine passes over any other key.
CLOSED = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}


class ConfigFile:
    """The assignments in a config file, and those in its bases.

    Args:
        path (str | Path): The file. Of one in MMEngine's lazy style, or that
            is no Python, nothing is known.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.values: dict[str, ast.expr] = {}
        self.bases: list[ConfigFile] = []
        text = self.path.read_text(encoding='utf-8') if self.path.suffix == '.py' else ''
        if 'read_base' in text:
            return
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign):
                names = [t.id for t in node.targets if isinstance(t, ast.Name)]
                self.values |= dict.fromkeys(names, node.value)
        named = ast.literal_eval(self.values.pop('_base_', ast.Constant([])))
        for base in [named] if isinstance(named, str) else named:
            found, _ = Config._get_cfg_path(base, str(self.path))
            self.bases.append(ConfigFile(found))

    def inherited(self) -> list['ConfigFile']:
        """The bases, and those of the bases."""
        return [file for base in self.bases for file in (base, *base.inherited())]


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Refuse settings of the command line that would have no effect.

    Args:
        cfg (Config): The config without them.
        options (Mapping[str, Any]): As of ``--cfg-options``.

    Raises:
        SystemExit: If nothing reads one of them: its name is unknown, or it is
            a variable whose value the config has copied to where it is read.
            The message names the nearest one that is known, or the places.
    """
    for option in options:
        name, *below = option.split('.')
        if name in CLOSED and below and below[0] not in CLOSED[name]:
            raise SystemExit(
                f'--cfg-options: nothing reads {option}; {name} has '
                f'{", ".join(sorted(CLOSED[name]))}'
            )
        if name in READ:
            continue
        if name not in cfg:
            raise SystemExit(f'--cfg-options: nothing reads {option}{_nearest(cfg, option)}')
        file = ConfigFile(cfg.filename)
        places = [*_copies(cfg, name, cfg[name], [file, *file.inherited()])]
        if places:
            raise SystemExit(
                f'--cfg-options: {option} would have no effect, as the config has copied {name} '
                f'to {", ".join(places)}: set that'
            )


def check_config(cfg: Config) -> None:
    """Refuse settings of a config file that have no effect.

    Args:
        cfg (Config): The config, as it was read from its file.

    Raises:
        SystemExit: If a file sets a variable that a base has copied already,
            or a name that looks like a misspelt one of MMEngine's, and that is
            not used.
    """
    file = ConfigFile(cfg.filename)
    files = [file, *file.inherited()]
    for child in files:
        bases = child.inherited()
        for name in child.values.keys() - READ:
            if _is_used(child, name):
                continue
            base = next((base for base in bases if name in base.values), None)
            if base is None:
                _check_spelling(child, name, files)
                continue
            old = Config.fromfile(base.path, import_custom_modules=False)[name]
            copies = {} if _has(old, cfg[name]) else _copies(cfg, name, old, bases)
            places = [place for place, found in copies.items() if not _has(found, cfg[name])]
            if places:
                raise SystemExit(
                    f'config: {name} in {child.path} has no effect, as {base.path} has copied its '
                    f'own to {", ".join(places)}: set that'
                )


def _check_spelling(file: ConfigFile, name: str, files: list[ConfigFile]) -> None:
    similar = get_close_matches(name, READ, n=1, cutoff=0.9)
    if similar and not any(_is_used(other, name) for other in files):
        raise SystemExit(f'config: nothing reads {name} in {file.path}. Is it {similar[0]}?')


def _nearest(cfg: Config, option: str) -> str:
    same_end = [path for path in _paths(cfg._cfg_dict) if path.endswith(f'.{option}')]
    name, *below = option.split('.')
    similar = get_close_matches(name, [*READ, *cfg.keys()], n=1)
    nearest = [*same_end, *('.'.join([match, *below]) for match in similar)]
    return f'. Is it {nearest[0]}?' if nearest else f'; the config has {", ".join(cfg.keys())}'


def _paths(settings: Any, path: str = '') -> Iterator[str]:
    items = settings.items() if isinstance(settings, Mapping) else ()
    for key, value in items:
        yield f'{path}{key}'
        yield from _paths(value, f'{path}{key}.')


def _copies(cfg: Config, name: str, value: Any, files: list[ConfigFile]) -> dict[str, Any]:
    """Where what MMEngine reads still has the value that a variable had, and what is there."""
    places = {}
    for path in _flow(name, files, ()):
        try:
            found = cfg
            for key in path:
                found = found[key]
        except (KeyError, IndexError, TypeError):
            continue  # A child has replaced what was there.
        if _has(found, value):
            places['.'.join(map(str, path))] = found
    return places


def _has(found: Any, value: Any) -> bool:
    """Whether one value is another, or a dict that has all that is in the other."""
    if isinstance(value, Mapping) and isinstance(found, Mapping):
        return all(key in found and _has(found[key], item) for key, item in value.items())
    return found == value


def _flow(name: str, files: list[ConfigFile], through: tuple[str, ...]) -> Iterator[tuple]:
    """Paths of what MMEngine reads to which a variable's value is copied, also through others."""
    for file in files:
        for target, value in file.values.items():
            for path in _uses(value, name):
                if target in READ:
                    yield (target, *path)
                # Also of what is read, as in test_dataloader = val_dataloader.
                if target not in (name, *through):
                    for place in _flow(target, files, (*through, name)):
                        yield (*place, *path)


def _uses(node: ast.expr, name: str, path: tuple = ()) -> Iterator[tuple]:
    """Paths in an expression, through dicts and lists, to where it uses a variable."""
    parts: list[tuple[Any, ast.expr]] = []
    if _is_variable(node, name):
        yield path
    elif isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict':
        parts = [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
    elif isinstance(node, ast.Dict):
        parts = [
            (key.value, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        ]
    elif isinstance(node, ast.List | ast.Tuple):
        parts = [*enumerate(node.elts)]
    elif isinstance(node, ast.Set) and len(node.elts) == 1:  # {{_base_.name}}
        yield from _uses(node.elts[0], name, path)
    for key, part in parts:
        yield from _uses(part, name, (*path, key))


def _is_variable(node: ast.AST, name: str) -> bool:
    of_base = isinstance(node, ast.Attribute) and getattr(node.value, 'id', '') == '_base_'
    return (of_base and node.attr == name) or (isinstance(node, ast.Name) and node.id == name)


def _is_used(file: ConfigFile, name: str) -> bool:
    return any(
        _is_variable(node, name) for value in file.values.values() for node in ast.walk(value)
    )
