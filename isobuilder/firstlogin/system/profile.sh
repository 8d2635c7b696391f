# The first login of root at a terminal starts cloud-setup, once. Read by login shells, of whatever kind; it changes
# nothing in them and never ends them.

cloud_setup_first_login() {
    # Only a person at a terminal can answer: no scp, no rsync, no command over ssh.
    case $- in *i*) ;; *) return 0 ;; esac
    [ -t 0 ] && [ -t 1 ] || return 0
    [ "$(id -u)" = 0 ] || return 0
    # CentOS has every interactive bash read this, and only bash says what is a login.
    # shellcheck disable=SC3028
    case "${BASH_VERSION:+bash}:${BASHOPTS:-}:" in bash:*:login_shell:* | bash:login_shell:* | :*) ;; *) return 0 ;; esac
    [ -x "/usr/sbin/cloud-setup" ] || return 0
    if [ -e "/var/lib/cloud-setup/trial" ]; then
        echo "The network was changed and goes back soon. To keep it, run: cloud-setup confirm"
        return 0
    fi
    [ ! -e "/var/lib/cloud-setup/done" ] || return 0
    # In a system that is being repaired there is no network to set up.
    case $(runlevel 2>/dev/null) in *[sS1]) return 0 ;; esac
    if [ -d /run/systemd/system ]; then
        ! systemctl --quiet is-active rescue.target emergency.target 2>/dev/null || return 0
    fi
    # Whoever makes this file is the first; two logins at a time cannot both be.
    if (set -C; : >"/var/lib/cloud-setup/offered") 2>/dev/null; then
        "/usr/sbin/cloud-setup" || :
    else
        echo "This machine is not set up yet. To do it, run: cloud-setup"
    fi
}

cloud_setup_first_login
unset -f cloud_setup_first_login
