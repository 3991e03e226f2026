#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# link_bad_certs.sh DIR - beside what certs.sh made in DIR, what a client must refuse:
#   expired future othername otherca selfsigned weakkey weakhash usage revoked   (.crt, .key)
#   stranger      a client certificate that the broker's CA did not sign
#   otherca-ca    which signed `otherca` and `stranger`
#   crl.pem, which lists `revoked`; crl-old.pem, out of date
set -eu
umask 077
cd "$1"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ssl() {
  openssl "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "openssl $1 failed" >&2; exit 1; }
}

mkdir -p caconf
: >caconf/index
echo 1000 >caconf/serial
echo 10 >caconf/crlnumber
cat >caconf/cnf <<'CNF'
[ca]
default_ca = throwaway
[throwaway]
database = caconf/index
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
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
[othername]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:broker.example.org
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = DNS:localhost
CNF

ec() {
  ssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}
# sign NAME EXTENSIONS [openssl ca options]...
sign() {
  name=$1
  extensions=$2
  shift 2
  ssl req -new -key "$name.key" -subj "/CN=localhost" -out caconf/req
  ssl ca -batch -notext -config caconf/cnf -cert ca.crt -keyfile ca.key -in caconf/req \
    -extensions "$extensions" -out "$name.crt" "$@"
}

ec expired
sign expired server -startdate 20200101000000Z -enddate 20210101000000Z
ec future
sign future server -startdate 20700101000000Z -enddate 20710101000000Z
ec othername
sign othername othername
ec usage
sign usage client
ec revoked
sign revoked server
ssl genrsa -out weakkey.key 1024
sign weakkey server
ec weakhash
sign weakhash server -md sha1
ec selfsigned
ssl req -x509 -new -key selfsigned.key -subj "/CN=localhost" -days 30 \
  -addext subjectAltName=DNS:localhost -out selfsigned.crt
ec otherca-ca
ssl req -x509 -new -key otherca-ca.key -subj "/CN=healthtel throw-away CA" -days 30 \
  -out otherca-ca.crt
for name in otherca stranger; do
  ec $name
  ssl req -new -key $name.key -subj "/CN=localhost" -out caconf/req
  ssl x509 -req -in caconf/req -CA otherca-ca.crt -CAkey otherca-ca.key -set_serial 7 -days 30 \
    -extfile caconf/cnf -extensions server -out $name.crt
done
ssl ca -config caconf/cnf -cert ca.crt -keyfile ca.key -revoke revoked.crt
ssl ca -config caconf/cnf -cert ca.crt -keyfile ca.key -gencrl -out crl.pem
ssl ca -config caconf/cnf -cert ca.crt -keyfile ca.key -gencrl -crl_lastupdate 20200101000000Z \
  -crl_nextupdate 20200201000000Z -out crl-old.pem
