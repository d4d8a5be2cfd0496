#!/usr/bin/env bash
# Install mmdiff and the set of packages it is tested with. Safe to run again.
#
# Usage: tools/setup_env.sh [--detection | --tests] [--stack originals]
#   --detection        also what Mask R-CNN needs: pycocotools and mmcv's C++ operators, which are
#                      compiled once (minutes) and then kept.
#   --tests            also what the tests need: that, pytest, guided-diffusion, diffusers,
#                      transformers and Sphinx.
#   --stack originals  in place of today's packages the originals of OpenMMLab and PyTorch 2.1, for
#                      Python 3.10 or 3.11. They do not import without mmcv's operators.
#
# Installs into the active virtual environment, or else into .venv in the clone.
# Other scripts source this file to use the same environment.
set -euo pipefail
extent=minimal stack=today
while [ $# -gt 0 ]; do
    case $1 in
        --detection | --tests) extent=${1#--} ;;
        --stack)
            stack=${2:-}
            shift
            ;;
        *)
            echo "setup_env.sh: unknown option $1; there are --detection, --tests and --stack" >&2
            exit 2
            ;;
    esac
    shift
done
case $stack in
    today) packages=openmmlab.txt torch=torch.txt others='(mmengine|mmcv|mmdet|mmsegmentation|mmpretrain)' ;;
    originals) packages=originals.txt torch=torch_originals.txt others='onedl-mm[a-z]+' ;;
    *)
        echo "setup_env.sh: --stack must be today or originals, got '$stack'" >&2
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
python -c "import sys; sys.exit(not (3, 10) <= sys.version_info < {'today': (4,), 'originals': (3, 12)}['$stack'])" || {
    echo "mmdiff needs Python 3.10 or newer, and the originals 3.11 at most, got $(python --version). Set PYTHON=..." >&2
    exit 1
}

constraints=()
[ "$stack" = today ] || constraints=(-c "$root/requirements/constraints_originals.txt")
pip_install() {
    python -m pip install --quiet --disable-pip-version-check "${constraints[@]}" "$@"
}

refuse_others() {
    local found
    found=$(python -m pip list --format=freeze 2>/dev/null | grep -E "^$others(-lite|-full)?==" || true)
    [ -z "$found" ] || {
        echo "This environment has" $found "which install the same modules as the tested set" \
            "(requirements/$packages). Uninstall them, or use another environment." >&2
        exit 1
    }
}

# PyTorch comes first, so that nothing below brings another one. A working tested version stays,
# whatever its build.
has_torch() {
    python - "$root/requirements/$torch" <<'PYTHON' 2>/dev/null
import re, sys
import torch, torchvision
pins = dict(re.findall(r'^(\w+)===?([\d.]+)', open(sys.argv[1]).read(), re.M))
found = {m.__name__: m.__version__.split('+')[0] for m in (torch, torchvision)}
sys.exit(found != pins)
PYTHON
}

mmcv=$(grep -E '^(onedl-)?mmcv==' "$root/requirements/$packages")

set_up() {
    refuse_others
    has_torch || { echo "Installing PyTorch ..."; pip_install -r "$root/requirements/$torch"; }
    echo "Installing the OpenMMLab packages and mmdiff ..."
    if [ "$stack" = originals ]; then
        set_up_operators
    else
        # Without cache: it does not tell a mmcv with compiled operators from one without.
        pip_install --no-cache-dir --no-deps "$mmcv"
    fi
    pip_install -r "$root/requirements/$packages" -e "$root[examples,pretrain]"
}

has_ops() { python -c 'import sys, mmdiff.stack as stack; sys.exit(stack.missing_operators())' 2>/dev/null; }

set_up_operators() {
    local wheels
    # Compiled code belongs to one version of mmcv, Python and PyTorch.
    wheels=${XDG_CACHE_HOME:-$HOME/.cache}/mmdiff/$(python -c "
import sys, torch
cuda = torch.version.cuda if torch.cuda.is_available() else 'cpu'
print(f'$mmcv-py{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}-{cuda}')")
    if ! ls "$wheels"/*.whl >/dev/null 2>&1; then
        echo "Compiling mmcv's C++ operators: 5 to 10 minutes on 2 cores, once ..."
        # mmcv's build imports torch, which an isolated build environment would not have.
        pip_install -r "$root/requirements/mmcv_build.txt"
        MMCV_WITH_OPS=1 CFLAGS="${CFLAGS:--g0 -O2}" python -m pip wheel --quiet \
            --disable-pip-version-check --no-cache-dir --no-build-isolation --no-deps \
            --wheel-dir "$wheels" "$mmcv"
    fi
    pip_install --force-reinstall --no-deps "$wheels"/*.whl
}

set_up_detection() {
    pip_install -e "$root[det]"
    has_ops || set_up_operators
    has_ops || { echo "mmcv's operators do not import; remove their wheel and run again." >&2; exit 1; }
}

set_up
case $extent in
    detection) set_up_detection ;;
    tests)
        set_up_detection
        pip_install -e "$root[test,sd,fid,docs]"
        # PyTorch 2.1 has no exporter for it.
        [ "$stack" = originals ] || pip_install -e "$root[export]"
        ;;
esac
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    echo "Done.${VIRTUAL_ENV:+ To use it: . $VIRTUAL_ENV/bin/activate}"
fi
