# Sourced by scripts/test-systemd. A machine: systemd booted in a temporary overlay of this host.
# Needs $machine, a folder that is removed by down().
root=$machine/disk/root
name=$(basename "$machine" | tr 'A-Z' 'a-z')
trees=()
for tree in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do [[ ! -d $tree ]] || trees+=("$tree/$name"); done
[[ ${#trees[@]} -gt 0 ]] || trees=("/sys/fs/cgroup/$name")
nspawn="" leader="" lent="" spare=""
v2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
[[ -n $v2 ]] || skip "no cgroup2 is mounted"

down() {
    [[ -z $leader ]] || kill -s RTMIN+4 "$leader" 2>/dev/null || true # systemd's poweroff signal
    for _ in $(seq 100); do [[ -n $nspawn && -d /proc/$nspawn ]] || break; sleep 0.1; done
    [[ -z $nspawn || ! -d /proc/$nspawn ]] || kill -KILL $leader "$nspawn" 2>/dev/null || true
    [[ -z $nspawn ]] || wait "$nspawn" 2>/dev/null || true
    for tree in "${trees[@]}"; do
        for _ in $(seq 50); do
            [[ -d $tree ]] || break
            find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
        done
    done
    [[ -z $lent ]] || echo "-$lent" >"$v2/cgroup.subtree_control" || true
    umount "$root" 2>/dev/null || true
    umount "$machine/disk" 2>/dev/null || true
    rm -rf --one-file-system "$machine"
}

inside() {
    nsenter -t "$leader" -m -u -i -n -p -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C SYSTEMD_PAGER= "$@"
}

# Boots the machine, with PACKAGES at /packages and SOURCE at /source.
boot() { # PACKAGES SOURCE
    # This host's files, under an overlay that is removed after the test.
    mkdir "$machine/disk"
    mount -t tmpfs -o size=3G,mode=755 tmpfs "$machine/disk" 2>/dev/null || skip "nothing can be mounted"
    mkdir "$machine/disk/"{upper,work,root}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$machine/disk/upper,workdir=$machine/disk/work" "$root" 2>/dev/null ||
        skip "no overlay of / can be mounted"

    # Without this host's units; with an arbitrary machine id, since none means first boot.
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    rm -f "$root"/etc/systemd/system/*.wants/*
    : >"$root/etc/fstab"
    rm -f "$root/usr/sbin/policy-rc.d" # in a container's image it keeps packages from starting anything
    for unit in networking.service systemd-journal-flush.service $(cd "$root/lib/systemd/system" && ls ./*.timer); do
        ln -sf /dev/null "$root/etc/systemd/system/$(basename "$unit")"
    done

    (
        for tree in "${trees[@]}"; do mkdir -p "$tree" && echo "$BASHPID" >"$tree/cgroup.procs"; done
        exec setsid env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0 systemd-nspawn -q --register=no \
            --keep-unit --boot --machine="$name" --directory="$root" --private-users=no --private-network \
            --resolv-conf=off --link-journal=no --console=read-only --bind-ro="$1":/packages --bind-ro="$2":/source </dev/null
    ) >"$machine/console" 2>&1 &
    nspawn=$!
    for _ in $(seq 300); do
        [[ -d /proc/$nspawn ]] || { cat "$machine/console" >&2; skip "systemd-nspawn can't boot here"; }
        for pid in $(pgrep -P "$nspawn" || true); do
            if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == systemd ]] && grep -qE '^NSpid:.*[[:space:]]1$' "/proc/$pid/status"; then
                leader=$pid
                break 2
            fi
        done
        sleep 0.1
    done
    [[ -n $leader ]] || { cat "$machine/console" >&2; skip "no systemd came up in 30 s"; }
    for _ in $(seq 300); do
        case $(inside systemctl is-system-running 2>/dev/null || true) in running | degraded) break ;; esac
        sleep 0.1
    done

    # On a host with cgroup version 1, a controller that it does not use is enabled in version 2, down to the
    # machine, so that the kernel's rules apply; disabled again at the end.
    spare=$(cut -d ' ' -f 1 "$v2/cgroup.controllers")
    if [[ -n $spare ]] && ! grep -qw "$spare" "$v2/cgroup.subtree_control"; then
        echo "+$spare" >"$v2/cgroup.subtree_control" && lent=$spare
    fi
    if [[ -n $spare ]]; then
        path=$(sed -n 's/^0:://p' "/proc/$leader/cgroup") folder=$v2
        for part in $(dirname "$path" | tr / ' '); do
            folder=$folder/$part
            echo "+$spare" >"$folder/cgroup.subtree_control" 2>/dev/null || break
        done
    fi
}
