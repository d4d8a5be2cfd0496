"""Features of guided diffusion's classifier of noised images ("U-Net Encoder", paper, table 1)."""

from collections.abc import Sequence

from mmdiff.diffusion.adm import EncoderArchitecture, EncoderUNet, get_encoder_architecture
from mmdiff.registry import MODELS

from .base import DiffusionBackbone
from .walks import AnyTimestep


@MODELS.register_module()
class GuidedDiffusionEncoderBackbone(DiffusionBackbone):
    """Features of a guided-diffusion classifier: the encoder of an ADM U-Net and its middle block.

    It learned to classify noised ImageNet images, to guide the diffusion
    model. With :class:`mmdiff.classification.GuidedDiffusionClassifierHead` it
    is the whole classifier. All further arguments are those of
    :class:`DiffusionBackbone`.

    Args:
        arch (str | dict): Name of an architecture, one of
            :data:`mmdiff.diffusion.adm.ENCODER_ARCHITECTURES`, or the fields
            of :class:`mmdiff.diffusion.adm.EncoderArchitecture`. Defaults to
            ``'adm-256-classifier'``.
        timestep (AnyTimestep): As of :class:`DiffusionBackbone`.
            Defaults to 0.
        blocks (int | Sequence[int]): Numbers of the blocks whose features are
            returned. Defaults to (19, ), the middle block of the 256x256
            model, with which it ends.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            with the path or URL of a guided-diffusion classifier, and
            ``prefix='backbone.unet.'`` to take it from a run's checkpoint.
            Defaults to None: random weights.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        arch: str | dict | EncoderArchitecture = 'adm-256-classifier',
        timestep: AnyTimestep = 0,
        blocks: int | Sequence[int] = (19,),
        **kwargs,
    ):
        super().__init__(arch, timestep, blocks, **kwargs)

    @classmethod
    def find_architecture(cls, arch: str | dict | EncoderArchitecture) -> EncoderArchitecture:
        """Look a classifier's architecture up, by name or fields."""
        return get_encoder_architecture(arch)

    def build_network(self, last_block: int, gradient_checkpointing: bool) -> EncoderUNet:
        """Build the encoder, without its pool."""
        return EncoderUNet(self.arch, last_block, gradient_checkpointing)
