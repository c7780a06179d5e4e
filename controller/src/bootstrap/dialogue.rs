//! What the bytes of an ssh session mean. No I/O: bytes in, [`Turn`]s out, answers as bytes.
//!
//! ```text
//! opening ─(marker on stderr)→ Password ─→ opening
//! opening ─"hello …"→ Hello ─→ "keep" or "send" ─→ "enrol" ─→ frames: Offer → grant → Result ─→ "ended" ─→ "journal"
//!                            └→ "quit"
//! ```
//!
//! Whatever a login prints before the first marked line is skipped. A channel that closes early is explained from where
//! the dialogue stood and from what ssh and sudo wrote to standard error.

use bytes::{Buf as _, Bytes, BytesMut};
use foundry_proto::agent::v1::{
    EnrolGrant, EnrolMessage, EnrolOffer, EnrolResult, enrol_message::Body,
};
use foundry_proto::{Digest, framing};
use secrecy::{ExposeSecret as _, SecretString};

use super::cause::{self, Cause};
use super::hello::Hello;

/// What the far side has come to; the driver answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turn {
    /// sudo asks: answer with [`Dialogue::password`], or give up.
    Password,
    /// The host says what it is: answer `keep`, `send` or `quit`.
    Hello(Hello),
    /// The agent has its key: answer with a grant.
    Offer(Box<EnrolOffer>),
    /// The agent's last word.
    Result(EnrolResult),
    /// The agent's process has ended; the journal may be asked for.
    Ended,
    /// The journal's last lines, as asked for.
    Journal(String),
    /// The channel is closed, in good order.
    Closed,
}

/// Where the dialogue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// ssh connects, sudo asks.
    Opening,
    /// The host waits for a decision.
    Deciding,
    /// The agent is under way.
    Sending,
    /// The agent speaks.
    Enrolling,
    /// The agent has said its last word.
    Ending,
    /// The host gave up. What it wrote to standard error may come later: the channel is closed and read to its end.
    Failed,
}

/// The state of one session.
#[derive(Debug)]
pub(super) struct Dialogue {
    prefix: String,
    marker: String,
    phase: Phase,
    stdout: BytesMut,
    stderr: String,
    /// How much of `stderr` was searched for markers.
    searched: usize,
    asked: u32,
    /// What the host gave up at.
    failed: String,
    journal: Vec<String>,
}

/// Lines longer than this are noise, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// How much of standard error is kept, in bytes: its end explains failures.
const LONGEST_STDERR: usize = 64 * 1024;

// === impl Dialogue ===

impl Dialogue {
    /// A dialogue whose lines carry `nonce`, where sudo asks with `marker`.
    pub(super) fn new(nonce: &str, marker: &str) -> Self {
        Self {
            prefix: format!("@@foundry-{nonce} "),
            marker: marker.to_owned(),
            phase: Phase::Opening,
            stdout: BytesMut::new(),
            stderr: String::new(),
            searched: 0,
            asked: 0,
            failed: String::new(),
            journal: Vec::new(),
        }
    }

    /// Where it stands.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Bytes of standard output.
    pub(super) fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.extend_from_slice(bytes);
    }

    /// Bytes of standard error.
    pub(super) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.push_str(&String::from_utf8_lossy(bytes));
        if self.stderr.len() > 2 * LONGEST_STDERR {
            let mut cut = self.stderr.len() - LONGEST_STDERR;
            while !self.stderr.is_char_boundary(cut) {
                cut += 1;
            }
            self.stderr.drain(..cut);
            self.searched = self.searched.saturating_sub(cut);
        }
    }

    /// The next thing that the far side has come to; `None`: more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Turn>, Cause> {
        if self.phase == Phase::Opening && self.marker_seen() {
            self.asked += 1;
            return if self.asked == 1 {
                Ok(Some(Turn::Password))
            } else {
                Err(Cause::SudoWrongPassword)
            };
        }
        loop {
            if self.phase == Phase::Enrolling && !self.at_line() {
                return self.frame();
            }
            let Some(line) = self.line() else {
                return Ok(None);
            };
            if let Some(turn) = self.understand(&line)? {
                return Ok(Some(turn));
            }
        }
    }

    /// The channel is closed and all bytes were given: what that means. `code` is ssh's exit code.
    pub(super) fn closed(&self, code: Option<i32>) -> Result<Turn, Cause> {
        match self.phase {
            Phase::Opening => Err(cause::opening(&self.stderr, code)),
            Phase::Deciding | Phase::Ending => Ok(Turn::Closed),
            Phase::Sending if cause::is_full(&self.stderr) => Err(Cause::NoSpace),
            Phase::Sending => Err(Cause::UploadBroken {
                ssh: cause::last_line(&self.stderr),
            }),
            Phase::Enrolling => Err(self.agent_ended()),
            Phase::Failed => Err(self.failure()),
        }
    }

    /// The answer to [`Turn::Password`].
    pub(super) fn password(&self, password: &SecretString) -> SecretString {
        SecretString::from(format!("{}\n", password.expose_secret()))
    }

    /// Go on with the agent that is there.
    pub(super) fn keep(&mut self, digest: &Digest) -> Bytes {
        self.phase = Phase::Sending;
        Bytes::from(format!("keep {digest}\n"))
    }

    /// Take this many bytes of gzip; unpacked they have this digest.
    pub(super) fn send(&mut self, size: usize, digest: &Digest) -> Bytes {
        self.phase = Phase::Sending;
        Bytes::from(format!("send {size} {digest}\n"))
    }

    /// Nothing is to be done.
    pub(super) fn quit(&mut self) -> Bytes {
        self.phase = Phase::Ending;
        Bytes::from_static(b"quit\n")
    }

    /// The answer to [`Turn::Offer`].
    pub(super) fn grant(&self, grant: EnrolGrant) -> Bytes {
        framing::encode(&EnrolMessage {
            body: Some(Body::Grant(grant)),
        })
    }

    /// Asks for the journal's last lines, after [`Turn::Ended`].
    pub(super) fn ask_for_journal(&self) -> Bytes {
        Bytes::from_static(b"journal\n")
    }

    /// sudo's marker stands in what was not searched yet.
    fn marker_seen(&mut self) -> bool {
        let Some(at) = self.stderr[self.searched..].find(&self.marker) else {
            return false;
        };
        self.searched += at + self.marker.len();
        true
    }

    /// The buffer begins with a marked line, and not with a frame: no message begins with these bytes.
    fn at_line(&self) -> bool {
        let prefix = self.prefix.as_bytes();
        let common = prefix.len().min(self.stdout.len());
        common > 1 && self.stdout[..common] == prefix[..common]
    }

    fn frame(&mut self) -> Result<Option<Turn>, Cause> {
        let message: Option<EnrolMessage> = framing::decode(&mut self.stdout)
            .map_err(|error| Cause::Protocol(error.to_string()))?;
        match message.map(|message| message.body) {
            None => Ok(None),
            Some(Some(Body::Offer(offer))) => Ok(Some(Turn::Offer(Box::new(offer)))),
            Some(Some(Body::Result(result))) => {
                self.phase = Phase::Ending;
                Ok(Some(Turn::Result(result)))
            }
            Some(Some(Body::Grant(_)) | None) => Err(Cause::Protocol(
                "a message that only this side may send".to_owned(),
            )),
        }
    }

    /// One whole marked line, without its mark. All else is a banner.
    fn line(&mut self) -> Option<String> {
        loop {
            let Some(end) = self.stdout.iter().position(|byte| *byte == b'\n') else {
                if self.stdout.len() > LONGEST_LINE {
                    self.stdout.advance(self.stdout.len() - LONGEST_LINE / 2);
                }
                return None;
            };
            let line = self.stdout.split_to(end + 1);
            let line = String::from_utf8_lossy(&line);
            // A banner without a line break at its end stands before the mark.
            if let Some((_, rest)) = line.split_once(&self.prefix) {
                return Some(rest.trim_end().to_owned());
            }
        }
    }

    fn understand(&mut self, line: &str) -> Result<Option<Turn>, Cause> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, self.phase) {
            ("hello", Phase::Opening) => {
                self.phase = Phase::Deciding;
                Ok(Some(Turn::Hello(Hello::parse(rest))))
            }
            ("failed", _) => {
                self.give_up(rest);
                Ok(None)
            }
            ("enrol", Phase::Sending) => {
                self.phase = Phase::Enrolling;
                Ok(None)
            }
            ("ended", Phase::Ending) => Ok(Some(Turn::Ended)),
            ("ended", Phase::Enrolling) => {
                self.give_up("enrol");
                Ok(None)
            }
            ("journal", Phase::Ending) => {
                self.journal.push(rest.to_owned());
                Ok(None)
            }
            ("done", Phase::Ending) => Ok(Some(Turn::Journal(self.journal.join("\n")))),
            _ => Err(Cause::Protocol(format!("`{verb}` out of turn"))),
        }
    }

    fn give_up(&mut self, what: &str) {
        self.phase = Phase::Failed;
        self.failed = what.to_owned();
    }

    fn failure(&self) -> Cause {
        let (what, more) = self.failed.split_once(' ').unwrap_or((&self.failed, ""));
        match what {
            "not-root" => Cause::NotRoot {
                user: more.to_owned(),
            },
            "no-sudo" => Cause::NoSudo {
                user: more.to_owned(),
            },
            "unpack" if cause::is_full(more) => Cause::NoSpace,
            "unpack" => Cause::Unpack {
                said: more.to_owned(),
            },
            "enrol" => self.agent_ended(),
            other => Cause::Protocol(format!("it failed at `{other}`")),
        }
    }

    fn agent_ended(&self) -> Cause {
        Cause::AgentEnded {
            said: cause::last_lines(&self.stderr),
        }
    }
}

#[cfg(test)]
mod tests;
