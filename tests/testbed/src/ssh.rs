//! The ssh configuration that reaches the hosts: a key, a known_hosts file and a config, in one folder.

use std::process::Command;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use crate::engine::lock;
use crate::run;

/// A folder with `config`, `known_hosts`, `key` and `key.pub`.
#[derive(Debug, Clone)]
pub struct SshFolder {
    path: Utf8PathBuf,
}

// === impl SshFolder ===

impl SshFolder {
    /// Writes the folder, with a new key where there is none.
    ///
    /// # Errors
    /// When files cannot be written or ssh-keygen fails.
    pub fn make(path: &Utf8Path) -> Result<Self> {
        fs::create_dir_all(path)?;
        let folder = Self {
            path: path.to_owned(),
        };
        if !folder.key().exists() {
            let key = folder.key();
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f"])
                .arg(&key))?
            .success()?;
        }
        if !folder.known_hosts().exists() {
            fs::write(folder.known_hosts(), "")?;
        }
        fs::write(
            folder.config(),
            format!(
                "Host *\n    User root\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {}\n    \
                 GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    ConnectTimeout 10\n    LogLevel ERROR\n",
                folder.key(),
                folder.known_hosts(),
            ),
        )?;
        Ok(folder)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The configuration: `ssh -F <config> <address>`.
    #[must_use]
    pub fn config(&self) -> Utf8PathBuf {
        self.path.join("config")
    }

    /// The private key that every host's root accepts.
    #[must_use]
    pub fn key(&self) -> Utf8PathBuf {
        self.path.join("key")
    }

    /// The host keys.
    #[must_use]
    pub fn known_hosts(&self) -> Utf8PathBuf {
        self.path.join("known_hosts")
    }

    /// The public half of the key, one line.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn public_key(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path.join("key.pub"))?
            .trim()
            .to_owned())
    }

    /// What `FOUNDRY_SSH` has to be for these hosts.
    #[must_use]
    pub fn program(&self) -> String {
        format!("ssh -F {}", self.config())
    }

    /// Sets the key by which `address` is known. An address that was somebody else's before has only the new one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn know(&self, address: &str, host_key: &str) -> Result<()> {
        let _one_at_a_time = lock(self.path.join("lock").as_str())?;
        let known = fs::read_to_string(self.known_hosts()).context("read the known hosts")?;
        let mut lines: Vec<&str> = known
            .lines()
            .filter(|line| line.split(' ').next() != Some(address))
            .collect();
        let new = format!("{address} {}", host_key.trim());
        lines.push(&new);
        fs::write(self.known_hosts(), lines.join("\n") + "\n").context("write the known hosts")
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::SshFolder;

    #[test]
    fn a_host_is_known_by_its_newest_key_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let ssh =
            SshFolder::make(Utf8Path::from_path(folder.path()).expect("utf-8")).expect("a folder");
        ssh.know("198.18.0.2", "ssh-ed25519 old").expect("written");
        ssh.know("198.18.0.20", "ssh-ed25519 other")
            .expect("written");
        ssh.know("198.18.0.2", "ssh-ed25519 new\n")
            .expect("written");
        let known = fs_err::read_to_string(ssh.known_hosts()).expect("readable");
        assert_eq!(
            known,
            "198.18.0.20 ssh-ed25519 other\n198.18.0.2 ssh-ed25519 new\n"
        );
    }
}
