//! One ssh session: the child's three pipes around a [`Dialogue`].

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::cause::Cause;
use super::dialogue::{Dialogue, Phase, Turn};
use super::order::Target;
use super::script;
use super::settings::Settings;
use super::ssh::{self, Mode, UnknownKeys};

/// A session is given up when nothing moved in either direction for this long.
const SILENCE: Duration = Duration::from_secs(60);

/// With a user at the terminal, who may be looking for a password.
const SILENCE_WITH_USER: Duration = Duration::from_secs(300);

/// Standard error may be held open by a connection master that ssh left behind: this long for its last words.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long a session may take to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// A write to the child, in bytes.
const CHUNK: usize = 64 * 1024;

/// A session with a host.
pub(super) struct Channel {
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// None: closed.
    stdin: Option<mpsc::UnboundedSender<Out>>,
    written: Arc<AtomicU64>,
    dialogue: Dialogue,
    silence: Duration,
}

/// What goes to the child.
enum Out {
    Plain(Bytes),
    Secret(SecretString),
}

// === impl Channel ===

impl Channel {
    /// Starts ssh to this host, with the script.
    pub(super) fn open(
        settings: &Settings,
        target: &Target,
        mode: Mode,
        keys: UnknownKeys,
    ) -> Result<Self, Cause> {
        let nonce = Uuid::new_v4().simple().to_string();
        let marker = format!("foundry-asks-{}", Uuid::new_v4().simple());
        let command = script::command(&nonce, &marker, &target.become_root);
        let mut child = ssh::start(settings, target, mode, keys, &command)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(Cause::Protocol("ssh has no pipes".to_owned()));
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let written = Arc::new(AtomicU64::new(0));
        // Ends with the sender, or with the pipe.
        tokio::spawn(write(stdin, receiver, Arc::clone(&written)));
        Ok(Self {
            child,
            stdout,
            stderr,
            stdin: Some(sender),
            written,
            dialogue: Dialogue::new(&nonce, &marker),
            silence: if mode == Mode::Terminal {
                SILENCE_WITH_USER
            } else {
                SILENCE
            },
        })
    }

    /// The dialogue, for its answers.
    pub(super) fn dialogue(&mut self) -> &mut Dialogue {
        &mut self.dialogue
    }

    /// Sends these bytes. A far side that is gone is noticed by [`Self::next`].
    pub(super) fn send(&self, bytes: Bytes) {
        self.put(Out::Plain(bytes));
    }

    /// Answers sudo.
    pub(super) fn send_password(&self, password: &SecretString) {
        self.put(Out::Secret(self.dialogue.password(password)));
    }

    /// Says that nothing more comes, and lets the far side and ssh end in good order.
    pub(super) async fn end(mut self) {
        self.stdin = None;
        // An ssh that stays is killed with this.
        let _ = timeout(GOODBYE, self.child.wait()).await;
    }

    /// How much was written so far, in bytes.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits for the next thing that the host comes to.
    pub(super) async fn next(&mut self) -> Result<Turn, Cause> {
        let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut err_open = true;
        loop {
            if let Some(turn) = self.dialogue.next()? {
                return Ok(turn);
            }
            if self.dialogue.phase() == Phase::Failed {
                // The far side may wait for a word before it ends.
                self.stdin = None;
            }
            let written = self.written();
            tokio::select! {
                read = self.stdout.read(&mut out) => match read {
                    Ok(0) | Err(_) => return self.closed().await,
                    Ok(read) => self.dialogue.stdout(&out[..read]),
                },
                read = self.stderr.read(&mut err), if err_open => match read {
                    Ok(0) | Err(_) => err_open = false,
                    Ok(read) => self.dialogue.stderr(&err[..read]),
                },
                () = tokio::time::sleep(self.silence) => {
                    if self.written() == written {
                        let at = doing(self.dialogue.phase());
                        return Err(Cause::Silent { at, seconds: self.silence.as_secs() });
                    }
                }
            }
        }
    }

    async fn closed(&mut self) -> Result<Turn, Cause> {
        let mut err = vec![0; CHUNK];
        while let Ok(Ok(read @ 1..)) = timeout(LAST_WORDS, self.stderr.read(&mut err)).await {
            self.dialogue.stderr(&err[..read]);
        }
        let status = timeout(self.silence, self.child.wait()).await;
        let code = status
            .ok()
            .and_then(Result::ok)
            .and_then(|status: ExitStatus| status.code());
        // What came with the last bytes is worth more than the exit code.
        match self.dialogue.next()? {
            Some(turn) => Ok(turn),
            None => self.dialogue.closed(code),
        }
    }

    fn put(&self, out: Out) {
        if let Some(stdin) = &self.stdin {
            // The task is gone when the pipe is; the reading side says why.
            let _ = stdin.send(out);
        }
    }
}

async fn write(
    mut stdin: ChildStdin,
    mut queue: mpsc::UnboundedReceiver<Out>,
    written: Arc<AtomicU64>,
) {
    while let Some(out) = queue.recv().await {
        let bytes: &[u8] = match &out {
            Out::Plain(bytes) => bytes,
            Out::Secret(secret) => secret.expose_secret().as_bytes(),
        };
        for chunk in bytes.chunks(CHUNK) {
            if stdin.write_all(chunk).await.is_err() {
                return;
            }
            written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        if stdin.flush().await.is_err() {
            return;
        }
    }
}

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Opening => "logging in",
        Phase::Deciding => "looking at the host",
        Phase::Sending => "sending the agent",
        Phase::Enrolling => "enrolling",
        Phase::Ending | Phase::Failed => "ending",
    }
}
