//! Which runtimes a host has.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::Mutex;

use super::engine::Engine;
use super::{Containers, ContainersError, RuntimeInfo, RuntimeKind, Runtimes};
use crate::exec::{Command, Exec};
use crate::systemd::{Systemd, UnitVerb};

/// Docker's socket. `podman-docker` may put Podman's behind it.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// Podman's socket.
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";

/// The unit that opens Podman's socket.
const PODMAN_SOCKET_UNIT: &str = "podman.socket";

/// How long a runtime may take to say that it is there.
const HELLO: Duration = Duration::from_secs(5);

/// How long one call to a runtime may go unanswered, in seconds.
const ANSWER_SECONDS: u64 = 60;

/// The runtimes of the host, looked for until one answers.
pub struct HostRuntimes {
    exec: Arc<dyn Exec>,
    systemd: Arc<dyn Systemd>,
    kept: Mutex<Option<Arc<Engine>>>,
}

// === impl HostRuntimes ===

impl HostRuntimes {
    /// Looks for none yet.
    pub fn new(exec: Arc<dyn Exec>, systemd: Arc<dyn Systemd>) -> Self {
        Self {
            exec,
            systemd,
            kept: Mutex::default(),
        }
    }

    /// Asks both sockets who is behind them.
    async fn look(&self) -> Vec<Result<Engine, RuntimeInfo>> {
        let mut found: Vec<Result<Engine, RuntimeInfo>> = Vec::new();
        for (kind, socket) in [
            (RuntimeKind::Docker, DOCKER_SOCKET),
            (RuntimeKind::Podman, PODMAN_SOCKET),
        ] {
            let answer = match self.hello(socket).await {
                Ok(engine) => Ok(engine),
                Err(trouble) => match self.program(kind).await {
                    Some(cli) => Err(RuntimeInfo::silent(kind, Some(cli), trouble)),
                    None if Utf8Path::new(socket).exists() => {
                        Err(RuntimeInfo::silent(kind, None, trouble))
                    }
                    None => continue,
                },
            };
            // Podman may be behind both sockets.
            let kind = answer
                .as_ref()
                .map_or_else(|info| info.kind, |engine| engine.info().kind);
            let is_known = found.iter().any(|other| {
                other
                    .as_ref()
                    .is_ok_and(|engine| engine.info().kind == kind)
            });
            if !is_known {
                found.push(answer);
            }
        }
        found
    }

    /// The runtime behind the socket, or what is wrong with it.
    async fn hello(&self, socket: &str) -> Result<Engine, String> {
        let connect = async {
            let docker = Docker::connect_with_unix(socket, ANSWER_SECONDS, API_DEFAULT_VERSION)?;
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            Ok::<_, bollard::errors::Error>((docker, version))
        };
        let (docker, version) = tokio::time::timeout(HELLO, connect)
            .await
            .map_err(|_| format!("does not answer at {socket}"))?
            .map_err(|error| trouble(socket, &error))?;
        let components = version.components.unwrap_or_default();
        let is_podman = components
            .iter()
            .any(|part| part.name.starts_with("Podman"));
        let kind = if is_podman {
            RuntimeKind::Podman
        } else {
            RuntimeKind::Docker
        };
        let info = RuntimeInfo {
            kind,
            version: version.version.unwrap_or_default(),
            api_version: docker.client_version().to_string(),
            cli: self.program(kind).await,
            trouble: None,
        };
        Ok(Engine::new(docker, info))
    }

    /// The runtime's program; not Podman's stand-in where Docker's is asked for.
    async fn program(&self, kind: RuntimeKind) -> Option<Utf8PathBuf> {
        let path = self.exec.find(kind.program()).await?;
        if kind == RuntimeKind::Docker {
            let version = Command::new(&path, &["--version"]).within(HELLO);
            let output = self.exec.run(version).await.ok()?;
            let said = format!("{} {}", output.stdout.text(), output.stderr.text());
            if said.to_ascii_lowercase().contains("podman") {
                return None;
            }
        }
        Some(path)
    }

    async fn find(&self) -> Result<Arc<Engine>, ContainersError> {
        let mut found = Vec::new();
        for answer in self.look().await {
            match answer {
                Ok(engine) => return Ok(Arc::new(engine)),
                Err(info) => found.push(info),
            }
        }
        Err(ContainersError::None { found })
    }
}

#[async_trait]
impl Runtimes for HostRuntimes {
    async fn chosen(&self) -> Result<Arc<dyn Containers>, ContainersError> {
        let mut kept = self.kept.lock().await;
        if let Some(engine) = kept.as_ref()
            && engine.answers(HELLO).await
        {
            return Ok(Arc::clone(engine) as Arc<dyn Containers>);
        }
        *kept = None;
        let engine = self.find().await?;
        *kept = Some(Arc::clone(&engine));
        Ok(engine)
    }

    async fn prepare(&self) -> Result<Arc<dyn Containers>, ContainersError> {
        match self.chosen().await {
            Err(ContainersError::None { found })
                if found
                    .iter()
                    .any(|runtime| runtime.kind == RuntimeKind::Podman) =>
            {
                let enabled = self.systemd.enable(PODMAN_SOCKET_UNIT).await;
                let started = match enabled {
                    Ok(()) => {
                        self.systemd
                            .run(UnitVerb::Start, PODMAN_SOCKET_UNIT, HELLO)
                            .await
                    }
                    Err(error) => Err(error),
                };
                started.map_err(ContainersError::PodmanSocket)?;
                self.chosen().await
            }
            other => other,
        }
    }

    async fn installed(&self) -> Vec<RuntimeInfo> {
        let found = self.look().await.into_iter();
        found
            .map(|answer| answer.map_or_else(|info| info, |engine| engine.info().clone()))
            .collect()
    }
}

// === impl RuntimeInfo ===

impl RuntimeInfo {
    fn silent(kind: RuntimeKind, cli: Option<Utf8PathBuf>, trouble: String) -> Self {
        let (version, api_version) = (String::new(), String::new());
        Self {
            kind,
            version,
            api_version,
            cli,
            trouble: Some(trouble),
        }
    }
}

fn trouble(socket: &str, error: &bollard::errors::Error) -> String {
    if let bollard::errors::Error::SocketNotFoundError(_) = error {
        return format!("is not running ({socket} is missing)");
    }
    // The cause, without the layers of the client around it.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = match cause.downcast_ref::<std::io::Error>() {
        Some(error) => error.kind().to_string(),
        None => cause.to_string(),
    };
    format!("does not answer at {socket}: {cause}")
}
