//! Who a certificate says its holder is: a URI in its subject alternative names.

use std::fmt;
use std::str::FromStr;

use crate::names::{FleetId, HostId};

/// The holder of a certificate of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// `foundry://<fleet>/controller`
    Controller(FleetId),
    /// `foundry://<fleet>/host/<id>`
    Host(FleetId, HostId),
}

/// The server name that an agent asks for and the controller's certificate carries, whatever address is dialled.
pub const CONTROLLER_SERVER_NAME: &str = "controller.foundry.internal";

/// A URI that is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the identity of a controller or a host")]
pub struct IdentityError(String);

// === impl Identity ===

impl Identity {
    /// The fleet that it belongs to.
    pub fn fleet(&self) -> &FleetId {
        match self {
            Self::Controller(fleet) | Self::Host(fleet, _) => fleet,
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let error = || IdentityError(uri.chars().take(200).collect());
        let rest = uri.strip_prefix("foundry://").ok_or_else(error)?;
        let (fleet, path) = rest.split_once('/').ok_or_else(error)?;
        let fleet = fleet.parse().map_err(|_| error())?;
        if path == "controller" {
            return Ok(Self::Controller(fleet));
        }
        let id = path.strip_prefix("host/").ok_or_else(error)?;
        Ok(Self::Host(fleet, id.parse().map_err(|_| error())?))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(fleet) => write!(f, "foundry://{fleet}/controller"),
            Self::Host(fleet, id) => write!(f, "foundry://{fleet}/host/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use crate::names::{FleetId, HostId};

    #[test]
    fn identities_read_back_exactly() {
        let fleet = FleetId::generate("test");
        for identity in [
            Identity::Controller(fleet.clone()),
            Identity::Host(fleet, HostId::generate()),
        ] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn near_misses_are_refused() {
        for uri in [
            "foundry://f-1/controller/",
            "foundry://f-1/Controller",
            "foundry://f-1/host/",
            "foundry://f-1/host/0123",
            "https://f-1/controller",
            "foundry://f-1//controller",
            "foundry:///controller",
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
    }
}
