//! The operator API, served on a Unix socket to the user who owns the fleet (and to root).
//!
//! The folder of the socket is 0700, and the kernel says who the peer is: nobody else gets a byte of an answer. It is
//! never served on TCP.

mod artifacts;
mod connection;
mod operator;

use std::time::Duration;

use foundry_proto::operator::v1::operator_server::OperatorServer;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::daemon::Activity;
use crate::engine::Engine;
use connection::{Connection, Operators};

/// Connections that wait for the server.
const WAITING: usize = 16;
/// The longest request: a stack.yaml of several thousand services.
const LONGEST_REQUEST: usize = 16 * 1024 * 1024;

/// How the API is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// After how long without need the controller ends; `None`: never. Only told.
    pub idle_exit: Option<Duration>,
    /// Each connection counts as a need.
    pub activity: Activity,
}

/// Serves until `stop`; then calls may end, streams are ended.
pub async fn serve(
    engine: Engine,
    listener: UnixListener,
    settings: Settings,
    stop: CancellationToken,
) {
    let (sender, accepted) = mpsc::channel(WAITING);
    let accepting = accept(listener, settings.activity.clone(), sender, stop.clone());
    let operator = operator::Operator::new(engine, settings.idle_exit, stop.clone());
    let service = OperatorServer::new(operator)
        .max_decoding_message_size(LONGEST_REQUEST)
        .max_encoding_message_size(usize::MAX);
    let serving = Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stop.cancelled());
    let (served, ()) = tokio::join!(serving, accepting);
    if let Err(error) = served {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the operator API ended"
        );
    }
}

/// Hands over each connection of an operator.
async fn accept(
    listener: UnixListener,
    activity: Activity,
    accepted: mpsc::Sender<std::io::Result<Connection>>,
    stop: CancellationToken,
) {
    let operators = Operators::current();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            stream = listener.accept() => match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no connection accepted");
                    // Out of descriptors, for example: others have to end first.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        if !operators.admit(&stream) {
            continue;
        }
        if accepted
            .send(Ok(Connection::new(stream, activity.enter())))
            .await
            .is_err()
        {
            return;
        }
    }
}
