//! The smallest HTTP client that can ask a service whether it answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// Asks for `path` at `address` (`host:port`, numbers only).
///
/// # Errors
/// When nothing answers within five seconds, or what answers does not speak HTTP.
pub fn get(address: &str, path: &str) -> Result<Answer> {
    send(address, "GET", path)
}

/// Posts nothing to `path` at `address`.
///
/// # Errors
/// As [`get`].
pub fn post(address: &str, path: &str) -> Result<Answer> {
    send(address, "POST", path)
}

fn send(address: &str, method: &str, path: &str) -> Result<Answer> {
    let limit = Duration::from_secs(5);
    let socket: SocketAddr = address
        .parse()
        .with_context(|| format!("address {address}"))?;
    let mut stream =
        TcpStream::connect_timeout(&socket, limit).with_context(|| format!("dial {address}"))?;
    stream.set_read_timeout(Some(limit))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .with_context(|| format!("answer of {address}"))?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .with_context(|| format!("{address} answered {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("{address} answered {head:?}"))?,
        body: body.to_owned(),
    })
}
