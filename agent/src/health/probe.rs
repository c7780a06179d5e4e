//! Asking a service whether it is well.
//!
//! Addresses are literal, or `localhost`: the agent looks up no names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use foundry_host::Exec;
use foundry_host::exec::{Command, ExecError};
use foundry_proto::agent::v1::HealthCheck;
use foundry_proto::agent::v1::health_check::Probe as Wire;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_START_PERIOD: Duration = Duration::from_secs(60);

/// A health check that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    probe: Probe,
    /// From one probe to the next.
    pub(crate) interval: Duration,
    /// How long a probe may take.
    timeout: Duration,
    /// How long a start may take until the first probe passes.
    pub(crate) start_period: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Probe {
    Http { address: SocketAddr, uri: Uri },
    Tcp(SocketAddr),
    Command(Vec<String>),
}

// === impl Check ===

impl Check {
    /// Reads a health check; none where there is none. Err says what is wrong with it.
    pub(crate) fn read(check: Option<&HealthCheck>) -> Result<Option<Self>, String> {
        let Some(check) = check else { return Ok(None) };
        let Some(probe) = &check.probe else {
            return Ok(None);
        };
        let probe = match probe {
            Wire::Http(url) => read_http(url)?,
            Wire::Tcp(address) => Probe::Tcp(read_address(address)?),
            Wire::Command(command) => match command.argv.first() {
                Some(program) if program.starts_with('/') => Probe::Command(command.argv.clone()),
                _ => return Err("the program of a health check must be absolute".to_owned()),
            },
        };
        let or = |ms: u64, default| {
            if ms == 0 {
                default
            } else {
                Duration::from_millis(ms)
            }
        };
        Ok(Some(Self {
            probe,
            interval: or(check.interval_ms, DEFAULT_INTERVAL),
            timeout: or(check.timeout_ms, DEFAULT_TIMEOUT),
            start_period: or(check.start_period_ms, DEFAULT_START_PERIOD),
        }))
    }

    /// Asks once. Err names the cause: `connection refused`, `HTTP 503`, `no answer within 5 s`.
    pub(crate) async fn ask(&self, exec: &dyn Exec) -> Result<(), String> {
        let limit = self.timeout;
        let answer = match &self.probe {
            Probe::Http { address, uri } => timeout(limit, ask_http(*address, uri)).await,
            Probe::Tcp(address) => {
                timeout(limit, async { connect(*address).await.map(drop) }).await
            }
            Probe::Command(argv) => return ask_command(exec, argv, limit).await,
        };
        answer
            .unwrap_or_else(|_| Err(format!("no answer within {}", seconds(limit))))
            .map_err(|cause| format!("{self}: {cause}"))
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.probe {
            Probe::Http { uri, .. } => write!(f, "{uri}"),
            Probe::Tcp(address) => write!(f, "{address}"),
            Probe::Command(argv) => f.write_str(argv.first().map_or("", String::as_str)),
        }
    }
}

fn read_http(url: &str) -> Result<Probe, String> {
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("`{url}` is not a URL: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("`{url}` does not begin with http://"));
    }
    let host = uri.host().unwrap_or_default();
    let ip = read_ip(host).ok_or_else(|| format!("`{host}` is neither an IP nor localhost"))?;
    Ok(Probe::Http {
        address: SocketAddr::new(ip, uri.port_u16().unwrap_or(80)),
        uri,
    })
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    let address = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some(SocketAddr::new(read_ip(host)?, port.parse().ok()?)));
    address.ok_or_else(|| format!("`{text}` is not an IP (or localhost) and a port"))
}

fn read_ip(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address)
        .await
        .map_err(|error| cause_of(&error))
}

async fn ask_http(address: SocketAddr, uri: &Uri) -> Result<(), String> {
    let stream = TokioIo::new(connect(address).await?);
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(http::header::HOST, authority)
        .header(http::header::USER_AGENT, "foundry-agent")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request);
    tokio::pin!(connection, answer);
    // The connection is worked on by whoever awaits it; when it ends first, the answer is there or never comes.
    let answer = tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    match answer.map_err(|error| http_cause(&error))?.status() {
        status if status.is_success() || status.is_redirection() => Ok(()),
        status => Err(describe(status)),
    }
}

fn describe(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} ({reason})", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}

async fn ask_command(exec: &dyn Exec, argv: &[String], limit: Duration) -> Result<(), String> {
    let (program, arguments) = argv.split_first().ok_or("no program")?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = match exec
        .run(Command::new(program, &arguments).within(limit))
        .await
    {
        Ok(output) => output,
        Err(ExecError::Start { source, .. }) => {
            return Err(format!("{program}: {}", cause_of(&source)));
        }
        Err(error) => return Err(error.to_string()),
    };
    match output.or_failed(program) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The cause in plain words, without the number that the system gives it.
fn cause_of(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    const PLAIN: [(ErrorKind, &str); 6] = [
        (ErrorKind::ConnectionRefused, "connection refused"),
        (ErrorKind::ConnectionReset, "connection reset"),
        (ErrorKind::HostUnreachable, "host unreachable"),
        (ErrorKind::NetworkUnreachable, "network unreachable"),
        (ErrorKind::TimedOut, "timed out"),
        (ErrorKind::NotFound, "not found"),
    ];
    let plain = PLAIN.iter().find(|(kind, _)| *kind == error.kind());
    plain.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

fn http_cause(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "closed the connection without an answer".to_owned();
    }
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    io.map_or_else(|| error.to_string(), cause_of)
}

fn seconds(limit: Duration) -> String {
    match limit.subsec_millis() {
        0 => format!("{} s", limit.as_secs()),
        _ => format!("{} ms", limit.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use foundry_host::exec::Processes;
    use foundry_proto::agent::v1::health_check::Probe as Wire;
    use foundry_proto::agent::v1::{CommandProbe, HealthCheck};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::Check;

    fn check(probe: Wire) -> Result<Check, String> {
        let check = HealthCheck {
            probe: Some(probe),
            timeout_ms: 2000,
            ..HealthCheck::default()
        };
        Check::read(Some(&check)).map(|check| check.unwrap())
    }

    fn http(url: &str) -> Result<Check, String> {
        check(Wire::Http(url.to_owned()))
    }

    /// Answers one connection with these bytes and closes it.
    async fn answering(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health?full=1", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (url, served)
    }

    #[tokio::test]
    async fn the_status_decides() {
        let (url, served) = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(http(&url).unwrap().ask(&Processes).await, Ok(()));
        assert!(
            served
                .await
                .unwrap()
                .starts_with("GET /health?full=1 HTTP/1.1\r\nhost: 127.0.0.1:")
        );
        let (url, _served) = answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        let cause = http(&url).unwrap().ask(&Processes).await.unwrap_err();
        assert_eq!(cause, format!("{url}: HTTP 503 (Service Unavailable)"));
    }

    #[tokio::test]
    async fn what_went_wrong_is_named() {
        let (url, _served) = answering("").await;
        let cause = http(&url).unwrap().ask(&Processes).await.unwrap_err();
        assert_eq!(
            cause,
            format!("{url}: closed the connection without an answer")
        );
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let refused = check(Wire::Tcp(free.to_string()))
            .unwrap()
            .ask(&Processes)
            .await;
        assert_eq!(refused, Err(format!("{free}: connection refused")));
    }

    #[tokio::test]
    async fn a_command_says_it_by_its_exit() {
        let argv = |script: &str| {
            let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            check(Wire::Command(CommandProbe { argv })).unwrap()
        };
        assert_eq!(argv("exit 0").ask(&Processes).await, Ok(()));
        let cause = argv("echo no leader >&2; exit 2")
            .ask(&Processes)
            .await
            .unwrap_err();
        assert_eq!(cause, "/bin/sh exited with 2: no leader");
    }

    #[test]
    fn names_are_not_looked_up() {
        for good in [
            "http://127.0.0.1:8080/",
            "http://[::1]/x",
            "http://localhost",
        ] {
            assert!(http(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/",
            "https://127.0.0.1/",
            "127.0.0.1:80",
            "http://",
        ] {
            assert!(http(bad).is_err(), "{bad}");
        }
        assert!(check(Wire::Tcp("localhost:5432".to_owned())).is_ok());
        assert!(check(Wire::Tcp("[::1]:5432".to_owned())).is_ok());
        assert!(check(Wire::Tcp("db:5432".to_owned())).is_err());
    }
}
