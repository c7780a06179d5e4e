//! Where everything of a fleet lies.

use camino::{Utf8Path, Utf8PathBuf};
use foundry_link::pki::Authority;
use foundry_proto::{Digest, FleetId};

/// The longest path of a socket that the kernel takes is 107 bytes; longer than this, and the socket lies elsewhere.
pub(crate) const LONGEST_SOCKET_PATH: usize = 100;

/// The places of one fleet's state. Computing them touches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    fleet: FleetId,
    dir: Utf8PathBuf,
}

// === impl Paths ===

impl Paths {
    /// The places of this fleet under this home (`$FOUNDRY_HOME`).
    pub fn new(home: &Utf8Path, fleet: &FleetId) -> Self {
        Self {
            fleet: fleet.clone(),
            dir: Self::fleets(home).join(fleet.as_str()),
        }
    }

    /// The folder of all fleets.
    pub fn fleets(home: &Utf8Path) -> Utf8PathBuf {
        home.join("fleets")
    }

    /// The fleet that these places belong to.
    pub fn fleet(&self) -> &FleetId {
        &self.fleet
    }

    /// The fleet's folder.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// The file that the controller holds locked; its text is the holder's process id.
    pub fn lock(&self) -> Utf8PathBuf {
        self.dir.join("lock")
    }

    /// Where the operator API's socket lies unless that path is too long.
    pub fn socket(&self) -> Utf8PathBuf {
        self.dir.join("controller.sock")
    }

    /// A file with the socket's path, where it had to lie elsewhere.
    pub fn socket_pointer(&self) -> Utf8PathBuf {
        self.dir.join("socket")
    }

    /// The socket to dial: the recorded one, else the usual one.
    pub fn socket_to_dial(&self) -> Utf8PathBuf {
        let recorded = fs_err::read_to_string(self.socket_pointer()).ok();
        let recorded = recorded
            .as_deref()
            .map(str::trim)
            .filter(|path| !path.is_empty());
        recorded.map_or_else(|| self.socket(), Utf8PathBuf::from)
    }

    /// What a controller in the background writes.
    pub fn log(&self) -> Utf8PathBuf {
        self.dir.join("controller.log")
    }

    /// The database.
    pub fn store(&self) -> Utf8PathBuf {
        self.dir.join("store.sqlite")
    }

    /// The folder of keys and certificates.
    pub fn ca_dir(&self) -> Utf8PathBuf {
        self.dir.join("ca")
    }

    /// A CA's certificate, PEM.
    pub fn ca_certificate(&self, authority: Authority) -> Utf8PathBuf {
        self.ca_dir().join(format!("{}.crt", stem(authority)))
    }

    /// A CA's key, PEM.
    pub fn ca_key(&self, authority: Authority) -> Utf8PathBuf {
        self.ca_dir().join(format!("{}.key", stem(authority)))
    }

    /// The key that seals what is secret in the store.
    pub fn seal_key(&self) -> Utf8PathBuf {
        self.ca_dir().join("seal.key")
    }

    /// The folder of files by digest.
    pub fn artifacts(&self) -> Utf8PathBuf {
        self.dir.join("artifacts")
    }

    /// The file of this digest.
    pub fn artifact(&self, digest: &Digest) -> Utf8PathBuf {
        self.artifacts().join(digest.to_string())
    }
}

fn stem(authority: Authority) -> &'static str {
    match authority {
        Authority::Fleet => "fleet",
        Authority::Services => "services",
    }
}
