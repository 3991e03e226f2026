#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# link_certs.sh DIR - beside what certs.sh made in DIR, certificates of all kinds for tests of TLS.
# NAME.crt is what a server sends: its own certificate, then those above it (which NAME.above has
# alone); NAME.key its key. test_tls_matrix.c says what each is good or bad for.
set -eu
umask 077
cd "$1"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ssl() {
  openssl "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "openssl $1 failed" >&2; exit 1; }
}

mkdir -p caconf
cat >caconf/cnf <<'CNF'
[ca]
default_ca = throwaway
[throwaway]
database = $ENV::DATABASE
serial = caconf/serial
crlnumber = caconf/crlnumber
new_certs_dir = caconf
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
CNF
echo 1000 >caconf/serial
echo 10 >caconf/crlnumber
cp ca.crt broker.crt caconf
for name in ca broker; do mv caconf/$name.crt caconf/$name.alone; done

# Extensions by name, each a file for openssl.
extensions() {
  printf '%s\n' "${@:2}" >"caconf/$1.ext"
}
leaf=basicConstraints=critical,CA:FALSE
sign=keyUsage=critical,digitalSignature
serves=extendedKeyUsage=serverAuth
here=subjectAltName=DNS:localhost
extensions server $leaf $sign $serves $here
extensions client $leaf $sign extendedKeyUsage=clientAuth $here
extensions othername $leaf $serves subjectAltName=DNS:broker.example.org
extensions nosan $leaf $sign $serves
extensions wild $leaf $sign $serves 'subjectAltName=DNS:*.wild.test'
extensions partwild $leaf $sign $serves 'subjectAltName=DNS:local*'
extensions sans $leaf $sign $serves \
  subjectAltName=DNS:one.test,IP:127.0.0.1,DNS:localhost,email:a@b.test,DNS:two.test
extensions iponly $leaf $sign $serves subjectAltName=IP:127.0.0.1
extensions kusage $leaf keyUsage=critical,keyEncipherment $serves $here
long=$(printf ',DNS:a-rather-long-name-number-%s.for-a-large-certificate.test' $(seq 60))
extensions large $leaf $sign $serves "$here$long"
sub=keyUsage=critical,keyCertSign,cRLSign
extensions ca basicConstraints=critical,CA:TRUE $sub
extensions ca0 basicConstraints=critical,CA:TRUE,pathlen:0 $sub
extensions nosign basicConstraints=critical,CA:TRUE $sign

key() { # key NAME [KIND]
  case ${2:-P-256} in
    RSA-*) ssl genrsa -out "$1.key" "${2#RSA-}" ;;
    ED25519) ssl genpkey -algorithm ED25519 -out "$1.key" ;;
    *) ssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${2:-P-256}" -out "$1.key" ;;
  esac
}
database() { # database ISSUER
  export DATABASE=caconf/$1.index
  [ -e "$DATABASE" ] || : >"$DATABASE"
}
# issue NAME ISSUER EXTENSIONS [openssl ca options]... - KIND of key, SUBJECT (common name) and what
# is to be sent after it come by variables.
issue() {
  local name=$1 issuer=$2 extensions=$3
  shift 3
  key "$name" "${KIND:-}"
  database "$issuer"
  ssl req -new -key "$name.key" -subj "/CN=${SUBJECT:-localhost}" -out caconf/req
  ssl ca -batch -notext -config caconf/cnf -cert "$issuer.crt" -keyfile "$issuer.key" \
    -in caconf/req -extfile "caconf/$extensions.ext" -out "$name.crt" "$@"
  cp "$name.crt" "caconf/$name.alone"
}
send_after() { # send_after NAME ABOVE... - the certificates of ABOVE follow NAME's
  local name=$1 above
  shift
  for above in "$@"; do cat "caconf/$above.alone" >>"$name.above"; done
  cat "$name.above" >>"$name.crt"
}
root() { # root NAME SUBJECT [openssl req options]...
  key "$1" "${KIND:-}"
  ssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 30 -addext "$sub" -out "$1.crt" "${@:3}"
  cp "$1.crt" "caconf/$1.alone"
}
past=(-startdate 20200101000000Z -enddate 20210101000000Z)
old_hash=(-md sha1)

# ---- Below our own CA ---------------------------------------------------------------------
issue expired ca server "${past[@]}"
issue future ca server -startdate 20700101000000Z -enddate 20710101000000Z
issue othername ca othername
issue usage ca client
KIND=RSA-2048 issue kusage ca kusage # OpenSSL would not serve with ECDSA
issue revoked ca server
issue weakhash ca server "${old_hash[@]}"
SUBJECT=somewhere.test issue nosan ca nosan
issue wild ca wild
issue partwild ca partwild
issue sans ca sans
issue iponly ca iponly
issue large ca large
KIND=P-384 issue p384 ca server
KIND=RSA-1024 issue weakkey ca server
KIND=RSA-2048 issue rsa2048 ca server
KIND=RSA-4096 issue rsa4096 ca server
issue expired_client ca client "${past[@]}"
issue revoked_client ca client

# ---- With certificates between -----------------------------------------------------------
SUBJECT='first between' issue int1 ca ca
SUBJECT='second between' issue int2 int1 ca
issue chain1 int1 server
cp chain1.crt truncated.crt
cp chain1.key truncated.key
send_after chain1 int1
issue chain2 int2 server
send_after chain2 int2 int1
issue chain_root int1 server
send_after chain_root int1 ca
issue no_ca broker server

send_after no_ca broker
above=ca
deep=()
for i in 1 2 3 4 5 6 7 8 9; do
  SUBJECT="between $i" issue "deep$i" "$above" ca
  above=deep$i
  deep=("$above" "${deep[@]}")
done
issue deep "$above" server
send_after deep "${deep[@]}"
SUBJECT='none below' issue int_path0 ca ca0
SUBJECT='one too many' issue int_path1 int_path0 ca
issue path int_path1 server
send_after path int_path1 int_path0
SUBJECT='may not sign' issue int_nosign ca nosign
issue nosign int_nosign server
send_after nosign int_nosign
SUBJECT='expired between' issue int_expired ca ca "${past[@]}"
issue under_expired int_expired server
send_after under_expired int_expired
SUBJECT='revoked between' issue int_revoked ca ca
issue under_revoked int_revoked server
send_after under_revoked int_revoked
SUBJECT='hashed badly' issue int_hash ca ca "${old_hash[@]}"
issue under_hash int_hash server
send_after under_hash int_hash
KIND=RSA-1024 SUBJECT='small RSA' issue int_rsa1024 ca ca
issue under_rsa1024 int_rsa1024 server
send_after under_rsa1024 int_rsa1024
KIND=secp224r1 SUBJECT='small curve' issue int_p224 ca ca
issue under_p224 int_p224 server
send_after under_p224 int_p224
KIND=ED25519 SUBJECT='another kind' issue int_ed25519 ca ca
issue under_ed25519 int_ed25519 server -md null
send_after under_ed25519 int_ed25519

# ---- Below others ------------------------------------------------------------------------
issue selfsigned ca server
ssl req -x509 -new -key selfsigned.key -subj /CN=localhost -days 30 -addext "$here" \
  -out selfsigned.crt
root otherca-ca 'healthtel throw-away CA' # the same name as ours
issue otherca otherca-ca server
issue stranger otherca-ca client
root strange-ca 'a CA that nobody knows'
issue strange strange-ca server
issue strange_root strange-ca server
send_after strange_root strange-ca
KIND=RSA-2048 root rsa-ca 'an RSA CA'
issue mixed rsa-ca server
KIND=RSA-2048 issue rsa_rsa rsa-ca server
issue md5 rsa-ca server -md md5 # of which ECDSA has no form
root old-ca 'a CA of old'
database old-ca
ssl req -new -key old-ca.key -subj '/CN=a CA of old' -out caconf/req
ssl ca -batch -notext -selfsign -config caconf/cnf -keyfile old-ca.key -in caconf/req \
  -extfile caconf/ca.ext "${past[@]}" -out old-ca.crt
issue under_old old-ca server

# ---- Keys that do not fit ------------------------------------------------------------------
cp broker.crt mismatch.crt
key mismatch
cp rsa2048.crt rsa_mismatch.crt
key rsa_mismatch RSA-2048

# ---- Revocation lists ----------------------------------------------------------------------
list() { # list OUT ISSUER [options]...
  database "$2"
  ssl ca -config caconf/cnf -cert "$2.crt" -keyfile "$2.key" -gencrl -out "$1" "${@:3}"
}
revoke() { # revoke NAME ISSUER
  database "$2"
  ssl ca -config caconf/cnf -cert "$2.crt" -keyfile "$2.key" -revoke "caconf/$1.alone"
}
for name in revoked revoked_client int_revoked; do revoke $name ca; done
list crl.pem ca
list crl-old.pem ca -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z
list crl-future.pem ca -crl_lastupdate 20700101000000Z -crl_nextupdate 20710101000000Z

list caconf/crl-int1.pem int1
list caconf/crl-int_revoked.pem int_revoked
cat crl.pem caconf/crl-int1.pem caconf/crl-int_revoked.pem >crl-all.pem
list crl-forged.pem otherca-ca  # by the name of our CA
list crl-strange.pem strange-ca # by another
