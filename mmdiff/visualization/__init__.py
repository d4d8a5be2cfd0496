from .feature_pca import pca_rgb
from .feature_sheet import draw_feature_sheet

__all__ = ['draw_feature_sheet', 'pca_rgb']
