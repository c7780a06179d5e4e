//! A live session, as the rest of the controller sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use foundry_proto::agent::v1::{
    Assign, Hello, ObserveItem, ObserveReply, StartJob, Subsystem, Welcome,
};
use foundry_proto::{Digest, HostId};

use super::error::SessionError;

/// A live session. It may end at any time; then every call says so.
#[derive(Clone)]
pub struct SessionHandle {}

/// What is known of a live session.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// The host.
    pub host: HostId,
    /// What it said of itself when the session opened.
    pub hello: Arc<Hello>,
    /// SHA-256 of the key that it came with.
    pub key: Digest,
    /// From where; `None`: over a bridge.
    pub address: Option<SocketAddr>,
    /// How long the session has been open.
    pub age: Duration,
    /// How long ago it was last heard.
    pub seen: Duration,
    /// How far its parts have come, as of its last heartbeat.
    pub subsystems: Vec<Subsystem>,
    /// Resident memory of the agent in bytes; 0: not known.
    pub memory_bytes: u64,
}

// === impl SessionHandle ===

impl SessionHandle {
    /// The host.
    pub fn host(&self) -> HostId {
        unimplemented!("follows")
    }

    /// What it said of itself when the session opened.
    pub fn hello(&self) -> Arc<Hello> {
        unimplemented!("follows")
    }

    /// How long ago it was last heard.
    pub fn seen(&self) -> Duration {
        unimplemented!("follows")
    }

    /// All of that at once.
    pub fn info(&self) -> SessionInfo {
        unimplemented!("follows")
    }

    /// What would change on the host. With `facts` its facts are read anew.
    pub async fn observe(
        &self,
        items: Vec<ObserveItem>,
        facts: bool,
        timeout: Duration,
    ) -> Result<ObserveReply, SessionError> {
        let _ = (items, facts, timeout);
        unimplemented!("follows")
    }

    /// Sends an assignment, unless the host holds exactly it. Whether it was accepted comes as an event.
    pub async fn assign(&self, assign: Assign) -> Result<(), SessionError> {
        let _ = assign;
        unimplemented!("follows")
    }

    /// Ends the attempts at this revision.
    pub async fn cancel(&self, name: &str, revision: u64) -> Result<(), SessionError> {
        let _ = (name, revision);
        unimplemented!("follows")
    }

    /// Starts a job; its outcome comes as an event.
    pub async fn start_job(&self, job: StartJob) -> Result<(), SessionError> {
        let _ = job;
        unimplemented!("follows")
    }

    /// Ends a job.
    pub async fn cancel_job(&self, id: &str) -> Result<(), SessionError> {
        let _ = id;
        unimplemented!("follows")
    }

    /// Tells the host other addresses, authorities or a reconnect policy to keep.
    pub async fn settings(&self, welcome: Welcome) -> Result<(), SessionError> {
        let _ = welcome;
        unimplemented!("follows")
    }

    /// Ends when the session has ended.
    pub async fn closed(&self) {
        unimplemented!("follows")
    }
}
