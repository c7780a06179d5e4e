//! Letting a host go.
//!
//! The host is asked to take everything of ours away, the agent last; then it is let in no more, whatever it still has.

use std::time::Duration;

use foundry_proto::HostId;
use foundry_proto::agent::v1::{
    JobOutcome, Refusal, StartJob, Uninstall, event, job_outcome, start_job,
};
use foundry_proto::operator::v1::{RemoveHostReply, RemoveHostRequest};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::Engine;
use super::super::error::EngineError;
use crate::hub::{HubEvent, SessionHandle};

/// How long the removal may take, unless somebody said otherwise.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long a host that is silent is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// A host that goes away in the middle may be back, or may have taken its agent away before it could say so.
const AWAY: Duration = Duration::from_secs(30);
/// The agent takes itself away once its outcome was acknowledged, and stops last; it is waited for this long.
const LEAVING: Duration = Duration::from_secs(15);
/// The command that does the same on the host itself.
const BY_HAND: &str = "/opt/foundry/agents/current/bin/foundry-agent uninstall";

impl Engine {
    /// Takes a host out of the fleet.
    pub async fn remove_host(
        &self,
        request: RemoveHostRequest,
    ) -> Result<RemoveHostReply, EngineError> {
        let hostname = request.hostname.clone();
        let id = self.host(&hostname)?;
        if let Some(run) = self.inner.runs.any() {
            return Err(EngineError::Running { run });
        }
        let session = self
            .inner
            .listener
            .session_by(id, Instant::now() + PATIENCE)
            .await;
        let reply = match session {
            None if !request.force => return Err(EngineError::HostAway { hostname }),
            None => self.revoked(&request, "it did not answer"),
            Some(session) => match self.uninstall(&session, &request).await {
                Ok(outcome) => {
                    // One that stays is revoked all the same.
                    let _ = tokio::time::timeout(LEAVING, session.closed()).await;
                    RemoveHostReply {
                        uninstalled: true,
                        kept: outcome.kept,
                        message: outcome.message,
                    }
                }
                Err(error) if request.force => self.revoked(&request, &error.to_string()),
                Err(error) => return Err(error),
            },
        };
        self.revoke(id, &hostname).await?;
        Ok(reply)
    }

    fn revoked(&self, request: &RemoveHostRequest, why: &str) -> RemoveHostReply {
        let purge = if request.purge { " --purge" } else { "" };
        RemoveHostReply {
            uninstalled: false,
            kept: Vec::new(),
            message: format!(
                "revoked, but not cleaned up: {why}. On the host, as root: `{BY_HAND}{purge}`"
            ),
        }
    }

    /// Asks the host to take everything away, and waits for its word.
    async fn uninstall(
        &self,
        session: &SessionHandle,
        request: &RemoveHostRequest,
    ) -> Result<JobOutcome, EngineError> {
        let hostname = &request.hostname;
        let timeout = match request.timeout_ms {
            0 => TIMEOUT,
            ms => Duration::from_millis(ms),
        };
        let job = StartJob {
            id: Uuid::new_v4().simple().to_string(),
            deadline_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            kind: Some(start_job::Kind::Uninstall(Uninstall {
                purge: request.purge,
            })),
        };
        let failed = |reason: String| EngineError::Uninstall {
            hostname: hostname.clone(),
            reason,
        };
        let mut events = self.inner.listener.subscribe();
        let started = session.start_job(job.clone()).await;
        started.map_err(|source| EngineError::Session {
            hostname: hostname.clone(),
            source,
        })?;
        let mut until = Instant::now() + timeout;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = tokio::time::sleep_until(until) => {
                    return Err(failed("it did not end in time".to_owned()));
                }
            };
            match event {
                Ok(HubEvent::Event { host, event }) if host == session.host() => {
                    let Some(event::Body::Job(outcome)) = event.body else {
                        continue;
                    };
                    if outcome.id != job.id {
                        continue;
                    }
                    if outcome.result() == job_outcome::Result::Done {
                        return Ok(outcome);
                    }
                    return Err(failed(match outcome.message.as_str() {
                        "" => "it did not say why".to_owned(),
                        message => message.to_owned(),
                    }));
                }
                Ok(HubEvent::Disconnected { host, .. }) if host == session.host() => {
                    until = until.min(Instant::now() + AWAY);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(EngineError::Ending),
            }
        }
    }

    /// From here on the host is let in no more, and forgotten.
    async fn revoke(&self, id: HostId, hostname: &str) -> Result<(), EngineError> {
        let core = &self.inner.core;
        if let Some((row, _)) = core.store.hosts.get(id).await? {
            core.store
                .write(core.store.hosts.removing(id, &row).await?)
                .await?;
        }
        core.admission.remove(id);
        if let Some(hub) = self.inner.listener.hub() {
            hub.cut(id, Refusal::Removed);
        }
        core.view.remove(id);
        core.note(hostname, "removed", "no longer let in").await;
        Ok(())
    }
}
