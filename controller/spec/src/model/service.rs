//! `services:`

mod env;
mod health;
mod image;
mod port;
mod volume;

use serde::Serialize;

use super::names::{Hostname, Instance, ServiceName};
use super::quantity::{Bytes, MilliCpus};
use super::text::Text;

pub use env::Env;
pub(crate) use env::is_secret_name;
pub use health::{Health, Probe, ProbeError};
pub use image::{ImageError, ImageReference};
pub use port::{Port, PortError, Protocol};
pub use volume::{Volume, VolumeError};

/// A container of the user's, run on some hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Unit and container are named `foundry-<name>`.
    pub name: ServiceName,
    /// What runs.
    pub image: ImageReference,
    /// Where the image comes from instead of its registry: a file beside stack.yaml, as written there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_archive: Option<String>,
    /// Where it runs; all hosts where the file names none.
    pub hosts: Vec<Hostname>,
    /// What it publishes.
    pub ports: Vec<Port>,
    /// Its environment.
    pub env: Env,
    /// What of the host it sees.
    pub volumes: Vec<Volume>,
    /// Arguments in place of the image's own.
    pub command: Vec<Text>,
    /// As the runtime's `--user` takes it; left out: the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// How its health is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Whose secrets it refers to; its name unless set.
    pub instance: Instance,
}

/// `limits:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Limits {
    /// Left out: as much as there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Left out: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<MilliCpus>,
}
