"""Architectures and networks of any family."""

from dataclasses import fields

from . import adm, dit, stable_diffusion
from .denoiser import Denoiser, DenoiserArchitecture, look_up

# The class of a family's architectures, those that have names (which differ between families), and
# the class of its networks.
FAMILIES = (
    (adm.Architecture, adm.ARCHITECTURES, adm.UNet),
    (adm.EncoderArchitecture, adm.ENCODER_ARCHITECTURES, adm.EncoderUNet),
    (
        stable_diffusion.StableDiffusionArchitecture,
        stable_diffusion.ARCHITECTURES,
        stable_diffusion.StableDiffusionUNet,
    ),
    (dit.TransformerArchitecture, dit.ARCHITECTURES, dit.DiffusionTransformer),
)


def get_architecture(arch: str | dict | DenoiserArchitecture) -> DenoiserArchitecture:
    """Look an architecture up by name, in all families, or build one from its fields.

    Args:
        arch (str | dict | DenoiserArchitecture): A name, the fields of an
            architecture, or an architecture. Fields are those of the first
            family that knows most of them.

    Returns:
        DenoiserArchitecture: The architecture.

    Raises:
        TypeError: If ``arch`` is none of these, or lacks a needed field.
        ValueError: If the name or a field is unknown, or a value is bad.
    """
    if isinstance(arch, DenoiserArchitecture):
        return arch
    if isinstance(arch, dict):
        family = max(
            (family for family, *_ in FAMILIES),
            key=lambda family: len(set(arch) & {field.name for field in fields(family)}),
        )
        return look_up(arch, family, {})
    everything = {name: known[name] for _, known, _ in FAMILIES for name in known}
    return look_up(arch, DenoiserArchitecture, everything)


def network_of(arch: DenoiserArchitecture) -> type[Denoiser]:
    """The class of an architecture's network.

    Args:
        arch (DenoiserArchitecture): The architecture.

    Returns:
        type[Denoiser]: The class.
    """
    return next(network for family, _, network in FAMILIES if type(arch) is family)
