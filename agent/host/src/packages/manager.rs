//! What each package manager is called and how it answers.

/// A package manager, by its programs and their arguments; the package comes last.
pub(super) struct Manager {
    /// As facts and messages name it.
    pub(super) name: &'static str,
    /// The program whose presence says that it is there.
    pub(super) program: &'static str,
    pub(super) query: &'static [&'static str],
    pub(super) read_version: fn(&str) -> Option<String>,
    pub(super) search: &'static [&'static str],
    pub(super) read_available: fn(&str) -> bool,
    pub(super) refresh: &'static [&'static str],
    pub(super) install: &'static [&'static str],
    pub(super) remove: &'static [&'static str],
    /// The files that it locks.
    pub(super) locks: &'static [&'static str],
    /// What it says where they are locked.
    locked: &'static [&'static str],
}

/// Those that foundry knows, in the order in which they are looked for.
pub(super) const KNOWN: &[Manager] = &[
    Manager {
        name: "apt",
        program: "apt-get",
        query: &[
            "dpkg-query",
            "--show",
            "--showformat=${db:Status-Status} ${Version}",
        ],
        read_version: dpkg_version,
        search: &["apt-cache", "policy"],
        read_available: apt_candidate,
        refresh: &["apt-get", "--quiet", "update"],
        install: &[
            "apt-get",
            "--quiet",
            "--yes",
            "--no-install-recommends",
            "--no-upgrade",
            "-oDpkg::Options::=--force-confdef",
            "-oDpkg::Options::=--force-confold",
            "install",
        ],
        remove: &["apt-get", "--quiet", "--yes", "remove"],
        locks: &[
            "/var/lib/dpkg/lock-frontend",
            "/var/lib/dpkg/lock",
            "/var/lib/apt/lists/lock",
        ],
        locked: &["Could not get lock", "is another process using it"],
    },
    Manager {
        name: "dnf",
        program: "dnf",
        query: &["rpm", "--query", "--queryformat=%{VERSION}-%{RELEASE}\n"],
        read_version: first_line,
        search: &["dnf", "--quiet", "list", "--available"],
        read_available: has_lines,
        refresh: &["dnf", "--quiet", "--assumeyes", "makecache"],
        install: &["dnf", "--quiet", "--assumeyes", "install"],
        remove: &["dnf", "--quiet", "--assumeyes", "remove"],
        locks: &[
            "/var/lib/dnf/rpmdb_lock.pid",
            "/var/cache/dnf/metadata_lock.pid",
        ],
        locked: &["Waiting for process with pid", "Failed to obtain"],
    },
    Manager {
        name: "zypper",
        program: "zypper",
        query: &["rpm", "--query", "--queryformat=%{VERSION}-%{RELEASE}\n"],
        read_version: first_line,
        search: &[
            "zypper",
            "--quiet",
            "--non-interactive",
            "search",
            "--match-exact",
        ],
        read_available: has_lines,
        refresh: &["zypper", "--quiet", "--non-interactive", "refresh"],
        install: &[
            "zypper",
            "--quiet",
            "--non-interactive",
            "install",
            "--no-recommends",
        ],
        remove: &["zypper", "--quiet", "--non-interactive", "remove"],
        locks: &["/run/zypp.pid"],
        locked: &["System management is locked"],
    },
];

// === impl Manager ===

impl Manager {
    /// What its programs find in their environment.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            set("DEBIAN_FRONTEND", "noninteractive"),
            // `needrestart` would restart services, among them the runtime and what runs in it.
            set("NEEDRESTART_SUSPEND", "1"),
        ]
    }

    /// Whether it failed because of a lock.
    pub(super) fn says_locked(&self, output: &str) -> bool {
        self.locked.iter().any(|sign| output.contains(sign))
    }
}

/// The version of what dpkg calls installed; `config-files` and the like are not.
fn dpkg_version(text: &str) -> Option<String> {
    text.trim().strip_prefix("installed ").map(str::to_owned)
}

fn first_line(text: &str) -> Option<String> {
    text.lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}

/// `apt-cache policy` succeeds for every name: only one with a candidate can be installed.
fn apt_candidate(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let candidate = lines.find_map(|line| line.strip_prefix("Candidate:"));
    candidate.is_some_and(|version| version.trim() != "(none)")
}

fn has_lines(text: &str) -> bool {
    text.lines().any(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, apt_candidate, dpkg_version, first_line};

    #[test]
    fn only_what_dpkg_calls_installed_is() {
        assert_eq!(
            dpkg_version("installed 20.10.24+dfsg1-1").as_deref(),
            Some("20.10.24+dfsg1-1")
        );
        assert_eq!(dpkg_version("config-files 20.10.24+dfsg1-1"), None);
        assert_eq!(dpkg_version("not-installed "), None);
        assert_eq!(first_line("1.2-3\n1.2-4\n").as_deref(), Some("1.2-3"));
    }

    #[test]
    fn a_name_without_a_candidate_is_not_available() {
        let policy = "docker.io:\n  Installed: (none)\n  Candidate: 20.10.24\n  Version table:\n";
        assert!(apt_candidate(policy));
        assert!(!apt_candidate(
            "virtual:\n  Installed: (none)\n  Candidate: (none)\n"
        ));
        assert!(!apt_candidate(""));
    }

    #[test]
    fn a_lock_is_told_by_its_words() {
        let apt = &KNOWN[0];
        let said = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 8";
        assert!(apt.says_locked(said));
        assert!(!apt.says_locked("E: Unable to locate package nope"));
    }
}
