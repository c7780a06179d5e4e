//! The agent's binaries: which one for which host, compressed for the way.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use flate2::Compression;
use flate2::write::GzEncoder;
use foundry_proto::Digest;
use tokio::sync::Mutex;

use super::cause::Cause;
use super::settings::Settings;

/// Architectures that agents are built for, as `uname -m` says them.
const BUILT: &[&str] = &["x86_64", "aarch64"];

/// An agent ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    /// Of the binary.
    pub digest: Digest,
    path: Utf8PathBuf,
}

/// Agents by architecture, each read once.
#[derive(Debug, Clone)]
pub(super) struct Agents {
    dirs: Vec<Utf8PathBuf>,
    cache: Utf8PathBuf,
    read: Arc<Mutex<HashMap<String, Agent>>>,
    packed: Arc<Mutex<HashMap<Digest, Bytes>>>,
}

// === impl Agents ===

impl Agents {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            dirs: settings.agent_dirs.clone(),
            cache: settings.cache.clone(),
            read: Arc::default(),
            packed: Arc::default(),
        }
    }

    /// The agent for this architecture.
    pub(super) async fn of(&self, architecture: &str) -> Result<Agent, Cause> {
        let mut read = self.read.lock().await;
        if let Some(agent) = read.get(architecture) {
            return Ok(agent.clone());
        }
        let path = self.find(architecture)?;
        let agent = blocking(move || {
            let binary = fs_err::read(&path)?;
            Ok(Agent {
                digest: Digest::of(&binary),
                path,
            })
        })
        .await?;
        read.insert(architecture.to_owned(), agent.clone());
        Ok(agent)
    }

    /// The agent as gzip. Compressing takes longer than sending, so it is kept for the next time.
    pub(super) async fn packed(&self, agent: &Agent) -> Result<Bytes, Cause> {
        let mut packed = self.packed.lock().await;
        if let Some(bytes) = packed.get(&agent.digest) {
            return Ok(bytes.clone());
        }
        let kept = self.cache.join(format!("{}.gz", agent.digest));
        let path = agent.path.clone();
        let bytes = blocking(move || match fs_err::read(&kept) {
            Ok(bytes) => Ok(bytes),
            Err(_) => {
                let bytes = pack(&fs_err::read(&path)?)?;
                // Only time is lost where it cannot be kept.
                let _ = keep(&kept, &bytes);
                Ok(bytes)
            }
        })
        .await?;
        let bytes = Bytes::from(bytes);
        packed.insert(agent.digest, bytes.clone());
        Ok(bytes)
    }

    fn find(&self, architecture: &str) -> Result<Utf8PathBuf, Cause> {
        if !BUILT.contains(&architecture) {
            return Err(Cause::Architecture(architecture.to_owned()));
        }
        let name = format!("foundry-agent-{architecture}");
        let paths = self.dirs.iter().map(|dir| dir.join(&name));
        paths
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| Cause::NoAgent {
                looked: self.dirs.iter().map(ToString::to_string).collect(),
                name,
            })
    }
}

fn pack(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(binary.len() / 2), Compression::default());
    encoder.write_all(binary)?;
    encoder.finish()
}

/// Whole or not at all; agents of other versions are dropped.
fn keep(path: &Utf8Path, bytes: &[u8]) -> std::io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    fs_err::create_dir_all(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(bytes)?;
    draft.persist(path).map(drop).map_err(|error| error.error)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Cause> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(std::io::Error::other)
        .and_then(|result| result)
        .map_err(|error| Cause::AgentUnreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use camino::Utf8PathBuf;
    use foundry_proto::Digest;

    use super::Agents;
    use crate::bootstrap::cause::Cause;
    use crate::bootstrap::settings::Settings;

    fn settings(dir: &tempfile::TempDir) -> Settings {
        let dir = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        Settings {
            ssh: vec!["ssh".to_owned()],
            cache: dir.join("cache"),
            agent_dirs: vec![dir.join("none"), dir],
            secret_variables: Vec::new(),
        }
    }

    #[tokio::test]
    async fn an_agent_is_packed_once_and_unpacks_to_itself() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(&dir);
        fs_err::write(
            settings.agent_dirs[1].join("foundry-agent-x86_64"),
            "binary",
        )
        .unwrap();
        let agents = Agents::new(&settings);
        let agent = agents.of("x86_64").await.unwrap();
        assert_eq!(agent.digest, Digest::of(b"binary"));
        let packed = agents.packed(&agent).await.unwrap();
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, "binary");
        let kept = settings.cache.join(format!("{}.gz", agent.digest));
        assert_eq!(fs_err::read(kept).unwrap(), packed);
    }

    #[tokio::test]
    async fn an_architecture_without_agent_is_told_from_an_agent_that_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let agents = Agents::new(&settings(&dir));
        let cause = agents.of("riscv64").await.unwrap_err();
        assert_eq!(cause.to_string(), "architecture riscv64 not built");
        assert!(matches!(
            agents.of("aarch64").await,
            Err(Cause::NoAgent { .. })
        ));
    }
}
