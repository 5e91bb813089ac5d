#!/usr/bin/env bash
# Puts the Python clients of the tests into a virtual environment, which is made if it is missing.
#   clients/install.sh DIR     then: export PINFLOW_TEST_PYTHON=DIR/bin/python
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:?the folder of the virtual environment}

[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile)
"${pip[@]}" -r "$here/requirements.txt"
while read -r requirement; do
  [[ $requirement == \#* || -z $requirement ]] && continue
  "${pip[@]}" --no-deps --upgrade --target "$venv/older/$requirement" "$requirement"
done <"$here/older.txt"
