//! Notes when the program is built: the verifier's clock never says less.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    let given = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    let built: u64 = given.unwrap_or_else(now);
    println!("cargo::rustc-env=FOUNDRY_BUILD_TIME={built}");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
}
