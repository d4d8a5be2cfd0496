"""Checkpoints that a kill or a full disk cannot break."""

import os
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook

from mmdiff.engine.work_dirs import checkpoint_folder, checkpoints_in, resumed_from
from mmdiff.registry import HOOKS

PARTIAL = '.partial'


@register_backend('mmdiff.whole_files')
class WholeFilesBackend(LocalBackend):
    """Local files that are whole or not there: written beside, then renamed."""

    def __init__(self):
        super().__init__()
        self._put_off = None

    @contextmanager
    def removals_put_off(self):
        """Collect the files to be removed, in place of removing them, while the context lasts."""
        self._put_off = []
        try:
            yield self._put_off
        finally:
            self._put_off = None

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, unless :meth:`removals_put_off` collects it.

        Args:
            filepath (str | Path): The file.
        """
        if self._put_off is None:
            super().remove(filepath)
        else:
            self._put_off.append(filepath)

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file.

        Args:
            obj (bytes): The content.
            filepath (str | Path): Where.

        Raises:
            OSError: If it cannot be written, e.g. as the disk is full. What
                was there before is kept.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + PARTIAL)
        try:
            with open(partial, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OSError(
                error.errno,
                f'could not write {path} ({len(obj) / 1e6:.0f} MB): {error.strerror}. Earlier '
                'checkpoints are as they were, and --resume goes on from the last one',
            ) from error


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, for runs that may be killed at any time.

    A checkpoint, and the file ``last_checkpoint`` that names it, are written
    beside the old one and then renamed; and old checkpoints, also the best
    one so far, are removed after the new one is there, not before. A run that
    goes on in another folder, such as a copy or a new work dir, removes and
    replaces nothing in the old one.

    Args:
        **kwargs: As of MMEngine's ``CheckpointHook``, without
            ``backend_args``: checkpoints are on a local disk.

    Raises:
        ValueError: If ``out_dir`` is not on a local disk.
    """

    def __init__(self, **kwargs):
        if '://' in str(kwargs.get('out_dir')):
            raise ValueError(f'out_dir must be a local folder, got {kwargs["out_dir"]!r}')
        super().__init__(backend_args=dict(backend='mmdiff.whole_files'), **kwargs)
        self._position = {}

    def before_train(self, runner) -> None:
        """Prepare, and remove what a kill left half written.

        Args:
            runner (Runner): The run.

        Raises:
            FileExistsError: If the run goes on from a checkpoint elsewhere,
                and its own folder has checkpoints of another run.
        """
        source = resumed_from(runner)
        if source is not None:
            self._keep_to_own_files(runner, source)
        super().before_train(runner)
        if is_main_process():
            for folder in {self.out_dir, runner.work_dir}:
                for partial in Path(folder).glob(f'*{PARTIAL}'):
                    partial.unlink()

    def _keep_to_own_files(self, runner, source: Path) -> None:
        """Forget files that a checkpoint remembers, and that are not of this run."""
        folder = checkpoint_folder(runner.work_dir, self.out_dir)
        is_own = source.parent.resolve() == folder.resolve()
        others = [] if is_own else checkpoints_in(folder)
        if others:
            raise FileExistsError(
                f'{folder} has checkpoints of another run ({", ".join(others)}), which a run that '
                f'goes on from {source} would overwrite: name another --work-dir, or go on from '
                'the latest of them, --resume without a file'
            )
        info = runner.message_hub.runtime_info
        for key in [key for key in info if key.startswith('best_ckpt')]:
            best = Path(info.pop(key))
            if is_own and (folder / best.name).is_file():
                info[key] = str(folder / best.name)
            elif best.is_file():
                runner.logger.info(f'The best checkpoint so far stays where it is: {best}')
        if 'keep_ckpt_ids' in info:
            info['keep_ckpt_ids'] = [
                step
                for step in info['keep_ckpt_ids']
                if is_own and (folder / self.filename_tmpl.format(step)).is_file()
            ]

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Correct where the run is: after a validation, FlexibleRunner counts one iteration more.

        Args:
            runner (Runner): The run.
            checkpoint (dict): What will be written.
        """
        checkpoint['meta'].update(self._position)

    def _save_best_checkpoint(self, runner, metrics):
        self._position = dict(epoch=runner.epoch, iter=runner.iter)
        with self.file_backend.removals_put_off() as outdated:
            super()._save_best_checkpoint(runner, metrics)
        self._position = {}
        best = {
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values(),
        }
        for path in set(outdated) - best:
            self.file_backend.remove(path)

    def _save_checkpoint_with_step(self, runner, step, meta):
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            # For the run that resumes from this checkpoint. It removes those that are too many, as
            # a kill may leave the outdated one.
            runner.message_hub.update_info('keep_ckpt_ids', [*self.keep_ckpt_ids, step])
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.keep_ckpt_ids.popleft()
            self.keep_ckpt_ids.append(step)
        self._position = dict(meta)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._position = {}
        if is_main_process():
            self.file_backend.put(
                self.last_ckpt.encode(), Path(runner.work_dir) / 'last_checkpoint'
            )
            if outdated is not None:
                Path(self.out_dir, self.filename_tmpl.format(outdated)).unlink(missing_ok=True)
