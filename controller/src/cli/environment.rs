//! What the environment says, read once.

use std::ffi::OsString;

use camino::Utf8PathBuf;

use super::CliError;

/// Variables that foundry listens to, and who runs it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `FOUNDRY_HOME`, else `~/.foundry`; empty where there is no home.
    pub home: Utf8PathBuf,
    /// `FOUNDRY_CONFIG`.
    pub config: Option<Utf8PathBuf>,
    /// `FOUNDRY_SSH`: the ssh program and its first arguments.
    pub ssh: String,
    /// `FOUNDRY_AGENT_DIR`.
    pub agent_dir: Option<Utf8PathBuf>,
    /// `FOUNDRY_LOG`: what the controller logs, as in `info,foundry::hub=debug`.
    pub log: Option<String>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `FORCE_COLOR` is set, and is not `0`.
    pub force_color: bool,
    /// `COLUMNS`, where the terminal does not say.
    pub columns: Option<usize>,
    /// `user@machine`, for the record of runs.
    pub who: String,
    /// Names of variables that hold secrets, which no child may have.
    pub secret_variables: Vec<OsString>,
}

// === impl Environment ===

impl Environment {
    /// Reads all of it.
    pub fn read() -> Self {
        let home = text("FOUNDRY_HOME").map(Utf8PathBuf::from);
        let home =
            home.or_else(|| text("HOME").map(|home| Utf8PathBuf::from(home).join(".foundry")));
        // Processes in the background have folders of their own. Only an empty path cannot be made absolute.
        let home = home
            .and_then(|home| camino::absolute_utf8(home).ok())
            .unwrap_or_default();
        let user = text("USER")
            .or_else(|| text("LOGNAME"))
            .unwrap_or_else(user_of_process);
        let machine = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Self {
            home,
            config: text("FOUNDRY_CONFIG").map(Utf8PathBuf::from),
            ssh: text("FOUNDRY_SSH").unwrap_or_else(|| "ssh".to_owned()),
            agent_dir: text("FOUNDRY_AGENT_DIR").map(Utf8PathBuf::from),
            log: text("FOUNDRY_LOG"),
            no_color: text("NO_COLOR").is_some(),
            force_color: text("FORCE_COLOR").is_some_and(|value| value != "0"),
            columns: text("COLUMNS").and_then(|columns| columns.parse().ok()),
            who: format!("{user}@{machine}"),
            secret_variables: std::env::vars_os()
                .map(|(name, _)| name)
                .filter(|name| name.to_string_lossy().starts_with("FOUNDRY_SECRET_"))
                .collect(),
        }
    }

    /// Whether there is a place for state at all.
    pub(super) fn home_or_refuse(&self) -> Result<(), CliError> {
        if self.home.as_str().is_empty() {
            let error = CliError::usage("neither FOUNDRY_HOME nor HOME is set");
            return Err(
                error.hint("say where state is kept: `FOUNDRY_HOME=/var/lib/foundry-controller`")
            );
        }
        Ok(())
    }
}

/// The name that /etc/passwd has for this process' user, else its number.
fn user_of_process() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.get(2) == Some(&id.as_str()));
    user.and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .unwrap_or(id)
}

/// The variable's value, where it has one that is text and not empty.
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
