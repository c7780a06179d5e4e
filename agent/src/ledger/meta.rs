//! What the ledger knows of itself.

/// The ledger's own file. Its fields are also its format on disk: they are only added.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Meta {
    /// Random, made with the ledger: a lost ledger is a new id.
    #[prost(string, tag = "1")]
    pub(super) id: String,
    /// The store that the agent last spoke with.
    #[prost(string, tag = "2")]
    pub(super) store_id: String,
    /// Event numbers up to this may have been given out.
    #[prost(uint64, tag = "3")]
    pub(super) reserved_through: u64,
    /// Events up to this were acknowledged. Written now and then: at a start, some may be sent once more.
    #[prost(uint64, tag = "4")]
    pub(super) acknowledged_through: u64,
    /// The latest time that this host has seen, in milliseconds since 1970: a floor for its clock.
    #[prost(uint64, tag = "5")]
    pub(super) newest_time_ms: u64,
}
