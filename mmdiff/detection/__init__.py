from .coco_instances import CocoInstances

__all__ = ['CocoInstances']
