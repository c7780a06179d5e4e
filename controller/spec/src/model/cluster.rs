//! The cluster as a whole, and where its controller is.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Serialize, Serializer};

/// Where the agents' listener is bound when the file says nothing.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 7443);

/// `cluster:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// A DNS label; the fleet's name begins with it.
    pub name: String,
    /// Services of the stack are `<name>.<domain>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Needed when K3s is a component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip: Option<Vip>,
}

/// The address that the Kubernetes API has, whichever server holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Vip {
    /// No host's own address.
    pub address: IpAddr,
    /// Who sees to it that the address is answered.
    #[serde(rename = "by")]
    pub holder: VipHolder,
}

/// Who holds the virtual IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VipHolder {
    /// kube-vip, set up by foundry.
    #[default]
    KubeVip,
    /// A load balancer or floating IP of the user's (`by: external`).
    External,
}

/// `controller:`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Where agents dial in; [`DEFAULT_LISTEN`] unless set.
    pub listen: SocketAddr,
    /// `host:port` as the hosts see the controller, in the order to be tried; empty: found out while bootstrapping.
    pub advertise: Vec<String>,
    /// `ssh://user@host`: the controller runs there, and commands reach it through the user's own ssh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

// === impl VipHolder ===

impl VipHolder {
    /// As the file spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KubeVip => "kube-vip",
            Self::External => "external",
        }
    }
}

impl Serialize for VipHolder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

// === impl Controller ===

impl Default for Controller {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            advertise: Vec::new(),
            at: None,
        }
    }
}
