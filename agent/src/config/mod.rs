//! What the agent knows about itself before it runs: where things lie, its settings, its identity.
//!
//! Parsed once into checked types. [`Places`] are the folders (overridden in tests), [`Settings`] is
//! `/etc/foundry/agent.json`, [`Identity`] is the key and certificate under `/var/lib/foundry/identity`.

mod durable;
mod identity;
mod places;
mod settings;

pub(crate) use durable::write_atomically;
pub use identity::{Identity, IdentityError};
pub use places::Places;
pub use settings::{HmacKey, Settings, SettingsError};
