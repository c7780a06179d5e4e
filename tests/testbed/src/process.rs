//! Programs run to their end, with what they printed.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program that ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

// === impl Finished ===

impl Finished {
    /// Its standard output without the last line break.
    ///
    /// # Errors
    /// When it did not exit with 0; the message holds the end of what it printed.
    pub fn success(self) -> Result<String> {
        if self.code == Some(0) {
            return Ok(self.stdout.trim_end().to_owned());
        }
        let code = self
            .code
            .map_or("a signal".into(), |code| format!("code {code}"));
        bail!(
            "`{}` ended with {code}: {}{}",
            self.command,
            tail(&self.stdout),
            tail(&self.stderr)
        )
    }
}

/// Runs a program that reads nothing, to its end.
///
/// # Errors
/// When it cannot be started. How it ended is for the caller to judge.
pub fn run(command: &mut Command) -> Result<Finished> {
    run_with_input(command, &[])
}

/// Runs a program to its end and gives it `input`.
///
/// # Errors
/// When it cannot be started, or its output cannot be read.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<Finished> {
    let line = line(command);
    let mut child = command
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{line}`"))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // A program that ends before it has read everything says so by its exit code.
            scope.spawn(move || stdin.write_all(input).ok());
        }
        child.wait_with_output()
    })
    .with_context(|| format!("wait for `{line}`"))?;
    Ok(Finished {
        command: line,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The command line as a person would type it, near enough for a message.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines of a text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(20)..]
        .iter()
        .map(|line| format!("\n    {line}"))
        .collect()
}
