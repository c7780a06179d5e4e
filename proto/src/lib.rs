//! The wire contract of foundry: what agents, controller and command line say to one another.
//!
//! The schema stands in `proto/foundry/**/*.proto`; the Rust made from it is checked in under `src/gen` (`cargo xtask
//! codegen`), and a test fails when the two differ. Beside it stand the types that the raw messages are turned into at
//! the edge: ids and names that were checked, digests, the identity in a certificate, and the places on a host that more
//! than one part must agree on. Nothing here does I/O.

pub mod codec;
pub mod digest;
pub mod framing;
pub mod identity;
pub mod layout;
pub mod names;

/// Between agent and controller, and the dialogue of enrolment.
pub mod agent {
    /// Version 1 of the agent's contract.
    #[allow(missing_docs, clippy::all, unreachable_pub, reason = "generated code")]
    pub mod v1 {
        include!("gen/foundry.agent.v1.rs");
    }
}

/// Between command line and controller.
pub mod operator {
    /// Version 1 of the operator's contract.
    #[allow(missing_docs, clippy::all, unreachable_pub, reason = "generated code")]
    pub mod v1 {
        include!("gen/foundry.operator.v1.rs");
    }
}

pub use digest::Digest;
pub use identity::Identity;
pub use names::{AssignmentName, FleetId, HostId, Hostname};

/// The protocol versions that this build speaks.
pub const PROTOCOL: std::ops::RangeInclusive<u32> = 1..=1;

/// The highest feature level of a task that this build knows.
pub const FEATURE_LEVEL: u32 = 1;

/// Metadata key of a refused call: the name of an [`agent::v1::Refusal`].
pub const REFUSAL_KEY: &str = "foundry-refusal";

/// Metadata key of a refusal that asks to come back later: milliseconds.
pub const RETRY_AFTER_KEY: &str = "foundry-retry-after-ms";
