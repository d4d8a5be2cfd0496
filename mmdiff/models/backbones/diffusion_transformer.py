"""Features of a diffusion transformer (DiT, SiT), as an OpenMMLab backbone."""

from argparse import Namespace
from collections.abc import Sequence

import torch
from torch import Tensor

from mmdiff.diffusion import read_checkpoint
from mmdiff.diffusion.dit import (
    TAPS,
    DiffusionTransformer,
    TransformerArchitecture,
    get_transformer_architecture,
)
from mmdiff.registry import MODELS
from mmdiff.utils import check_choice, check_int, local_file

from .latent import LatentDiffusionBackbone
from .walks import AnyTimestep


@MODELS.register_module()
class DiffusionTransformerBackbone(LatentDiffusionBackbone):
    """Features of a diffusion transformer (DiT, SiT) at one or more timesteps.

    Images become latents, which are noised, and the transformer runs up to
    the deepest of ``blocks``, its transformer blocks. A map is the tokens laid
    out, of stride 16. All further arguments are those of
    :class:`LatentDiffusionBackbone`.

    Args:
        arch (str | dict): ``'dit-xl-2'`` or another of
            :data:`mmdiff.diffusion.dit.ARCHITECTURES`, or the fields of
            :class:`mmdiff.diffusion.dit.TransformerArchitecture`. Defaults to
            ``'dit-xl-2'``.
        timestep (AnyTimestep): As of :class:`DiffusionBackbone`; of a
            SiT, t stands for its time 1 - t / 1000. Defaults to 90.
        blocks (int | Sequence[int]): Numbers of the transformer blocks whose
            features are returned, 1 to 28 for XL. Defaults to (14, ).
        tap (str): ``'modulated'``, the tokens as the next block's norm, shift
            and scale leave them, or ``'raw'``, what the block gives, in which
            few channels are much larger than the others. Defaults to
            ``'modulated'``.
        label (int, optional): Class that conditions the model, the same for
            all images. Defaults to None: the learned null class.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...,
            vae=...)`` with a released checkpoint, such as
            ``DiT-XL-2-256x256.pt``, and the autoencoder's file or folder, or
            ``hf://ORGANISATION/NAME`` for a repository of the Hugging Face
            hub, which is downloaded; or, with ``prefix='backbone.'`` and no
            ``vae``, a run's checkpoint. Defaults to None: random weights.

    Raises:
        ImportError: If diffusers is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    network_name = 'transformer'

    def __init__(
        self,
        arch: str | dict | TransformerArchitecture = 'dit-xl-2',
        timestep: AnyTimestep = 90,
        blocks: int | Sequence[int] = (14,),
        *,
        tap: str = 'modulated',
        label: int | None = None,
        **kwargs,
    ):
        check_choice('tap', tap, TAPS)
        # Before super().__init__(), which builds the network.
        self._tap = tap
        super().__init__(arch, timestep, blocks, **kwargs)
        if label is not None:
            check_int('label', label, 0, self.arch.num_classes - 1)
        self.label = label

    @classmethod
    def find_architecture(
        cls, arch: str | dict | TransformerArchitecture
    ) -> TransformerArchitecture:
        """Look an architecture of a diffusion transformer up, by name or fields."""
        return get_transformer_architecture(arch)

    def build_network(self, last_block: int, gradient_checkpointing: bool) -> DiffusionTransformer:
        """Build the transformer."""
        return DiffusionTransformer(self.arch, last_block, gradient_checkpointing, self._tap)

    def condition(self, timesteps: Tensor) -> Tensor | None:
        """The label for each timestep, or None."""
        if self.label is None:
            return None
        return timesteps.new_full((len(timesteps),), self.label, dtype=torch.long)

    def _check_init_cfg(self, init_cfg) -> None:
        super()._check_init_cfg(init_cfg)
        if bool(init_cfg.get('vae')) == bool(init_cfg.get('prefix')):
            raise ValueError(
                'init_cfg must name vae, the autoencoder whose latents the transformer denoises '
                "(a diffusers folder, a file, or 'hf://stabilityai/sd-vae-ft-ema'), or prefix, "
                f'where checkpoint is that of a run and holds both, got {init_cfg!r}'
            )

    def load_pretrained(
        self,
        checkpoint: str,
        prefix: str = '',
        vae: str | None = None,
        entry: str | None = None,
    ) -> None:
        """Load the transformer and the autoencoder.

        Args:
            checkpoint (str): As of :func:`mmdiff.utils.local_file`.
            prefix (str): Of a run's checkpoint. Defaults to ''.
            vae (str, optional): The autoencoder. Defaults to None: in the
                run's checkpoint.
            entry (str, optional): Which of several state dicts in the file,
                as of :func:`mmdiff.diffusion.read_checkpoint`. Defaults to
                None.

        Raises:
            FileNotFoundError: If there is no such file or folder.
            CheckpointError: If one is broken or does not fit.
        """
        if prefix:
            self.load_run(checkpoint, prefix)
            return
        # DiT's training keeps its command line beside the weights.
        state_dict = read_checkpoint(local_file(checkpoint), allowed=[Namespace], entry=entry)
        self.load_network(state_dict, checkpoint)
        self.load_vae(vae)
