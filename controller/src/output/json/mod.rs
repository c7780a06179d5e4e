//! The JSON contract, as docs/json.md describes it: fields are only added.
//!
//! One file per document, each made from the operator API's messages. Names of states are spelled here, so that a new
//! value on the wire cannot change what programs read. Ages and durations are milliseconds, moments RFC 3339 in UTC.

pub mod config;
pub mod controller;
pub mod enrolment;
pub mod error;
pub mod event;
pub mod host;
pub mod plan;
pub mod run;
pub mod service;
pub mod status;
