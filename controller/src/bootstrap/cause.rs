//! Why a host could not be enrolled, by name.
//!
//! What ssh and sudo write is read here and nowhere else. The session runs with `LC_ALL=C` at the far side; ssh's own
//! messages are never translated.

mod reading;

pub(super) use reading::{is_full, last_line, last_lines, opening};

use std::fmt;

use crate::output::time;

/// The cause, in the user's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The ssh program cannot be started.
    NoSsh {
        /// It.
        program: String,
        /// What the system said.
        why: String,
    },
    /// The name has no address.
    NoAddress(String),
    /// Nobody listens there.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// There is no way there.
    NoRoute,
    /// The connection was closed before the login.
    ClosedEarly(String),
    /// No key or password of ours was taken.
    KeyRefused {
        /// What the far side would have taken: `publickey,password`.
        methods: String,
    },
    /// The host's key is not known yet.
    HostKeyUnknown,
    /// The host has another key than before.
    HostKeyChanged {
        /// File and line with the old one.
        known: String,
    },
    /// Anything else that ssh says.
    Ssh(String),
    /// sudo wants a password, and none was given.
    SudoNeedsPassword,
    /// The password was wrong.
    SudoWrongPassword,
    /// The user may not use sudo.
    SudoNotAllowed(String),
    /// sudo is set up to need a terminal.
    SudoNeedsTerminal,
    /// Neither root nor sudo.
    NoSudo {
        /// The login.
        user: String,
    },
    /// The file says that root is not to be become.
    NotRoot {
        /// The login.
        user: String,
    },
    /// Process 1 is not systemd.
    NoSystemd {
        /// Its name.
        init: String,
    },
    /// There is no agent for this processor.
    Architecture(String),
    /// There could be an agent, but none is at hand.
    NoAgent {
        /// Its file.
        name: String,
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// The agent cannot be read here.
    AgentUnreadable(String),
    /// The host's clock is too far from this one.
    Clock {
        /// Seconds; negative: behind.
        offset: i64,
    },
    /// It belongs to another fleet.
    OtherFleet {
        /// That fleet.
        fleet: String,
        /// Since when, for people; empty: not known.
        since: String,
    },
    /// The connection ended while the agent was under way.
    UploadBroken {
        /// ssh's last word.
        ssh: String,
    },
    /// The disk is full.
    NoSpace,
    /// The agent could not be unpacked.
    Unpack {
        /// What the host said.
        said: String,
    },
    /// The agent could not dial any address.
    Unreachable(String),
    /// The agent's own word.
    Agent(String),
    /// The agent's enrolment ended without a word.
    AgentEnded {
        /// What it wrote.
        said: String,
    },
    /// The agent was started, and its session did not come up.
    NoSession {
        /// How it was missed.
        why: String,
        /// The end of its journal.
        journal: String,
    },
    /// The far side does not keep to the dialogue.
    Protocol(String),
    /// Nothing was heard for too long.
    Silent {
        /// At what.
        at: &'static str,
        /// In seconds.
        seconds: u64,
    },
    /// It all took too long.
    TooLong {
        /// In minutes.
        minutes: u64,
    },
    /// The controller said no.
    Controller {
        /// What it said.
        message: String,
        /// What it advises.
        hints: Vec<String>,
    },
    /// The file asks for what this version does not do.
    NotSupported(&'static str),
}

// === impl Cause ===

impl Cause {
    /// A user at a terminal could change it by an answer.
    pub(super) fn can_be_asked(&self) -> bool {
        matches!(
            self,
            Self::KeyRefused { .. } | Self::HostKeyUnknown | Self::SudoNeedsPassword
        )
    }

    /// What to do about it; `host` is its name in the file.
    pub fn hints(&self, host: &str) -> Vec<String> {
        let hint = match self {
            Self::NoSsh { .. } => "install OpenSSH's client, or name another: FOUNDRY_SSH".to_owned(),
            Self::NoAddress(_) => format!("check `address:` of {host} in stack.yaml"),
            Self::Refused => "is sshd running there, on this port?".to_owned(),
            Self::TimedOut | Self::NoRoute => "is the host up, and the network between?".to_owned(),
            Self::KeyRefused { .. } => {
                format!("try the login with plain ssh; where it asks for something, run `foundry host bootstrap {host}` on a terminal")
            }
            Self::HostKeyUnknown => {
                format!("run `foundry host bootstrap {host}` on a terminal, or trust it: `--accept-new-host-keys`")
            }
            Self::HostKeyChanged { known } if known.is_empty() => {
                "if the host was made anew, take its old key out with `ssh-keygen -R`".to_owned()
            }
            Self::HostKeyChanged { known } => {
                format!("if the host was made anew, take its old key out of {known} (`ssh-keygen -R`)")
            }
            Self::SudoNeedsPassword | Self::SudoWrongPassword => {
                format!("run `foundry host bootstrap {host}` on a terminal, or give the password: `--become-password-file FILE`")
            }
            Self::SudoNotAllowed(_) => "let the user use sudo, or log in as root: `user: root`".to_owned(),
            Self::SudoNeedsTerminal => "take `requiretty` out of the host's sudoers".to_owned(),
            Self::NoSudo { .. } => "log in as root (`user: root`), or install sudo".to_owned(),
            Self::NotRoot { .. } => "log in as root (`user: root`), or allow sudo (`become: sudo`)".to_owned(),
            Self::NoSystemd { .. } => "foundry needs systemd on its hosts".to_owned(),
            Self::NoAgent { .. } => "say where agents are: FOUNDRY_AGENT_DIR".to_owned(),
            Self::Clock { .. } => "set the host's clock (chrony, systemd-timesyncd)".to_owned(),
            Self::OtherFleet { .. } => {
                format!("take it over, and the other fleet loses it: `foundry host bootstrap {host} --take-over`")
            }
            Self::UploadBroken { .. } | Self::ClosedEarly(_) => {
                format!("try again: `foundry host bootstrap {host}`")
            }
            Self::NoSpace => "make room in /opt on the host".to_owned(),
            Self::Unreachable(_) => {
                "let hosts reach that port, or name an address that they can: `controller.advertise`".to_owned()
            }
            Self::Controller { hints, .. } => return hints.clone(),
            Self::Ssh(_)
            | Self::Architecture(_)
            | Self::AgentUnreadable(_)
            | Self::Unpack { .. }
            | Self::Agent(_)
            | Self::AgentEnded { .. }
            | Self::NoSession { .. }
            | Self::Protocol(_)
            | Self::Silent { .. }
            | Self::TooLong { .. }
            | Self::NotSupported(_) => return Vec::new(),
        };
        vec![hint]
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSsh { program, why } => write!(f, "cannot start `{program}`: {why}"),
            Self::NoAddress(name) => write!(f, "`{name}` has no address"),
            Self::Refused => f.write_str("the host is down: connection refused"),
            Self::TimedOut => f.write_str("the host is down: no answer in time"),
            Self::NoRoute => f.write_str("the host is down: no route to it"),
            Self::ClosedEarly(said) => write!(f, "the host closed the connection: {said}"),
            Self::KeyRefused { methods } => write!(f, "permission denied ({methods})"),
            Self::HostKeyUnknown => f.write_str("its host key is not known yet"),
            Self::HostKeyChanged { .. } => f.write_str("its host key has changed"),
            Self::Ssh(said) => write!(f, "ssh: {said}"),
            Self::SudoNeedsPassword => f.write_str("sudo needs a password"),
            Self::SudoWrongPassword => f.write_str("the password for sudo is wrong"),
            Self::SudoNotAllowed(said) => write!(f, "the user may not use sudo: {said}"),
            Self::SudoNeedsTerminal => f.write_str("sudo needs a terminal (requiretty)"),
            Self::NoSudo { user } => write!(f, "{user} is not root, and there is no sudo"),
            Self::NotRoot { user } => write!(f, "{user} is not root, and `become` is none"),
            Self::NoSystemd { init } => write!(f, "no systemd: process 1 is {init}"),
            Self::Architecture(name) => write!(f, "architecture {name} not built"),
            Self::NoAgent { name, looked } => {
                write!(f, "{name} is not at hand; looked in {}", looked.join(", "))
            }
            Self::AgentUnreadable(why) => f.write_str(why),
            Self::Clock { offset } => {
                let side = if *offset < 0 { "behind" } else { "ahead" };
                write!(
                    f,
                    "clock is {} {side}",
                    time::age(offset.unsigned_abs().saturating_mul(1000))
                )
            }
            Self::OtherFleet { fleet, since } if since.is_empty() => {
                write!(f, "it belongs to fleet `{fleet}`")
            }
            Self::OtherFleet { fleet, since } => {
                write!(f, "it belongs to fleet `{fleet}` since {since}")
            }
            Self::UploadBroken { ssh } if ssh.is_empty() => {
                f.write_str("the connection ended while the agent was being sent")
            }
            Self::UploadBroken { ssh } => {
                write!(
                    f,
                    "the connection ended while the agent was being sent: {ssh}"
                )
            }
            Self::NoSpace => f.write_str("no space left on its disk"),
            Self::Unpack { said } => write!(f, "the agent could not be unpacked: {said}"),
            Self::Unreachable(said) | Self::Agent(said) => f.write_str(said),
            Self::AgentEnded { said } if said.is_empty() => {
                f.write_str("the agent's enrolment ended without a word")
            }
            Self::AgentEnded { said } => write!(f, "the agent's enrolment failed: {said}"),
            Self::NoSession { why, journal } => {
                write!(
                    f,
                    "the agent was started, but its session did not come up: {why}"
                )?;
                if journal.is_empty() {
                    Ok(())
                } else {
                    write!(f, "\n{journal}")
                }
            }
            Self::Protocol(what) => write!(f, "the host's side does not make sense: {what}"),
            Self::Silent { at, seconds } => {
                write!(f, "nothing was heard for {seconds} s while {at}")
            }
            Self::TooLong { minutes } => write!(f, "it was not done after {minutes} min"),
            Self::Controller { message, .. } => f.write_str(message),
            Self::NotSupported(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Cause {}
