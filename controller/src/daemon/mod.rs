//! `foundry controller run`: the process that owns a fleet.
//!
//! In order: the fleet's lock, the store, the CAs, a certificate, the agents' listener, the operator's socket, and then it
//! says that it is ready. It ends when it is told to, or after nobody needed it for a while: no open connection of an
//! operator and no run.
//!
//! Tasks, all ended by one token and awaited within a grace period: the engine's own, one that renews the certificate, one
//! that accepts operators, one that counts idle time.

mod certificate;
mod error;
mod idle;
mod signals;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use foundry_proto::FleetId;
use tokio_util::sync::CancellationToken;

pub use error::DaemonError;
pub use signals::stop_on_signals;

use crate::api::server;
use crate::artifacts::Artifacts;
use crate::engine::{Engine, Parts, Timing};
use crate::state::{Authorities, FleetLock, open_fleet};
use crate::store::{Repositories, SealKey, Sqlite};
pub use idle::{Activity, Busy};

/// Where agents are listened for, unless somebody said otherwise.
pub const DEFAULT_LISTEN: &str = "[::]:7443";

/// How long what is under way may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How a controller is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// `$FOUNDRY_HOME`.
    pub home: Utf8PathBuf,
    /// The fleet to own.
    pub fleet: FleetId,
    /// Ends when nobody needed it for so long; `None`: never.
    pub idle_exit: Option<Duration>,
    /// Where to listen for agents from now on, `[::]:7443`; `None`: where it was last, else [`DEFAULT_LISTEN`].
    pub listen: Option<String>,
}

/// What can be told once it serves.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The operator's socket.
    pub socket: Utf8PathBuf,
    /// Where agents connect; empty with `listen_error`.
    pub listen: String,
    /// Why they cannot.
    pub listen_error: String,
}

/// Owns the fleet until `stop`, or until it was idle for long enough. `ready` is called once, when the socket answers.
pub async fn run(
    options: Options,
    stop: CancellationToken,
    ready: impl FnOnce(Ready),
) -> Result<(), DaemonError> {
    let paths = open_fleet(&options.home, &options.fleet)?;
    let _lock = FleetLock::acquire(&paths)?;
    let seal = SealKey::new(&*Authorities::seal_key(&paths)?);
    let authorities = Authorities::load(&paths)?;
    let store = Repositories::new(Arc::new(Sqlite::open(&paths.store())?), seal);
    let artifacts = Artifacts::open(&paths.artifacts()).map_err(DaemonError::Artifacts)?;
    let listen = match &options.listen {
        Some(listen) => {
            store.meta.set_listen(listen).await?;
            listen.clone()
        }
        None => store
            .meta
            .listen()
            .await?
            .unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
    };
    let (credentials, renewal) = certificate::issue(&paths, options.fleet.clone())?;

    let activity = Activity::default();
    let parts = Parts {
        fleet: options.fleet.clone(),
        store,
        authorities,
        artifacts,
        credentials,
        listen,
        activity: activity.clone(),
        timing: Timing::default(),
    };
    let engine = Engine::start(parts, stop.clone()).await?;
    let socket = socket::bind(&paths)?;
    let operators = server::serve(
        engine.clone(),
        socket.listener,
        server::Settings {
            idle_exit: options.idle_exit,
            activity: activity.clone(),
        },
        stop.clone(),
    );

    let info = engine.info();
    ready(Ready {
        socket: socket.path.clone(),
        listen: info.listen,
        listen_error: info.listen_error,
    });
    let renewing = tokio::spawn(renewal.run(stop.clone()));
    let idle = tokio::spawn(idle::stop_when_idle(
        activity,
        options.idle_exit,
        stop.clone(),
    ));
    let served = tokio::spawn(operators);

    stop.cancelled().await;
    socket::remove(&paths, &socket.path);
    let ended = async { tokio::join!(served, renewing, idle) };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("some operators did not hang up in time");
    }
    engine.stopped(GRACE).await;
    Ok(())
}
