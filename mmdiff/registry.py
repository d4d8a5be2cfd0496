"""Registries of mmdiff, children of MMEngine's.

With ``type='mmdiff.NAME'`` any OpenMMLab config finds the backbones, necks,
hooks and metrics; it needs no ``custom_imports``. What builds on one of the optional
packages is in a module of its own, which a config imports:
``custom_imports = dict(imports=['mmdiff.detection'])``.
"""

from importlib import import_module
from importlib.util import find_spec

from mmengine import registry as mmengine_registry
from mmengine.registry import DefaultScope, Registry


class PluginRegistry(Registry):
    """A registry that also knows what the package of the run has.

    MMEngine builds what a config inherits as ``mmdiff::...`` in mmdiff's
    scope, with all that is inside it. But ``type='EncoderDecoder'`` in a
    config of mmdiff is MMSegmentation's, as its ``default_scope`` says.
    """

    def get(self, key: str) -> type | None:
        """Get a class by its name: mmdiff's, then the run's package's, then MMEngine's.

        A class of mmdiff's with an attribute ``package`` takes the place of
        that package's class of the same name, and of no other's.

        Args:
            key (str): The name, with a scope (``'mmdiff.FeatureAdapter'``) or
                without.

        Returns:
            type | None: The class, or None if there is none of that name.

        Raises:
            RuntimeError: As MMEngine's, where there is none.
        """
        self.import_from_location()
        scope = _scope_of_the_run()
        own = self.module_dict.get(key)
        is_own = own is not None and getattr(own, 'package', scope) == scope
        if not is_own and _current_scope() == 'mmdiff':
            # A run may have a scope that is no package.
            if scope not in self.parent.children and find_spec(scope):
                import_module(f'{scope}.registry')
            if scope in self.parent.children:
                # It asks MMEngine's, after its own.
                return self.parent.children[scope].get(key)
        return super().get(key)


def _current_scope() -> str | None:
    current = DefaultScope.get_current_instance()
    return current and current.scope_name


def _scope_of_the_run() -> str:
    """The scope that was the default before mmdiff's."""
    scopes = [default.scope_name for default in DefaultScope._instance_dict.values()]
    return next((scope for scope in reversed(scopes) if scope != 'mmdiff'), 'mmengine')


def _child(name: str, location: str = 'mmdiff') -> PluginRegistry:
    parent = getattr(mmengine_registry, name)
    return PluginRegistry(parent.name, parent=parent, scope='mmdiff', locations=[location])


MODELS = _child('MODELS', 'mmdiff.models')
HOOKS = _child('HOOKS', 'mmdiff.engine')
METRICS = _child('METRICS', 'mmdiff.evaluation')
DATASETS = _child('DATASETS')
TRANSFORMS = _child('TRANSFORMS', 'mmdiff.datasets.transforms')
# Not of all of mmdiff.engine: what it imports is large.
STRATEGIES = _child('STRATEGIES', 'mmdiff.engine.fsdp')
OPTIMIZERS = _child('OPTIMIZERS', 'mmdiff.engine.optimizers')
LOOPS = _child('LOOPS', 'mmdiff.engine.in_memory')

# mmdiff has none of its own, but inherited configs name those of others.
DATA_SAMPLERS = _child('DATA_SAMPLERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')
TASK_UTILS = _child('TASK_UTILS')
VISBACKENDS = _child('VISBACKENDS')
VISUALIZERS = _child('VISUALIZERS')
