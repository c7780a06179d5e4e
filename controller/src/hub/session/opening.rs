//! From the first message of a stream to an open session, and from its end to the last word on the stream.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foundry_link::pki::HOST_RENEW_AFTER;
use foundry_link::session::controller::{Session, Start};
use foundry_proto::HostId;
use foundry_proto::agent::v1::{AgentMessage, Assign};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use super::{Outbound, Running};
use crate::hub::connection::Caller;
use crate::hub::error::chain;
use crate::hub::event::{Disconnect, HubEvent};
use crate::hub::handle::Shared;
use crate::hub::recorder::Entry;
use crate::hub::refusal;
use crate::hub::registry::Claim;
use crate::hub::service::Inner;

/// From the call to Hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// For making way and for the store to say what the host should have.
const OPEN_DEADLINE: Duration = Duration::from_secs(15);

/// How soon a host comes back that could not be served.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long a connection stays after its session was ended from here: the last words must reach the agent.
const LINGER: Duration = Duration::from_secs(2);

/// Runs a session from its first message to its end.
pub(in crate::hub) async fn open(
    hub: Arc<Inner>,
    caller: Arc<Caller>,
    host: HostId,
    inbound: Streaming<AgentMessage>,
    outbound: mpsc::Sender<Outbound>,
) {
    let Some(last_word) = session(&hub, &caller, host, inbound, &outbound).await else {
        return;
    };
    let _ = outbound.send(Err(Box::new(last_word))).await;
    drop(outbound);
    // A peer that is dead would keep its connection for ever, and one that was refused has no use for it.
    tokio::select! {
        () = tokio::time::sleep(LINGER) => caller.close.cancel(),
        () = hub.stop.cancelled() => {}
    }
}

/// Runs the session; returns its last word, `None` where nobody is there to hear it.
async fn session(
    hub: &Arc<Inner>,
    caller: &Arc<Caller>,
    host: HostId,
    mut inbound: Streaming<AgentMessage>,
    outbound: &mpsc::Sender<Outbound>,
) -> Option<Status> {
    let opened = async {
        let first = tokio::time::timeout(HELLO_DEADLINE, inbound.message())
            .await
            .map_err(|_| Some(Status::new(Code::DeadlineExceeded, "no hello")))?;
        let first = first.ok().flatten().ok_or(None)?;
        begin(hub, caller, host, first, inbound, outbound)
            .await
            .map_err(Some)
    };
    let opened = tokio::select! {
        opened = opened => opened,
        () = hub.stop.cancelled() => return None,
    };
    match opened {
        Ok((claim, mut running)) => {
            drop(claim);
            live(hub, &mut running).await
        }
        Err(last_word) => last_word,
    }
}

/// Runs an open session.
async fn live(hub: &Arc<Inner>, running: &mut Running) -> Option<Status> {
    let shared = Arc::clone(&running.shared);
    // It may have been taken off the list while the session opened.
    if let Err(reason) = hub.admission.check(&running.caller.peer) {
        shared.end(Disconnect::Cut(reason));
    }
    let reason = running.run().await;
    // Whoever claims the host next goes on when the session has ended, so everything must be handed over by then.
    hub.registry.remove(&shared);
    shared.set_ended();
    tracing::debug!(host = %shared.host, ?reason, "a session ended");
    let (host, last_word) = (shared.host, last_word(&reason));
    let cut = if let Disconnect::Cut(reason) = reason {
        Some(reason)
    } else {
        None
    };
    hub.publish(HubEvent::Disconnected { host, reason });
    if let Some(reason) = cut {
        hub.refused(&running.caller, reason);
    }
    last_word
}

/// What the agent is told at the end of its session.
fn last_word(reason: &Disconnect) -> Option<Status> {
    Some(match reason {
        Disconnect::Cut(reason) => refusal::status(*reason),
        Disconnect::Replaced => Status::new(Code::Aborted, "a newer session of this host is open"),
        Disconnect::Silent => Status::new(Code::DeadlineExceeded, "nothing was heard"),
        Disconnect::Protocol(what) => Status::new(Code::InvalidArgument, what.as_str()),
        Disconnect::NotStored => refusal::busy(RETRY_AFTER),
        Disconnect::Stopping => Status::new(Code::Unavailable, "the controller stops"),
        Disconnect::Closed => return None,
    })
}

async fn begin(
    hub: &Arc<Inner>,
    caller: &Arc<Caller>,
    host: HostId,
    first: AgentMessage,
    inbound: Streaming<AgentMessage>,
    outbound: &mpsc::Sender<Outbound>,
) -> Result<(Claim, Running), Status> {
    let hello = Session::hello(first)
        .map_err(|violation| Status::new(Code::InvalidArgument, violation.to_string()))?;
    let refused = |reason| {
        hub.refused(caller, reason);
        refusal::status(reason)
    };
    let late = |_| refusal::busy(RETRY_AFTER);
    let start = Start::of(&hello);
    let claimed = hub.registry.claim(host, &start);
    let claim = tokio::time::timeout(OPEN_DEADLINE, claimed)
        .await
        .map_err(late)?
        .map_err(refused)?;
    let (recorded, desired) =
        tokio::time::timeout(OPEN_DEADLINE, stored(hub, host, &hello.ledger_id))
            .await
            .map_err(late)??;
    let epoch = Instant::now();
    let mut welcome = hub.backend.welcome(host);
    hub.settings.fill(&mut welcome);
    let age = hub.clock.now().duration_since(caller.peer.issued());
    welcome.renew_certificate |= age.is_ok_and(|age| age > HOST_RENEW_AFTER);
    let mut machine = Session::open(Duration::ZERO, &hello, recorded, welcome).map_err(refused)?;
    for (assign, verdict) in machine.desired(desired) {
        let (name, revision) = (assign.name, assign.revision);
        tracing::warn!(%host, name, revision, ?verdict, "an assignment is not newer than the host's");
    }
    let hello = Arc::new(hello);
    let key = caller.peer.key;
    let (shared, ends) = Shared::new(host, Arc::clone(&hello), key, caller.address, recorded);
    hub.backend.connected(host, key, &hello).await;
    hub.registry.insert(Arc::clone(&shared));
    hub.publish(HubEvent::Connected { host, hello });
    let running = Running {
        hub: Arc::clone(hub),
        caller: Arc::clone(caller),
        shared,
        machine,
        epoch,
        inbound,
        outbound: outbound.clone(),
        ends,
        next_id: 0,
        observes: HashMap::new(),
        probes: HashMap::new(),
        renewal: None,
        lossy: (epoch, 0),
        unstored: VecDeque::new(),
    };
    Ok((claim, running))
}

/// What is stored of the host: how far its events are, once all that came before are settled, and what it should have.
async fn stored(hub: &Inner, host: HostId, ledger: &str) -> Result<(u64, Vec<Assign>), Status> {
    let failed = |error| {
        let cause = chain(&error);
        tracing::warn!(%host, %cause, "a session cannot open");
        refusal::busy(RETRY_AFTER)
    };
    let (passed, settled) = oneshot::channel();
    let stopping = || Status::new(Code::Unavailable, "the controller stops");
    hub.recorder
        .send(Entry::Barrier(passed))
        .await
        .map_err(|_| stopping())?;
    settled.await.map_err(|_| stopping())?;
    let recorded = hub.backend.recorded(host, ledger).await.map_err(failed)?;
    let desired = hub.backend.desired(host).await.map_err(failed)?;
    Ok((recorded, desired))
}
