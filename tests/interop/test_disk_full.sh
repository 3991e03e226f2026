#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_disk_full.sh - the ingest's disk is full, for real: a file system of 4 MiB in memory, in a
# mount namespace of our own, filled up while two devices, one over each link, play on.
#
# While it is full nothing is receipted, and the ingest says why. When there is room again all goes
# on by itself. Then the same once more, and the ingest is killed while the disk is full. Passes
# when every reading of both is stored once and the audit finds no hole.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${HEALTHTEL_MOUNTS:-}" ]; then
  export HEALTHTEL_MOUNTS=own
  own=(unshare -m)
  [ "$(id -u)" = 0 ] || own=(unshare -rm)
  "${own[@]}" true 2>/dev/null || { echo "disk-full: no mounts of one's own here: skipped"; exit 77; }
  exec "${own[@]}" bash "$0" "$@"
fi
. "$here/../../examples/lib.sh"
. "$here/two_devices.sh"
say() { echo "disk-full: $*"; }

more_than() { [ "$(stored_frames)" -gt "$1" ]; }
said() { [ "$(grep -c "$1" "$work/ingest.log")" -ge "$2" ]; }

# Takes all the room that is left.
disk_fill() { cat /dev/zero >"$work/disk/filler" 2>/dev/null; sync; }
disk_free() { rm -f "$work/disk/filler"; }

# The mount goes first, else its directory cannot be removed.
disk_end() {
  local status=$?
  umount -l "$work/disk" 2>/dev/null
  (exit "$status")
  work_end
}

work_begin disk
trap disk_end EXIT
mkdir "$work/disk"
mount -t tmpfs -o size=4m,mode=0700 tmpfs "$work/disk" || lib_fail "no file system can be mounted"
db=$work/disk/ingest.db
devices_make disk
broker_start
ingest_start
ingest_ready || lib_fail "the ingest did not come up"
for link in "${device_links[@]}"; do
  device_start "$link" --speed 3 --frame-s 1 --backoff 200:1000 --receipt-wait 1000 \
    --close-timeout 40
done
wait_until 15 more_than 10 || lib_fail "nothing arrives"

disk_fill
wait_until 20 said 'cannot be written' 1 || lib_fail "the ingest does not feel that its disk is full"
at_full=$(stored_frames)
sleep 3
[ "$(stored_frames)" -le "$at_full" ] || lib_fail "frames are stored on a full disk"
say "full after $at_full frames"
disk_free
wait_until 20 said 'can be written again' 1 || lib_fail "the ingest does not go on"
wait_until 20 more_than "$at_full" || lib_fail "nothing arrives when there is room again"

disk_fill
wait_until 20 said 'cannot be written' 2 || lib_fail "the ingest does not feel the second time"
say "full after $(stored_frames) frames, and the ingest killed"
ingest_kill
disk_free

mount -o remount,ro "$work/disk"
ingest_start
ingest_ended() { ! process_alive "$ingest_pid"; }
wait_until 10 ingest_ended || lib_fail "the ingest runs on a disk that cannot be written"
said 'cannot be opened (.*): check path and permissions' 1 || lib_fail "it does not say why it ended"
mount -o remount,rw "$work/disk"
ingest_start
ingest_ready || lib_fail "the ingest does not come up again"
devices_wait || lib_fail "a device could not deliver everything"
ingest_stop

status=0
devices_check || status=1
for link in "${device_links[@]}"; do
  kept=$(number quarantined "$(cat "$work/disk-$link.json")")
  [ "${kept:-0}" = 0 ] || { say "$link: $kept frames in quarantine"; status=1; }
done
exit "$status"
