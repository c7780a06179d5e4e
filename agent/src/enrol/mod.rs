//! `foundry-agent enrol`: the host's end of the dialogue that makes it part of a fleet.
//!
//! Over standard input and output, which are an SSH session's: the agent makes a key and offers a signing request, the
//! command line grants a certificate and says where the controller is, the agent tries that, installs itself, and says
//! how it went. The key never leaves the host. Nothing durable is written before an address answered; what fails after that
//! is undone.
//!
//! * [`grant`]: what was granted, checked.
//! * [`install`]: files, unit, start.
//! * [`changes`]: files that go back to what they were.
//! * [`prune`]: older agents that go.

mod changes;
mod grant;
mod install;
mod prune;
#[cfg(test)]
mod tests;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use camino::Utf8PathBuf;
use foundry_host::Host;
use foundry_link::pki::{HostKey, PkiError};
use foundry_proto::agent::v1::{
    EnrolMessage, EnrolOffer, EnrolResult, Enrolment, enrol_message::Body, enrol_result::Kind,
};
use foundry_proto::framing::{self, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::cli;
use crate::config::{Places, Settings};
use crate::error_chain::ErrorChain;
use crate::facts;

/// How long the command line may take to grant something.
const PATIENCE: Duration = Duration::from_secs(300);

/// A host that can be enrolled.
pub struct Enroller {
    /// Where things are written.
    pub places: Places,
    /// The host.
    pub host: Arc<Host>,
    /// The binary that is to be the agent: `<agents>/<sha256>/bin/foundry-agent`.
    pub program: Utf8PathBuf,
}

/// Why the dialogue ended early.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The other side is gone, or silent.
    #[error("the command line does not answer")]
    Io(#[source] io::Error),
    /// It says something that is no message.
    #[error("the command line does not speak the dialogue of enrolment")]
    Frame(#[source] FrameError),
    /// Not the message that was expected.
    #[error("the command line says something unexpected")]
    Unexpected,
    /// No key could be made.
    #[error("cannot make a key")]
    Key(#[source] PkiError),
}

/// Why the host is not enrolled, as the command line is told.
#[derive(Debug)]
struct Trouble {
    kind: Kind,
    message: String,
}

/// The command on standard input and output. With `status`, the offer alone, without a signing request.
pub(crate) fn main(status: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime.map_err(EnrolError::Io).and_then(|runtime| {
        let ended = runtime.block_on(async {
            let enroller = Enroller::of_this_process().map_err(EnrolError::Io)?;
            if status {
                let mut out = tokio::io::stdout();
                return enroller
                    .say(&mut out, Body::Offer(enroller.offer(None).await))
                    .await;
            }
            enroller
                .converse(tokio::io::stdin(), tokio::io::stdout())
                .await
        });
        // A read of standard input may still wait for what never comes.
        runtime.shutdown_background();
        ended
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(io::stderr(), "foundry-agent: {}", ErrorChain(&error));
            ExitCode::FAILURE
        }
    }
}

// === impl Enroller ===

impl Enroller {
    fn of_this_process() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let program = Utf8PathBuf::from_path_buf(program)
            .map_err(|path| io::Error::other(format!("odd path {}", path.display())))?;
        Ok(Self {
            places: Places::default(),
            host: Arc::new(Host::this()),
            program,
        })
    }

    /// The whole dialogue.
    pub async fn converse(
        &self,
        mut input: impl AsyncRead + Unpin,
        mut output: impl AsyncWrite + Unpin,
    ) -> Result<(), EnrolError> {
        let key = HostKey::generate().map_err(EnrolError::Key)?;
        let csr = key.csr_der().map_err(EnrolError::Key)?;
        self.say(&mut output, Body::Offer(self.offer(Some(csr)).await))
            .await?;
        let grant = match hear(&mut input).await? {
            Body::Grant(grant) => grant,
            Body::Offer(_) | Body::Result(_) => return Err(EnrolError::Unexpected),
        };
        let result = match self.take(key, grant).await {
            Ok(address) => EnrolResult {
                kind: Kind::Enrolled.into(),
                address,
                message: String::new(),
            },
            Err(Trouble { kind, message }) => EnrolResult {
                kind: kind.into(),
                message,
                address: String::new(),
            },
        };
        self.say(&mut output, Body::Result(result)).await
    }

    /// What the host has to offer.
    async fn offer(&self, csr: Option<Vec<u8>>) -> EnrolOffer {
        EnrolOffer {
            csr: csr.unwrap_or_default().into(),
            facts: Some(facts::gather(&self.host).await),
            version: cli::VERSION.to_owned(),
            current: self.current().map(|settings| Enrolment {
                fleet: settings.fleet.to_string(),
                host_id: settings.host_id.to_string(),
                hostname: settings.hostname.to_string(),
                since_ms: settings.since_ms,
            }),
        }
    }

    /// The enrolment that the host has; one that cannot be read is none.
    fn current(&self) -> Option<Settings> {
        Settings::read(self.places.settings()).ok()
    }

    async fn take(
        &self,
        key: HostKey,
        grant: foundry_proto::agent::v1::EnrolGrant,
    ) -> Result<String, Trouble> {
        let version = self.host.systemd.version().await;
        version.map_err(|error| Trouble::new(Kind::Systemd, ErrorChain(&error)))?;
        let granted = grant::check(key, grant, self.host.clock.wall())?;
        let address = granted.try_addresses().await?;
        install::install(self, granted).await?;
        Ok(address)
    }

    async fn say(
        &self,
        output: &mut (impl AsyncWrite + Unpin),
        body: Body,
    ) -> Result<(), EnrolError> {
        let frame = framing::encode(&EnrolMessage { body: Some(body) });
        output.write_all(&frame).await.map_err(EnrolError::Io)?;
        output.flush().await.map_err(EnrolError::Io)
    }
}

async fn hear(input: &mut (impl AsyncRead + Unpin)) -> Result<Body, EnrolError> {
    let mut buffer = BytesMut::new();
    loop {
        let message = framing::decode::<EnrolMessage>(&mut buffer).map_err(EnrolError::Frame)?;
        if let Some(message) = message {
            return message.body.ok_or(EnrolError::Unexpected);
        }
        let read = timeout(PATIENCE, input.read_buf(&mut buffer)).await;
        let read = read.map_err(|_| EnrolError::Io(io::ErrorKind::TimedOut.into()))?;
        if read.map_err(EnrolError::Io)? == 0 {
            return Err(EnrolError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

// === impl Trouble ===

impl Trouble {
    fn new(kind: Kind, message: impl std::fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
        }
    }
}
