from .curves import draw_curves
from .feature_pca import pca_rgb
from .feature_sheet import draw_feature_sheet
from .heat_map import draw_heat_maps
from .image_grid import draw_image_grid

__all__ = ['draw_curves', 'draw_feature_sheet', 'draw_heat_maps', 'draw_image_grid', 'pca_rgb']
