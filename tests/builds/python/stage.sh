set -eux
/usr/bin/python3 -m venv .venv
.venv/bin/pip install --no-index --no-build-isolation --no-use-pep517 .
.venv/bin/python -m unittest -v
