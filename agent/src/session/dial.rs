//! Dialling: the first address that answers with the controller of this fleet.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use foundry_link::tls::{self, Clock, Credentials};
use foundry_proto::FleetId;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For each of: resolve and connect, TLS handshake.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

/// Where to dial, and as whom.
#[derive(Clone)]
pub struct Dialer {
    /// host:port, in the order to be tried.
    pub addresses: Vec<String>,
    /// The agent's certificate and whom it trusts; swapped when a new one is issued.
    pub credentials: watch::Receiver<Arc<Credentials>>,
    /// The fleet whose controller is expected.
    pub fleet: FleetId,
    /// The clock that the controller's certificate is judged by.
    pub clock: Arc<Clock>,
}

/// Why an address did not answer as the controller.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("resolve {address}")]
    Resolve {
        /// As configured.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Nobody listens there, or it cannot be reached.
    #[error("connect to {address}")]
    Connect {
        /// As configured.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Somebody is there and is not the controller of this fleet, or does not take this agent.
    #[error("TLS handshake with {address}")]
    Handshake {
        /// As configured.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("no answer from {address} within {} s", STEP_DEADLINE.as_secs())]
    Timeout {
        /// As configured.
        address: String,
    },
    /// This side cannot do TLS.
    #[error("set up TLS")]
    Tls(#[source] tls::TlsError),
    /// No address is configured.
    #[error("no address of a controller is known")]
    NoAddress,
}

/// The first address that answers as the controller of the fleet and takes this agent's certificate. The error has each
/// address with its cause.
pub async fn try_addresses(dialer: &Dialer) -> Result<String, Vec<(String, DialError)>> {
    let mut failures = Vec::new();
    for address in &dialer.addresses {
        match probe(dialer, address).await {
            Ok(()) => return Ok(address.clone()),
            Err(error) => failures.push((address.clone(), error)),
        }
    }
    Err(failures)
}

/// In TLS 1.3 a refused certificate shows at the first read, so one byte of the server's is awaited.
async fn probe(dialer: &Dialer, address: &str) -> Result<(), DialError> {
    let mut stream = connect(dialer, address).await?;
    let first = within(address, stream.read_u8()).await?;
    first.map(drop).map_err(|source| DialError::Handshake {
        address: address.to_owned(),
        source,
    })
}

/// One connection to this address, after its handshake.
pub(super) async fn connect(
    dialer: &Dialer,
    address: &str,
) -> Result<TlsStream<TcpStream>, DialError> {
    let credentials = dialer.credentials.clone();
    let config = tls::client_config(credentials, &dialer.fleet, Arc::clone(&dialer.clock))
        .map_err(DialError::Tls)?;
    let targets = within(address, resolve(address)).await??;
    let owned = || address.to_owned();
    let tcp = within(address, TcpStream::connect(&targets[..]))
        .await?
        .map_err(|source| DialError::Connect {
            address: owned(),
            source,
        })?;
    tcp.set_nodelay(true).map_err(|source| DialError::Connect {
        address: owned(),
        source,
    })?;
    let connector = TlsConnector::from(Arc::new(config));
    within(address, connector.connect(tls::controller_name(), tcp))
        .await?
        .map_err(|source| DialError::Handshake {
            address: owned(),
            source,
        })
}

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(literal) = address.parse() {
        return Ok(vec![literal]);
    }
    let failed = |source| DialError::Resolve {
        address: address.to_owned(),
        source,
    };
    let name = address.to_owned();
    let found = tokio::task::spawn_blocking(move || name.to_socket_addrs().map(Vec::from_iter))
        .await
        .map_err(|error| failed(std::io::Error::other(error)))?
        .map_err(failed)?;
    if found.is_empty() {
        return Err(failed(std::io::Error::other("the name has no address")));
    }
    Ok(found)
}

async fn within<T>(address: &str, work: impl Future<Output = T>) -> Result<T, DialError> {
    tokio::time::timeout(STEP_DEADLINE, work)
        .await
        .map_err(|_| DialError::Timeout {
            address: address.to_owned(),
        })
}
