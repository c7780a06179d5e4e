//! `/etc/foundry/agent.json`: which fleet, which host, where the controller is. Written at enrolment.

use std::io;

use camino::Utf8PathBuf;
use foundry_proto::{FleetId, HostId, Hostname};
use serde::{Deserialize, Serialize};

use super::write_atomically;

/// The settings that an enrolment leaves on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The fleet that the host belongs to.
    pub fleet: FleetId,
    /// The host's id in it.
    pub host_id: HostId,
    /// The host's name in stack.yaml.
    pub hostname: Hostname,
    /// Which enrolment of this host it is; a later one has a higher number.
    pub epoch: u64,
    /// Where the controller listens, as host:port in the order to be tried.
    pub addresses: Vec<String>,
    /// The key for HMACs of sensitive values.
    pub hmac_key: HmacKey,
    /// When the host was enrolled, in milliseconds since 1970 by its own clock.
    pub since_ms: u64,
}

/// The key for HMACs of sensitive values; never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HmacKey(pub Vec<u8>);

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No file: the host is not enrolled.
    #[error("this host is not enrolled: there is no {path}")]
    Missing {
        /// Where it should be.
        path: Utf8PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read the agent's settings")]
    Read(#[source] io::Error),
    /// It is not what an enrolment writes.
    #[error("{path} is not valid")]
    Malformed {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong, with its line.
        #[source]
        source: serde_json::Error,
    },
    /// A newer agent wrote it.
    #[error("{path} has version {version}; this agent reads version {VERSION}")]
    Version {
        /// The file.
        path: Utf8PathBuf,
        /// Its version.
        version: u32,
    },
    /// A value in it is no name, id or key.
    #[error("{path}: {field} is not valid: {reason}")]
    Value {
        /// The file.
        path: Utf8PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be written.
    #[error("cannot write the agent's settings")]
    Write(#[source] io::Error),
}

const VERSION: u32 = 1;

/// Only this much is read of a file of any version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The file as it stands on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    version: u32,
    fleet: String,
    host_id: String,
    hostname: String,
    epoch: u64,
    addresses: Vec<String>,
    hmac_key: String,
    since_ms: u64,
}

// === impl Settings ===

impl Settings {
    /// Reads and checks the file.
    pub fn read(path: Utf8PathBuf) -> Result<Self, SettingsError> {
        let text = match fs_err::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SettingsError::Missing { path });
            }
            Err(error) => return Err(SettingsError::Read(error)),
        };
        let malformed = |source| SettingsError::Malformed {
            path: path.clone(),
            source,
        };
        let Versioned { version } = serde_json::from_slice(&text).map_err(malformed)?;
        if version != VERSION {
            return Err(SettingsError::Version { path, version });
        }
        let file: OnDisk = serde_json::from_slice(&text).map_err(malformed)?;
        let value = |field, reason: String| SettingsError::Value {
            path: path.clone(),
            field,
            reason,
        };
        Ok(Self {
            fleet: file
                .fleet
                .parse()
                .map_err(|e| value("fleet", format!("{e}")))?,
            host_id: file
                .host_id
                .parse()
                .map_err(|e| value("host_id", format!("{e}")))?,
            hostname: file
                .hostname
                .parse()
                .map_err(|e| value("hostname", format!("{e}")))?,
            epoch: file.epoch,
            addresses: file.addresses,
            hmac_key: HmacKey::from_hex(&file.hmac_key)
                .ok_or_else(|| value("hmac_key", "not hexadecimal digits".to_owned()))?,
            since_ms: file.since_ms,
        })
    }

    /// Writes the file, 0600, all or nothing.
    pub fn write(&self, path: &camino::Utf8Path) -> Result<(), SettingsError> {
        let file = OnDisk {
            version: VERSION,
            fleet: self.fleet.to_string(),
            host_id: self.host_id.to_string(),
            hostname: self.hostname.to_string(),
            epoch: self.epoch,
            addresses: self.addresses.clone(),
            hmac_key: self.hmac_key.to_hex(),
            since_ms: self.since_ms,
        };
        let mut text = serde_json::to_vec_pretty(&file)
            .map_err(|error| SettingsError::Write(io::Error::other(error)))?;
        text.push(b'\n');
        write_atomically(path, 0o600, &text).map_err(SettingsError::Write)
    }
}

// === impl HmacKey ===

impl HmacKey {
    fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn from_hex(text: &str) -> Option<Self> {
        if !text.is_ascii() || !text.len().is_multiple_of(2) {
            return None;
        }
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
            .collect::<Option<_>>()
            .map(Self)
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey")
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;
    use foundry_proto::{FleetId, HostId};

    use super::{HmacKey, Settings, SettingsError};

    fn place() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("agent.json")).unwrap();
        (folder, path)
    }

    fn settings() -> Settings {
        Settings {
            fleet: FleetId::generate("test"),
            host_id: HostId::generate(),
            hostname: "node1".parse().unwrap(),
            epoch: 3,
            addresses: vec!["198.18.0.1:7443".to_owned()],
            hmac_key: HmacKey(vec![0, 1, 0xfe, 0xff]),
            since_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn settings_read_back_and_are_for_root_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, path) = place();
        let settings = settings();
        settings.write(&path).unwrap();
        assert_eq!(Settings::read(path.clone()).unwrap(), settings);
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(format!("{settings:?}").contains("hmac_key: HmacKey,"));
    }

    #[test]
    fn what_is_missing_unknown_or_newer_is_named() {
        let (_folder, path) = place();
        assert!(matches!(
            Settings::read(path.clone()),
            Err(SettingsError::Missing { .. })
        ));
        settings().write(&path).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, text.replacen("\"epoch\"", "\"epocs\"", 1)).unwrap();
        assert!(matches!(
            Settings::read(path.clone()),
            Err(SettingsError::Malformed { .. })
        ));
        fs_err::write(&path, text.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
        assert!(matches!(
            Settings::read(path.clone()),
            Err(SettingsError::Version { version: 2, .. })
        ));
        fs_err::write(&path, text.replacen("\"node1\"", "\"../x\"", 1)).unwrap();
        assert!(matches!(
            Settings::read(path),
            Err(SettingsError::Value {
                field: "hostname",
                ..
            })
        ));
    }
}
