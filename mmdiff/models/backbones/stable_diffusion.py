"""Features of Stable Diffusion's U-Net, as an OpenMMLab backbone."""

from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdiff.diffusion import CheckpointError
from mmdiff.diffusion.stable_diffusion import (
    StableDiffusionArchitecture,
    StableDiffusionUNet,
    get_stable_diffusion_architecture,
    open_checkpoint,
    read_text,
)
from mmdiff.registry import MODELS
from mmdiff.utils import local_folder

from .latent import LatentDiffusionBackbone
from .walks import AnyTimestep

# What of a pipeline's repository is read.
FILES = (
    *(f'{part}/config.json' for part in ('unet', 'vae', 'text_encoder')),
    *(f'{part}/diffusion_pytorch_model.safetensors' for part in ('unet', 'vae')),
    'text_encoder/model.safetensors',
    'tokenizer/*',
)
# CLIP's, of any text.
NUM_TOKENS = 77
# What needs the empty prompt's embedding; anything else is a file.
PROMPTS = ('null', 'learnable')


@MODELS.register_module()
class StableDiffusionBackbone(LatentDiffusionBackbone):
    """Features of Stable Diffusion's U-Net (1.x or 2.x) at one or more timesteps.

    Images become latents, which are noised, and the U-Net runs up to the
    deepest of ``blocks``, conditioned on a text that is the same for all
    images. All further arguments are those of
    :class:`LatentDiffusionBackbone`.

    Args:
        arch (str | dict): ``'sd-1'``, ``'sd-2'`` or another of
            :data:`mmdiff.diffusion.stable_diffusion.ARCHITECTURES`, or the
            fields of
            :class:`mmdiff.diffusion.stable_diffusion.StableDiffusionArchitecture`.
            Defaults to ``'sd-1'``.
        timestep (AnyTimestep): As of :class:`DiffusionBackbone`.
            Defaults to 90.
        blocks (int | Sequence[int]): Numbers of the blocks whose features are
            returned, 1 to 25: 13 is the middle block. Defaults to (16, ),
            most likely what the paper calls b=18 (table 11).
        text (str): ``'null'``, the empty prompt; ``'learnable'``, tokens that
            start from it and are trained, also with ``frozen='all'``; or a
            file that holds the embedding of a text, as of
            :func:`mmdiff.diffusion.stable_diffusion.read_text`. With random
            weights (no ``init_cfg``), the empty prompt's tokens are random
            too. Defaults to ``'null'``.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            with a folder that diffusers saved, the original single file
            (``.safetensors`` or ``.ckpt``), or ``hf://ORGANISATION/NAME`` for
            a repository of the Hugging Face hub (or ``.../FILE`` in it),
            which is downloaded;
            ``vae=...`` to take another autoencoder; and
            ``prefix='backbone.'`` to take all from a run's checkpoint.
            Defaults to None: random weights.

    Raises:
        FileNotFoundError: If ``text`` names a file that does not exist.
        ImportError: If diffusers is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        arch: str | dict | StableDiffusionArchitecture = 'sd-1',
        timestep: AnyTimestep = 90,
        blocks: int | Sequence[int] = (16,),
        *,
        text: str = 'null',
        **kwargs,
    ):
        super().__init__(arch, timestep, blocks, **kwargs)
        if not isinstance(text, str):
            raise TypeError(
                f"text must be 'null', 'learnable' or a file of embeddings, got {text!r}"
            )
        self.text = text
        width = self.arch.cross_attention_dim
        if text == 'learnable' and max(self.blocks) == 1:
            raise ValueError(
                f"text='learnable' trains tokens, but block 1, the last of blocks={self.blocks}, "
                'does not attend to them'
            )
        tokens = torch.randn(1, NUM_TOKENS, width) if text in PROMPTS else read_text(text, width)
        if text == 'learnable':
            self.text_tokens = nn.Parameter(tokens)
        else:
            self.register_buffer('text_tokens', tokens)

    @classmethod
    def find_architecture(
        cls, arch: str | dict | StableDiffusionArchitecture
    ) -> StableDiffusionArchitecture:
        """Look an architecture of Stable Diffusion up, by name or fields."""
        return get_stable_diffusion_architecture(arch)

    def build_network(self, last_block: int, gradient_checkpointing: bool) -> StableDiffusionUNet:
        """Build the U-Net."""
        return StableDiffusionUNet(self.arch, last_block, gradient_checkpointing)

    def condition(self, timesteps: Tensor) -> Tensor:
        """The text's tokens for each timestep."""
        return self.text_tokens.expand(len(timesteps), -1, -1)

    def load_pretrained(
        self,
        checkpoint: str,
        prefix: str = '',
        vae: str | None = None,
        entry: str | None = None,
    ) -> None:
        """Load the U-Net, the autoencoder, and the empty prompt where it is asked for.

        The text encoder is let go when it has embedded it.

        Args:
            checkpoint (str): A folder, a file, or ``hf://...``.
            prefix (str): Of a run's checkpoint. Defaults to ''.
            vae (str, optional): Another autoencoder. Defaults to None.
            entry (str, optional): Which of several state dicts in a file, as
                of :func:`mmdiff.diffusion.read_checkpoint`. Defaults to None.

        Raises:
            FileNotFoundError: If there is no such file or folder, or a part
                of it is missing.
            CheckpointError: If it is broken or does not fit.
            ImportError: If transformers is needed, and not installed.
        """
        if prefix:
            tokens = self.load_run(checkpoint, prefix).get('text_tokens')
            if self.text in PROMPTS:
                self._set_text(tokens, checkpoint)
        else:
            stored = open_checkpoint(local_folder(checkpoint, FILES), entry)
            self.log_loaded(checkpoint, stored.load_unet(self.unet))
            if vae is None:
                stored.load_vae(self.vae)
            if self.text in PROMPTS:
                self._set_text(stored.null_text(self.arch), checkpoint)
                print_log('Embedded the empty prompt.', logger='current')
        if vae is not None:
            self.load_vae(vae)

    def _set_text(self, tokens: Tensor | None, source: str) -> None:
        shape = None if tokens is None else tuple(tokens.shape)
        if shape != tuple(self.text_tokens.shape):
            raise CheckpointError(
                f'{source} must have the tokens of a text, of shape '
                f'{tuple(self.text_tokens.shape)}, got {shape}'
            )
        self.text_tokens.data.copy_(tokens)
