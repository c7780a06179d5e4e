//! The service manager, through `org.freedesktop.systemd1`.
//!
//! A job's `done` says only that a unit's processes were executed: whether they go on running shows in [`UnitState`]
//! later. So callers start a unit, then watch it.

mod bus;
mod journal;
mod properties;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

pub use bus::SystemBus;

/// The service manager of the host.
#[async_trait]
pub trait Systemd: Send + Sync {
    /// The major version: 252.
    async fn version(&self) -> Result<u32, SystemdError>;

    /// What is known of the unit now. A unit without a file is [`LoadState::NotFound`], no error.
    async fn state(&self, unit: &str) -> Result<UnitState, SystemdError>;

    /// Reads all unit files anew.
    async fn reload(&self) -> Result<(), SystemdError>;

    /// Has the unit started at boot, and reads unit files anew.
    async fn enable(&self, unit: &str) -> Result<(), SystemdError>;

    /// Has the unit not started at boot, and reads unit files anew.
    async fn disable(&self, unit: &str) -> Result<(), SystemdError>;

    /// Runs a job on the unit and returns how the job ended, within `limit`.
    async fn run(
        &self,
        verb: UnitVerb,
        unit: &str,
        limit: Duration,
    ) -> Result<JobResult, SystemdError>;

    /// Forgets a failure and the count of restarts, so that the start limit does not refuse the next start.
    async fn reset_failed(&self, unit: &str) -> Result<(), SystemdError>;

    /// The unit's state at each change from now on, the newest where several came at once. It ends when the connection
    /// is lost.
    async fn watch(&self, unit: &str) -> Result<BoxStream<'static, UnitState>, SystemdError>;

    /// The last lines that the unit wrote to the journal in its last run, oldest first; where it wrote none, what systemd
    /// found wrong with that run.
    async fn journal(&self, unit: &str, lines: u32) -> Result<Vec<String>, SystemdError>;
}

/// What can be done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitVerb {
    /// Nothing happens to a unit that is active.
    Start,
    /// Stopped, where it runs, and started.
    Restart,
    /// Nothing happens to a unit that is not active.
    Stop,
}

/// How a job on a unit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// The unit's processes were executed, or stopped.
    Done,
    /// `failed`, `timeout`, `dependency`, `canceled`, `skipped`, … as systemd says.
    Other(String),
}

/// What systemd knows of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// Whether it has a file that could be read.
    pub load: LoadState,
    /// Coarse state.
    pub active: ActiveState,
    /// The unit type's own state: `running`, `auto-restart`, `dead`.
    pub sub: String,
    /// `enabled`, `disabled`, `static`, `masked`; empty where there is no file.
    pub file_state: String,
    /// How the last run ended: `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`. Empty for units that are no
    /// services and have no result.
    pub result: String,
    /// Restarts by systemd itself since the unit was last started or reset.
    pub restarts: u32,
    /// The main process; 0: none.
    pub main_pid: u32,
    /// How the main process last ended, where it did.
    pub exit: Option<Exit>,
    /// When the main process was started last, on CLOCK_MONOTONIC.
    pub started: Duration,
    /// Changes with each start of the unit. Empty: never started.
    pub invocation: String,
    /// The files changed since systemd read them.
    pub needs_reload: bool,
}

/// Whether a unit's file could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LoadState {
    /// There is none.
    #[default]
    NotFound,
    /// It was read.
    Loaded,
    /// The unit may not be started.
    Masked,
    /// `bad-setting`, `error`: as systemd says.
    Other(String),
}

/// A unit's coarse state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActiveState {
    /// Not running.
    #[default]
    Inactive,
    /// Being started, or waiting for its restart.
    Activating,
    /// Running; or, where the unit has no process, in effect.
    Active,
    /// Active, and reading its configuration anew.
    Reloading,
    /// Being stopped.
    Deactivating,
    /// Not running after a failure.
    Failed,
    /// A state that this agent does not know.
    Unknown,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What went wrong with the service manager.
#[derive(Debug, thiserror::Error)]
pub enum SystemdError {
    /// No connection to the bus.
    #[error("cannot connect to the system bus")]
    Connect(#[source] zbus::Error),
    /// A call was refused, or not answered.
    #[error("systemd: {action} {unit}")]
    Call {
        /// What was to be done.
        action: &'static str,
        /// The unit; empty where the call is about none.
        unit: String,
        /// Why it was not.
        #[source]
        source: zbus::Error,
    },
    /// A job did not end in time.
    #[error("systemd: {verb} of {unit} did not end within {} s", limit.as_secs())]
    Deadline {
        /// What was to be done.
        verb: UnitVerb,
        /// The unit.
        unit: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended while a job ran.
    #[error("systemd: the connection ended during {verb} of {unit}")]
    Lost {
        /// What was being done.
        verb: UnitVerb,
        /// The unit.
        unit: String,
    },
    /// The journal could not be read.
    #[error("cannot read the journal of {unit}")]
    Journal {
        /// The unit.
        unit: String,
        /// Why not.
        #[source]
        source: crate::exec::ExecError,
    },
}

// === impl UnitState ===

impl UnitState {
    /// Whether the unit is in effect now.
    pub fn is_active(&self) -> bool {
        matches!(self.active, ActiveState::Active | ActiveState::Reloading)
    }

    /// Whether it is started at boot.
    pub fn is_enabled(&self) -> bool {
        matches!(
            self.file_state.as_str(),
            "enabled" | "enabled-runtime" | "linked" | "static" | "alias"
        )
    }

    /// The state in one phrase, with its cause where it is a failure: `failed (exit-code 1)`.
    pub fn describe(&self) -> String {
        match &self.load {
            LoadState::NotFound => return "not found".to_owned(),
            LoadState::Masked => return "masked".to_owned(),
            LoadState::Other(what) => return what.clone(),
            LoadState::Loaded => {}
        }
        let cause = match (self.result.as_str(), self.exit) {
            ("" | "success", _) => String::new(),
            ("exit-code", Some(Exit::Code(code))) => format!(" (exit-code {code})"),
            ("signal" | "core-dump", Some(Exit::Signal(signal))) => {
                format!(" ({} {signal})", self.result)
            }
            (result, _) => format!(" ({result})"),
        };
        match self.active {
            ActiveState::Activating if self.sub == "auto-restart" => {
                format!("waiting for its restart{cause}")
            }
            // Its process is gone, and what follows a stop is still at work.
            ActiveState::Deactivating if !cause.is_empty() => format!("ended{cause}"),
            ActiveState::Inactive
            | ActiveState::Activating
            | ActiveState::Active
            | ActiveState::Reloading
            | ActiveState::Deactivating
            | ActiveState::Failed
            | ActiveState::Unknown => format!("{}{cause}", self.active),
        }
    }
}

// === impl SystemdError ===

impl SystemdError {
    pub(crate) fn call(action: &'static str, unit: &str, source: zbus::Error) -> Self {
        Self::Call {
            action,
            unit: unit.to_owned(),
            source,
        }
    }
}

// === impl UnitVerb ===

impl UnitVerb {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

// === impl JobResult ===

impl From<String> for JobResult {
    fn from(result: String) -> Self {
        if result == "done" {
            Self::Done
        } else {
            Self::Other(result)
        }
    }
}

// === impl Display ===

impl fmt::Display for ActiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Deactivating => "deactivating",
            Self::Failed => "failed",
            Self::Unknown => "in an unknown state",
        })
    }
}

impl fmt::Display for UnitVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Other(result) => f.write_str(result),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ActiveState, Exit, LoadState, UnitState};

    #[test]
    fn a_failure_names_its_cause() {
        let mut state = UnitState {
            load: LoadState::Loaded,
            active: ActiveState::Failed,
            sub: "failed".to_owned(),
            result: "exit-code".to_owned(),
            exit: Some(Exit::Code(1)),
            ..UnitState::default()
        };
        assert_eq!(state.describe(), "failed (exit-code 1)");
        state.result = "start-limit-hit".to_owned();
        assert_eq!(state.describe(), "failed (start-limit-hit)");
        state.active = ActiveState::Activating;
        state.sub = "auto-restart".to_owned();
        state.result = "signal".to_owned();
        state.exit = Some(Exit::Signal(9));
        assert_eq!(state.describe(), "waiting for its restart (signal 9)");
        assert_eq!(UnitState::default().describe(), "not found");
    }
}
