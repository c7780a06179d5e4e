//! The hub, which may not be there: its port may be taken. Then the controller still answers its operator, and tries
//! again when something has to be changed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foundry_link::tls::Credentials;
use foundry_proto::HostId;
use foundry_proto::agent::v1::Welcome;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::advertise;
use super::backend::as_backend;
use super::clock::now_ms;
use super::core::Core;
use super::error::EngineError;
use super::pump;
use super::view::HostView;
use crate::hub::{Backend as _, Hub, HubError, HubEvent, SessionHandle, Settings};

/// Events of the hub that a subscriber may be behind.
const BEHIND: usize = 16 * 1024;

/// Agents that are alive are back within this time, however long they were away.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked which hosts were heard; far less than it takes to end a silent session.
const HEARD: Duration = Duration::from_secs(1);

/// The hub, once it listens.
pub(crate) struct Listener {
    core: Arc<Core>,
    credentials: watch::Receiver<Arc<Credentials>>,
    state: Mutex<State>,
    starting: tokio::sync::Mutex<()>,
    events: broadcast::Sender<HubEvent>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct State {
    listen: String,
    hub: Option<Hub>,
    stop_hub: CancellationToken,
    error: Option<Arc<HubError>>,
    /// Since when it listens.
    since: Option<Instant>,
}

// === impl Listener ===

impl Listener {
    /// Not listening yet.
    pub(crate) fn new(
        core: Arc<Core>,
        credentials: watch::Receiver<Arc<Credentials>>,
        listen: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let state = State {
            listen,
            hub: None,
            stop_hub: stop.child_token(),
            error: None,
            since: None,
        };
        Self {
            core,
            credentials,
            state: Mutex::new(state),
            starting: tokio::sync::Mutex::new(()),
            events: broadcast::channel(BEHIND).0,
            tasks,
            stop,
        }
    }

    /// The hub; tries to listen where it does not yet.
    pub(crate) async fn ensure(&self) -> Result<Hub, EngineError> {
        let _one_at_a_time = self.starting.lock().await;
        if let Some(hub) = self.hub() {
            return Ok(hub);
        }
        let (listen, stop) = self.with(|state| (state.listen.clone(), state.stop_hub.clone()));
        let started = Hub::start(
            Settings::new(listen),
            self.credentials.clone(),
            Arc::clone(&self.core.clock),
            self.core.admission.clone(),
            as_backend(&self.core),
            stop.clone(),
        );
        match started.await {
            Ok(hub) => {
                self.tasks.spawn(pump::run(
                    Arc::clone(&self.core),
                    hub.subscribe(),
                    self.events.clone(),
                    self.stop.clone(),
                ));
                let core = Arc::clone(&self.core);
                self.tasks.spawn(hear(core, hub.clone(), stop));
                self.with(|state| {
                    state.hub = Some(hub.clone());
                    state.error = None;
                    state.since = Some(Instant::now());
                });
                Ok(hub)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.with(|state| state.error = Some(Arc::clone(&error)));
                Err(EngineError::Listen(error))
            }
        }
    }

    /// Listens somewhere else from now on, if that is another place. The agents that are there are told first where to
    /// come back to.
    pub(crate) async fn relocate(&self, listen: &str) -> Result<(), EngineError> {
        let here = self
            .local_addr()
            .is_some_and(|address| address.to_string() == listen);
        let before = self.with(|state| match here {
            true => std::mem::replace(&mut state.listen, listen.to_owned()),
            false => state.listen.clone(),
        });
        if before == listen {
            return Ok(());
        }
        self.core.store.meta.set_listen(listen).await?;
        if here {
            return Ok(());
        }
        let addresses = match self.core.advertise() {
            known if known.is_empty() => advertise::guessed(advertise::port_of(listen)),
            known => known,
        };
        self.tell_addresses(&addresses).await;
        let (hub, stop) = self.with(|state| {
            let stop = std::mem::replace(&mut state.stop_hub, self.stop.child_token());
            listen.clone_into(&mut state.listen);
            (state.hub.take(), stop)
        });
        stop.cancel();
        if let Some(hub) = hub {
            hub.stopped().await;
        }
        Ok(())
    }

    /// Tells every host that has a session where to come back to from now on.
    pub(crate) async fn tell_addresses(&self, addresses: &[String]) {
        let Some(hub) = self.hub() else { return };
        for session in hub
            .sessions()
            .iter()
            .filter_map(|session| hub.session(session.host))
        {
            let addresses = addresses.to_vec();
            let welcome = Welcome {
                addresses,
                ..self.core.welcome(session.host())
            };
            if let Err(error) = session.settings(welcome).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "host not told where to come back to"
                );
            }
        }
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.hub().map(|hub| hub.local_addr())
    }

    /// For how long it has listened.
    pub(crate) fn listens_for(&self) -> Option<Duration> {
        self.with(|state| state.since).map(|since| since.elapsed())
    }

    /// Why it does not.
    pub(crate) fn error(&self) -> Option<Arc<HubError>> {
        self.with(|state| state.error.clone())
    }

    /// The hub, where it listens.
    pub(crate) fn hub(&self) -> Option<Hub> {
        self.with(|state| state.hub.clone())
    }

    /// The host's live session.
    pub(crate) fn session(&self, host: HostId) -> Option<SessionHandle> {
        self.hub().and_then(|hub| hub.session(host))
    }

    /// The host's session; one that may be on its way back is waited for until then. A host that has been away for longer
    /// than agents take to come back is not.
    pub(crate) async fn session_by(&self, host: HostId, until: Instant) -> Option<SessionHandle> {
        let hub = self.hub()?;
        if let Some(session) = hub.session(host) {
            return Some(session);
        }
        if !self.may_return(host) {
            return None;
        }
        hub.await_session(host, until.saturating_duration_since(Instant::now()))
            .await
    }

    /// Whether a silent host may be on its way back: agents that are alive had no time for it yet.
    pub(crate) fn may_return(&self, host: HostId) -> bool {
        let look = |host: &HostView| (host.gone_ms, host.row.enrolled_ms);
        let Some((gone_ms, enrolled_ms)) = self.core.view.read(host, look) else {
            return false;
        };
        let since = |at_ms: u64| Duration::from_millis(now_ms().saturating_sub(at_ms));
        let silent_for = match gone_ms {
            Some(gone_ms) => Some(since(gone_ms)),
            None => self.listens_for(),
        };
        let silent_for = silent_for.map_or(Duration::ZERO, |silent| silent.min(since(enrolled_ms)));
        silent_for < BACK_WITHIN
    }

    /// What the hosts say from now on, after it was taken into the view.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.events.subscribe()
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps in the view when hosts were last heard, since that is to be known after their sessions. Runs until `stop`.
async fn hear(core: Arc<Core>, hub: Hub, stop: CancellationToken) {
    let mut look = tokio::time::interval(HEARD);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let now_ms = now_ms();
        for session in hub.sessions() {
            let age_ms = u64::try_from(session.seen.as_millis()).unwrap_or(u64::MAX);
            core.view.heard(session.host, now_ms.saturating_sub(age_ms));
        }
    }
}
