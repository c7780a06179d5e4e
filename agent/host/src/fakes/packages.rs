use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::containers::ProgressFn;
use crate::packages::{Packages, PackagesError};

/// Packages that can be installed, and those that are.
#[derive(Default)]
pub struct FakePackages {
    available: Mutex<BTreeSet<String>>,
    installed: Mutex<BTreeSet<String>>,
}

// === impl FakePackages ===

impl FakePackages {
    /// The package can be installed.
    pub fn offer(&self, name: &str) {
        lock(&self.available).insert(name.to_owned());
    }

    /// Whether the package is installed.
    pub fn has(&self, name: &str) -> bool {
        lock(&self.installed).contains(name)
    }
}

#[async_trait]
impl Packages for FakePackages {
    async fn manager(&self) -> Option<&'static str> {
        Some("apt")
    }

    async fn installed(&self, name: &str) -> Result<Option<String>, PackagesError> {
        Ok(self.has(name).then(|| "1.0".to_owned()))
    }

    async fn available(&self, name: &str) -> Result<bool, PackagesError> {
        Ok(lock(&self.available).contains(name))
    }

    async fn refresh(&self, _: ProgressFn<'_>) -> Result<(), PackagesError> {
        Ok(())
    }

    async fn install(&self, name: &str, _: ProgressFn<'_>) -> Result<(), PackagesError> {
        lock(&self.installed).insert(name.to_owned());
        Ok(())
    }

    async fn remove(&self, name: &str, _: ProgressFn<'_>) -> Result<(), PackagesError> {
        lock(&self.installed).remove(name);
        Ok(())
    }
}
