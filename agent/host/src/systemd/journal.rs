//! The journal, through `journalctl`: there is no bus for it.

use std::time::Duration;

use serde::Deserialize;

use super::SystemdError;
use crate::exec::{Command, Exec, ExecError};

/// How long reading a few lines may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The longest line that is kept, in characters.
const LONGEST: usize = 500;

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE")]
    message: Message,
}

/// A text, or its bytes where it is not printable.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Nothing(()),
}

/// The last lines that the unit, or systemd about it, wrote; oldest first.
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
    let count = lines.to_string();
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
    Ok(output
        .stdout
        .text()
        .lines()
        .filter_map(message_of)
        .collect())
}

/// The message of an entry, without what would disturb a terminal.
fn message_of(line: &str) -> Option<String> {
    let entry: Entry = serde_json::from_str(line).ok()?;
    let text = match entry.message {
        Message::Text(text) => text,
        Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Message::Nothing(()) => return None,
    };
    let visible = text.trim_end().chars().take(LONGEST);
    Some(
        visible
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::message_of;

    #[test]
    fn messages_are_text_bytes_or_nothing() {
        assert_eq!(
            message_of(r#"{"MESSAGE":"hello\n","PRIORITY":"6"}"#).as_deref(),
            Some("hello")
        );
        assert_eq!(
            message_of(r#"{"MESSAGE":[27,91,109,111,107]}"#).as_deref(),
            Some(" [mok")
        );
        assert_eq!(message_of(r#"{"MESSAGE":null}"#), None);
        assert_eq!(message_of("noise"), None);
    }
}
