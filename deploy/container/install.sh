#!/bin/sh
# Lays breachwatch out below PREFIX as the image has it: install.sh SOURCE PREFIX
# The Containerfile calls this, and so does the test that starts a worker from what it has made.
set -eu
source=$1
prefix=$2

python3 -m venv "$prefix"
pip() { "$prefix/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }

# Without build isolation: pip would fetch what builds a package unpinned and without a hash.
pip install --require-hashes --requirement "$source/deploy/container/build.txt"
pip install --require-hashes --no-build-isolation --requirement "$source/deploy/container/requirements.txt"
pip install --no-deps --no-build-isolation "$source"
pip check
# What has built it is no part of what runs, and an image without pip is harder to add to.
pip uninstall --yes --requirement "$source/deploy/container/build.txt" pip
