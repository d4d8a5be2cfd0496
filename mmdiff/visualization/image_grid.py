"""Images side by side in one picture."""

import math
from pathlib import Path

from torch import Tensor


def draw_image_grid(path: str | Path, images: Tensor) -> None:
    """Draw images in a square grid and save it. Needs torchvision.

    Args:
        path (str | Path): PNG file to write.
        images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).
    """
    from torchvision.utils import save_image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    columns = math.ceil(math.sqrt(len(images)))
    save_image(images, path, nrow=columns, normalize=True, value_range=(-1, 1))
