//! Who listens on which port of the host.

mod proc;

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;

pub use proc::ProcPorts;

/// The host's listening sockets.
#[async_trait]
pub trait Ports: Send + Sync {
    /// All sockets that listen (TCP) or are bound (UDP), as the kernel lists them. Owners are not looked up.
    async fn listeners(&self) -> Result<Vec<Listener>, PortsError>;

    /// The process that holds this socket, where it can be told.
    async fn owner(&self, listener: &Listener) -> Option<Process>;
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its address; unspecified: all of them.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The socket's inode.
    pub inode: u64,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name, as the kernel keeps it.
    pub name: String,
}

/// The kernel's list could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the list of sockets")]
pub struct PortsError(#[source] pub std::io::Error);

// === impl Listener ===

impl Listener {
    /// Whether something that wants this address (none: all of them) and port finds it taken.
    pub fn clashes(&self, protocol: Protocol, address: Option<IpAddr>, port: u16) -> bool {
        let meets = match address {
            Some(wanted) if !wanted.is_unspecified() => {
                self.address.is_unspecified() || self.address == wanted
            }
            _ => true,
        };
        meets && self.port == port && self.protocol == protocol
    }
}

// === impl Protocol ===

impl Protocol {
    /// The protocol of this name; empty is TCP.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}
