//! Real hosts for the tests and the demo: containers with systemd as PID 1, D-Bus, sshd and their own container runtime.
//!
//! An [`Engine`] is a Docker engine of our own (own socket, own data folder), apart from any that the machine has. Its
//! images are made from Debian packages with debootstrap, cached by a hash of their [`recipe`]; no image registry is
//! needed. A [`Testbed`] starts [`Host`]s on our own network and writes the ssh configuration that reaches them. Each
//! container is labelled with its [`Owner`]; what a crashed run left is removed by the next one.
//!
//! Everything here is synchronous: it runs programs and waits for them.

mod engine;
mod host;
pub mod http;
mod image;
mod network;
mod owner;
mod process;
mod recipe;
mod rootfs;
mod ssh;
mod testbed;
mod until;

pub use engine::Engine;
pub use host::{Host, Init, Runtime, Wanted};
pub use image::ImageArchive;
pub use network::GATEWAY;
pub use owner::Owner;
pub use process::{Finished, run, run_with_input};
pub use ssh::SshFolder;
pub use testbed::Testbed;
pub use until::until;
