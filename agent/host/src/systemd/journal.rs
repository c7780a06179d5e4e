//! The journal, through `journalctl`: there is no bus for it.

use std::time::Duration;

use serde::Deserialize;

use super::SystemdError;
use crate::exec::{Command, Exec, ExecError};

/// How long reading a few lines may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How many times as many entries are read as lines are wanted: systemd writes between them.
const MANY: u32 = 4;

/// The longest line that is kept, in characters.
const LONGEST: usize = 500;

/// The least urgent priority (syslog's: lower is worse) of what systemd says when something is wrong with a unit.
const NOTICE: &str = "5";

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE")]
    message: Message,
    #[serde(rename = "_PID", default)]
    pid: String,
    #[serde(rename = "PRIORITY", default)]
    priority: String,
    /// The run of the unit that wrote it, or that systemd wrote about.
    #[serde(rename = "_SYSTEMD_INVOCATION_ID", default)]
    writer: String,
    #[serde(rename = "INVOCATION_ID", default)]
    subject: String,
}

/// A text, or its bytes where it is not printable.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Nothing(()),
}

/// The last lines that the unit wrote in its last run, oldest first; where it wrote none, what systemd found wrong.
pub(super) async fn last_lines(
    exec: &dyn Exec,
    unit: &str,
    lines: u32,
) -> Result<Vec<String>, SystemdError> {
    let error = |source| SystemdError::Journal {
        unit: unit.to_owned(),
        source,
    };
    let program = exec
        .find("journalctl")
        .await
        .ok_or_else(|| error(ExecError::NotAbsolute("journalctl".to_owned())))?;
    // What was written just before a failure may still be on its way to the journal. It costs only the last lines if not.
    let _ = exec
        .run(Command::new(&program, &["--sync"]).within(LIMIT))
        .await;
    let count = lines.saturating_mul(MANY).to_string();
    let arguments = [
        "-o",
        "json",
        "--no-pager",
        "-q",
        "-u",
        unit,
        "-n",
        count.as_str(),
    ];
    let output = exec
        .run(Command::new(&program, &arguments).within(LIMIT))
        .await
        .map_err(error)?;
    let output = output.or_failed(program.as_str()).map_err(error)?;
    let text = output.stdout.text();
    let entries: Vec<Entry> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut said = last_words(&entries);
    // systemd names the unit before each of its lines.
    let prefix = format!("{unit}: ");
    for line in &mut said {
        if let Some(rest) = line.strip_prefix(&prefix) {
            *line = rest.to_owned();
        }
    }
    let skipped = said
        .len()
        .saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    Ok(said.split_off(skipped))
}

/// What the unit wrote in its last run that has something to say; else what systemd found wrong with that run.
fn last_words(entries: &[Entry]) -> Vec<String> {
    let says = |entry: &&Entry| !entry.is_systemd() || entry.priority.as_str() <= NOTICE;
    let Some(last) = entries.iter().rfind(says) else {
        return Vec::new();
    };
    let of_run = || {
        entries
            .iter()
            .filter(says)
            .filter(|entry| entry.run() == last.run())
    };
    let own: Vec<String> = of_run()
        .filter(|entry| !entry.is_systemd())
        .filter_map(Entry::text)
        .collect();
    if own.is_empty() {
        of_run().filter_map(Entry::text).collect()
    } else {
        own
    }
}

// === impl Entry ===

impl Entry {
    fn is_systemd(&self) -> bool {
        self.pid == "1"
    }

    fn run(&self) -> &str {
        if self.is_systemd() {
            &self.subject
        } else {
            &self.writer
        }
    }

    /// The message, without what would disturb a terminal.
    fn text(&self) -> Option<String> {
        let text = match &self.message {
            Message::Text(text) => text.clone(),
            Message::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Message::Nothing(()) => return None,
        };
        let visible = text.trim_end().chars().take(LONGEST);
        Some(
            visible
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, last_words};

    fn entries(lines: &[&str]) -> Vec<Entry> {
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    const OLD: &str = r#"{"MESSAGE":"old","_PID":"7","PRIORITY":"6","_SYSTEMD_INVOCATION_ID":"a"}"#;
    const STARTED: &str = r#"{"MESSAGE":"Started","_PID":"1","PRIORITY":"6","INVOCATION_ID":"b"}"#;
    const NEW: &str =
        r#"{"MESSAGE":"bad flag\n","_PID":"8","PRIORITY":"6","_SYSTEMD_INVOCATION_ID":"b"}"#;
    const EXITED: &str =
        r#"{"MESSAGE":"Main process exited","_PID":"1","PRIORITY":"5","INVOCATION_ID":"b"}"#;
    const STARTING: &str =
        r#"{"MESSAGE":"Starting","_PID":"1","PRIORITY":"6","INVOCATION_ID":"c"}"#;

    #[test]
    fn the_last_words_are_the_units_own_of_its_last_run() {
        let words = last_words(&entries(&[OLD, STARTED, NEW, EXITED, STARTING]));
        assert_eq!(words, ["bad flag"]);
    }

    #[test]
    fn where_it_said_nothing_systemd_is_heard() {
        let words = last_words(&entries(&[OLD, STARTED, EXITED, STARTING]));
        assert_eq!(words, ["Main process exited"]);
        assert!(last_words(&entries(&[STARTED])).is_empty());
    }

    #[test]
    fn messages_are_text_bytes_or_nothing() {
        let text = |message: &str| entries(&[&format!("{{\"MESSAGE\":{message}}}")])[0].text();
        assert_eq!(text("[27,91,109,111,107]").as_deref(), Some(" [mok"));
        assert_eq!(text("null"), None);
    }
}
