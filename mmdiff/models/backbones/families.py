"""Which backbone an architecture belongs to."""

from dataclasses import fields

from mmdiff.diffusion import DenoiserArchitecture, adm, dit, stable_diffusion

from .base import DiffusionBackbone
from .diffusion_transformer import DiffusionTransformerBackbone
from .guided_diffusion import GuidedDiffusionBackbone
from .guided_diffusion_encoder import GuidedDiffusionEncoderBackbone
from .stable_diffusion import StableDiffusionBackbone

# A family's backbone, the class of its architectures, and those that have names.
FAMILIES = (
    (GuidedDiffusionBackbone, adm.Architecture, adm.ARCHITECTURES),
    (GuidedDiffusionEncoderBackbone, adm.EncoderArchitecture, adm.ENCODER_ARCHITECTURES),
    (
        StableDiffusionBackbone,
        stable_diffusion.StableDiffusionArchitecture,
        stable_diffusion.ARCHITECTURES,
    ),
    (DiffusionTransformerBackbone, dit.TransformerArchitecture, dit.ARCHITECTURES),
)


def backbone_of(arch: str | dict | DenoiserArchitecture) -> type[DiffusionBackbone]:
    """The backbone of the family that an architecture is of.

    Args:
        arch (str | dict | DenoiserArchitecture): Name of an architecture of
            any family, an architecture, or its fields, of which the first
            family that knows them all is taken.

    Returns:
        type[DiffusionBackbone]: The class.

    Raises:
        TypeError: If ``arch`` is none of these.
        ValueError: If no family has that name or those fields.
    """
    if isinstance(arch, str):
        found = [backbone for backbone, _, known in FAMILIES if arch in known]
        allowed = ', '.join(name for *_, known in FAMILIES for name in known)
    elif isinstance(arch, dict):
        found = [
            backbone
            for backbone, family, _ in FAMILIES
            if set(arch) <= {field.name for field in fields(family)}
        ]
        allowed = '; '.join(
            f'{family.__name__} has {", ".join(field.name for field in fields(family))}'
            for _, family, _ in FAMILIES
        )
    elif isinstance(arch, DenoiserArchitecture):
        found = [backbone for backbone, family, _ in FAMILIES if type(arch) is family]
        allowed = 'those of mmdiff'
    else:
        raise TypeError(f'arch must be a name or a dict of fields, got {arch!r}')
    if not found:
        raise ValueError(f'arch={arch!r} is unknown; known are {allowed}')
    return found[0]
