"""What can go wrong in an export."""

from importlib.util import find_spec


class ExportError(RuntimeError):
    """A model that cannot be exported, or whose exported graph computes something else."""


def require_packages(*names: str) -> None:
    """Refuse to go on without packages of the extra ``[export]``.

    Args:
        *names (str): Their modules.

    Raises:
        ExportError: If one is not installed.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise ExportError(
            f'{", ".join(missing)} not installed, which this export needs: pip install '
            "'mmdiff[export]' (in a clone, pip install -e '.[export]')"
        )
