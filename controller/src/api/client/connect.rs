//! Finding the controller of a fleet.

use std::io;

use camino::Utf8Path;
use foundry_proto::operator::v1::operator_client::OperatorClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::error::ConnectError;
use super::spawn;
use crate::cli::Environment;
use crate::state::Paths;

/// A controller that can be asked.
pub type Client = OperatorClient<Channel>;

/// The longest answer that is taken, in bytes: a plan of many hosts.
const LONGEST_ANSWER: usize = 256 << 20;

/// What to do where nobody serves the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It is an error.
    Never,
    /// Start one in the background, whose agents' listener is bound here.
    At {
        /// `address:port`.
        listen: String,
    },
}

/// The controller of this fleet, started where `start` says so.
///
/// # Errors
///
/// See [`ConnectError`].
pub async fn connect(
    environment: &Environment,
    paths: &Paths,
    start: &Start,
) -> Result<Client, ConnectError> {
    if let Some(client) = dial(paths).await? {
        return Ok(client);
    }
    let Start::At { listen } = start else {
        return Err(ConnectError::Absent {
            fleet: paths.fleet().clone(),
        });
    };
    let turn = spawn::take_turn(paths).await?;
    // Somebody else may have started it while this process waited for its turn.
    if let Some(client) = dial(paths).await? {
        return Ok(client);
    }
    spawn::start(environment, paths, listen).await?;
    drop(turn);
    dial(paths).await?.ok_or_else(|| ConnectError::Absent {
        fleet: paths.fleet().clone(),
    })
}

/// The controller at the fleet's socket; `None`: nobody is there.
async fn dial(paths: &Paths) -> Result<Option<Client>, ConnectError> {
    let socket = paths.socket_to_dial();
    match UnixStream::connect(socket.as_std_path()).await {
        Ok(stream) => over(stream, &socket).await.map(Some),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            Err(ConnectError::OtherUser { socket, source })
        }
        Err(source) => Err(ConnectError::Socket {
            socket,
            source: source.into(),
        }),
    }
}

/// A client over this connection, and over new ones to the same socket should it break.
async fn over(stream: UnixStream, socket: &Utf8Path) -> Result<Client, ConnectError> {
    let mut first = Some(stream);
    let path = socket.to_owned();
    let connector = service_fn(move |_| {
        let (first, path) = (first.take(), path.clone());
        async move {
            let stream = match first {
                Some(stream) => stream,
                None => UnixStream::connect(path.as_std_path()).await?,
            };
            io::Result::Ok(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://controller.invalid");
    let channel = endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|source| ConnectError::Socket {
            socket: socket.to_owned(),
            source: source.into(),
        })?;
    Ok(OperatorClient::new(channel).max_decoding_message_size(LONGEST_ANSWER))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}
