#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a throw-away certificate authority, and certificates of a broker, an ingest and devices.
# For trials and tests on one machine. A real fleet wants a CA whose key is not lying on a disk.
set -eu

usage() {
  cat <<'TEXT'
usage: certs.sh DIR [--days N] [--device ID]...

Writes into DIR (made when missing, mode 0700):
  ca.crt      ca.key       the certificate authority
  broker.crt  broker.key   the broker, DNS:localhost
  ingest.crt  ingest.key   a client with CN=ingest
  ID.crt      ID.key       a client with CN=ID for each --device (default: monitor-1)

  --days N      how long they are valid, 1 to 3650 (default 30)
  --device ID   an opaque id of 1 to 36 of A-Z a-z 0-9 _ -, never a person's name or number;
                not "ca", "broker" or "ingest"

Keys are P-256, not encrypted, readable by their owner alone (0600). What is there already is kept,
so running it again with another --device adds that device.
TEXT
}

fail() {
  echo "certs.sh: $*" >&2
  echo "Try: certs.sh --help" >&2
  exit 2
}

dir=""
days=30
devices=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --days)
      [ $# -ge 2 ] || fail "--days needs a number"
      days=$2
      shift 2
      ;;
    --device)
      [ $# -ge 2 ] || fail "--device needs an id"
      devices+=("$2")
      shift 2
      ;;
    -*)
      fail "unknown option $1"
      ;;
    *)
      [ -z "$dir" ] || fail "one DIR only"
      dir=$1
      shift
      ;;
  esac
done
[ -n "$dir" ] || fail "DIR is missing"
case "$days" in
  '' | *[!0-9]*) fail "--days $days is not a number" ;;
esac
[ "${#days}" -le 4 ] && [ "$days" -ge 1 ] && [ "$days" -le 3650 ] || fail "--days must be 1 to 3650"
[ "${#devices[@]}" -gt 0 ] || devices=(monitor-1)
for id in "${devices[@]}"; do
  case "$id" in
    '' | *[!A-Za-z0-9_-]*) fail "device id '$id' has other characters than A-Z a-z 0-9 _ -" ;;
    ca | broker | ingest) fail "device id '$id' is taken" ;;
  esac
  [ "${#id}" -le 36 ] || fail "device id '$id' is longer than 36 characters"
done
command -v openssl >/dev/null || fail "openssl is not installed (apt-get install openssl)"

umask 077
mkdir -p "$dir"
cd "$dir"
log=$(mktemp)
trap 'rm -f "$log" request.$$ extensions.$$' EXIT

# Runs openssl quietly, and loudly when it fails.
ssl() {
  if ! openssl "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "certs.sh: openssl $1 failed" >&2
    exit 1
  fi
}

key() { # NAME
  ssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key.new"
  chmod 600 "$1.key.new"
  mv "$1.key.new" "$1.key"
}

# A certificate signed by the CA: NAME, common name, extensions.
certificate() {
  [ ! -e "$1.crt" ] || return 0
  key "$1"
  ssl req -new -key "$1.key" -subj "/CN=$2" -out request.$$
  printf '%s\n' "$3" >extensions.$$
  ssl x509 -req -sha256 -in request.$$ -CA ca.crt -CAkey ca.key -days "$days" \
    -set_serial "0x$(openssl rand -hex 8)" -extfile extensions.$$ -out "$1.crt.new"
  mv "$1.crt.new" "$1.crt"
}

if [ ! -e ca.crt ]; then
  key ca
  ssl req -x509 -new -sha256 -key ca.key -subj "/CN=healthtel throw-away CA" -days "$days" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -out ca.crt.new
  mv ca.crt.new ca.crt
fi
leaf="basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature"
certificate broker localhost "$leaf
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost"
certificate ingest ingest "$leaf
extendedKeyUsage=clientAuth"
for id in "${devices[@]}"; do
  certificate "$id" "$id" "$leaf
extendedKeyUsage=clientAuth"
done
echo "certificates in $(pwd), valid for $days days"
