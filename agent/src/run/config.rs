//! All that the agent has to know before it starts.

use std::io::{self, Read as _};

use foundry_proto::Digest;
use sha2::{Digest as _, Sha256};

use crate::cli;
use crate::config::{Identity, IdentityError, Places, Settings, SettingsError};
use crate::executor::Build;
use crate::facts;

/// The agent's configuration.
pub struct Config {
    /// Where its things lie.
    pub places: Places,
    /// Fleet, host, addresses.
    pub settings: Settings,
    /// Key, certificate, authorities.
    pub identity: Identity,
    /// Which build it is, and which start of it.
    pub build: Build,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// The systemd unit that it runs as; none where there is none.
    pub unit: Option<String>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings.
    #[error(transparent)]
    Settings(SettingsError),
    /// The identity.
    #[error(transparent)]
    Identity(IdentityError),
    /// The agent's own binary.
    #[error("cannot read the agent's own binary")]
    Binary(#[source] io::Error),
}

// === impl Config ===

impl Config {
    /// Reads it from these places.
    pub fn read(places: Places) -> Result<Self, ConfigError> {
        let settings = Settings::read(places.settings()).map_err(ConfigError::Settings)?;
        let identity = Identity::read(&places.identity()).map_err(ConfigError::Identity)?;
        let build = Build::of_this_process().map_err(ConfigError::Binary)?;
        let boot_id = facts::boot_id();
        Ok(Self {
            places,
            settings,
            identity,
            build,
            boot_id,
            unit: None,
        })
    }
}

// === impl Build ===

impl Build {
    /// The build that runs now, as started now.
    pub fn of_this_process() -> io::Result<Self> {
        let digest = digest_of("/proc/self/exe")?;
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(since_boot.tv_sec).unwrap_or_default();
        let nanoseconds = u64::try_from(since_boot.tv_nsec).unwrap_or_default();
        Ok(Self {
            version: cli::VERSION.to_owned(),
            digest,
            start_id: seconds * 1_000_000_000 + nanoseconds,
        })
    }
}

fn digest_of(path: &str) -> io::Result<Digest> {
    let mut file = fs_err::File::open(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from(<[u8; 32]>::from(hash.finalize()))),
            read => hash.update(&buffer[..read]),
        }
    }
}
