//! The user's own ssh, as a child process.

use std::process::Stdio;

use tokio::process::{Child, Command};

use super::cause::Cause;
use super::order::Target;
use super::settings::Settings;

/// Who may be asked for what ssh wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nobody: what would need a question is refused.
    Batch,
    /// The user, on the terminal that this process has.
    Terminal,
}

/// What is done about a host whose key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnknownKeys {
    /// Refused, or asked about where somebody can be.
    Strict,
    /// Trusted and remembered.
    Accept,
}

/// Starts ssh to this host with this command.
pub(super) fn start(
    settings: &Settings,
    target: &Target,
    mode: Mode,
    keys: UnknownKeys,
    command: &str,
) -> Result<Child, Cause> {
    let program = settings.ssh.first().map_or("ssh", String::as_str);
    let mut child = Command::new(program);
    child
        .args(settings.ssh.iter().skip(1))
        .args(arguments(target, mode, keys, command));
    child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in &settings.secret_variables {
        child.env_remove(name);
    }
    child.spawn().map_err(|error| Cause::NoSsh {
        program: program.to_owned(),
        why: error.to_string(),
    })
}

/// ssh_config decides all that is not said here. What it may say about forwarded ports, a terminal or a command of its
/// own is for logins, not for this.
fn arguments(target: &Target, mode: Mode, keys: UnknownKeys, command: &str) -> Vec<String> {
    let (batch, strict) = match (mode, keys) {
        (Mode::Batch, UnknownKeys::Strict) => ("yes", "yes"),
        (Mode::Terminal, UnknownKeys::Strict) => ("no", "ask"),
        (Mode::Batch, UnknownKeys::Accept) => ("yes", "accept-new"),
        (Mode::Terminal, UnknownKeys::Accept) => ("no", "accept-new"),
    };
    let options = [
        format!("BatchMode={batch}"),
        format!("StrictHostKeyChecking={strict}"),
        "ConnectTimeout=15".to_owned(),
        "ServerAliveInterval=15".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "RemoteCommand=none".to_owned(),
        "PermitLocalCommand=no".to_owned(),
    ];
    let mut arguments = vec!["-T".to_owned()];
    arguments.extend(
        options
            .into_iter()
            .flat_map(|option| ["-o".to_owned(), option]),
    );
    if let Some(user) = &target.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = target.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), target.address.clone(), command.to_owned()]);
    arguments
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Mode, UnknownKeys, arguments};
    use crate::bootstrap::order::Target;

    pub(in crate::bootstrap) fn target() -> Target {
        Target {
            hostname: "node1".to_owned(),
            address: "192.0.2.7".to_owned(),
            user: Some("admin".to_owned()),
            port: Some(2222),
            become_root: "auto".to_owned(),
            dials: true,
            labels: Vec::new(),
        }
    }

    #[test]
    fn host_keys_are_strict_unless_said_otherwise() {
        let line = |mode, keys| arguments(&target(), mode, keys, "true").join(" ");
        let batch = line(Mode::Batch, UnknownKeys::Strict);
        assert!(
            batch.contains("BatchMode=yes -o StrictHostKeyChecking=yes"),
            "{batch}"
        );
        assert!(
            batch.ends_with("-l admin -p 2222 -- 192.0.2.7 true"),
            "{batch}"
        );
        assert!(line(Mode::Terminal, UnknownKeys::Strict).contains("StrictHostKeyChecking=ask"));
        assert!(
            line(Mode::Batch, UnknownKeys::Accept).contains("StrictHostKeyChecking=accept-new")
        );
    }

    #[test]
    fn what_the_file_leaves_out_ssh_decides() {
        let target = crate::bootstrap::order::Target {
            user: None,
            port: None,
            ..target()
        };
        let arguments = arguments(&target, Mode::Batch, UnknownKeys::Strict, "true");
        assert!(
            !arguments
                .iter()
                .any(|argument| argument == "-l" || argument == "-p")
        );
    }
}
