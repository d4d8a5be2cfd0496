"""Which backbone an architecture belongs to."""

from mmdiff.diffusion import DenoiserArchitecture, adm, dit, get_architecture, stable_diffusion

from .base import DiffusionBackbone
from .diffusion_transformer import DiffusionTransformerBackbone
from .guided_diffusion import GuidedDiffusionBackbone
from .guided_diffusion_encoder import GuidedDiffusionEncoderBackbone
from .stable_diffusion import StableDiffusionBackbone

BACKBONES = {
    adm.Architecture: GuidedDiffusionBackbone,
    adm.EncoderArchitecture: GuidedDiffusionEncoderBackbone,
    stable_diffusion.StableDiffusionArchitecture: StableDiffusionBackbone,
    dit.TransformerArchitecture: DiffusionTransformerBackbone,
}


def backbone_of(arch: str | dict | DenoiserArchitecture) -> type[DiffusionBackbone]:
    """The backbone of the family that an architecture is of.

    Args:
        arch (str | dict | DenoiserArchitecture): As of
            :func:`mmdiff.diffusion.get_architecture`.

    Returns:
        type[DiffusionBackbone]: The class.

    Raises:
        TypeError: If ``arch`` is no architecture.
        ValueError: If no family has that name or those fields.
    """
    return BACKBONES[type(get_architecture(arch))]
