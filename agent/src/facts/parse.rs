//! The files that facts are read from. Pure.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What /etc/os-release says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Os {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) name: String,
}

/// Of /etc/os-release.
pub(super) fn os_release(text: &str) -> Os {
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default()
            .trim()
            .trim_matches(['"', '\''])
            .to_owned()
    };
    Os {
        id: value("ID"),
        version: value("VERSION_ID"),
        name: value("PRETTY_NAME"),
    }
}

/// The host's own addresses in /proc/net/fib_trie: the leaves that are marked `host LOCAL`.
pub(super) fn local_v4(text: &str) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut leaf = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line.ends_with("/32 host LOCAL")
            && let Some(address) = leaf
            && !address.is_loopback()
            && !address.is_link_local()
        {
            found.insert(address);
        }
    }
    found
}

/// The addresses in /proc/net/if_inet6: 32 hexadecimal digits at the start of each line.
pub(super) fn local_v6(text: &str) -> BTreeSet<Ipv6Addr> {
    text.lines()
        .filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok())
        .map(Ipv6Addr::from_bits)
        .filter(|address| !address.is_loopback() && !address.is_unicast_link_local())
        .collect()
}

/// The second number of /proc/self/statm.
pub(super) fn resident_pages(text: &str) -> u64 {
    text.split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Os, local_v4, local_v6, os_release, resident_pages};

    #[test]
    fn a_release_is_told_by_its_keys() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\nID_LIKE=x\n";
        let (id, version) = ("debian".to_owned(), "12".to_owned());
        let name = "Debian GNU/Linux 12 (bookworm)".to_owned();
        assert_eq!(os_release(text), Os { id, version, name });
        assert_eq!(os_release("nonsense"), Os::default());
    }

    #[test]
    fn only_the_hosts_own_addresses_count() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- \
                    198.18.0.2\n        /32 host LOCAL\n     |-- 198.18.0.255\n        /32 link \
                    BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let found: Vec<_> = local_v4(trie).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["198.18.0.2"]);
        let v6 = "00000000000000000000000000000001 01 80 10 80 lo\n\
                  20010db8000000000000000000000005 02 40 00 80 eth0\n\
                  fe800000000000000042acfffe110002 02 40 20 80 eth0\n";
        let found: Vec<_> = local_v6(v6).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2001:db8::5"]);
    }

    #[test]
    fn memory_is_the_second_number() {
        assert_eq!(resident_pages("900 300 5 1 0 2 0"), 300);
        assert_eq!(resident_pages(""), 0);
    }
}
