#!/bin/bash
# PID 1 of the rescue machine: does what the script on the second disk says, and says
# how it ended. Whoever started the machine then cuts its power.

export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
# No udev runs here: device-mapper makes its own nodes.
export DM_DISABLE_UDEV=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# journald wants to know whose lines it takes.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock /run/cryptsetup /dev/shm
[[ -e /dev/fd ]] || ln -s /proc/self/fd /dev/fd
tr -d '\0' < /dev/vdb > /run/task

# From here on the console is the task's: of the kernel only an emergency shows.
echo 1 > /proc/sys/kernel/printk

cd /run || exit 1
echo 'rescue: begin'
bash -euo pipefail /run/task < /dev/null
echo "rescue: done $?"
sync
# PID 1 must not end.
while :; do sleep 3600; done
