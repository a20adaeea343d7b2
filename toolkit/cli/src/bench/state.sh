# Sets up each choice by hand, as cryptsetup would, so that nothing but the choice differs,
# and measures it. Tables: Documentation/admin-guide/device-mapper/{dm-crypt,dm-integrity}.rst

disk=$SUSPECT
size=$(blockdev --getsz "$disk")

# Figures of one job: bandwidth in KiB/s or operations a second.
job() { # rw block-size total field
    fio --name=job --filename=/dev/mapper/measured --direct=1 --ioengine=psync --rw="$1" --bs="$2" \
        --size=96M --io_size="$3" --end_fsync=1 --randseed=1 --output-format=terse --terse-version=3 \
        2> fio.log | tail -n 1 | cut -d';' -f"$4"
}

measure() { # choice
    # Terse format 3: field 7 and 8 are bandwidth and operations of reading, 48 and 49 of writing.
    result row "$1" "$(job write 1M 96M 48)" "$(job read 1M 96M 7)" \
        "$(job randwrite 4k 6M 49)" "$(job randread 4k 6M 8)"
    dmsetup remove measured
}

key() { # bytes
    head -c "$1" /dev/urandom | xxd -p -c 256
}

# Room for tags under dm-crypt; gives the sectors that are left.
integrity() { # bytes of a tag, mode
    dd if=/dev/zero of="$disk" bs=4096 count=1 conv=notrunc,fsync status=none
    dmsetup create tags --table "0 1 integrity $disk 0 $1 $2 1 block_size:4096"
    dmsetup remove tags
    local sectors
    sectors=$(od --address-radix=n --format=u8 --skip-bytes=16 --read-bytes=8 "$disk" | tr -d ' ')
    sectors=$((sectors / 8 * 8))
    dmsetup create tags --table "0 $sectors integrity $disk 0 $1 $2 1 block_size:4096"
    echo "$sectors"
}

authenticated() { # name, cipher, bytes of key, bytes of tag, mode of dm-integrity
    local sectors
    sectors=$(integrity "$4" "$5")
    if ! dmsetup create measured --table \
        "0 $sectors crypt $2 $(key "$3") 0 /dev/mapper/tags 0 2 integrity:$4:aead sector_size:4096" 2> dm.log; then
        result skipped "$1" "$(tr '\n' ' ' < dm.log)"
    else
        # What was never written has no tag, and reading it is an error.
        dd if=/dev/zero of=/dev/mapper/measured bs=1M oflag=direct status=none || true
        measure "$1"
    fi
    dmsetup remove tags
}

dmsetup create measured --table "0 $size linear $disk 0"
measure no-encryption
dmsetup create measured --table "0 $size crypt aes-xts-plain64 $(key 64) 0 $disk 0 1 sector_size:4096"
measure aes-xts,no-integrity
# A tag holds the authentication tag and, where the initialisation vector is random, that too.
for mode in J D; do
    authenticated "hmac-sha256+aes-xts,$mode" 'capi:authenc(hmac(sha256),xts(aes))-random' 96 48 "$mode"
    authenticated "aes-gcm,$mode" 'capi:gcm(aes)-random' 32 28 "$mode"
    authenticated "aegis128,$mode" 'capi:aegis128-random' 16 32 "$mode"
    authenticated "chacha20-poly1305,$mode" 'capi:rfc7539(chacha20,poly1305)-random' 32 28 "$mode"
done
