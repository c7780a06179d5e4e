//! What the hosts are made of. A change here makes new images.

use sha2::{Digest, Sha256};

use crate::Runtime;

pub(crate) const SUITE: &str = "bookworm";
pub(crate) const MIRROR: &str = "http://deb.debian.org/debian";

/// On every host.
pub(crate) const PACKAGES: [&str; 14] = [
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iptables",
    "kmod",
    "libpam-systemd",
    "netcat-openbsd",
    "openssh-server",
    "procps",
    "rsync",
    "sudo",
    "systemd",
    "systemd-sysv",
];

/// The first program of a host. It makes of a container what a machine is: a boot id of its own that changes with each
/// start (containers share the kernel's, which a restart does not change), a machine id, host keys; then it becomes
/// systemd, or sshd alone for a host without systemd.
pub(crate) const ENTRY: &str = r#"#!/bin/sh
set -eu
cat /proc/sys/kernel/random/uuid > /run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
[ -s /etc/machine-id ] || tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
if [ ! -e /root/.ssh/authorized_keys ]; then
    mkdir -p -m 700 /root/.ssh
    printf '%s\n' "$TESTBED_KEY" > /root/.ssh/authorized_keys
fi
unset TESTBED_KEY
case "$TESTBED_INIT" in
    systemd) exec /sbin/init ;;
    sshd) mkdir -p /run/sshd && exec /usr/sbin/sshd -D ;;
esac
"#;

/// Where the entry program is on a host.
pub(crate) const ENTRY_PATH: &str = "/usr/local/sbin/testbed-init";

/// sshd as the tests need it: many sessions at once, no delay for a name that does not resolve.
pub(crate) const SSHD: &str =
    "UseDNS no\nMaxStartups 100\nMaxSessions 100\nHostKey /etc/ssh/ssh_host_ed25519_key\n";

/// Keeps downloaded packages, so that a host without a runtime can install one with no network.
pub(crate) const APT: &str = "APT::Install-Recommends \"false\";\nAPT::Keep-Downloaded-Packages \"true\";\n\
     Binary::apt::APT::Keep-Downloaded-Packages \"true\";\n";

/// Fetched but not installed: what a test may want to install.
pub(crate) const AT_HAND: [&str; 1] = ["docker-registry"];

/// The packages that make a runtime.
pub(crate) fn runtime_packages(runtime: Runtime) -> &'static [&'static str] {
    match runtime {
        Runtime::None => &[],
        Runtime::Docker => &["docker.io"],
        Runtime::Podman => &["podman", "netavark", "aardvark-dns", "crun"],
    }
}

/// Podman's storage: overlay on overlay is not to be had everywhere, plain copies are.
pub(crate) const PODMAN_STORAGE: &str = "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\ngraphroot = \"/var/lib/containers/storage\"\n";

/// Twelve digits that change whenever the images would.
pub(crate) fn hash() -> String {
    let mut hasher = Sha256::new();
    for text in PACKAGES
        .iter()
        .chain(&[SUITE, MIRROR, ENTRY, SSHD, APT, PODMAN_STORAGE])
    {
        hasher.update(text.as_bytes());
        hasher.update([0]);
    }
    hasher.update(AT_HAND.join(" ").as_bytes());
    for runtime in Runtime::ALL {
        hasher.update(runtime_packages(runtime).join(" ").as_bytes());
        hasher.update([0]);
    }
    hasher.finalize()[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
