#!/usr/bin/env bash
# Install mmdiff and the set of packages it is tested with. Safe to run again.
#
# Usage: tools/setup_env.sh [--detection | --tests]
#   --detection  also what Mask R-CNN needs: pycocotools and mmcv's C++ operators, which are
#                compiled once (minutes) and then kept.
#   --tests      also what the tests need: that, pytest, guided-diffusion, diffusers, transformers
#                and Sphinx.
#
# Installs into the active virtual environment, or else into .venv in the clone.
# Other scripts source this file to use the same environment.
set -euo pipefail
case ${1:-} in
    '' | --detection | --tests) ;;
    *)
        echo "setup_env.sh: unknown option $1; there are --detection and --tests" >&2
        exit 2
        ;;
esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-python3}

if [ -z "${VIRTUAL_ENV:-}" ] && [ "${CONDA_DEFAULT_ENV:-base}" = base ]; then
    [ -e "$root/.venv/bin/activate" ] || "$PYTHON" -m venv "$root/.venv"
    # shellcheck disable=SC1091
    . "$root/.venv/bin/activate"
fi
python -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "mmdiff needs Python 3.10 or newer, got $(python --version). Set PYTHON=..." >&2
    exit 1
}

pip_install() { python -m pip install --quiet --disable-pip-version-check "$@"; }

refuse_originals() {
    local found
    found=$(python -m pip list --format=freeze 2>/dev/null |
        grep -E '^(mmengine|mmengine-lite|mmcv|mmcv-full|mmcv-lite|mmdet|mmsegmentation|mmpretrain)==' || true)
    [ -z "$found" ] || {
        echo "This environment has" $found "which install the same modules as the tested set" \
            "(requirements/openmmlab.txt). Uninstall them, or use another environment." >&2
        exit 1
    }
}

# PyTorch comes first, so that nothing below brings another one. A working tested version stays,
# whatever its build.
has_torch() {
    python - "$root/requirements/torch.txt" <<'PYTHON' 2>/dev/null
import re, sys
import torch, torchvision
pins = dict(re.findall(r'^(\w+)===?([\d.]+)', open(sys.argv[1]).read(), re.M))
found = {m.__name__: m.__version__.split('+')[0] for m in (torch, torchvision)}
sys.exit(found != pins)
PYTHON
}

set_up() {
    refuse_originals
    has_torch || { echo "Installing PyTorch ..."; pip_install -r "$root/requirements/torch.txt"; }
    echo "Installing the OpenMMLab packages and mmdiff ..."
    # Without cache: it does not tell a mmcv with compiled operators from one without.
    pip_install --no-cache-dir --no-deps "$(grep '^onedl-mmcv==' "$root/requirements/openmmlab.txt")"
    pip_install -r "$root/requirements/openmmlab.txt" -e "$root[examples]"
}

has_ops() { python -c 'import sys, mmdiff.stack as stack; sys.exit(stack.missing_operators())' 2>/dev/null; }

set_up_detection() {
    pip_install -e "$root[det]"
    if ! has_ops; then
        local mmcv wheels
        mmcv=$(grep '^onedl-mmcv==' "$root/requirements/openmmlab.txt")
        # Compiled code belongs to one version of mmcv, Python and PyTorch.
        wheels=${XDG_CACHE_HOME:-$HOME/.cache}/mmdiff/$(python -c "
import sys, torch
cuda = torch.version.cuda if torch.cuda.is_available() else 'cpu'
print(f'$mmcv-py{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}-{cuda}')")
        if ! ls "$wheels"/*.whl >/dev/null 2>&1; then
            echo "Compiling mmcv's C++ operators: 5 to 10 minutes on 2 cores, once ..."
            # mmcv's build imports torch, which an isolated build environment would not have.
            pip_install -r "$root/requirements/mmcv_build.txt"
            CFLAGS="${CFLAGS:--g0 -O2}" python -m pip wheel --quiet --disable-pip-version-check \
                --no-cache-dir --no-build-isolation --no-deps --wheel-dir "$wheels" "$mmcv"
        fi
        pip_install --force-reinstall --no-deps "$wheels"/*.whl
        has_ops || { echo "mmcv's operators do not import; remove $wheels and run again." >&2; exit 1; }
    fi
}

set_up
case ${1:-} in
    --detection) set_up_detection ;;
    --tests)
        set_up_detection
        pip_install -e "$root[test,pretrain,sd,docs]"
        ;;
esac
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    echo "Done.${VIRTUAL_ENV:+ To use it: . $VIRTUAL_ENV/bin/activate}"
fi
