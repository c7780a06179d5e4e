//! What the session asks of the agent, and what the agent has to tell.

use async_trait::async_trait;
use foundry_proto::agent::v1::{
    Assign, CertificateRequest, DriftReport, Event, HealthReport, Hello, IssuedCertificate,
    JobOutput, Observe, ObserveReply, Progress, StartJob, Subsystem, UpdateAgent, Welcome,
};

/// What the session asks of the agent. Every call returns soon: work is queued, not done, except [`Agent::observe`],
/// which the session runs beside itself.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// Who this is and what it has, as of now. Cheap: called at each connection.
    fn hello(&self) -> Hello;

    /// Events of the ledger numbered above `after` that were not acknowledged, in order, at most `limit` of them. Called
    /// at the start and whenever the session's window has room again.
    async fn unacknowledged(&self, after: u64, limit: usize) -> Vec<Event>;

    /// The session is open, or its settings changed: store id, addresses and authorities to keep.
    async fn welcome(&self, welcome: &Welcome);

    /// An assignment that is newer than what [`Agent::hello`] reported under its name. To be accepted durably, or rejected
    /// by an event.
    async fn assign(&self, assign: Assign);

    /// An assignment that must not be accepted: its revision is lower than what is held, or the same with other content. To
    /// be rejected by an event with this reason.
    async fn refuse(&self, assign: Assign, reason: String);

    /// Stop attempting this revision.
    async fn cancel(&self, name: &str, revision: u64);

    /// What would change; writes nothing.
    async fn observe(&self, observe: Observe) -> ObserveReply;

    /// Work to be done once; an id that is known already is ignored.
    async fn start_job(&self, job: StartJob);

    /// End this job if it still runs.
    async fn cancel_job(&self, id: &str);

    /// Events up to and including this number are stored by the controller: the ledger may forget them.
    async fn acknowledged(&self, through: u64);

    /// A new certificate for the key that was asked for. To be checked, stored, and published to the dialer's credentials.
    async fn certificate(&self, certificate: IssuedCertificate);

    /// A newer binary to change to.
    async fn update(&self, update: UpdateAgent);

    /// How far each part of the agent has come, for heartbeats.
    fn subsystems(&self) -> Vec<Subsystem>;

    /// Resident memory in bytes, for heartbeats; 0 if not known.
    fn memory_bytes(&self) -> u64 {
        0
    }
}

/// What the agent has to tell.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// In the ledger already, numbered by it, in ascending order. Sent again until acknowledged.
    Event(Event),
    /// Latest value per assignment.
    Health(HealthReport),
    /// Latest value per assignment.
    Drift(DriftReport),
    /// Lossy.
    Progress(Progress),
    /// Lossy.
    JobOutput(JobOutput),
    /// Sent while connected, else dropped: asked for again after the next welcome.
    CertificateRequest(CertificateRequest),
}
