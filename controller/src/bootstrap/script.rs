//! The scripts for the far side, and their way through ssh.
//!
//! They stand in ssh's arguments, never on standard input: a shell reads ahead there and would run the data. The far
//! side's login shell may be any; it sees one line with words in single quotes, without quotes or doubled backslashes in
//! them, which sh, fish and csh read alike.

/// Becomes root, in one of three ways, and hands over to [`WORK`].
const ELEVATE: &str = include_str!("script/elevate.sh");

/// Says what the host is, takes the agent where it is needed, runs its enrolment.
const WORK: &str = include_str!("script/work.sh");

/// The command for ssh: `exec sh -c '…' foundry <nonce> <marker> <how> '…'`.
///
/// `nonce` marks the dialogue's lines, `marker` is what sudo asks with; both are letters, digits and dashes.
pub(super) fn command(nonce: &str, marker: &str, become_root: &str) -> String {
    let (elevate, work) = (one_line(ELEVATE), one_line(WORK));
    format!("exec sh -c '{elevate}' foundry {nonce} {marker} {become_root} '{work}'")
}

/// Comments fall away; every other line ends in a separator or a keyword of its own.
fn one_line(script: &str) -> String {
    let lines = script.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{ELEVATE, WORK, command, one_line};

    #[test]
    fn every_login_shell_reads_it_alike() {
        for script in [ELEVATE, WORK] {
            let line = one_line(script);
            assert!(!line.contains('\''), "{line}");
            assert!(!line.contains("\\\\"), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn sh_can_read_it() {
        for script in [
            one_line(ELEVATE),
            one_line(WORK),
            command("n-1", "m-1", "auto"),
        ] {
            let checked = Command::new("sh")
                .args(["-n", "-c", &script])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            assert!(
                checked.status.success() && said.is_empty(),
                "{said}\n{script}"
            );
        }
    }
}
