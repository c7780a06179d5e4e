//! The product on real hosts: `cargo xtask test --only e2e`.

mod expect;
mod leaving;
mod logging_in;
mod reaching;
mod running;
mod spine;
mod survival;
mod tasks;
