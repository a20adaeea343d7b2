# What a task of the rescue machine can use. Nothing here trusts the suspect disk, and
# only `cryptsetup` and the kernel say what is in it.

SUSPECT=/dev/vdc

# The partition of that name on the suspect disk.
partition() {
    blkid --match-token "PARTLABEL=$1" --output device "$SUSPECT"[0-9]* | head -n 1
}

# Opens the state partition of the suspect disk with a passphrase, as /dev/mapper/state.
open_state() {
    printf %s "$1" | cryptsetup open --type luks2 --key-file=- "${@:2}" "$(partition state)" state
}

# A line that begins so is a result; everything else is noise.
result() {
    echo "result: $*"
}
