//! Dialling: the first address that answers with the controller of this fleet.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use foundry_link::tls::{self, Clock, Credentials};
use foundry_proto::FleetId;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For a name to resolve and a connection to stand.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// For the handshake: a controller with thousands of agents to greet takes its time.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// When an address does not answer for this long, the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(300);

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
    #[error("no answer from {address} within {} s", within.as_secs())]
    Timeout {
        /// As configured.
        address: String,
        /// How long it was given.
        within: Duration,
    },
    /// This side cannot do TLS.
    #[error("set up TLS")]
    Tls(#[source] tls::TlsError),
}

/// The first address that answers as the controller of the fleet and takes this agent's certificate. The error has each
/// address with its cause.
pub async fn try_addresses(dialer: &Dialer) -> Result<String, Vec<(String, DialError)>> {
    first(dialer, |address| probe(dialer, address))
        .await
        .map(|(address, ())| address)
}

/// A connection to the first address that answers, after its handshake.
pub(super) async fn connect(
    dialer: &Dialer,
) -> Result<(String, TlsStream<TcpStream>), Vec<(String, DialError)>> {
    first(dialer, |address| connect_to(dialer, address)).await
}

/// Tries the addresses in their order, the next when one failed or did not answer for a while; the first success wins.
/// Failures are in the order of the addresses.
async fn first<'a, T, F>(
    dialer: &'a Dialer,
    attempt: impl Fn(&'a str) -> F,
) -> Result<(String, T), Vec<(String, DialError)>>
where
    F: Future<Output = Result<T, DialError>>,
{
    let mut untried = dialer.addresses.iter().enumerate();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some((index, address)) = untried.next() {
            let attempt = attempt(address);
            attempts.push(async move { (index, address, attempt.await) });
        } else if attempts.is_empty() {
            break;
        }
        let patience = if untried.len() > 0 {
            STAGGER
        } else {
            Duration::MAX
        };
        if let Ok(Some((index, address, outcome))) =
            tokio::time::timeout(patience, attempts.next()).await
        {
            match outcome {
                Ok(done) => return Ok((address.clone(), done)),
                Err(error) => failures.push((index, address.clone(), error)),
            }
        }
    }
    failures.sort_by_key(|(index, ..)| *index);
    Err(failures
        .into_iter()
        .map(|(_, address, error)| (address, error))
        .collect())
}

/// In TLS 1.3 a refused certificate shows at the first read, so one byte of the server's is awaited.
async fn probe(dialer: &Dialer, address: &str) -> Result<(), DialError> {
    let mut stream = connect_to(dialer, address).await?;
    let first = within(address, HANDSHAKE_DEADLINE, stream.read_u8()).await?;
    // It has answered; how it takes the goodbye does not matter.
    let _ = stream.shutdown().await;
    first.map(drop).map_err(|source| DialError::Handshake {
        address: address.to_owned(),
        source,
    })
}

async fn connect_to(dialer: &Dialer, address: &str) -> Result<TlsStream<TcpStream>, DialError> {
    let credentials = dialer.credentials.clone();
    let config = tls::client_config(credentials, &dialer.fleet, Arc::clone(&dialer.clock))
        .map_err(DialError::Tls)?;
    let tcp = within(address, CONNECT_DEADLINE, tcp(address)).await??;
    let connector = TlsConnector::from(Arc::new(config));
    within(
        address,
        HANDSHAKE_DEADLINE,
        connector.connect(tls::controller_name(), tcp),
    )
    .await?
    .map_err(|source| DialError::Handshake {
        address: address.to_owned(),
        source,
    })
}

async fn tcp(address: &str) -> Result<TcpStream, DialError> {
    let targets = resolve(address).await?;
    let failed = |source| DialError::Connect {
        address: address.to_owned(),
        source,
    };
    let tcp = TcpStream::connect(&targets[..]).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    Ok(tcp)
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

async fn within<T>(
    address: &str,
    within: Duration,
    work: impl Future<Output = T>,
) -> Result<T, DialError> {
    tokio::time::timeout(within, work)
        .await
        .map_err(|_| DialError::Timeout {
            address: address.to_owned(),
            within,
        })
}
