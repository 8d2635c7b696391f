# What init and stage 2 share. Sourced, in busybox's sh.
REPO=/run/install/repo

say() {
    # Every console= of the command line hears it; the kernel itself writes to the last one only.
    for console in $(cat /sys/class/tty/console/active); do
        echo "practice: $*" >"/dev/$console"
    done
}

stop() {
    sync
    poweroff -f
    # Power takes a moment to go, and the first process must not end before it.
    while :; do sleep 60; done
}

restart() {
    sync
    reboot -f
    while :; do sleep 60; done
}

fail() {
    say "FAILED $*"
    stop
}

# Without a first process the kernel panics, and nobody learns why.
trap 'fail "a script ended before it was done"' EXIT

argument() {
    # The value of NAME=value on the kernel command line; nothing and status 1 when it is not there.
    for word in $(cat /proc/cmdline); do
        case $word in
        "$1="*) echo "${word#*=}" && return ;;
        "$1") return ;;
        esac
    done
    return 1
}

unescaped() {
    # Labels are escaped as udev does: \x20 for a space.
    printf '%b' "$1"
}

label_of() {
    # The volume id: 32 bytes of the volume descriptor at 32768, which must call itself one of ISO 9660.
    [ "$(dd if="$1" bs=1 skip=32769 count=5 2>/dev/null)" = CD001 ] || return 1
    dd if="$1" bs=1 skip=32808 count=32 2>/dev/null | sed 's/ *$//'
}

find_labelled() {
    # Prints the device. A stick takes its time to be there. A disk comes before its partitions, which is the right
    # order for one that holds a whole image.
    tries=60
    while [ "$tries" -gt 0 ]; do
        for name in $(ls /sys/class/block); do
            case $name in loop* | ram* | fd*) continue ;; esac
            [ "$(label_of "/dev/$name")" = "$1" ] && echo "/dev/$name" && return
        done
        tries=$((tries - 1))
        sleep 0.5
    done
    return 1
}
