#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# symbols.sh NM READELF ARCHIVE - what the core may lean on, read from its object files.
#
# 1. Every symbol that an object needs is another object's or on the short list below: no heap, no
#    stdio, no sockets, no threads, whatever their names.
# 2. No object holds writable static data: all state is in the caller's memory.
set -euo pipefail
nm=$1 readelf=$2 archive=$3

# C library functions that a freestanding compiler may call anyway, nanopb, zlib, and what
# compilers add by themselves.
allowed='memcpy|memset|memmove|memcmp|strlen'
allowed+='|pb_[a-z0-9_]+'
allowed+='|deflate[A-Za-z0-9_]*|inflate[A-Za-z0-9_]*|crc32_z'
allowed+='|__aeabi_[a-z0-9_]+|__(u|)(div|mod|divmod)[sdt]i[34]|__(ashl|ashr|lshr|mul)di3|__clz[sd]i2'
allowed+='|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'

defined=$("$nm" -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort -u)
[ -n "$defined" ] || { echo "$archive holds no symbols"; exit 1; }
foreign=$("$nm" -A -u "$archive" | awk '{ print $NF, $1 }' | sort -u |
  grep -vxE "($allowed) .*" | awk 'NR == FNR { own[$1] = 1; next } !($1 in own)' \
    <(printf '%s\n' "$defined") - || true)

# Sections that are loaded and writable. .data.rel.ro is constant once relocated.
writable=$("$readelf" -SW "$archive" | awk '
  /^File: / { file = $2 }
  /^ *\[ *[0-9]+\]/ {
    sub(/^ *\[ *[0-9]+\] */, "")
    name = $1; size = $5; flags = $7
    if (flags ~ /W/ && flags ~ /A/ && size !~ /^0+$/ && name !~ /^\.data\.rel\.ro/)
      print file, name, "0x" size
  }')

status=0
if [ -n "$foreign" ]; then
  printf 'The core refers to what it may not have (symbol, object):\n%s\n' "$foreign"
  status=1
fi
if [ -n "$writable" ]; then
  printf 'Core objects with writable static data (object, section, size):\n%s\n' "$writable"
  status=1
fi
objects=$("$nm" "$archive" 2>/dev/null | grep -c '^[^ ]*:$')
[ $status -ne 0 ] || echo "$objects objects: nothing foreign, no static data"
exit $status
