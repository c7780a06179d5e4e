//! What a stack.yaml declares, validated and with defaults filled in.
//!
//! The serialised form is what `config show` prints: the shape of the file, without secrets.

mod cluster;
mod component;
mod config;
mod host;
mod names;
mod quantity;
mod service;
mod storage;
mod text;

pub use cluster::{Cluster, Controller, DEFAULT_LISTEN, Vip, VipHolder};
pub use component::{Component, ComponentKind};
pub use config::{Config, Value};
pub use host::{Address, AddressError, Become, Host, Reach, Role};
pub use names::{FleetName, Hostname, Instance, Label, NameError, ServiceName};
pub use quantity::{Bytes, MilliCpus, QuantityError, Span};
pub(crate) use service::is_secret_name;
pub use service::{
    Env, Health, ImageError, ImageReference, Limits, Port, PortError, Probe, ProbeError, Protocol,
    Service, Volume, VolumeError,
};
pub use storage::{Storage, TrueNas};
pub use text::{SecretRef, Text, TextError};

use serde::{Serialize, Serializer};

/// A validated stack.yaml.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stack {
    /// Always `1`.
    pub version: &'static str,
    /// Ties the file to its fleet's state; absent until the first change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetName>,
    /// Name, domain and virtual IP.
    pub cluster: Cluster,
    /// Where the controller listens and is.
    pub controller: Controller,
    /// In the order of the file.
    pub hosts: Vec<Host>,
    /// In the order in which they depend on one another.
    #[serde(serialize_with = "by_name")]
    pub components: Vec<Component>,
    /// In the order of the file.
    pub services: Vec<Service>,
    /// What lies outside the hosts.
    pub storage: Storage,
}

// === impl Stack ===

impl Stack {
    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts
            .iter()
            .find(|host| host.hostname.as_str() == name)
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name.as_str() == name)
    }

    /// The component of this kind, where it is declared.
    pub fn component(&self, kind: ComponentKind) -> Option<&Component> {
        self.components
            .iter()
            .find(|component| component.kind == kind)
    }
}

/// As in the file: a mapping from name to settings.
fn by_name<S: Serializer>(components: &[Component], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        components
            .iter()
            .map(|component| (component.kind, component)),
    )
}
