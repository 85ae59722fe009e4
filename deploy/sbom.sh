#!/bin/sh
# Writes build/sbom.json: what the image and the wheel's users get, from deploy/locks/runtime.txt, as CycloneDX.
set -eu
cd "$(dirname "$0")/.."
tools=$(deploy/lock-tools.sh)
"$tools/cyclonedx-py" requirements --pyproject pyproject.toml --mc-type application --spec-version 1.6 \
    --output-format JSON --output-reproducible --validate --output-file build/sbom.json deploy/locks/runtime.txt
echo "build/sbom.json: $(grep -c '"purl"' build/sbom.json) packages"
