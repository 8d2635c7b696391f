#!/practice/bin/busybox sh
# Stands in for Anaconda: proves which kickstart it was given, from which medium, and that the repository there is whole.
set -uf
export PATH=/practice/bin:/usr/sbin:/usr/bin HOME=/tmp TERM=linux
. /practice/practice.sh

sha256_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}

check_medium() {
    argument rd.live.check >/dev/null || return
    # Its words are those of real media: --verbose has the verdict on the console.
    said=$(checkisomd5 --verbose "$device" 2>&1 | tr '\r' '\n' | grep -v -e '^Checking' -e '^$')
    echo "$said"
    case $said in
    *"result is: PASS"*) say "media check passed" ;;
    *) say "media check FAILED" && fail "media check: $(echo "$said" | tr '\n' ' ')" ;;
    esac
}

read_kickstart() {
    if ! value=$(argument inst.ks); then
        say "kickstart none"
        return
    fi
    case $value in
    hd:LABEL=*:/*) value=${value#hd:LABEL=} ;;
    *) fail "inst.ks is '$value', not hd:LABEL=...:/..." ;;
    esac
    ks_label=$(unescaped "${value%%:*}") path=${value#*:} folder=$REPO
    if [ "$ks_label" != "$label" ]; then
        ks_device=$(find_labelled "$ks_label") || fail "no medium for the kickstart is labelled $ks_label"
        folder=/run/install/kickstart
        mkdir "$folder"
        mount -t iso9660 -o ro "$ks_device" "$folder" || fail "the kickstart's medium on $ks_device cannot be mounted"
    fi
    [ -f "$folder$path" ] || fail "kickstart $path is not on the medium"
    kickstart=$folder$path
    say "kickstart $path sha256 $(sha256_of "$kickstart")"
}

read_discinfo() {
    arch=$(sed -n 3p "$REPO/.discinfo" 2>/dev/null)
    [ "$arch" = "$(uname -m)" ] || fail "discinfo arch is '$arch', and this machine is $(uname -m)"
    say "discinfo arch $arch"
}

unpacked() {
    case $1 in
    *.gz) zcat "$1" ;;
    *.xz) xzcat "$1" ;;
    *.xml) cat "$1" ;;
    *) fail "this stand-in cannot read ${1##*/}" ;;
    esac
}

check_repository() {
    repomd=$REPO/repodata/repomd.xml
    [ -f "$repomd" ] || fail "no repodata/repomd.xml"
    # SHA256 PATH of every metadata file.
    awk 'BEGIN { RS = "</data>" }
        match($0, /<checksum type="sha256">[0-9a-f]+/) { sum = substr($0, RSTART + 24, RLENGTH - 24) }
        match($0, /<location [^>]*href="[^"]+/) {
            path = substr($0, RSTART, RLENGTH); sub(/.*"/, "", path); print sum "  " path; sum = "-"
        }' "$repomd" >/tmp/metadata
    [ -s /tmp/metadata ] || fail "repodata/repomd.xml names no files"
    (cd "$REPO" && sha256sum -c -s /tmp/metadata) || fail "repository metadata is not as repomd.xml says"
    primary=$(sed -n 's/^[^ ]*  \(.*primary\.xml.*\)/\1/p' /tmp/metadata)
    # SIZE SHA256 PATH of every package.
    unpacked "$REPO/$primary" | awk 'BEGIN { RS = "</package>" }
        match($0, /<checksum type="sha256"[^>]*>[0-9a-f]+/) {
            sum = substr($0, RSTART, RLENGTH); sub(/.*>/, "", sum)
            match($0, /<size [^>]*package="[0-9]+/); size = substr($0, RSTART, RLENGTH); sub(/.*"/, "", size)
            match($0, /<location [^>]*href="[^"]+/); path = substr($0, RSTART, RLENGTH); sub(/.*"/, "", path)
            print size, sum, path
        }' >/tmp/packages
    count=$(wc -l </tmp/packages)
    [ "$count" -gt 0 ] || fail "the repository has no packages"
    cut -d ' ' -f 1,3 /tmp/packages >/tmp/promised
    (cd "$REPO" && cut -d ' ' -f 3 /tmp/packages | xargs stat -c '%s %n') >/tmp/there 2>/dev/null
    if ! cmp -s /tmp/promised /tmp/there; then
        fail "packages are missing or of another size: $(grep -vxFf /tmp/there /tmp/promised | head -n 3 | tr '\n' ' ')"
    fi
    # Reading every package takes long on an emulated processor: twelve of the small ones, from all over the list.
    awk '$1 < 500000 { print $2 "  " $3 }' /tmp/packages >/tmp/small
    step=$(($(wc -l </tmp/small) / 12 + 1))
    awk -v "step=$step" 'NR % step == 0' /tmp/small >/tmp/sample
    [ -s /tmp/sample ] || head -n 12 /tmp/small >/tmp/sample
    (cd "$REPO" && sha256sum -c -s /tmp/sample) || fail "a package is not as the repository says"
    say "repository $count packages, all there"
}

install_system() {
    # Only a stage 2 with a whole system in it can.
    [ -d /practice/lib/standin ] || return
    # Where this system has programs is none of busybox's business.
    PATH=/usr/sbin:/usr/bin PYTHONPATH=/practice/lib LC_ALL=C.UTF-8 python3 -P -m standin "$kickstart" "$REPO"
    case $? in
    0) ;;
    # It said itself what failed.
    10) stop ;;
    11) restart ;;
    12) stop ;;
    *) fail "installation: the installer itself broke, and its last words are on this console" ;;
    esac
}

mount -t tmpfs tmpfs /tmp
kickstart=
# What init found out. A label may hold any character.
{
    IFS= read -r device
    IFS= read -r label
} </run/install/medium
say "medium $label on $device"
if [ -d /sys/firmware/efi ]; then say "firmware UEFI"; else say "firmware BIOS"; fi
check_medium
if argument inst.rescue >/dev/null; then
    say "rescue"
else
    read_kickstart
fi
read_discinfo
check_repository
# Anaconda says so before it has looked at any of this; what waits for these words should not be fooled here.
say "anaconda stand-in started"
[ -z "$kickstart" ] || install_system
say "done"
stop
