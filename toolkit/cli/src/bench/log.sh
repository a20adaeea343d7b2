# Feeds logs with the same lines over a datagram socket, as syslog(3) does: the sender waits
# whenever the receiver falls behind, so its time is the receiver's.

lines=20000
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
    rm -rf /var/log/journal/*/*
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

# In turns, so that a busy spell of the host hits both.
for _ in 1 2 3; do
    journal systemd-journal no
    journal systemd-journal,sealed yes
done

mkdir -p /run/core
mount -t erofs -o ro "$SUSPECT" /run/core
log=/run/core/usr/lib/bastide/log
if [[ -x $log ]] && "$log" --measure /run/text > measured 2>&1; then
    while read -r line; do result "$line"; done < measured
else
    result "our log: $(tail -n 1 measured 2> /dev/null || echo 'not in this Core')"
fi
