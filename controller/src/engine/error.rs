//! Why the engine does not do as asked.

use std::sync::Arc;

use foundry_link::pki::{CsrError, PkiError};
use foundry_plan::Unmatched;
use foundry_proto::FleetId;
use foundry_proto::names::NameError;

use crate::api::error::{ApiError, ErrorKind};
use crate::hub::{HubError, SessionError};
use crate::store::StoreError;

/// Why the engine does not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file has errors; each is one line.
    #[error("stack.yaml cannot be used")]
    Spec {
        /// One line for each error.
        errors: Vec<String>,
    },
    /// The file is of another fleet.
    #[error("stack.yaml is of fleet `{found}`, this controller has `{fleet}`")]
    OtherFleet {
        /// This controller's.
        fleet: FleetId,
        /// The file's; `none` where it names none.
        found: String,
    },
    /// A selector names nothing.
    #[error(transparent)]
    Unmatched(#[from] Unmatched),
    /// No such plan, or no longer.
    #[error("there is no plan `{id}`: it was made too long ago, or by another controller")]
    PlanGone {
        /// Its id.
        id: String,
    },
    /// Something stands in the way of a plan.
    #[error("the plan cannot be run: {first}")]
    Blocked {
        /// The first problem.
        first: String,
        /// The others.
        others: Vec<String>,
        /// What to do about them.
        hints: Vec<String>,
    },
    /// Agents cannot reach this controller.
    #[error("cannot listen for agents")]
    Listen(#[source] Arc<HubError>),
    /// Somebody else is changing the fleet.
    #[error("{holder} is changing the fleet ({reason}), since {since}")]
    Leased {
        /// Who.
        holder: String,
        /// Why.
        reason: String,
        /// Since when, for people.
        since: String,
        /// Its run.
        run: String,
    },
    /// No such run.
    #[error("there is no run `{id}`")]
    NoRun {
        /// As asked for.
        id: String,
    },
    /// The run asks nothing of this id.
    #[error("run `{run}` does not ask `{question}`, or no longer")]
    NoQuestion {
        /// The run.
        run: String,
        /// As answered.
        question: String,
    },
    /// No such host.
    #[error("no host `{hostname}` is enrolled")]
    NoHost {
        /// As asked for.
        hostname: String,
        /// The nearest names.
        near: Vec<String>,
    },
    /// The host has no session.
    #[error("host `{hostname}` is not connected")]
    HostAway {
        /// Which.
        hostname: String,
    },
    /// The session of a host failed.
    #[error("host `{hostname}` did not do as asked")]
    Session {
        /// Which.
        hostname: String,
        /// Why.
        #[source]
        source: SessionError,
    },
    /// The host could not take the agent away.
    #[error("host `{hostname}` could not be cleaned up: {reason}")]
    Uninstall {
        /// Which.
        hostname: String,
        /// Why.
        reason: String,
    },
    /// The host has another controller.
    #[error("host `{hostname}` is enrolled in fleet `{fleet}` since {since}")]
    EnrolledElsewhere {
        /// Which.
        hostname: String,
        /// The other fleet.
        fleet: String,
        /// Since when, for people.
        since: String,
    },
    /// A name cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The request for a certificate cannot be used.
    #[error("the request for a certificate cannot be used")]
    Csr(#[from] CsrError),
    /// No certificate could be issued.
    #[error("cannot issue a certificate")]
    Issue(#[from] PkiError),
    /// No address at which the host could reach this controller is known.
    #[error("no address is known at which `{hostname}` could reach this controller")]
    NoAddress {
        /// The host.
        hostname: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no randomness.
    #[error("no randomness from the system")]
    Random,
    /// The controller is about to end.
    #[error("the controller is ending")]
    Ending,
    /// A run is under way.
    #[error("run `{run}` is under way")]
    Running {
        /// Which.
        run: String,
    },
}

// === impl EngineError ===

impl EngineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec { .. } | Self::OtherFleet { .. } | Self::Unmatched(_) | Self::Name(_) => {
                ErrorKind::Invalid
            }
            Self::NoRun { .. } | Self::NoHost { .. } | Self::NoQuestion { .. } => {
                ErrorKind::NotFound
            }
            Self::Blocked { .. }
            | Self::EnrolledElsewhere { .. }
            | Self::Csr(_)
            | Self::NoAddress { .. } => ErrorKind::Refused,
            Self::Leased { .. } | Self::Running { .. } => ErrorKind::Busy,
            Self::PlanGone { .. } => ErrorKind::Outdated,
            Self::Listen(_) | Self::HostAway { .. } | Self::Ending => ErrorKind::Unavailable,
            Self::Session { .. }
            | Self::Uninstall { .. }
            | Self::Issue(_)
            | Self::Store(_)
            | Self::Random => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Self::Spec { .. } => hint("`foundry config validate` shows each place"),
            Self::OtherFleet { .. } => hint("name the right file: `--config FILE`"),
            Self::Blocked { hints, .. } => hints.clone(),
            Self::PlanGone { .. } => hint("make the plan anew"),
            Self::Listen(_) => hint(
                "set another port: `controller.listen` in stack.yaml, or end what has this one",
            ),
            Self::Leased { run, .. } => vec![
                format!("follow it: `foundry runs show {run}`"),
                "wait for it: `--lock-wait 300`".to_owned(),
            ],
            Self::NoHost { near, .. } if !near.is_empty() => {
                vec![format!("did you mean {}?", near.join(" or "))]
            }
            Self::NoHost { .. } => hint("`foundry host list` shows all"),
            Self::NoRun { .. } => hint("`foundry runs list` shows all"),
            Self::HostAway { hostname } | Self::Session { hostname, .. } => vec![format!(
                "look at it: `foundry status`; is `{}` active on {hostname}?",
                foundry_proto::layout::AGENT_UNIT
            )],
            Self::EnrolledElsewhere { hostname, .. } => {
                vec![format!(
                    "take it over: `foundry host bootstrap --take-over {hostname}`"
                )]
            }
            Self::NoAddress { .. } => {
                hint("say where agents reach this machine: `controller.advertise: [host:port]`")
            }
            Self::Store(error) => error.hints(),
            Self::Running { run } => vec![format!("wait for it: `foundry runs show {run}`")],
            Self::Unmatched(_)
            | Self::NoQuestion { .. }
            | Self::Uninstall { .. }
            | Self::Name(_)
            | Self::Csr(_)
            | Self::Issue(_)
            | Self::Random
            | Self::Ending => Vec::new(),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let mut api = Self::of(error.kind(), &error).hints(error.hints());
        if let EngineError::Spec { errors: more } | EngineError::Blocked { others: more, .. } =
            &error
        {
            api.causes.extend(more.iter().cloned());
        }
        if let EngineError::Unmatched(unmatched) = &error
            && !unmatched.known.is_empty()
        {
            api.hints
                .push(format!("there is {}", unmatched.known.join(", ")));
        }
        api
    }
}

/// A time as people read it, in UTC.
pub(super) fn date(ms: u64) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(
        || "an unknown time".to_owned(),
        |time| time.strftime("%F %T UTC").to_string(),
    )
}
