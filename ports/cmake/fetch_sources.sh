#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fetch_sources.sh DIR PACKAGE... - unpacks the upstream sources of Debian packages.
#
# Debian ships nanopb and zlib compiled for the machine itself; a cross build needs their sources.
# They come by name through apt from the mirror that this machine is set up with, so nothing is
# downloaded that apt has not checked. Neither /etc nor apt's own lists are touched, and no root
# is needed: the apt state lives in DIR/.apt. Afterwards DIR/PACKAGE holds the unpacked sources.
# A package that is there already is left alone.
set -euo pipefail

fail() { echo "fetch_sources: $*" >&2; exit 1; }

[ $# -ge 2 ] || fail "usage: fetch_sources.sh DIR PACKAGE..."
dir=$1; shift
missing=()
for package in "$@"; do
  case $package in ''|*[!a-z0-9.+-]*) fail "not a package name: '$package'" ;; esac
  [ -e "$dir/$package/.complete" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
for tool in apt-get tar awk; do
  command -v "$tool" >/dev/null || fail "needs $tool; or give sources of your own, as in
  cmake --preset m4 -DNANOPB_ROOT=/path/to/nanopb"
done
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$suite" ] || fail "/etc/os-release names no Debian release"

mkdir -p "$dir/.apt/lists/partial" "$dir/.apt/cache/archives/partial" "$dir/.apt/parts"
dir=$(cd "$dir" && pwd)

# The machine's own entries for this release's `main`, as source entries. Both forms of file:
# one line each (.list) and stanzas of fields (.sources), whose options and keys are kept.
sources=$dir/.apt/parts/own
: >"$sources.list"; : >"$sources.sources"
shopt -s nullglob
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -r "$file" ] && sed -E 's/#.*//; s/([[ ])arch=[^] ]*/\1/' "$file" |
    awk -v suite="$suite" '
      $1 == "deb" {
        i = 2
        if ($i ~ /^\[/) while (i < NF && $i !~ /\]$/) i++
        if ($2 ~ /^\[/) i++
        for (c = i + 2; c <= NF; c++)
          if ($(i + 1) == suite && $c == "main") {
            options = ""
            for (o = 2; o < i; o++) options = options " " $o
            print "deb-src" options, $i, suite, "main"
            break
          }
      }' >>"$sources.list"
done
for file in /etc/apt/sources.list.d/*.sources; do
  # Comments out first, so that a stanza is a paragraph.
  [ -r "$file" ] && sed '/^[[:space:]]*#/d' "$file" | awk -v suite="$suite" '
    BEGIN { RS = ""; FS = "\n" }
    {
      types = suites = components = 0; enabled = 1; text = ""; skip = 0
      for (i = 1; i <= NF; i++) {
        if ($i ~ /^[ \t]/) { if (!skip) text = text $i "\n"; continue }
        n = split(tolower($i), word, /[: \t]+/); skip = 1
        for (w = 2; w <= n; w++) {
          if (word[1] == "types" && word[w] == "deb") types = 1
          if (word[1] == "suites" && word[w] == suite) suites = 1
          if (word[1] == "components" && word[w] == "main") components = 1
          if (word[1] == "enabled" && word[w] == "no") enabled = 0
        }
        if (word[1] ~ /^(types|suites|components|enabled|architectures)$/) continue
        text = text $i "\n"; skip = 0
      }
      if (types && suites && components && enabled)
        printf "Types: deb-src\nSuites: %s\nComponents: main\n%s\n", suite, text
    }' >>"$sources.sources"
done
[ -s "$sources.list" ] || [ -s "$sources.sources" ] ||
  fail "apt has no source for $suite main: see /etc/apt/sources.list.d"

apt=(apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/.apt/parts"
  -o Dir::State::lists="$dir/.apt/lists" -o Dir::Cache="$dir/.apt/cache"
  -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::http::Timeout=30)
echo "fetch_sources: sources of ${missing[*]} through apt"
"${apt[@]}" update || fail "apt-get update failed: is the network there?"
for package in "${missing[@]}"; do
  rm -rf "$dir/$package" "$dir/.apt/$package"
  mkdir -p "$dir/.apt/$package" "$dir/$package"
  (cd "$dir/.apt/$package" && "${apt[@]}" source --download-only "$package") ||
    fail "apt-get source $package failed"
  tarballs=("$dir/.apt/$package"/*.orig.tar.*)
  for tarball in "${tarballs[@]}"; do
    case $tarball in *.asc) continue ;; esac
    tar -xf "$tarball" -C "$dir/$package" --strip-components=1 --no-same-owner
    echo "fetch_sources: $(basename "$tarball")"
  done
  [ -n "$(ls -A "$dir/$package")" ] || fail "$package has no upstream tarball"
  touch "$dir/$package/.complete"
done
