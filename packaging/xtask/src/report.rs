//! What xtask itself prints: the stages of a command and how long each took.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Prints a line.
pub(crate) fn say(text: impl AsRef<str>) {
    // A closed pipe is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// The stages that have run.
#[derive(Default)]
pub(crate) struct Stages(Vec<(String, Duration)>);

// === impl Stages ===

impl Stages {
    /// Runs a stage under its name.
    pub(crate) fn run<T>(&mut self, name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
        say(format!("\n=== {name}"));
        let start = Instant::now();
        let result = stage().with_context(|| format!("stage `{name}`"));
        self.0.push((name.to_owned(), start.elapsed()));
        result
    }

    /// Prints a table of all stages.
    pub(crate) fn print(&self) {
        say("\n=== time");
        for (name, time) in &self.0 {
            say(format!("{:>8.1} s  {name}", time.as_secs_f64()));
        }
        let total: Duration = self.0.iter().map(|(_, time)| *time).sum();
        say(format!("{:>8.1} s  in all", total.as_secs_f64()));
    }
}
