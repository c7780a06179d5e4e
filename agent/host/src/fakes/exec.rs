use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use camino::Utf8PathBuf;

use super::lock;
use crate::exec::{Captured, Command, Exec, ExecError, Output};
use crate::systemd::Exit;

/// Programs that end as they are told to: well, where they are told nothing.
#[derive(Default)]
pub struct FakeExec {
    ends: Mutex<BTreeMap<String, (i32, String)>>,
    programs: Mutex<BTreeSet<String>>,
    ran: Mutex<Vec<String>>,
}

// === impl FakeExec ===

impl FakeExec {
    /// A program of this name is at /usr/bin.
    pub fn install(&self, program: &str) {
        lock(&self.programs).insert(program.to_owned());
    }

    /// The command with this line ends with this code, having said this on standard error.
    pub fn end(&self, line: &str, code: i32, stderr: &str) {
        lock(&self.ends).insert(line.to_owned(), (code, stderr.to_owned()));
    }

    /// The lines of the commands that ran.
    pub fn ran(&self) -> Vec<String> {
        lock(&self.ran).clone()
    }
}

#[async_trait]
impl Exec for FakeExec {
    async fn run(&self, command: Command) -> Result<Output, ExecError> {
        let line = command.argv.join(" ");
        lock(&self.ran).push(line.clone());
        let (code, stderr) = lock(&self.ends).get(&line).cloned().unwrap_or_default();
        let stderr = Captured {
            head: stderr.into_bytes(),
            ..Captured::default()
        };
        Ok(Output {
            exit: Exit::Code(code),
            stdout: Captured::default(),
            stderr,
        })
    }

    async fn find(&self, program: &str) -> Option<Utf8PathBuf> {
        lock(&self.programs)
            .contains(program)
            .then(|| Utf8PathBuf::from("/usr/bin").join(program))
    }
}
