//! Programs, run by path and arguments, never by a shell.

mod process;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::mpsc;

pub use process::Processes;

/// Runs programs.
#[async_trait]
pub trait Exec: Send + Sync {
    /// Runs the program to its end. At its deadline, or when the future is dropped, its process group is killed.
    async fn run(&self, command: Command) -> Result<Output, ExecError>;

    /// Where a program of this name is, in the folders that systems keep programs in. Environment is not asked.
    async fn find(&self, program: &str) -> Option<Utf8PathBuf>;
}

/// A program to be run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program, absolute, and its arguments.
    pub argv: Vec<String>,
    /// The whole environment beside PATH, HOME and LC_ALL=C.UTF-8, which are set; those here win.
    pub env: Vec<(String, String)>,
    /// Where it runs; none: `/`.
    pub working_directory: Option<Utf8PathBuf>,
    /// User and group to run as; none: the agent's.
    pub user: Option<Ids>,
    /// How long it may take.
    pub deadline: Duration,
    /// Gets the output as it comes, as far as it has room.
    pub live: Option<mpsc::Sender<Chunk>>,
}

/// A numeric user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A piece of output.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Standard error, else standard output.
    pub stderr: bool,
    /// The bytes.
    pub data: Bytes,
    /// How many bytes before it found no room.
    pub dropped: u64,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: crate::systemd::Exit,
    /// Its standard output, head and tail.
    pub stdout: Captured,
    /// Its standard error, head and tail.
    pub stderr: Captured,
}

/// Output that was kept up to a bound: the beginning and the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// The first bytes.
    pub head: Vec<u8>,
    /// How many bytes are missing between.
    pub omitted: u64,
    /// The last bytes.
    pub tail: Vec<u8>,
}

/// A program could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// No program was named, or by a relative path.
    #[error("`{0}` is not an absolute path of a program")]
    NotAbsolute(String),
    /// It could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It took too long and was killed.
    #[error("{program} did not end within {} s and was killed", limit.as_secs())]
    Deadline {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
        /// The end of what it had written to standard error.
        stderr: String,
    },
    /// It failed, where success was asked for.
    #[error("{program} {exit}{}", Said(stderr))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        exit: crate::systemd::Exit,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
}

struct Said<'a>(&'a str);

// === impl Command ===

impl Command {
    /// The program with these arguments, for at most a minute.
    pub fn new(program: impl AsRef<Utf8Path>, arguments: &[&str]) -> Self {
        let program = program.as_ref().as_str().to_owned();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        Self {
            argv: std::iter::once(program).chain(arguments).collect(),
            env: Vec::new(),
            working_directory: None,
            user: None,
            deadline: Duration::from_secs(60),
            live: None,
        }
    }

    /// With another deadline.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The program's path, for messages.
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

// === impl Output ===

impl Output {
    /// Whether it ended with 0.
    pub fn success(&self) -> bool {
        self.exit == crate::systemd::Exit::Code(0)
    }

    /// The output of a success; else an error that names the program, its exit and its last words.
    pub fn or_failed(self, program: &str) -> Result<Self, ExecError> {
        if self.success() {
            return Ok(self);
        }
        let stderr = self.stderr.last_line();
        Err(ExecError::Failed {
            program: program.to_owned(),
            exit: self.exit,
            stderr,
        })
    }
}

// === impl Captured ===

impl Captured {
    /// Adds a piece; beyond `most` bytes at either end, the middle goes.
    fn push(&mut self, piece: &[u8], most: usize) {
        let room = most.saturating_sub(self.head.len()).min(piece.len());
        let (head, rest) = piece.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        let excess = self.tail.len().saturating_sub(most);
        self.tail.drain(..excess);
        self.omitted += u64::try_from(excess).unwrap_or(u64::MAX);
    }

    /// As text, with a line where something is missing.
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(&self.tail);
        if self.omitted == 0 {
            return format!("{head}{tail}");
        }
        format!("{head}\n[{} bytes left out]\n{tail}", self.omitted)
    }

    /// The last line that is not empty.
    pub fn last_line(&self) -> String {
        let text = self.text();
        text.lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("")
            .to_owned()
    }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.0)
        }
    }
}

impl fmt::Display for crate::systemd::Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}
