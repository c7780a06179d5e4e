//! The listening socket: both families on one port, and a taken port names its owner.

mod owner;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use tokio::net::{TcpListener, TcpSocket};

use super::error::HubError;

/// Connections that the kernel keeps until they are accepted: thousands of agents come back at once.
const BACKLOG: u32 = 4096;

/// Listens on `listen`. An unspecified IPv6 address takes IPv4 too; where there is no IPv6, IPv4 alone.
pub(super) fn bind(listen: &str) -> Result<TcpListener, HubError> {
    let malformed = || HubError::Address {
        listen: listen.to_owned(),
    };
    let address = match listen.parse() {
        Ok(address) => address,
        Err(_) => listen
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(malformed)?,
    };
    let bound = bind_to(address).or_else(|error| {
        let any_v6 = address.is_ipv6() && address.ip().is_unspecified();
        let no_v6 = matches!(
            error.kind(),
            io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable
        ) || error.raw_os_error()
            == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
        if any_v6 && no_v6 {
            bind_to(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                address.port(),
            ))
        } else {
            Err(error)
        }
    });
    bound.map_err(|source| {
        let port = address.port();
        if source.kind() == io::ErrorKind::AddrInUse {
            let owner = owner::of_port(port).unwrap_or_else(|| "another process".to_owned());
            HubError::Taken {
                port,
                owner,
                source,
            }
        } else {
            HubError::Listen {
                listen: listen.to_owned(),
                source,
            }
        }
    })
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        let socket = TcpSocket::new_v6()?;
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        socket
    } else {
        TcpSocket::new_v4()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::net::TcpStream;

    use super::bind;
    use crate::hub::HubError;

    #[tokio::test]
    async fn one_socket_takes_both_families() {
        let listener = bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialled = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let (_, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip().to_canonical(), dialled.local_addr().unwrap().ip());
    }

    #[tokio::test]
    async fn a_taken_port_names_its_owner() {
        let taken = bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let holder = bind(&taken.to_string()).unwrap();
        let error = bind(&taken.to_string()).unwrap_err();
        let HubError::Taken { port, owner, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(port, taken.port());
        assert!(
            owner.contains(&format!("pid {}", std::process::id())),
            "{owner}"
        );
        drop(holder);
    }

    #[tokio::test]
    async fn what_is_no_address_is_named() {
        for listen in ["", "nonsense", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(
                matches!(bind(listen), Err(HubError::Address { .. })),
                "{listen}"
            );
        }
        let unspecified: SocketAddr = "[::]:0".parse().unwrap();
        assert!(unspecified.ip().is_unspecified());
    }
}
