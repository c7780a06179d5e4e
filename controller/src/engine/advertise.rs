//! At which addresses a host is told to dial this controller.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use foundry_proto::layout::AGENT_PORT;

/// The address in the file of a host that is its own admin machine.
const LOCAL: &str = "local";

/// What is known of the way from a host to this controller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways<'a> {
    /// From the file; where there are some, they are all that is told.
    pub(super) advertise: &'a [String],
    /// The host's address in the file.
    pub(super) host: &'a str,
    /// This machine's address as the host sees it.
    pub(super) seen: &'a str,
    /// Addresses of this machine that are worth a try, host:port.
    pub(super) guessed: &'a [String],
    /// The port that the hub listens on.
    pub(super) port: u16,
}

/// The addresses to be dialled, best first. Loopback only for a host that is this machine, or sees it there.
pub(super) fn addresses(ways: Ways<'_>) -> Vec<String> {
    if !ways.advertise.is_empty() {
        return ways.advertise.to_vec();
    }
    if ways.host == LOCAL {
        return vec![SocketAddr::from((Ipv4Addr::LOCALHOST, ways.port)).to_string()];
    }
    let mut found = Vec::new();
    if let Ok(seen) = ways.seen.parse::<IpAddr>() {
        found.push(SocketAddr::new(seen.to_canonical(), ways.port).to_string());
    }
    for guess in ways.guessed {
        if !found.contains(guess) {
            found.push(guess.clone());
        }
    }
    found
}

/// The addresses that the default routes leave from: what a host in another network would see. Docker's bridges carry no
/// default route, so they are never among them.
pub(super) fn guessed(port: u16) -> Vec<String> {
    // Documentation addresses: nothing is sent, the kernel only picks a route.
    let far = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let sources = far.into_iter().filter_map(|(any, far)| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(far).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    let usable = sources.filter(|address| !is_near(*address));
    usable
        .map(|address| SocketAddr::new(address, port).to_string())
        .collect()
}

/// The port of a listen address; the usual one where it names none.
pub(super) fn port_of(listen: &str) -> u16 {
    let port = listen
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    port.unwrap_or(AGENT_PORT)
}

/// Means something on this machine or this wire only.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Addresses of the file, each with a port: they may leave it out.
pub(super) fn complete(addresses: &[String], port: u16) -> Vec<String> {
    addresses
        .iter()
        .map(|address| with_port(address, port))
        .collect()
}

fn with_port(address: &str, port: u16) -> String {
    if let Ok(ip) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(ip, port).to_string();
    }
    match address.rsplit_once(':') {
        Some((_, given)) if given.parse::<u16>().is_ok() => address.to_owned(),
        _ => format!("{address}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ways, addresses, complete, guessed, port_of, with_port};

    const WAYS: Ways<'_> = Ways {
        advertise: &[],
        host: "10.0.0.5",
        seen: "",
        guessed: &[],
        port: 7443,
    };

    #[test]
    fn what_the_file_says_is_all_that_is_told() {
        let file = ["ctl.example.com:7000".to_owned(), "10.1.1.1".to_owned()];
        let advertise = complete(&file, 7443);
        let ways = Ways {
            advertise: &advertise,
            seen: "10.0.0.1",
            ..WAYS
        };
        assert_eq!(addresses(ways), ["ctl.example.com:7000", "10.1.1.1:7443"]);
    }

    #[test]
    fn what_the_host_sees_comes_first() {
        let guessed = ["192.168.1.2:7443".to_owned(), "10.0.0.1:7443".to_owned()];
        let ways = Ways {
            seen: "::ffff:10.0.0.1",
            guessed: &guessed,
            ..WAYS
        };
        assert_eq!(addresses(ways), ["10.0.0.1:7443", "192.168.1.2:7443"]);
        let ways = Ways {
            seen: "2001:db8::7",
            ..WAYS
        };
        assert_eq!(addresses(ways), ["[2001:db8::7]:7443"]);
    }

    #[test]
    fn loopback_is_for_the_local_host_alone() {
        assert_eq!(
            addresses(Ways {
                host: "local",
                ..WAYS
            }),
            ["127.0.0.1:7443"]
        );
        assert!(addresses(WAYS).is_empty());
        assert!(
            guessed(7443)
                .iter()
                .all(|address| !address.starts_with("127."))
        );
    }

    #[test]
    fn ports_are_filled_in() {
        assert_eq!(with_port("fd00::1", 7), "[fd00::1]:7");
        assert_eq!(with_port("ctl", 7), "ctl:7");
        assert_eq!((port_of("[::]:7000"), port_of("0.0.0.0")), (7000, 7443));
    }
}
