# Makes the project's own virtual environment, .venv, and installs the project into it.
# Sourced by the other scripts:  . scripts/venv.sh; make_venv EXTRA  then use $python
# EXTRA is "" or the name of an extra of pyproject.toml. PYTHON names another interpreter.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
python="$venv/bin/python"

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "actormq needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python" >&2
    return 1
}

make_venv() {
    local extra=$1 stamp wanted
    stamp="$venv/.installed-${extra:-base}"
    wanted=$(cksum <"$root/pyproject.toml")
    if is_installed; then return; fi
    exec 9<"$root/pyproject.toml"
    if command -v flock >/dev/null; then flock 9; fi # two first runs at once: the second waits
    is_installed || install_venv "$extra" || return 1
    exec 9<&-
}

is_installed() { [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }

install_venv() {
    local extra=$1 base
    base=$(find_python) || return 1
    echo "setting up $venv (the first time takes about half a minute)" >&2
    scratch=$(mktemp -d "$root/.venv-setup.XXXXXX") || return 1
    trap 'rm -rf "$scratch"' EXIT # also what an interrupted pip would leave behind
    if [ ! -x "$python" ] || ! "$python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$venv"
        TMPDIR=$scratch "$base" -m venv "$venv" >"$scratch/log" 2>&1 || {
            echo "cannot make a virtual environment: on Debian and Ubuntu, apt install python3-venv" >&2
            tail -n 3 "$scratch/log" >&2
            return 1
        }
    fi
    TMPDIR=$scratch "$python" -m pip install --quiet --disable-pip-version-check \
        --editable "$root${extra:+[$extra]}" >&2 || {
        echo "cannot install actormq: see pip's words above; the network may be down" >&2
        return 1
    }
    echo "$wanted" >"$stamp"
    rm -rf "$scratch"
}
