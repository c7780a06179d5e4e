//! HTTP/2 over a connection that stands already.

use std::sync::{Arc, Mutex, PoisonError};

use foundry_proto::agent::v1::controller_client::ControllerClient;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::dial::Dialer;
use super::ended::Ended;

/// What HTTP/2 calls the server. Who it is, TLS has made sure of.
const ORIGIN: &str = "http://controller.foundry.internal";

/// How much the controller may send ahead, in bytes.
pub(super) struct Windows {
    /// On one stream.
    pub(super) stream: u32,
    /// On the connection.
    pub(super) connection: u32,
}

/// A client on a new connection to the first address that answers; it does not reconnect.
pub(super) async fn open(
    dialer: &Dialer,
    windows: Windows,
) -> Result<(String, ControllerClient<Channel>), Ended> {
    let (address, stream) = super::dial::connect(dialer)
        .await
        .map_err(Ended::Unreachable)?;
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_| {
        let stream = take(&once);
        async move {
            stream
                .map(TokioIo::new)
                .ok_or_else(|| std::io::Error::other("closed"))
        }
    });
    let channel = Endpoint::from_static(ORIGIN)
        .initial_stream_window_size(windows.stream)
        .initial_connection_window_size(windows.connection)
        .connect_with_connector(connector)
        .await
        .map_err(|error| Ended::of(&tonic::Status::from_error(error.into())))?;
    Ok((address, ControllerClient::new(channel)))
}

fn take(once: &Mutex<Option<TlsStream<TcpStream>>>) -> Option<TlsStream<TcpStream>> {
    once.lock().unwrap_or_else(PoisonError::into_inner).take()
}
