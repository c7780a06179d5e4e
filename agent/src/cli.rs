//! The command line of `foundry-agent`.

use std::io::Write as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;

use crate::config::Places;

const USAGE: &str = "\
usage: foundry-agent run [--config-dir DIR] [--state-dir DIR]
       foundry-agent enrol [--status]
       foundry-agent uninstall [--purge]
       foundry-agent --version

  run        carry out what the controller assigns (the service does this)
  enrol      the host's end of an enrolment, on standard input and output
  uninstall  take the agent and what it runs off this host; data stays, unless --purge
";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Be the agent.
    Run(Places),
    /// Speak the dialogue of enrolment; with `status`, only say how this host stands.
    Enrol {
        /// Only say how this host stands.
        status: bool,
    },
    /// Leave this host.
    Uninstall {
        /// With the data of what ran.
        purge: bool,
    },
    /// Print version and target.
    Version,
    /// Print how it is used.
    Help,
}

/// What cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No command.
    #[error("a command is missing")]
    NoCommand,
    /// An argument that is not taken there.
    #[error("`{0}` is not understood")]
    Unknown(String),
    /// An option without its value.
    #[error("{0} needs a value")]
    NoValue(String),
}

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Version and target, as `--version` prints them.
pub fn version() -> String {
    let environment = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    format!(
        "{} {}-unknown-linux-{environment}",
        VERSION,
        std::env::consts::ARCH
    )
}

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Invocation, UsageError> {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_deref() {
        Some("run") => parse_run(arguments),
        Some("enrol") => Ok(Invocation::Enrol {
            status: flag(arguments, "--status")?,
        }),
        Some("uninstall") => Ok(Invocation::Uninstall {
            purge: flag(arguments, "--purge")?,
        }),
        Some("--version" | "-V") => Ok(Invocation::Version),
        Some("--help" | "-h" | "help") => Ok(Invocation::Help),
        Some(other) => Err(UsageError::Unknown(other.to_owned())),
        None => Err(UsageError::NoCommand),
    }
}

/// Whether the one flag that may follow does.
fn flag(mut arguments: impl Iterator<Item = String>, flag: &str) -> Result<bool, UsageError> {
    let given = match arguments.next() {
        None => return Ok(false),
        Some(first) if first == flag => true,
        Some(other) => return Err(UsageError::Unknown(other)),
    };
    arguments
        .next()
        .map_or(Ok(given), |extra| Err(UsageError::Unknown(extra)))
}

fn parse_run(mut arguments: impl Iterator<Item = String>) -> Result<Invocation, UsageError> {
    let mut places = Places::default();
    while let Some(option) = arguments.next() {
        let place = match option.as_str() {
            "--config-dir" => &mut places.config,
            "--state-dir" => &mut places.state,
            _ => return Err(UsageError::Unknown(option)),
        };
        *place = arguments
            .next()
            .map(Utf8PathBuf::from)
            .ok_or(UsageError::NoValue(option))?;
    }
    Ok(Invocation::Run(places))
}

/// The whole program.
pub fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Invocation::Run(places)) => crate::run::main(places),
        Ok(Invocation::Enrol { status }) => crate::enrol::main(status),
        Ok(Invocation::Uninstall { purge }) => crate::jobs::by_hand::main(purge),
        Ok(Invocation::Version) => say(&format!("foundry-agent {}\n", version())),
        Ok(Invocation::Help) => say(USAGE),
        Err(error) => {
            let _ = write!(std::io::stderr(), "foundry-agent: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::{Invocation, UsageError, parse};

    fn of(line: &str) -> Result<Invocation, UsageError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn folders_can_be_given() {
        let Ok(Invocation::Run(places)) = of("run --state-dir /tmp/s --config-dir /tmp/c") else {
            panic!("not understood");
        };
        assert_eq!(
            (places.config.as_str(), places.state.as_str()),
            ("/tmp/c", "/tmp/s")
        );
        assert_eq!(of("enrol --status"), Ok(Invocation::Enrol { status: true }));
        assert_eq!(of("uninstall"), Ok(Invocation::Uninstall { purge: false }));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(of(""), Err(UsageError::NoCommand));
        assert_eq!(
            of("run --state-dir"),
            Err(UsageError::NoValue("--state-dir".to_owned()))
        );
        assert_eq!(of("run x"), Err(UsageError::Unknown("x".to_owned())));
        assert_eq!(
            of("enrol --status x"),
            Err(UsageError::Unknown("x".to_owned()))
        );
    }
}
