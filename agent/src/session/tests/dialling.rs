//! Which address is taken, and what is said of the others.

use std::error::Error as _;
use std::time::SystemTime;

use foundry_link::pki::{Authority, CertificateAuthority};
use foundry_proto::FleetId;
use tokio::net::TcpListener;

use super::controller::{Fleet, PATIENCE};
use crate::session::{DialError, try_addresses};

/// An address where nobody listens.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[tokio::test]
async fn the_address_that_answers_is_taken() {
    let fleet = Fleet::start();
    let (mut dialer, _publish) = fleet.dialer();
    dialer.addresses.insert(0, nobody().await);
    assert_eq!(
        try_addresses(&dialer).await.unwrap(),
        fleet.address.to_string()
    );
}

#[tokio::test]
async fn a_silent_address_holds_up_no_other() {
    let fleet = Fleet::start();
    let (mut dialer, _publish) = fleet.dialer();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    dialer
        .addresses
        .insert(0, silent.local_addr().unwrap().to_string());
    let answered = tokio::time::timeout(PATIENCE / 4, try_addresses(&dialer)).await;
    assert_eq!(answered.expect("soon").unwrap(), fleet.address.to_string());
}

#[tokio::test]
async fn each_address_is_listed_with_its_cause() {
    let (fleet, other) = (Fleet::start(), Fleet::start());
    let (mut dialer, _publish) = fleet.dialer();
    let wrong = other.address.to_string();
    dialer.addresses = vec![nobody().await, wrong, "no-port".to_owned()];
    let failures = try_addresses(&dialer).await.unwrap_err();
    let addresses: Vec<&String> = failures.iter().map(|(address, _)| address).collect();
    assert_eq!(addresses, dialer.addresses.iter().collect::<Vec<_>>());
    let [(_, refused), (_, stranger), (_, malformed)] = &failures[..] else {
        panic!("three")
    };
    assert!(matches!(refused, DialError::Connect { .. }), "{refused:?}");
    assert!(
        matches!(malformed, DialError::Resolve { .. }),
        "{malformed:?}"
    );
    let DialError::Handshake { source, .. } = stranger else {
        panic!("{stranger:?}")
    };
    assert!(source.to_string().contains("certificate"), "{source}");
    assert!(refused.source().is_some());
}

#[tokio::test]
async fn a_controller_that_does_not_take_this_host_says_so_before_it_is_believed() {
    let mut fleet = Fleet::start();
    let (real, now) = (fleet.id.clone(), SystemTime::now());
    // The controller's fleet is real, the host's certificate is not, and only the controller can tell.
    let trusted = fleet.ca.certificate_der().clone();
    fleet.ca =
        CertificateAuthority::generate(Authority::Fleet, &FleetId::generate("other"), now).unwrap();
    fleet.id = real;
    let (dialer, _publish) = fleet.dialer_trusting(vec![trusted]);
    let failures = try_addresses(&dialer).await.unwrap_err();
    let [(_, DialError::Handshake { source, .. })] = &failures[..] else {
        panic!("{failures:?}")
    };
    assert!(source.to_string().contains("UnknownCA"), "{source}");
}
