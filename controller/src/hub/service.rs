//! The calls that agents can make. Each is checked: who calls, and whether that host is let in.

use std::pin::Pin;
use std::sync::Arc;

use foundry_link::tls::Clock;
use foundry_proto::HostId;
use foundry_proto::agent::v1::controller_server::Controller;
use foundry_proto::agent::v1::{
    AgentMessage, ArtifactChunk, ControllerMessage, FetchArtifactRequest, ForwardChunk, Refusal,
};
use futures_util::{Stream, StreamExt};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::admission::Admission;
use super::backend::Backend;
use super::connection::Caller;
use super::event::HubEvent;
use super::gate::Counts;
use super::log_limit::LogLimit;
use super::recorder::Entry;
use super::registry::Registry;
use super::serve::Settings;
use super::{artifact, refusal, session};

/// Messages between a session's task and its stream.
const OUTBOUND: usize = 4;

/// What everything in the hub shares.
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) admission: Admission,
    /// What certificates are judged by.
    pub(super) clock: Arc<Clock>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) registry: Registry,
    pub(super) recorder: mpsc::Sender<Entry>,
    pub(super) events: broadcast::Sender<HubEvent>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Artifacts being sent: all, and per host.
    pub(super) fetches: Arc<Semaphore>,
    pub(super) fetching: Counts<HostId>,
    /// Bounds what refused hosts, which come again and again, make others read.
    pub(super) refusals: LogLimit,
}

/// The service as tonic serves it.
pub(super) struct Service(pub(super) Arc<Inner>);

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

// === impl Inner ===

impl Inner {
    /// Tells subscribers; nobody listening is no failure.
    pub(super) fn publish(&self, event: HubEvent) {
        let _ = self.events.send(event);
    }

    /// Notes a refusal of a peer with a certificate of the fleet.
    pub(super) fn refused(&self, caller: &Caller, reason: Refusal) {
        if !self.refusals.allows() {
            return;
        }
        let (identity, address) = (caller.peer.identity.to_string(), caller.address);
        tracing::info!(%identity, ?address, reason = reason.as_str_name(), "a host was refused");
        self.publish(HubEvent::Refused {
            identity,
            address,
            reason,
        });
    }

    /// Who calls, if it is let in.
    fn admit(&self, extensions: &Extensions) -> Result<(Arc<Caller>, HostId), Status> {
        let caller = extensions
            .get::<Arc<Caller>>()
            .cloned()
            .ok_or_else(|| refusal::status(Refusal::NotAHost))?;
        match self.admission.check(&caller.peer) {
            Ok(host) => Ok((caller, host)),
            Err(reason) => {
                self.refused(&caller, reason);
                Err(refusal::status(reason))
            }
        }
    }
}

// === impl Service ===

#[tonic::async_trait]
impl Controller for Service {
    type SessionStream = BoxStream<ControllerMessage>;
    type FetchArtifactStream = BoxStream<ArtifactChunk>;
    type ForwardStream = BoxStream<ForwardChunk>;

    async fn session(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (caller, host) = self.0.admit(request.extensions())?;
        let (outbound, stream) = mpsc::channel(OUTBOUND);
        let hub = Arc::clone(&self.0);
        self.0.tasks.spawn(session::open(
            hub,
            caller,
            host,
            request.into_inner(),
            outbound,
        ));
        let stream = ReceiverStream::new(stream)
            .map(|message: session::Outbound| message.map(|m| *m).map_err(|status| *status));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn fetch_artifact(
        &self,
        request: Request<FetchArtifactRequest>,
    ) -> Result<Response<Self::FetchArtifactStream>, Status> {
        let (caller, host) = self.0.admit(request.extensions())?;
        let stream = artifact::serve(&self.0, caller, host, request.into_inner()).await?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn forward(
        &self,
        request: Request<Streaming<ForwardChunk>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        self.0.admit(request.extensions())?;
        Err(Status::unimplemented(
            "this controller forwards no connections yet",
        ))
    }
}
