//! A home, a working folder and a clean environment for one test.

use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

/// Where one test's commands run.
pub(crate) struct Environment {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A stack with two hosts and nothing else.
pub(crate) const TWO_HOSTS: &str = "\
version: \"1\"
cluster:
  name: demo
hosts:
  - hostname: node1
    address: 192.0.2.1
  - hostname: node2
    address: 192.0.2.2
";

// === impl Environment ===

impl Environment {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// With this stack.yaml in the working folder.
    pub(crate) fn with_stack(text: &str) -> Self {
        let environment = Self::new();
        environment.write("stack.yaml", text);
        environment
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    /// `FOUNDRY_HOME`.
    pub(crate) fn home(&self) -> Utf8PathBuf {
        self.path().join("home")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Utf8PathBuf {
        let path = self.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path().join(name)).unwrap()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// A shell script in the place of ssh.
    pub(crate) fn use_ssh(&mut self, script: &str) {
        let path = self.write("ssh.sh", script);
        self.set("FOUNDRY_SSH", format!("sh {path}"));
    }

    /// Runs the command, its words divided by spaces.
    pub(crate) fn foundry(&self, line: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foundry"));
        command.args(line.split(' ').filter(|word| !word.is_empty()));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path());
        // Where a build with coverage writes what it has covered.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command
            .env("FOUNDRY_HOME", self.home())
            .current_dir(self.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // Where a run that measures coverage writes to.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(self.path().as_str(), "[dir]")
        };
        Ended {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // A controller that a test started would outlive it.
        if self.home().join("fleets").exists() {
            self.foundry("controller stop --force");
        }
    }
}

// === impl Ended ===

impl Ended {
    /// Ended with this code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Said this, on either stream.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "{text}\n{self:#?}"
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Standard error as JSON.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
