//! The hosts' own network: 198.18.0.0/16, a range made for tests.

use anyhow::Result;

use crate::engine::{Engine, lock};
use crate::run;

/// The network's name.
pub(crate) const NAME: &str = "foundry-test";
const SUBNET: &str = "198.18.0.0/16";
/// This machine's address on the hosts' network.
pub const GATEWAY: &str = "198.18.0.1";
/// The bridge, by a name that fits an interface.
const BRIDGE: &str = "foundry-test0";
/// Small enough for a machine whose own uplink is a tunnel.
const MTU: &str = "1400";

/// Makes the network where it is missing.
pub(crate) fn ensure(engine: &Engine) -> Result<()> {
    let _one_at_a_time = lock("/run/foundry-test/network.lock")?;
    if run(engine.command().args(["network", "inspect", NAME]))?.code == Some(0) {
        return Ok(());
    }
    let bridge = format!("com.docker.network.bridge.name={BRIDGE}");
    let mtu = format!("com.docker.network.driver.mtu={MTU}");
    engine
        .docker([
            "network",
            "create",
            "--subnet",
            SUBNET,
            "--gateway",
            GATEWAY,
            "-o",
            &bridge,
            "-o",
            &mtu,
            NAME,
        ])
        .map(drop)
}
