use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::ports::{Listener, Ports, PortsError, Process, Protocol};

/// Listeners that a test says are there.
#[derive(Default)]
pub struct FakePorts {
    taken: Mutex<Vec<(Listener, Process)>>,
}

// === impl FakePorts ===

impl FakePorts {
    /// A process of this name listens.
    pub fn take(&self, protocol: Protocol, address: IpAddr, port: u16, name: &str) {
        let mut taken = lock(&self.taken);
        let number = u32::try_from(taken.len()).unwrap_or(0) + 100;
        let listener = Listener {
            protocol,
            address,
            port,
            inode: number.into(),
        };
        taken.push((
            listener,
            Process {
                pid: number,
                name: name.to_owned(),
            },
        ));
    }
}

#[async_trait]
impl Ports for FakePorts {
    async fn listeners(&self) -> Result<Vec<Listener>, PortsError> {
        Ok(lock(&self.taken)
            .iter()
            .map(|(listener, _)| listener.clone())
            .collect())
    }

    async fn owner(&self, listener: &Listener) -> Option<Process> {
        let taken = lock(&self.taken);
        taken
            .iter()
            .find(|(one, _)| one == listener)
            .map(|(_, process)| process.clone())
    }
}
