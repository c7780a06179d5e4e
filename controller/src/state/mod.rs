//! A fleet's folder on the controller's machine: `<home>/fleets/<fleet>`.
//!
//! ```text
//! lock                 flock: whoever holds it is the controller
//! controller.sock      operator API (or the path in `socket`, where this one would be too long)
//! controller.log
//! store.sqlite
//! ca/fleet.{crt,key}   controller and agents
//! ca/services.{crt,key}
//! ca/seal.key          seals what lies in the store
//! artifacts/<sha256>
//! ```
//!
//! Whoever can read this folder is root on every host of the fleet: folders are 0700, files 0600, and a place that others
//! can write to is refused. A fleet is made whole or not at all: its folder is filled under another name and renamed.

mod authorities;
mod create;
mod durable;
mod error;
mod guard;
mod lock;
mod open;
mod paths;

pub use authorities::Authorities;
pub use create::create_fleet;
pub use error::StateError;
pub use lock::FleetLock;
pub use open::{list_fleets, open_fleet};
pub use paths::Paths;

pub(crate) use durable::sync_dir;
pub(crate) use paths::LONGEST_SOCKET_PATH;
