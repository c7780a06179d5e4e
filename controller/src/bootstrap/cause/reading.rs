//! Reading what ssh and sudo write.

use super::Cause;

/// ssh's own exit code for its own failures.
const SSH_FAILED: i32 = 255;

/// Why a session ended before the host said hello.
pub(in crate::bootstrap) fn opening(stderr: &str, code: Option<i32>) -> Cause {
    sudo(stderr)
        .or_else(|| ssh(stderr))
        .unwrap_or_else(|| match code {
            Some(SSH_FAILED) | None => Cause::ClosedEarly(last_line(stderr)),
            Some(code) => {
                let said = last_line(stderr);
                let said = if said.is_empty() {
                    format!("the login ended with {code}")
                } else {
                    said
                };
                Cause::Ssh(said)
            }
        })
}

/// The disk of the far side is full.
pub(in crate::bootstrap) fn is_full(stderr: &str) -> bool {
    stderr.contains("No space left on device") || stderr.contains("Disk quota exceeded")
}

/// The last line that says something.
pub(in crate::bootstrap) fn last_line(stderr: &str) -> String {
    let mut lines = stderr
        .lines()
        .rev()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.next().unwrap_or_default().to_owned()
}

/// The last few lines that say something, as one.
pub(in crate::bootstrap) fn last_lines(stderr: &str) -> String {
    let lines: Vec<_> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

fn sudo(stderr: &str) -> Option<Cause> {
    let line = stderr.lines().rev().map(str::trim).find(|line| {
        line.starts_with("sudo:") || line.contains("sudoers") || line.contains("may not run sudo")
    })?;
    let has = |text: &str| line.contains(text);
    if has("must have a tty") || has("terminal is required") || has("no tty present") {
        Some(Cause::SudoNeedsTerminal)
    } else if has("password is required") || has("no password was provided") {
        Some(Cause::SudoNeedsPassword)
    } else if has("incorrect password") {
        Some(Cause::SudoWrongPassword)
    } else if has("sudoers") || has("not allowed") || has("may not run sudo") {
        Some(Cause::SudoNotAllowed(
            line.trim_start_matches("sudo: ").to_owned(),
        ))
    } else {
        None
    }
}

fn ssh(stderr: &str) -> Option<Cause> {
    let has = |text: &str| stderr.contains(text);
    let line = |text: &str| {
        stderr
            .lines()
            .map(str::trim)
            .find(|line| line.contains(text))
    };
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let known = line("Offending").and_then(|line| line.split_once(" in "));
        let known = known.map(|(_, place)| place.to_owned()).unwrap_or_default();
        return Some(Cause::HostKeyChanged { known });
    }
    if has("Host key verification failed") || has("host key is known for") {
        return Some(Cause::HostKeyUnknown);
    }
    if let Some(line) = line("Permission denied (") {
        let methods = line
            .rsplit_once('(')
            .map(|(_, rest)| rest.trim_end_matches([')', '.']));
        return Some(Cause::KeyRefused {
            methods: methods.unwrap_or_default().to_owned(),
        });
    }
    if has("Too many authentication failures") {
        return Some(Cause::KeyRefused {
            methods: "too many keys were offered".to_owned(),
        });
    }
    if let Some(line) = line("Could not resolve hostname") {
        let name = line
            .split("hostname ")
            .nth(1)
            .and_then(|rest| rest.split(':').next());
        return Some(Cause::NoAddress(name.unwrap_or_default().to_owned()));
    }
    if has("Connection refused") {
        return Some(Cause::Refused);
    }
    if has("timed out") {
        return Some(Cause::TimedOut);
    }
    if has("No route to host") || has("Network is unreachable") {
        return Some(Cause::NoRoute);
    }
    let closed = [
        "Connection closed",
        "Connection reset",
        "kex_exchange_identification",
        "Broken pipe",
    ];
    closed
        .iter()
        .find_map(|text| line(text))
        .map(|line| Cause::ClosedEarly(line.to_owned()))
}
