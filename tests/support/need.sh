#!/usr/bin/env bash
# Sees to it that what pip and npm cannot bring is there: need.sh [--optional] python|node|test|bench
# Only what is missing is installed, from Debian, as root or through sudo; otherwise it says what to install.
# Nothing that is installed here is started.
set -euo pipefail

optional=no
if [ "${1:-}" = --optional ]; then optional=yes; shift; fi
missing=()

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_nginx() { has nginx || [ -x /usr/sbin/nginx ]; }
has_font() { has fc-list && fc-list 2>/dev/null | grep -q .; }

case "${1:?}" in
python)
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "Signalbox needs Python 3.11 or newer; on Debian 12: apt-get install python3 python3-venv" >&2
        exit 1
    }
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    ;;
node)
    if ! has node || ! has npm || [ "$(node -p 'parseInt(process.versions.node)')" -lt 20 ]; then
        cat >&2 <<'HOW'
Signalbox needs Node 20 or newer with npm, once, to fetch its front-end packages. Debian 12 brings 18.
Get it in one of these ways, then run make again:
  https://nodejs.org/en/download (an archive to unpack, no rights needed)
  nvm install 20
HOW
        exit 1
    fi
    ;;
test)
    has chromium || missing+=(chromium)
    has_font || missing+=(fontconfig fonts-dejavu-core)
    has_postgres || missing+=(postgresql)
    has_nginx || missing+=(nginx-light)
    ;;
bench)
    has_postgres || missing+=(postgresql)
    { has smtp-sink || [ -x /usr/sbin/smtp-sink ]; } || missing+=(postfix)
    has_nginx || missing+=(nginx-light)
    has wrk || missing+=(wrk)
    ;;
esac

[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if has sudo && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "Missing here: ${missing[*]}. As root: apt-get install --no-install-recommends ${missing[*]}" >&2
        [ "$optional" = yes ] && exit 0
        exit 1
    fi
fi

echo "Installing ${missing[*]} …"
# A package that brings a server would start it; exit status 101 of this file forbids that while we install.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null; }; then
    echo "Could not install ${missing[*]}." >&2
    [ "$optional" = yes ] && exit 0
    exit 1
fi
