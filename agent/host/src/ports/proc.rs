//! Sockets as `/proc` lists them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;

use super::{Listener, Ports, PortsError, Process, Protocol};

/// State of a TCP socket that listens, and of a UDP socket that is bound and not connected.
const LISTENING: &str = "0A";
const UNCONNECTED: &str = "07";

/// The kernel's lists.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcPorts;

// === impl ProcPorts ===

#[async_trait]
impl Ports for ProcPorts {
    async fn listeners(&self) -> Result<Vec<Listener>, PortsError> {
        let mut listeners = Vec::new();
        for (file, protocol, state) in [
            ("/proc/net/tcp", Protocol::Tcp, LISTENING),
            ("/proc/net/tcp6", Protocol::Tcp, LISTENING),
            ("/proc/net/udp", Protocol::Udp, UNCONNECTED),
            ("/proc/net/udp6", Protocol::Udp, UNCONNECTED),
        ] {
            match fs_err::read_to_string(file) {
                Ok(text) => listeners.extend(parse(&text, protocol, state)),
                // A kernel without IPv6 has no list of it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(PortsError(error)),
            }
        }
        Ok(listeners)
    }

    async fn owner(&self, listener: &Listener) -> Option<Process> {
        let inode = listener.inode;
        tokio::task::spawn_blocking(move || owner_of(inode))
            .await
            .ok()
            .flatten()
    }
}

/// The lines in this state.
fn parse(text: &str, protocol: Protocol, state: &str) -> Vec<Listener> {
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let is_listening = *fields.get(3)? == state;
        is_listening.then_some(Listener {
            protocol,
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    };
    text.lines().skip(1).filter_map(listener).collect()
}

/// An address as the kernel prints it: words of four bytes, each in the order of the machine.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for start in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(Ipv6Addr::from(sixteen).to_canonical())
}

/// The process that has the socket open.
fn owner_of(inode: u64) -> Option<Process> {
    let socket = format!("socket:[{inode}]");
    let processes = fs_err::read_dir("/proc").ok()?;
    let pids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in pids {
        // A process may end, or be closed to us, while we look.
        let Ok(files) = fs_err::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .filter_map(|file| fs_err::read_link(file.path()).ok())
            .any(|target| target.as_os_str() == socket.as_str());
        if holds {
            let name = fs_err::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some(Process {
                pid,
                name: name.trim().to_owned(),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{LISTENING, ProcPorts, UNCONNECTED, parse};
    use crate::ports::{Ports, Protocol};

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0
   1: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn only_what_listens_is_listed() {
        let listeners = parse(TCP, Protocol::Tcp, LISTENING);
        let [one] = listeners.as_slice() else {
            panic!("{listeners:?}")
        };
        assert_eq!(
            (one.address.to_string().as_str(), one.port),
            ("127.0.0.1", 8080)
        );
        assert_eq!(one.inode, 4242);
        assert!(parse(TCP, Protocol::Udp, UNCONNECTED).is_empty());
    }

    #[tokio::test]
    async fn our_own_socket_is_found_with_its_owner() {
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(socket) = std::net::TcpListener::bind(address) else {
                continue;
            };
            let local = socket.local_addr().unwrap();
            let listeners = ProcPorts.listeners().await.unwrap();
            let mine = listeners
                .iter()
                .find(|listener| listener.port == local.port())
                .unwrap();
            assert_eq!(mine.address, local.ip());
            assert_eq!(ProcPorts.owner(mine).await.unwrap().pid, std::process::id());
        }
    }
}
