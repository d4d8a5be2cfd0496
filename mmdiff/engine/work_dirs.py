"""Which checkpoints in a work dir are the run's own."""

from pathlib import Path

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint


def checkpoint_folder(work_dir: str, out_dir: str | None) -> Path:
    """Where a run writes checkpoints, as MMEngine's ``CheckpointHook`` has it.

    Args:
        work_dir (str): The run's work dir.
        out_dir (str, optional): The hook's ``out_dir``.

    Returns:
        Path: The folder.
    """
    if out_dir is None or out_dir == work_dir:
        return Path(work_dir)
    return Path(out_dir) / Path(work_dir).absolute().name


def checkpoints_in(folder: Path) -> list[str]:
    """Names of the checkpoints that runs wrote into a folder, without the best ones.

    Args:
        folder (Path): The folder, which may not be there.

    Returns:
        list[str]: The names, in the order in which they were written.
    """
    found = [path for kind in ('iter', 'epoch') for path in folder.glob(f'{kind}_[0-9]*.pth')]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def latest_checkpoint(cfg: Config) -> str | None:
    """The checkpoint in a run's own folder that ``last_checkpoint`` names.

    MMEngine takes the path in ``last_checkpoint`` as it is. Where the folder
    is a copy, that is a file of another run, and where it was renamed, there
    is none.

    Args:
        cfg (Config): The run's config, with ``work_dir``.

    Returns:
        str | None: The checkpoint. None if there is none in the folder.

    Raises:
        FileNotFoundError: If ``last_checkpoint`` names one that is not in the
            folder, or there are checkpoints and no ``last_checkpoint``. The
            message names what is there.
    """
    hook = cfg.get('default_hooks', {}).get('checkpoint', {})
    folder = checkpoint_folder(cfg.work_dir, hook.get('out_dir'))
    there = checkpoints_in(folder)
    choice = f'{folder} has {", ".join(there)}: name one, --resume {folder}/{(there or [""])[-1]}'
    if not Path(cfg.work_dir, 'last_checkpoint').is_file():
        if there:
            raise FileNotFoundError(f'{cfg.work_dir} has no last_checkpoint, but {choice}')
        return None
    named = find_latest_checkpoint(cfg.work_dir)
    own = folder / Path(named).name
    if not own.is_file():
        raise FileNotFoundError(
            f'{cfg.work_dir}/last_checkpoint names {named or "nothing"}, which is not in {folder}. '
            + (choice if there else f'There is no checkpoint in {folder}: name one, --resume FILE')
        )
    return str(own)


def resumed_from(runner) -> Path | None:
    """The checkpoint from which a run went on.

    Args:
        runner (Runner): The run, after it loaded.

    Returns:
        Path | None: The file. None if the run started anew.
    """
    if not runner.cfg.get('resume'):
        return None
    source = runner.cfg.get('load_from') or find_latest_checkpoint(runner.work_dir)
    return Path(source).expanduser() if source else None
