//! Ports that two services would publish on one host.

use std::ops::Range;

use crate::model::{Hostname, Port, Service};
use crate::report::Report;

/// A published port and who publishes it.
struct Taken<'s> {
    port: Port,
    service: &'s Service,
    at: &'s Range<usize>,
}

/// Reports each port that is taken already, once.
pub(super) fn check<'s>(
    services: impl Iterator<Item = (&'s Service, &'s [(Port, Range<usize>)])>,
    report: &mut Report<'_>,
) {
    let mut taken: Vec<Taken<'s>> = Vec::new();
    for (service, ports) in services {
        for (port, at) in ports {
            let first = taken.iter().find_map(|other| {
                let host = shared(other.service, service)?;
                other.port.collides_with(port).then_some((other, host))
            });
            if let Some((first, host)) = first {
                let line = report.line(first.at);
                let whose = if first.service.name == service.name {
                    "by this service already".to_owned()
                } else {
                    format!("by service {} already", first.service.name)
                };
                report
                    .error(
                        at,
                        format!("port {} of host {host} is published {whose}", port.host),
                    )
                    .hint(format!("that one stands on line {line}"));
            }
            taken.push(Taken {
                port: *port,
                service,
                at,
            });
        }
    }
}

/// A host that runs both.
fn shared<'s>(one: &'s Service, other: &Service) -> Option<&'s Hostname> {
    one.hosts.iter().find(|host| other.hosts.contains(host))
}
