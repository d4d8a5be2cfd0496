"""Features of mean 0 and deviation 1 in each channel."""

import logging

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from torch import Tensor, nn

# Training iterations over whose images the statistics are measured.
MEASURED_ITERATIONS = 50
EPS = 1e-6


class ChannelStandardization(nn.Module):
    """Standardise channels by statistics of the first training images, which then stay.

    Channels of a frozen denoiser differ in scale by orders of magnitude, which
    layers that are trained on them from PyTorch's initialisation hardly undo.
    Unlike batch norm, nothing depends on the batch once the statistics are
    measured: over the first :data:`MEASURED_ITERATIONS` training iterations,
    of all processes together. Until then, each batch is standardised by the
    statistics so far, its own included. They are buffers: a checkpoint has
    them, and a run that resumes, or starts from it, does not measure again.

    The deviation is over images and positions.

    Args:
        channels (int): Channels of the features.

    Attributes:
        mean (Tensor): Of each channel, shape (channels, ).
        var (Tensor): Variance of each channel, shape (channels, ).
        num_values (Tensor): How many values of each channel were measured.
        num_iterations (Tensor): In how many iterations.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('var', torch.ones(channels))
        self.register_buffer('num_values', torch.tensor(0, dtype=torch.long))
        self.register_buffer('num_iterations', torch.tensor(0, dtype=torch.long))
        # As num_iterations, for which a GPU would have to be waited.
        self._iterations = 0

    def forward(self, x: Tensor) -> Tensor:
        """Standardise features.

        Args:
            x (Tensor): Shape (N, channels, H, W).

        Returns:
            Tensor: Of the same shape.

        Raises:
            RuntimeError: If it is evaluated before it was trained.
        """
        if self.training and self._iterations < MEASURED_ITERATIONS:
            self._measure(x)
        if not self._iterations:
            raise RuntimeError(
                'standardize=True: the mean and deviation of the features are measured in the '
                'first training iterations, and there were none: train, or load the checkpoint of '
                'a run'
            )
        scale = (self.var + EPS).rsqrt()
        return (x - self.mean[:, None, None]) * scale[:, None, None]

    @torch.no_grad()
    def _measure(self, x: Tensor) -> None:
        if not self._iterations and x.requires_grad:
            print_log(
                'standardize=True: the features are trained, and will drift from the mean and '
                f'deviation that the first {MEASURED_ITERATIONS} iterations measure',
                logger='current',
                level=logging.WARNING,
            )
        values = x.float().transpose(0, 1).flatten(1)
        count = _sum_over_processes(torch.full_like(self.num_values, values.shape[1]))
        mean = _sum_over_processes(values.sum(1)) / count
        squares = _sum_over_processes((values - mean[:, None]).square().sum(1))
        # Chan et al., Algorithms for computing the sample variance: analysis and recommendations.
        total = self.num_values + count
        shift, share = mean - self.mean, count / total
        before = self.num_values * self.var
        self.mean += shift * share
        self.var.copy_((before + squares + shift.square() * self.num_values * share) / total)
        self.num_values.copy_(total)
        self.num_iterations += 1
        self._iterations += 1

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if not self.num_iterations.is_meta:
            self._iterations = int(self.num_iterations)


def standardization(standardize: bool, channels: int) -> nn.Module:
    """What standardises features, or leaves them as they are.

    Args:
        standardize (bool): Whether they are standardised.
        channels (int): Their channels.

    Returns:
        Module: From a map to a map.
    """
    return ChannelStandardization(channels) if standardize else nn.Identity()


def _sum_over_processes(values: Tensor) -> Tensor:
    all_reduce(values)
    return values
