# Feeds logs with the same lines over a datagram socket, as syslog(3) does: the sender waits
# whenever the receiver falls behind, so its time is the receiver's.

# As many as our log takes at once from one source before it limits it.
lines=9000
seq "$lines" | awk '{printf "%s %080d\n", "a line of a service that has something to say", $1}' |
    cut -c1-100 > text

milliseconds() {
    echo $(($(date +%s%N) / 1000000))
}

feed() { # what, socket
    local from to
    from=$(milliseconds)
    logger --socket "$2" --socket-errors=on --tag bench --file text
    to=$(milliseconds)
    result "$1" "$lines" "$((to - from))"
}

journal() { # what, yes or no
    mkdir -p /etc/systemd /var/log/journal/"$(cat /etc/machine-id)" /run/systemd/journal
    cat > /etc/systemd/journald.conf <<CONFIGURATION
[Journal]
Storage=persistent
Seal=$2
RateLimitIntervalSec=0
RateLimitBurst=0
ForwardToConsole=no
CONFIGURATION
    rm -rf /var/log/journal/*/* /run/systemd/journal/*
    # Without this it keeps to memory, as before /var is there.
    touch /run/systemd/journal/flushed
    if [[ $2 == yes ]]; then
        journalctl --setup-keys --force --interval=10s > keys.log 2>&1 ||
            { result "$1 cannot be sealed: $(tail -n 1 keys.log)"; return; }
    fi
    /usr/lib/systemd/systemd-journald > journald.log 2>&1 &
    local daemon=$!
    for _ in $(seq 200); do
        [[ -S /run/systemd/journal/dev-log ]] && break
        sleep 0.1
    done
    feed "$1" /run/systemd/journal/dev-log
    # What was taken in must be there.
    local stored
    for _ in $(seq 600); do
        stored=$(journalctl --quiet --identifier=bench --output=cat | wc -l)
        ((stored >= lines)) && break
        sleep 0.1
    done
    ((stored >= lines)) || result "$1 kept only $stored of $lines lines"
    if [[ $2 == yes ]]; then
        journalctl --header --quiet | grep SEALED > sealed || result "$1 is not sealed"
    fi
    kill "$daemon"
    wait "$daemon" || true
}

# Our own log, its sockets passed to it as PID 1 passes them.
own() { # what, yes or no
    rm -rf /var/lib/log /run/own
    mkdir -p -m 700 /var/lib/log/boots /run/own
    if [[ $2 == yes ]]; then printf %s "$SEAL" > /run/own/seal; fi
    systemd-socket-activate --datagram --listen=/run/own/syslog --fdname=syslog \
        --setenv=RUNTIME_DIRECTORY=/run/own /run/core/usr/lib/bastide/log > own.log 2>&1 &
    local daemon=$!
    for _ in $(seq 100); do
        [[ -S /run/own/syslog ]] && break
        sleep 0.1
    done
    feed "$1" /run/own/syslog
    local stored
    for _ in $(seq 600); do
        stored=$(cat /var/lib/log/*/*.log | grep -c 'has something to say' || true)
        ((stored >= lines)) && break
        sleep 0.1
    done
    ((stored >= lines)) || result "$1 kept only $stored of $lines lines: $(tail -n 1 own.log)"
    kill "$daemon"
    wait "$daemon" || true
    if [[ $2 == yes ]]; then
        # A seal is a line that ends with a signature of 128 hexadecimal digits.
        grep -qE ' [0-9a-f]{128}$' /var/lib/log/others/*.log || result "$1 is not sealed"
    fi
}

mkdir -p /run/core
mount -t erofs -o ro "$SUSPECT" /run/core

# In turns, so that a busy spell of the host hits all.
for _ in 1 2 3; do
    journal systemd-journal no
    own bastide-log,chained-only no
    journal systemd-journal,sealed yes
    own bastide-log,sealed yes
done
